"""Namespaces with who made them and what the caller may do there."""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from entrepot.capabilities.access.evaluator import level_on
from entrepot.capabilities.access.rights import Listing, of_namespace
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.namespaces import NamedNamespace, permitted
from entrepot.metadata import browsing, identities
from entrepot.metadata.access import Visibility
from entrepot.metadata.browsing import NamespaceFilter, Slice
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Level, Permission
from entrepot.model.errors import NamespaceUnknown
from entrepot.model.ids import InstanceId, NamespaceId, TenantId
from entrepot.model.tenancy import Namespace, NamespaceDetails

MOST: Final = 10_000
"""Namespaces of an answer: these lists know no pages."""


@dataclass(frozen=True, slots=True)
class NamespaceSummary:
    """`number`: counts from 1 in the instance; `level`: the caller's there."""

    namespace: Namespace
    number: int
    creator_name: str
    level: Level


@dataclass(frozen=True, slots=True)
class SummarizeNamespaces:
    """The tenant's in an instance. `name`: exactly this one; `must_exist`: then it is an error if it is not there.

    `reached`: also those that the caller has rights only on some repository of.
    """

    instance: InstanceId
    tenant: TenantId
    name: str = ""
    must_exist: bool = False
    reached: bool = False


async def summarize_namespaces(
    ctx: Context, caller: Caller, command: SummarizeNamespaces
) -> list[NamespaceSummary]:
    """Those that the caller may see, by name, at most `MOST`. Raises NamespaceUnknown."""
    asked = NamespaceFilter(command.tenant, instance=command.instance, name=command.name)

    def read(conn: Connection) -> list[NamespaceSummary]:
        listing = ctx.access.visible_repositories(
            conn, caller, include_public=False, instance=command.instance
        )
        page, _ = browsing.namespaces_page(conn, asked, Slice())
        rows = [one for one in page if command.name in ("", one.namespace.name)]
        reached = _reached(conn, listing, command) if command.reached else frozenset()
        seen = (
            one
            for one in rows
            if listing.admits_namespace(one.namespace) or one.namespace.id in reached
        )
        found = [
            (one, level_on(listing.rights, of_namespace(one.namespace)) or Level.READ)
            for one in islice(seen, MOST)
        ]
        if command.must_exist and not found:
            raise NamespaceUnknown(command.name[:300])
        return _summaries(conn, found)

    return await ctx.db.read(read)


def _reached(
    conn: Connection, listing: Listing, command: SummarizeNamespaces
) -> frozenset[NamespaceId]:
    """Where repositories are that the caller was given by themselves, and may see."""
    given = Visibility(repositories=listing.visibility.repositories)
    found = browsing.visible_repositories(conn, command.tenant, command.instance, given)
    return frozenset(one.namespace for one in found if listing.admits(one))


async def summarize_namespace(
    ctx: Context, caller: Caller, command: NamedNamespace
) -> NamespaceSummary:
    """One that the caller may see. Raises Denied, NamespaceUnknown."""

    def read(conn: Connection) -> NamespaceSummary:
        namespace = permitted(ctx, conn, caller, command, Permission.NAMESPACE_READ)
        listing = ctx.access.visible_repositories(
            conn, caller, include_public=False, instance=command.instance
        )
        asked = NamespaceFilter(namespace.tenant, instance=command.instance, name=namespace.name)
        page, _ = browsing.namespaces_page(conn, asked, Slice(0, 1))  # an exact match comes first
        level = level_on(listing.rights, of_namespace(namespace)) or Level.READ
        return _summaries(conn, [(page[0], level)])[0]

    return await ctx.db.read(read)


def _summaries(
    conn: Connection, found: list[tuple[NamespaceDetails, Level]]
) -> list[NamespaceSummary]:
    makers = {one.namespace.created_by for one, _ in found if one.namespace.created_by is not None}
    names = identities.names_of_users(conn, makers)
    return [
        NamespaceSummary(
            one.namespace,
            one.number,
            names.get(one.namespace.created_by, "") if one.namespace.created_by else "",
            level,
        )
        for one, level in found
    ]
