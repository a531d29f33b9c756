"""What a request to a management API is about: whose it is, the region, and the instance it names."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.metadata import instances, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.errors import InstanceUnknown, Unauthenticated, Unknown
from entrepot.model.identities import Region
from entrepot.model.tenancy import Instance, InstanceKind, Tenant


@dataclass(eq=False)
class RegionUnknown(Unknown):
    """The region is not served here."""

    name: str


@dataclass(frozen=True, slots=True)
class Requested:
    """Of a caller who belongs to a tenant. `instance`: what was named, if anything was."""

    tenant: Tenant
    region: Region
    instance: Instance | None


async def find_requested(
    ctx: Context, caller: Caller, region: str, instance: str | None, *, aliases: AbstractSet[str]
) -> Requested:
    """One read. `region` empty: the default one; `instance`: by public id, as far as the tenant sees it. `aliases`: names that mean the
    default region where no region has them.

    Raises RegionUnknown (also for a peer), InstanceUnknown, Unauthenticated (the tenant is gone).
    """

    def read(conn: Connection) -> Requested:
        tenant = None if caller.tenant is None else tenants.get_tenant(conn, caller.tenant)
        if tenant is None:
            raise Unauthenticated("the tenant is gone")
        where = _region(conn, region, aliases)
        return Requested(tenant, where, None if instance is None else _seen(conn, tenant, instance))

    return await ctx.db.read(read)


async def find_shared(ctx: Context, caller: Caller, region: str) -> Requested:
    """Likewise, with the region's shared instance. Raises RegionUnknown, InstanceUnknown (a region without one), Unauthenticated."""

    def read(conn: Connection) -> Requested:
        tenant = None if caller.tenant is None else tenants.get_tenant(conn, caller.tenant)
        if tenant is None:
            raise Unauthenticated("the tenant is gone")
        where = _region(conn, region, frozenset())
        shared = instances.shared_of(conn, where.id)
        if shared is None:
            raise InstanceUnknown(f"the shared one of {where.name}")
        return Requested(tenant, where, shared)

    return await ctx.db.read(read)


def _region(conn: Connection, name: str, aliases: AbstractSet[str]) -> Region:
    regions = tenants.list_regions(conn)
    found = next((region for region in regions if region.name == name), None)
    if found is None and (not name or name in aliases):
        found = next((region for region in regions if region.is_default), None)
    if found is None or not found.is_local:
        raise RegionUnknown(name[:100])
    return found


def _seen(conn: Connection, tenant: Tenant, public_id: str) -> Instance:
    found = instances.find_instance(conn, public_id)
    if (
        found is None
        or found.public_id != public_id
        or (found.kind is InstanceKind.DEDICATED and found.tenant != tenant.id)
    ):
        raise InstanceUnknown(public_id[:100])
    return found
