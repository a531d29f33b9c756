"""Which host name serves what (DESIGN section 2). The table is the whole truth; a test walks it.

Hosts under the suffix that name no living instance answer 404: a typo or a deleted instance must not serve other content.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from entrepot.http.admission import OPEN, Admissions
from entrepot.model.tenancy import Instance


class HostKind(StrEnum):
    """What a host name stands for."""

    INSTANCE = "instance"  # <name>.<suffix>, or a name an instance was given
    DEFAULT = "default"  # IP literals, localhost, configured names
    TCR = "tcr"  # the API's own names under the suffix
    SWR = "swr"  # likewise, `swr-api.<region>` and `iam`
    UNKNOWN = "unknown"


class Wire(StrEnum):
    """Who answers."""

    HEALTH = "health"
    TOKEN = "token"  # noqa: S105  (the token service, not a secret)
    DISTRIBUTION = "distribution"
    TCR = "tcr"
    SWR = "swr"
    IDENTITY = "identity"
    DOCKYARD = "dockyard"  # older paths of the same
    ROOT = "root"  # `/` of a bare address: for whichever API it is meant
    NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Route:
    """Requests to hosts of these kinds whose path is `path`, or begins with it where it ends in a slash and is more than that."""

    hosts: frozenset[HostKind]
    path: bytes
    wire: Wire


_EVERYWHERE = frozenset(HostKind)
_REGISTRY = frozenset({HostKind.INSTANCE, HostKind.DEFAULT})

_TCR_LABELS: Final = frozenset({"tcr", "tag"})  # under the suffix; no instance is called so
_IDENTITY_LABEL: Final = "iam"
_SWR: Final = frozenset({HostKind.DEFAULT, HostKind.SWR})
_SWR_PATHS: Final = (b"/v2", b"/v2/manage/", b"/v3/manage/")
ROUTES: Final = (
    *(Route(_SWR, path, Wire.SWR) for path in _SWR_PATHS),
    Route(frozenset({HostKind.SWR}), b"/", Wire.SWR),
    Route(_SWR, b"/dockyard/v2/", Wire.DOCKYARD),
    Route(_SWR, b"/swr/auth/v2/registry/auth", Wire.TOKEN),
    *(Route(_SWR, path, Wire.IDENTITY) for path in (b"/v3/", b"/v3.0/")),
    Route(_REGISTRY, b"/v2/", Wire.DISTRIBUTION),
    Route(frozenset({HostKind.INSTANCE}), b"/v2", Wire.DISTRIBUTION),
    Route(_REGISTRY, b"/service/token", Wire.TOKEN),
    Route(frozenset({HostKind.TCR}), b"/", Wire.TCR),
    Route(frozenset({HostKind.DEFAULT}), b"/", Wire.ROOT),
    Route(frozenset({HostKind.DEFAULT}), b"/api/v1/", Wire.NATIVE),
    Route(_EVERYWHERE, b"/healthz", Wire.HEALTH),
    Route(_EVERYWHERE, b"/readyz", Wire.HEALTH),
)


@dataclass(frozen=True, slots=True)
class HostTable:
    """Living instances by the names they answer at. `hosts`: further names, lower case; `default_names`: of the default instance;
    `regions`: shared instances by the names of their regions.

    `admissions`: who is let in to them.
    """

    suffix: str
    default: Instance
    by_name: Mapping[str, Instance]
    hosts: Mapping[str, Instance]
    default_names: frozenset[str] = field(default=frozenset())
    regions: Mapping[str, Instance] = field(default_factory=dict)
    admissions: Admissions = OPEN

    def resolve(self, host: str) -> tuple[HostKind, Instance | None]:
        """What the host name stands for, and the instance that answers there."""
        if host in self.default_names or host == "localhost" or _is_address(host):
            return HostKind.DEFAULT, self.default
        named = self.hosts.get(host)
        if named is not None:
            return HostKind.INSTANCE, named
        label, dot, rest = host.partition(".")
        if dot and rest == self.suffix:
            instance = self.by_name.get(label)
            if instance is not None:
                return HostKind.INSTANCE, instance
            if label in _TCR_LABELS:
                return HostKind.TCR, self.default
            if label == _IDENTITY_LABEL:
                return HostKind.SWR, self.default
        regional = self._regional(label, rest)
        return (HostKind.UNKNOWN, None) if regional is None else (HostKind.SWR, regional)

    def _regional(self, label: str, rest: str) -> Instance | None:
        if label != "swr-api" or not rest.endswith(f".{self.suffix}"):
            return None
        return self.regions.get(rest.removesuffix(f".{self.suffix}"))


# By kind: whole paths, and beginnings that end in a slash.
_WHOLE: Final = {kind: {r.path: r.wire for r in ROUTES if kind in r.hosts} for kind in HostKind}
_BEGINNINGS: Final = {
    kind: tuple((path, wire) for path, wire in whole.items() if path[1:].endswith(b"/"))
    for kind, whole in _WHOLE.items()
}


def find_route(kind: HostKind, path: bytes) -> Wire | None:
    """Who answers this path at a host of that kind; None: nobody."""
    for beginning, wire in _BEGINNINGS[kind]:
        if path.startswith(beginning):
            return wire
    return _WHOLE[kind].get(path)


_LONGEST_ADDRESS: Final = 80  # an IPv6 address with a zone


def _is_address(host: str) -> bool:
    if (
        not host
        or len(host) > _LONGEST_ADDRESS
        or (host[0] not in "0123456789" and ":" not in host)
    ):
        return False
    return _parses_as_address(host)


@lru_cache(maxsize=1024)
def _parses_as_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
