"""Tenants: accounts of this deployment."""

from typing import Final

from entrepot.capabilities.access.identities import tenants
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Asks,
    Limit,
    Moment,
    Nothing,
    OfTenant,
    Paged,
    Windowed,
    ahead,
    on,
    shown,
    windowed,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.identities import Project
from entrepot.model.ids import TenantId
from entrepot.model.tenancy import Tenant


class ListTenants(Asks, frozen=True, kw_only=True):
    """List all tenants, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, _asked: Asked) -> tenants.ListTenants:
        """One more than is shown."""
        return tenants.ListTenants(self.after, self.limit + 1)


class CreateTenant(Asks, frozen=True, kw_only=True):
    """Create a tenant with an owner, who logs in as `<name>/<owner>`. Without a password one is made up and told this once."""

    name: str
    owner: str = "owner"
    password: str | None = None

    def to_command(self, _asked: Asked) -> tenants.CreateTenant:
        """As asked."""
        return tenants.CreateTenant(self.name, self.owner, self.password)


class GetTenant(OfTenant, frozen=True, kw_only=True):
    """Show a tenant: `-` is the caller's own."""

    def to_command(self, asked: Asked) -> str:
        """By name."""
        return asked.tenant_name


class DeleteTenant(OfTenant, frozen=True, kw_only=True):
    """Delete a tenant with its users, keys, tokens and instances, if none of its namespaces holds a repository."""

    def to_command(self, asked: Asked) -> TenantId:
        """By id."""
        return asked.tenant


class ListProjects(OfTenant, frozen=True, kw_only=True):
    """List the tenant's projects, one in each region."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[TenantId]:
        """Of the tenant."""
        return on(self, asked.tenant)


class TenantShown(Answers, frozen=True, kw_only=True):
    """A tenant. `root`: its administrators run the deployment."""

    name: str
    uin: str
    app_id: str
    domain_id: str
    root: bool
    created: Moment

    @classmethod
    def of(cls, result: Tenant, _asked: Asked) -> "TenantShown":
        """As it is."""
        return cls(
            name=result.name,
            uin=result.uin,
            app_id=result.app_id,
            domain_id=result.public_id,
            root=result.is_root,
            created=shown(result.created_at),
        )


class TenantCreated(Answers, frozen=True, kw_only=True):
    """A new tenant, and how its owner logs in. `password`: if it was made up."""

    tenant: TenantShown
    login: str
    password: str | None = None

    @classmethod
    def of(cls, result: tenants.TenantMade, asked: Asked) -> "TenantCreated":
        """The secret, this once."""
        return cls(
            tenant=TenantShown.of(result.tenant, asked),
            login=f"{result.tenant.name}/{result.owner.name}",
            password=result.password,
        )


class TenantList(Answers, frozen=True, kw_only=True):
    """A page of tenants."""

    items: list[TenantShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Tenant], asked: Asked) -> "TenantList":
        """By name."""
        return cls(items=[TenantShown.of(row, asked) for row in result.rows], next=result.next)


class ProjectShown(Answers, frozen=True, kw_only=True):
    """A tenant's slice of a region."""

    name: str
    region: str
    id: str


class ProjectList(Answers, frozen=True, kw_only=True):
    """A page of projects."""

    items: list[ProjectShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Project], _asked: Asked) -> "ProjectList":
        """By name."""
        rows = [ProjectShown(name=p.name, region=p.region, id=p.public_id) for p in result.rows]
        return cls(items=rows, next=result.next)


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/tenants",
        Operation(
            "ListTenants", ListTenants, ahead(tenants.list_tenants, lambda t: t.name), TenantList
        ),
    ),
    Endpoint(
        "POST",
        "/tenants",
        Operation("CreateTenant", CreateTenant, tenants.create_tenant, TenantCreated, changes=True),
        201,
    ),
    Endpoint(
        "GET",
        "/tenants/{tenant}",
        Operation("GetTenant", GetTenant, tenants.get_tenant, TenantShown),
    ),
    Endpoint(
        "DELETE",
        "/tenants/{tenant}",
        Operation("DeleteTenant", DeleteTenant, tenants.delete_tenant, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "GET",
        "/tenants/{tenant}/projects",
        Operation(
            "ListProjects",
            ListProjects,
            windowed(tenants.list_projects, lambda p: p.name),
            ProjectList,
        ),
    ),
)
