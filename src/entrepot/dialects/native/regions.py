"""Regions that APIs speak of; each served here has a shared registry of its own."""

from typing import Final

from entrepot.capabilities.instances import regions
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import Answers, Asks, Limit, Paged, Windowed, on, windowed
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.identities import Region


class ListRegions(Asks, frozen=True, kw_only=True):
    """List the regions, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, _asked: Asked) -> Windowed[regions.ListRegions]:
        """All of them."""
        return on(self, regions.ListRegions())


class CreateRegion(Asks, frozen=True, kw_only=True):
    """Set down a region. `peer`: another deployment serves it. Without `display_name` it is the name."""

    name: str
    id: int
    display_name: str = ""
    peer: bool = False

    def to_command(self, _asked: Asked) -> regions.CreateRegion:
        """As asked."""
        return regions.CreateRegion(self.name, self.id, self.display_name, is_local=not self.peer)


class RegionShown(Answers, frozen=True, kw_only=True):
    """A region."""

    name: str
    id: int
    display_name: str
    peer: bool
    default: bool

    @classmethod
    def of(cls, result: Region, _asked: Asked) -> "RegionShown":
        """As it is."""
        return cls(
            name=result.name,
            id=result.number,
            display_name=result.display_name,
            peer=not result.is_local,
            default=result.is_default,
        )


class RegionList(Answers, frozen=True, kw_only=True):
    """A page of regions."""

    items: list[RegionShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Region], asked: Asked) -> "RegionList":
        """By name."""
        return cls(items=[RegionShown.of(row, asked) for row in result.rows], next=result.next)


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/regions",
        Operation(
            "ListRegions",
            ListRegions,
            windowed(regions.list_regions, lambda r: r.name),
            RegionList,
        ),
    ),
    Endpoint(
        "POST",
        "/regions",
        Operation("CreateRegion", CreateRegion, regions.create_region, RegionShown, changes=True),
        201,
    ),
)
