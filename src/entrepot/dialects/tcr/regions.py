"""Regions: those served here, and the vendor's names that stand for the default one.

Clients written for the cloud name the cloud's regions. Where no region here has such a name it means the default region
(`api.vendor_regions`), so that a client needs no change but the endpoint; any other name is refused.
"""

from typing import Final

from entrepot.capabilities.instances import regions
from entrepot.capabilities.instances.regions import ListRegions
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import times
from entrepot.dialects.tcr.shapes import Answers, Asks
from entrepot.model.identities import Region as OurRegion

NAMES: Final = frozenset(
    [
        "ap-bangkok",
        "ap-beijing",
        "ap-chengdu",
        "ap-chongqing",
        "ap-guangzhou",
        "ap-hongkong",
        "ap-jakarta",
        "ap-mumbai",
        "ap-nanjing",
        "ap-seoul",
        "ap-shanghai",
        "ap-shanghai-fsi",
        "ap-shenzhen-fsi",
        "ap-singapore",
        "ap-tokyo",
        "eu-frankfurt",
        "na-ashburn",
        "na-siliconvalley",
        "na-toronto",
        "sa-saopaulo",
    ]
)
_EVERYBODY: Final = "alluser"


class DescribeRegions(Asks, frozen=True, kw_only=True):
    """All of them."""

    def to_command(self, _asked: Asked) -> ListRegions:
        """Nothing to choose."""
        return ListRegions()


class Region(Answers, frozen=True, kw_only=True):
    """A region."""

    alias: str
    region_id: int
    region_name: str
    status: str
    remark: str
    created_at: str
    updated_at: str
    id: int

    @classmethod
    def of(cls, region: OurRegion) -> "Region":
        """As the vendor tells it."""
        return cls(
            alias=region.display_name,
            region_id=region.number,
            region_name=region.name,
            status=_EVERYBODY,
            remark="" if region.is_local else "peer",
            created_at=times.iso(region.created_at),
            updated_at=times.iso(region.created_at),
            id=region.id,
        )


class RegionsDescribed(Answers, frozen=True, kw_only=True):
    """All of them."""

    total_count: int
    regions: list[Region]

    @classmethod
    def of(cls, result: list[OurRegion], _asked: Asked) -> "RegionsDescribed":
        """The default one first."""
        return cls(total_count=len(result), regions=[Region.of(row) for row in result])


OPERATIONS: Final = (
    Operation("DescribeRegions", DescribeRegions, regions.list_regions, RegionsDescribed),
)
