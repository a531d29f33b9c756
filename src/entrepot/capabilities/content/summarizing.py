"""Repositories with what is counted about them: one, or a page of those that the caller may read."""

from dataclasses import dataclass

from entrepot.capabilities.content.browsing import BrowseRepositories, Rows, repositories_seen
from entrepot.capabilities.content.place import Place, existing
from entrepot.capabilities.context import Context
from entrepot.metadata import browsing, summaries
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission
from entrepot.model.content import RepositorySummary
from entrepot.model.errors import RepositoryUnknown


@dataclass(frozen=True, slots=True)
class Summarized:
    """A repository by its address."""

    place: Place


async def summarize_repository(
    ctx: Context, caller: Caller, command: Summarized
) -> RepositorySummary:
    """One that the caller may pull. Raises Denied, RepositoryUnknown, NamespaceUnknown."""
    repository = await existing(ctx, caller, Permission.PULL, command.place)

    def read(conn: Connection) -> RepositorySummary:
        details = browsing.repository_details(conn, repository.id)
        found = [] if details is None else summaries.summaries(conn, [details], with_tags=False)
        if not found:
            raise RepositoryUnknown(repository.full_name)
        return found[0]

    return await ctx.db.read(read)


async def summarize_repositories(
    ctx: Context, caller: Caller, command: BrowseRepositories
) -> Rows[RepositorySummary]:
    """A page of those that the caller may read, with names of their tags."""
    return await _summarize(ctx, caller, command, with_tags=True)


async def count_repositories(
    ctx: Context, caller: Caller, command: BrowseRepositories
) -> Rows[RepositorySummary]:
    """Likewise, without the tags."""
    return await _summarize(ctx, caller, command, with_tags=False)


async def _summarize(
    ctx: Context, caller: Caller, command: BrowseRepositories, *, with_tags: bool
) -> Rows[RepositorySummary]:
    def read(conn: Connection) -> Rows[RepositorySummary]:
        page = repositories_seen(ctx, conn, caller, command)
        found = summaries.summaries(conn, page.rows, with_tags=with_tags)
        return Rows(found, page.total, page.offset)

    return await ctx.db.read(read)
