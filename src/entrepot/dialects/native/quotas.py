"""Quotas: limits of tenants, instances and namespaces, set by who runs the deployment."""

from typing import Final

from entrepot.capabilities.instances import limits
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import OWN, Answers, Asks, Nothing
from entrepot.dialects.operation import Asked, Operation


class GetTenantQuota(Asks, frozen=True, kw_only=True):
    """Show a tenant's limits and what is used of them."""

    name: str

    def to_command(self, _asked: Asked) -> limits.Subject:
        """By name."""
        return limits.Subject("tenant", self.name)


class GetInstanceQuota(Asks, frozen=True, kw_only=True):
    """Show an instance's limits and what is used of them; by name or id."""

    name: str

    def to_command(self, _asked: Asked) -> limits.Subject:
        """By name."""
        return limits.Subject("instance", _instance(self.name))


class GetNamespaceQuota(Asks, frozen=True, kw_only=True):
    """Show a namespace's limits and what is used of them."""

    name: str
    namespace: str

    def to_command(self, _asked: Asked) -> limits.Subject:
        """By name."""
        return limits.Subject("namespace", self.namespace, _instance(self.name))


class SetTenantQuota(Asks, frozen=True, kw_only=True):
    """Limit a resource of a tenant, as its quota shows them; null: back to the default."""

    name: str
    resource: str
    limit: int | None

    def to_command(self, _asked: Asked) -> limits.SetQuota:
        """By name."""
        return limits.SetQuota(limits.Subject("tenant", self.name), self.resource, self.limit)


class SetInstanceQuota(Asks, frozen=True, kw_only=True):
    """Limit a resource of an instance, as its quota shows them; null: back to the default."""

    name: str
    resource: str
    limit: int | None

    def to_command(self, _asked: Asked) -> limits.SetQuota:
        """By name."""
        subject = limits.Subject("instance", _instance(self.name))
        return limits.SetQuota(subject, self.resource, self.limit)


class SetNamespaceQuota(Asks, frozen=True, kw_only=True):
    """Limit a resource of a namespace, as its quota shows them; null: back to the default."""

    name: str
    namespace: str
    resource: str
    limit: int | None

    def to_command(self, _asked: Asked) -> limits.SetQuota:
        """By name."""
        subject = limits.Subject("namespace", self.namespace, _instance(self.name))
        return limits.SetQuota(subject, self.resource, self.limit)


class LimitShown(Answers, frozen=True, kw_only=True):
    """A limit; null: there is none. `used` null: counted in each repository by itself. `set`: somebody did."""

    resource: str
    limit: int | None
    used: int | None
    set: bool


class QuotaList(Answers, frozen=True, kw_only=True):
    """All limits of something."""

    items: list[LimitShown]

    @classmethod
    def of(cls, result: list[limits.QuotaShown], _asked: Asked) -> "QuotaList":
        """As they are."""
        rows = [
            LimitShown(
                resource=one.resource, limit=one.limit, used=one.used, set=not one.is_default
            )
            for one in result
        ]
        return cls(items=rows)


def _instance(name: str) -> str:
    """Empty: the default one."""
    return "" if name == OWN else name


_TENANT: Final = "/quotas/tenants/{name}"
_INSTANCE: Final = "/quotas/instances/{name}"
_NAMESPACE: Final = f"{_INSTANCE}/namespaces/{{namespace}}"
_set, _show = limits.set_quota, limits.show_quota
ENDPOINTS: Final = (
    Endpoint("GET", _TENANT, Operation("GetTenantQuota", GetTenantQuota, _show, QuotaList)),
    Endpoint("GET", _INSTANCE, Operation("GetInstanceQuota", GetInstanceQuota, _show, QuotaList)),
    Endpoint(
        "GET", _NAMESPACE, Operation("GetNamespaceQuota", GetNamespaceQuota, _show, QuotaList)
    ),
    Endpoint(
        "PUT",
        f"{_TENANT}/limits/{{resource}}",
        Operation("SetTenantQuota", SetTenantQuota, _set, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "PUT",
        f"{_INSTANCE}/limits/{{resource}}",
        Operation("SetInstanceQuota", SetInstanceQuota, _set, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "PUT",
        f"{_NAMESPACE}/limits/{{resource}}",
        Operation("SetNamespaceQuota", SetNamespaceQuota, _set, Nothing, changes=True),
        204,
    ),
)
