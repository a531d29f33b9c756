"""Who may reach an instance: its public entry with the list of networks let in, and its private links."""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from entrepot.model.errors import Conflict, Denied, InvalidInput, Unknown, ValueInvalid
from entrepot.model.ids import InstanceId, Micros, TenantId

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

EVERYBODY: Final = ("0.0.0.0/0", "::/0")
_CIDR: Final = re.compile(r"[0-9a-fA-F.:]{2,45}(?:/[0-9]{1,3})?")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


class EntryStatus(StrEnum):
    """Of a public entry. closed -> opening -> opened by a job; closed again at once."""

    CLOSED = "closed"
    OPENING = "opening"
    OPENED = "opened"


class LinkStatus(StrEnum):
    """Of a private link. creating -> running -> deleting -> gone, by jobs; it admits while it runs."""

    CREATING = "creating"
    RUNNING = "running"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Cidr:
    """A network as somebody entered it, and what it stands for: host bits cleared, in the one usual spelling."""

    entered: str
    network: str

    @classmethod
    def parse(cls, text: str) -> "Cidr":
        """`10.0.0.0/8`, `fd00::/8` or one address; host bits may be set. Raises ValueInvalid."""
        entered = text.strip()
        try:
            if not _CIDR.fullmatch(entered):
                raise ValueError(entered)
            network: Network = ipaddress.ip_network(entered, strict=False)
        except ValueError:
            raise ValueInvalid("cidr", f"{text[:50]!r} is no address and no network") from None
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
            low = int(network.network_address) & 0xFFFFFFFF
            network = ipaddress.IPv4Network((low, network.prefixlen - 96))
        return cls(entered, str(network))


@dataclass(frozen=True, slots=True)
class AllowedNetwork:
    """One entry of an allow list. `index` counts from 0 in the list's order and shifts when entries before it go."""

    id: int
    index: int
    cidr: Cidr
    description: str
    created_at: Micros


@dataclass(frozen=True, slots=True)
class AllowList:
    """Whom an opened public entry lets in; empty: nobody. `version` grows with every change."""

    version: int
    entries: tuple[AllowedNetwork, ...]


@dataclass(frozen=True, slots=True)
class EntryRules:
    """What decides about a client of one dedicated instance. Networks as text: `allowed` over the public entry, `linked` privately."""

    status: EntryStatus
    allowed: tuple[str, ...]
    linked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrivateNetwork:
    """Address ranges with an id of the operator's choice. `tenant` None: every tenant may name it."""

    id: int
    public_id: str
    tenant: TenantId | None
    cidrs: tuple[str, ...]
    created_at: Micros


@dataclass(frozen=True, slots=True)
class PrivateLink:
    """An instance's private entry from a network. `address`: where the server answers there; "" until it runs."""

    id: int
    instance: InstanceId
    network: str  # public id
    subnet: str  # as entered
    status: LinkStatus
    address: str
    has_names: bool  # the instance's host names are given out for use there
    created_at: Micros


# -- errors -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class AddressRefused(Denied):
    """The client's address may not reach the instance."""

    address: str
    instance: str
    status: EntryStatus

    @property
    def sentence(self) -> str:
        """For the person who was refused: the address that was seen, and the rule that is missing."""
        missing = {
            EntryStatus.CLOSED: "its public entry is closed",
            EntryStatus.OPENING: "its public entry is still opening",
            EntryStatus.OPENED: "the allow list of its public entry does not have this address",
        }[self.status]
        seen = self.address[:80] or "(unknown)"
        return (
            f"address {seen} may not reach instance {self.instance}:"
            f" {missing}, and no private link covers it"
        )


@dataclass(eq=False)
class EntryClosed(Conflict):
    """The public entry is not opened."""

    instance: str


@dataclass(eq=False)
class NetworkRepeated(InvalidInput):
    """The allow list has this network already."""

    cidr: str


@dataclass(eq=False)
class AllowedUnknown(Unknown):
    """No such entry in the allow list."""

    name: str


@dataclass(eq=False)
class VersionOutdated(Conflict):
    """The allow list has changed since that version."""

    asked: int
    version: int


@dataclass(eq=False)
class NetworkUnknown(Unknown):
    """No such private network."""

    name: str


@dataclass(eq=False)
class NetworkLinked(Conflict):
    """Instances are linked to the private network."""

    name: str


@dataclass(eq=False)
class LinkUnknown(Unknown):
    """The instance has no such private link."""

    name: str


@dataclass(eq=False)
class LinkTaken(Conflict):
    """The instance has this private link already."""

    name: str


@dataclass(eq=False)
class LinkNamed(Conflict):
    """Host names are still given out for the private link."""

    name: str


@dataclass(eq=False)
class LinkUnready(Conflict):
    """The private link does not run."""

    name: str
