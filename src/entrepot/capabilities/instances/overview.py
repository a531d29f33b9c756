"""How much of a shared instance is a tenant's: counted from what is kept incrementally."""

from dataclasses import dataclass

from msgspec.structs import replace

from entrepot.capabilities.access.rights import Listing
from entrepot.capabilities.context import Context
from entrepot.metadata import browsing, counters, namespaces, summaries
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.tenancy import Namespace


@dataclass(frozen=True, slots=True)
class ShowOverview:
    """The tenant's part of the instance."""

    instance: InstanceId
    tenant: TenantId


@dataclass(frozen=True, slots=True)
class Overview:
    """`size`: logical bytes: each blob once a repository."""

    namespaces: int
    repositories: int
    tags: int
    size: int


async def show_overview(ctx: Context, caller: Caller, command: ShowOverview) -> Overview:
    """The whole for whoever may see the instance; for all others of what they may read in it. Raises Denied."""

    def read(conn: Connection) -> Overview:
        resource = Resource(command.tenant, command.instance)
        ctx.access.require(conn, caller, Permission.CATALOG, resource)
        if ctx.access.allowed(conn, caller, Permission.INSTANCE_READ, resource):
            return _whole(conn, command)
        return _part(conn, command, listing_of(ctx, conn, caller, command.instance))

    return await ctx.db.read(read)


def listing_of(ctx: Context, conn: Connection, caller: Caller, instance: InstanceId) -> Listing:
    """What lists would show to the caller there, whatever they are asking."""
    return ctx.access.visible_repositories(
        conn, replace(caller, operation=""), include_public=False, instance=instance
    )


def namespaces_seen(
    conn: Connection, listing: Listing, *, tenant: TenantId, instance: InstanceId
) -> list[Namespace]:
    """The tenant's in the instance that the caller may read."""
    return [one for one in _namespaces(conn, tenant, instance) if listing.admits_namespace(one)]


def _namespaces(conn: Connection, tenant: TenantId, instance: InstanceId) -> list[Namespace]:
    return namespaces.list_namespaces(conn, instance, tenant=tenant, after="", limit=1_000_000)


def _whole(conn: Connection, command: ShowOverview) -> Overview:
    ids = [int(one.id) for one in _namespaces(conn, command.tenant, command.instance)]
    return Overview(
        namespaces=len(ids),
        repositories=sum(counters.many(conn, "namespace", ids, "repositories").values()),
        tags=summaries.tags_in(conn, ids),
        size=sum(counters.many(conn, "namespace", ids, "bytes").values()),
    )


def _part(conn: Connection, command: ShowOverview, listing: Listing) -> Overview:
    tenant, instance = command.tenant, command.instance
    seen = namespaces_seen(conn, listing, tenant=tenant, instance=instance)
    found = browsing.visible_repositories(conn, tenant, instance, listing.visibility)
    ids = [int(one.id) for one in found if listing.admits(one)]
    return Overview(
        namespaces=len(seen),
        repositories=len(ids),
        tags=sum(counters.many(conn, "repository", ids, "tags").values()),
        size=sum(counters.many(conn, "repository", ids, "bytes").values()),
    )
