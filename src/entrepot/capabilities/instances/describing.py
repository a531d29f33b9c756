"""Instances as a tenant sees them: pages over all regions, and one with its conditions."""

from dataclasses import dataclass

from entrepot.capabilities.access.evaluator import decide
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.managed import OfInstance, read_instance
from entrepot.metadata import instance_details
from entrepot.metadata.database import Connection
from entrepot.metadata.instance_details import InstanceFilter
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import InstanceUnknown
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.instances import InstanceDetails, InstancePage
from entrepot.model.tenancy import Instance


@dataclass(frozen=True, slots=True)
class ListInstances:
    """Rows `offset` to `offset + limit` of those that match. `tenant` None: the caller's. Shared ones come last."""

    which: InstanceFilter = instance_details.EVERYTHING
    tenant: TenantId | None = None
    offset: int = 0
    limit: int = 20


async def describe_instances(ctx: Context, caller: Caller, command: ListInstances) -> InstancePage:
    """Those the caller may read about; the total is of all that match. Raises Denied where no right on any of them is there."""
    tenant = command.tenant or caller.tenant

    def read(conn: Connection) -> InstancePage:
        if tenant is None:
            ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(None))
            return InstancePage(0, ())
        found = _readable(ctx, conn, caller, tenant=tenant, which=command.which)
        page = found[command.offset : command.offset + command.limit]
        details = instance_details.details_of(conn, [one.id for one in page], tenant)
        return InstancePage(len(found), tuple(details))

    return await ctx.db.read(read)


def _readable(
    ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId, which: InstanceFilter
) -> list[Instance]:
    """Policies may speak of single instances: those of the tenant that they leave, or a refusal if they leave none at all."""
    rights = ctx.access.judge.rights(conn, caller)

    def may(instance: InstanceId | None) -> bool:
        resource = Resource(tenant, instance=instance)
        return decide(rights, Permission.INSTANCE_READ, resource).allowed

    found = [one for one in instance_details.seen_instances(conn, tenant, which) if may(one.id)]
    if not found and not may(None):
        every = instance_details.seen_instances(conn, tenant)
        if not any(may(one.id) for one in every):
            ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(tenant))
    return found


async def get_instance(ctx: Context, caller: Caller, command: OfInstance) -> InstanceDetails:
    """One instance in full; `conditions` says how far its creation is. Raises Denied, InstanceUnknown."""

    def read(conn: Connection) -> InstanceDetails:
        instance = read_instance(ctx, conn, caller, command)
        return read_details(conn, instance, command.tenant or caller.tenant)

    return await ctx.db.read(read)


def read_details(conn: Connection, instance: Instance, tenant: TenantId | None) -> InstanceDetails:
    """In a transaction that was permitted. Raises InstanceUnknown."""
    found = instance_details.details_of(conn, [instance.id], tenant)
    if not found:
        raise InstanceUnknown(instance.name)
    return found[0]
