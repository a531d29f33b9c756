"""When a statement of a policy counts: what is known about a request, and conditions on it.

Each dialect brings conditions of its own kind; the evaluator asks them one question.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from entrepot.model.access import NO_PRINCIPAL, Fact, Principal
from entrepot.model.ids import Micros

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class Need(StrEnum):
    """What must be looked up before a statement can be judged, or judged again with each request."""

    NAMES = "names"  # of tenant, instance and region
    NETWORKS = "networks"  # those that the source lies in
    MOMENT = "moment"  # where the request comes from, and when


NO_NEEDS: Final[frozenset[Need]] = frozenset()
NO_FACTS: Final[frozenset[Fact]] = frozenset()
_LONG_AGO: Final = Micros(0)


@dataclass(frozen=True)
class Facts:
    """What is known about a request.

    `region`: where the thing is that it is about, "" where that does not matter or was not looked up. `networks`: ids of those that the
    source lies in, None: not looked up. `about`: what the request says beside the thing's name.
    """

    source: str = ""
    now: Micros = _LONG_AGO
    principal: Principal = NO_PRINCIPAL
    region: str = ""
    networks: tuple[str, ...] | None = None
    about: Mapping[Fact, str] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def address(self) -> Address | None:
        """The source, if it is an address: what comes by a Unix socket has none."""
        return address_of(self.source)


def address_of(source: str) -> Address | None:
    """The address, IPv4 also where it is written as IPv6; None if it is none."""
    try:
        address = ip_address(source)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Condition(Protocol):
    """When a statement counts."""

    @property
    def needs(self) -> frozenset[Need]:
        """What must be known to answer."""

    @property
    def about(self) -> frozenset[Fact]:
        """What of a request's own saying it asks for."""

    def hold(self, facts: Facts, *, unknown: bool) -> bool:
        """Whether it counts for this request; `unknown` is the answer where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """By source and time. All that are given must hold."""

    sources: tuple[Network, ...] = ()  # empty: from anywhere
    not_sources: tuple[Network, ...] = ()  # from none of these
    not_before: Micros | None = None
    not_after: Micros | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """Address and time, if anything is asked of them."""
        return NO_NEEDS if self == ALWAYS else frozenset({Need.MOMENT})

    @property
    def about(self) -> frozenset[Fact]:
        """Nothing of it."""
        return NO_FACTS

    def hold(self, facts: Facts, *, unknown: bool) -> bool:
        """Whether they hold for a request; `unknown` is the answer where its address cannot be told."""
        if self.not_before is not None and facts.now < self.not_before:
            return False
        if self.not_after is not None and facts.now >= self.not_after:
            return False
        if not self.sources and not self.not_sources:
            return True
        address = facts.address
        if address is None:
            return unknown
        if any(address in network for network in self.not_sources):
            return False
        return not self.sources or any(address in network for network in self.sources)


ALWAYS: Final = Conditions()
