"""Where a request to a management API belongs: the caller's tenant, and the project it names."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.metadata import tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.errors import Unauthenticated
from entrepot.model.identities import Project, ProjectUnknown
from entrepot.model.ids import TenantId
from entrepot.model.tenancy import Tenant


@dataclass(frozen=True, slots=True)
class Place:
    """The tenant, and its project if one was named."""

    tenant: Tenant
    project: Project | None


@dataclass(frozen=True, slots=True)
class ListOwnProjects:
    """Of the caller's tenant; all, or the one that the name means."""

    name: str = ""


async def list_own_projects(
    ctx: Context, caller: Caller, command: ListOwnProjects
) -> list[Project]:
    """By name; whoever is let in may know them. Raises Unauthenticated."""

    def read(conn: Connection) -> list[Project]:
        tenant = place_of(conn, caller.tenant, "").tenant.id
        if not command.name:
            return tenants.list_projects(conn, tenant)
        found = project_named(conn, tenant, command.name, ctx.access.aliases)
        return [] if found is None else [found]

    return await ctx.db.read(read)


def project_named(
    conn: Connection, tenant: TenantId, name: str, aliases: AbstractSet[str]
) -> Project | None:
    """The tenant's project of that name. `aliases`: names that mean the one in the default region where no project has them."""
    projects = tenants.list_projects(conn, tenant)
    found = next((one for one in projects if one.name == name), None)
    if found is not None or name not in aliases:
        return found
    default = next((r.name for r in tenants.list_regions(conn) if r.is_default), None)
    return next((one for one in projects if one.region == default), None)


async def find_place(ctx: Context, caller: Caller, project: str) -> Place:
    """Of a caller who belongs to a tenant. `project`: a public id, empty for none. Raises Unauthenticated, ProjectUnknown (another's, too)."""
    return await ctx.db.read(lambda conn: place_of(conn, caller.tenant, project))


def place_of(conn: Connection, tenant: TenantId | None, project: str) -> Place:
    """In a transaction, likewise."""
    found = None if tenant is None else tenants.get_tenant(conn, tenant)
    if found is None:
        raise Unauthenticated("the tenant is gone")
    if not project:
        return Place(found, None)
    named = tenants.find_project(conn, found.id, project)
    if named is None:
        raise ProjectUnknown(project[:100])
    return Place(found, named)
