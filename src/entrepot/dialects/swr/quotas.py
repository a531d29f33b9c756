"""What a tenant may have in the region's shared instance."""

from typing import Final

from entrepot.capabilities.instances import allowances
from entrepot.capabilities.instances.allowances import NamespaceAllowance, ShowAllowance
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.refusal import Refusal
from entrepot.dialects.swr.shapes import Answers, Asks

UNLIMITED: Final = -1
_NO_PROJECT: Final = "4000014"


class ListQuotas(Asks, frozen=True, kw_only=True):
    """Show the quotas of a project of the caller's."""

    project_id: str

    def to_command(self, asked: Asked) -> ShowAllowance:
        """The caller's own: whatever the path says must be theirs."""
        if self.project_id == "{project_id}":  # a client that knows none sends the name
            raise Refusal(_NO_PROJECT, "project_id: none is given")
        return ShowAllowance(asked.instance.id, asked.tenant, self.project_id)


class Quota(Answers, frozen=True, kw_only=True):
    """One quota. `quota_limit` -1: none."""

    quota_limit: int
    quota_key: str
    unit: str
    used: int


class Quotas(Answers, frozen=True, kw_only=True):
    """All of them: organizations."""

    quotas: list[Quota]

    @classmethod
    def of(cls, result: NamespaceAllowance, _asked: Asked) -> "Quotas":
        """As it is."""
        limit = UNLIMITED if result.limit is None else result.limit
        return cls(
            quotas=[Quota(quota_limit=limit, quota_key="namespace", unit="", used=result.used)]
        )


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v2/manage/projects/{project_id}/quotas",
        Operation("ListQuotas", ListQuotas, allowances.show_allowance, Quotas),
        "swr:listQuotas",
    ),
)
