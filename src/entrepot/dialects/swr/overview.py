"""How much there is of an account."""

from typing import Final

from entrepot.capabilities.instances import overview
from entrepot.capabilities.instances.overview import Overview, ShowOverview
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.shapes import Answers, Asks

_MIB: Final = 1 << 20


class ShowDomainOverview(Asks, frozen=True, kw_only=True):
    """Show numbers of organizations, repositories and images, and the space they take."""

    def to_command(self, asked: Asked) -> ShowOverview:
        """Of the caller's account."""
        return ShowOverview(asked.instance.id, asked.tenant)


class DomainOverview(Answers, frozen=True, kw_only=True):
    """`namspace_num` is spelled so. Sizes are MiB; what went down is not counted in bytes."""

    domain_id: str
    domain_name: str
    namspace_num: int
    repo_num: int
    image_num: int
    store_space: float
    downflow_size: float

    @classmethod
    def of(cls, result: Overview, asked: Asked) -> "DomainOverview":
        """As it is."""
        return cls(
            domain_id=asked.tenant_public_id,
            domain_name=asked.tenant_name,
            namspace_num=result.namespaces,
            repo_num=result.repositories,
            image_num=result.tags,
            store_space=round(result.size / _MIB, 3),
            downflow_size=0.0,
        )


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v2/manage/overview",
        Operation(
            "ShowDomainOverview",
            ShowDomainOverview,
            overview.show_overview,
            DomainOverview,
            is_documented=False,
        ),
        "swr:getDomainOverview",
    ),
)
