"""Where connections on a tenant's behalf may go: never to addresses the operator forbids, and to private ones only where the tenant's
administrators, or the operator, named the host: no answer leads there."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from entrepot.model.errors import InvalidInput
from entrepot.model.network_access import Address, Network

# IPv6 whose last 32 bits are an IPv4 address: RFC 6052 and 8215 (behind NAT64), RFC 4291 (compatible; out of use).
_TRANSLATED: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)


def is_forbidden(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address, as the resolver gave it, lies in one of the networks; IPv4 in IPv6's clothes is IPv4. What is no address
    is forbidden."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    faces = {found, *_inner(found)}
    return any(face.version == one.version and face in one for face in faces for one in networks)


def is_public(address: str) -> bool:
    """Whether an address, as the resolver gave it, is one of the whole Internet's, whatever it may stand for."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    # An address that only carries IPv4 is as public as what it carries; by itself it is in a block of special use.
    faces: Iterable[Address] = _inner(found) or [found]
    return all(face.is_global and not face.is_multicast for face in faces)


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks as it stands."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(found.version == one.version and found in one for one in networks)


def _inner(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address may stand for."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner = {address.ipv4_mapped, address.sixtofour, *(address.teredo or ())}
    if any(address in network for network in _TRANSLATED):
        inner.add(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in inner if isinstance(one, ipaddress.IPv4Address)]


@dataclass(eq=False)
class AddressForbidden(InvalidInput):
    """The operator forbids connections to where that host is."""

    host: str
