"""Where connections on a tenant's behalf may go: never to addresses the operator forbids."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from entrepot.model.errors import InvalidInput
from entrepot.model.network_access import Address, Network

_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 behind NAT64


def is_forbidden(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address, as the resolver gave it, lies in one of the networks; IPv4 in IPv6's clothes is IPv4. What is no address
    is forbidden."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    faces = {found, *_inner(found)}
    return any(face.version == one.version and face in one for face in faces for one in networks)


def _inner(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address may stand for."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner = [address.ipv4_mapped, address.sixtofour]
    if address in _TRANSLATED:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in inner if one is not None]


@dataclass(eq=False)
class AddressForbidden(InvalidInput):
    """The operator forbids connections to where that host is."""

    host: str
