"""How much of a shared instance is a tenant's: counted from what is kept incrementally."""

from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.metadata import counters, namespaces, summaries
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.ids import InstanceId, TenantId


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
    """For every user of the tenant whom nothing forbids it. Raises Denied."""

    def read(conn: Connection) -> Overview:
        resource = Resource(command.tenant, command.instance)
        ctx.access.require(conn, caller, Permission.CATALOG, resource)
        found = namespaces.list_namespaces(
            conn, command.instance, tenant=command.tenant, after="", limit=1_000_000
        )
        ids = [int(one.id) for one in found]
        counted = counters.many(conn, "namespace", ids, "repositories")
        sizes = counters.many(conn, "namespace", ids, "bytes")
        return Overview(
            namespaces=len(ids),
            repositories=sum(counted.values()),
            tags=summaries.tags_in(conn, ids),
            size=sum(sizes.values()),
        )

    return await ctx.db.read(read)
