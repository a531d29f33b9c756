"""How many namespaces a tenant may have in a shared instance, and has."""

from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.overview import listing_of, namespaces_seen
from entrepot.capabilities.instances.quotas import default_of_shared
from entrepot.metadata import namespaces, quotas, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.identities import ProjectUnknown
from entrepot.model.ids import InstanceId, TenantId


@dataclass(frozen=True, slots=True)
class ShowAllowance:
    """The tenant's in the instance. `project`: public id of one of its own, as whose the question is put."""

    instance: InstanceId
    tenant: TenantId
    project: str


@dataclass(frozen=True, slots=True)
class NamespaceAllowance:
    """`limit` None: any number."""

    limit: int | None
    used: int


async def show_allowance(
    ctx: Context, caller: Caller, command: ShowAllowance
) -> NamespaceAllowance:
    """What is used, for whoever may see the instance or make namespaces; for all others what they may read of it. Raises ProjectUnknown,
    Denied."""

    def read(conn: Connection) -> NamespaceAllowance:
        resource = Resource(command.tenant, command.instance)
        ctx.access.require(conn, caller, Permission.CATALOG, resource)
        if tenants.find_project(conn, command.tenant, command.project) is None:
            raise ProjectUnknown(command.project[:100])
        subject = ("tenant", int(command.tenant))
        found = quotas.limits(conn, [subject], "namespaces")
        limit = found.get(subject, default_of_shared(ctx.settings.quota.swr_organizations))
        if any(
            ctx.access.allowed(conn, caller, permission, resource)
            for permission in (Permission.INSTANCE_READ, Permission.NAMESPACE_CREATE)
        ):
            used = namespaces.count_namespaces(conn, command.instance, command.tenant)
            return NamespaceAllowance(limit, used)
        listing = listing_of(ctx, conn, caller, command.instance)
        seen = namespaces_seen(conn, listing, tenant=command.tenant, instance=command.instance)
        return NamespaceAllowance(limit, len(seen))

    return await ctx.db.read(read)
