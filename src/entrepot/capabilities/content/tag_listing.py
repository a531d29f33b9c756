"""A repository's tags with their documents, by the time of their push or by name."""

from dataclasses import dataclass, field, replace

from entrepot.capabilities.content.browsing import Rows
from entrepot.capabilities.content.place import Place, existing
from entrepot.capabilities.context import Context
from entrepot.metadata import tag_rows
from entrepot.metadata.browsing import Slice
from entrepot.metadata.tag_rows import TagOrder
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Repository, TagRow
from entrepot.model.errors import ManifestUnknown

MOST = 10_000
"""Rows of one answer, whatever is asked. Documents end a page earlier (`tag_rows.MAX_PAYLOADS`)."""


@dataclass(frozen=True, slots=True)
class ListTagRows:
    """Tags of a repository. `name`: only this one; `sort`: one of `tag_rows.SORTS`; `with_payload`: with their documents."""

    place: Place
    name: str = ""
    sort: str = "pushed_at"
    descending: bool = True
    with_payload: bool = True
    window: Slice = field(default_factory=Slice)


@dataclass(frozen=True, slots=True)
class TagsOf:
    """A page, and the repository they are of."""

    repository: Repository
    page: Rows[TagRow]


async def list_tag_rows(ctx: Context, caller: Caller, command: ListTagRows) -> TagsOf:
    """A page of at most `MOST`, shorter where the documents are large. Raises Denied, RepositoryUnknown, NamespaceUnknown."""
    repository = await existing(ctx, caller, Permission.PULL, command.place)
    asked = TagOrder(
        repository.id,
        name=command.name,
        sort=command.sort,
        descending=command.descending,
        with_payload=command.with_payload,
    )
    window = replace(command.window, limit=min(command.window.limit, MOST))
    rows, total = await ctx.db.read(lambda conn: tag_rows.tag_rows(conn, asked, window))
    return TagsOf(repository, Rows(rows, total, window.offset))


async def show_tag_row(ctx: Context, caller: Caller, command: ListTagRows) -> TagsOf:
    """The one of that name. Raises Denied, RepositoryUnknown, NamespaceUnknown, ManifestUnknown."""
    found = await list_tag_rows(ctx, caller, command)
    if not found.page.rows:
        raise ManifestUnknown(command.name[:300])
    return found
