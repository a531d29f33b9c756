"""Namespaces in pages as the vendors' APIs count them."""

from dataclasses import dataclass, field

from entrepot.capabilities.context import Context
from entrepot.metadata import browsing
from entrepot.metadata.browsing import NamespaceFilter, Slice
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.tenancy import NamespaceDetails


@dataclass(frozen=True, slots=True)
class BrowseNamespaces:
    """The tenant's namespaces, in one instance or (None) in all it sees. `name`: part of theirs; `tag`: key and value they carry."""

    tenant: TenantId
    instance: InstanceId | None = None
    name: str = ""
    tag: tuple[str, str] | None = None
    window: Slice = field(default_factory=Slice)


@dataclass(frozen=True, slots=True)
class NamespacePage:
    """One page, and how many there are on all."""

    rows: tuple[NamespaceDetails, ...]
    total: int


async def browse_namespaces(
    ctx: Context, caller: Caller, command: BrowseNamespaces
) -> NamespacePage:
    """Those of them that the caller may read. Callers without any right see none."""
    asked = NamespaceFilter(command.tenant, command.name, command.tag, command.instance)

    def read(conn: Connection) -> NamespacePage:
        listing = ctx.access.visible_repositories(
            conn, caller, include_public=False, instance=command.instance
        )
        if listing.is_exact and listing.rights.is_administrator:
            rows, total = browsing.namespaces_page(conn, asked, command.window)
            return NamespacePage(tuple(rows), total)
        everything, _ = browsing.namespaces_page(conn, asked, Slice())
        seen = [one for one in everything if listing.admits_namespace(one.namespace)]
        first = command.window.offset
        return NamespacePage(tuple(seen[first : first + command.window.limit]), len(seen))

    return await ctx.db.read(read)
