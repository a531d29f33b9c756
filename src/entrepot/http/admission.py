"""Who is let in to a dedicated instance: by a network linked to it, or over its public entry by the allow list (DESIGN section 9).

Rules come with the host table, so nothing is read for a request. Networks are parsed when the instance is first asked for, and what was
decided about an address is remembered until its rules change.
"""

import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from entrepot.http.messages import Headers, Request, Response
from entrepot.model.ids import InstanceId
from entrepot.model.network_access import EVERYBODY, AddressRefused, EntryRules, EntryStatus
from entrepot.model.tenancy import Instance

_REMEMBERED: Final = 4096  # addresses an instance
_LONGEST: Final = 64  # characters of an address, with a zone
_HEADERS: Final[Headers] = [
    (b"content-type", b"application/json"),
    (b"docker-distribution-api-version", b"registry/2.0"),
    (b"x-content-type-options", b"nosniff"),
]
# Prefixes by address family and mask: a list of hundreds has a few masks, and each is one look.
_Prefixes = dict[tuple[int, int], set[int]]


class Admission:
    """The rules of one instance. An address that cannot be read is nobody's: only `0.0.0.0/0`, everybody, has it."""

    __slots__ = ("_decided", "_is_admitting_all", "_prefixes", "rules")

    def __init__(self, rules: EntryRules) -> None:
        self.rules = rules
        self._is_admitting_all = (
            rules.status is EntryStatus.OPENED and EVERYBODY[0] in rules.allowed
        )
        self._prefixes: _Prefixes | None = None
        self._decided: dict[str, bool] = {}

    def admits(self, address: str) -> bool:
        """Whether a client of this address may come in."""
        if self._is_admitting_all:
            return True
        if len(address) > _LONGEST:  # what a proxy passed on from its client
            return False
        known = self._decided.get(address)
        if known is None:
            known = self._decide(address)
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            self._decided[address] = known
        return known

    def _decide(self, address: str) -> bool:
        if self._prefixes is None:
            is_open = self.rules.status is EntryStatus.OPENED
            self._prefixes = _prefixes(
                (*self.rules.linked, *(self.rules.allowed if is_open else ()))
            )
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        version, number = parsed.version, int(parsed)
        return any(
            version == family and number & mask in prefixes
            for (family, mask), prefixes in self._prefixes.items()
        )


class Admissions:
    """Of all dedicated instances. `check` is called before a remembered decision counts and raises RightsStale when it may not."""

    def __init__(
        self,
        rules: Mapping[InstanceId, EntryRules],
        *,
        before: "Admissions | None" = None,
        check: Callable[[], None] | None = None,
        on_refused: Callable[[Request, Instance, AddressRefused], None] | None = None,
    ) -> None:
        former = {} if before is None else before.by_instance
        self.by_instance: dict[InstanceId, Admission] = {
            instance: _kept(former.get(instance), one) for instance, one in rules.items()
        }
        self._check = check
        self._on_refused = on_refused

    def refusal(self, request: Request, instance: Instance) -> Response | None:
        """The answer to a client that may not come in; None: it may. Instances without rules are open to everybody."""
        admission = self.by_instance.get(instance.id)
        if admission is None:
            return None
        if self._check is not None:
            self._check()
        if admission.admits(request.client):
            return None
        error = AddressRefused(request.client, instance.name, admission.rules.status)
        if self._on_refused is not None:
            self._on_refused(request, instance, error)
        return _refused(error)


OPEN: Final = Admissions({})


def _kept(former: Admission | None, rules: EntryRules) -> Admission:
    """What was decided stays, while the rules do."""
    return former if former is not None and former.rules == rules else Admission(rules)


def _prefixes(networks: Iterable[str]) -> _Prefixes:
    found: _Prefixes = {}
    for text in networks:
        network = ipaddress.ip_network(text)
        key = network.version, int(network.netmask)
        found.setdefault(key, set()).add(int(network.network_address))
    return found


def _refused(error: AddressRefused) -> Response:
    told = {"code": "DENIED", "message": error.sentence, "detail": None}
    return Response(403, [*_HEADERS], json.dumps({"errors": [told]}).encode())
