"""Pages of a repository's tags by name, or of some of them, at arbitrary offsets, with exact totals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import counters, tag_places
from entrepot.metadata.browsing import Slice, contains
from entrepot.metadata.schema import manifests, tags
from entrepot.model.content import TagDetails
from entrepot.model.ids import Micros, RepositoryId

_AT_ONCE: Final = 2_000  # names that are read to have the page and its total in one go


@dataclass(frozen=True, slots=True)
class TagFilter:
    """`name`: part of the tag, or (`is_exact`) the tag."""

    repository: RepositoryId
    name: str = ""
    is_exact: bool = False
    digest: str = ""


def tags_page(conn: Connection, asked: TagFilter, window: Slice) -> tuple[list[TagDetails], int]:
    """Present tags by name, an exact match first, and how many there are in all."""
    where = [tags.c.repository_id == asked.repository, tags.c.valid_until.is_(None)]
    if asked.digest:
        where.append(tags.c.manifest_id.in_(_manifests(asked)))
    if asked.name:
        names, total = _named(conn, where, asked, window)
    elif asked.digest:
        names, total = _matching(conn, where, window)
    else:
        total = counters.value(conn, "repository", asked.repository, "tags")
        names = tag_places.names_at(conn, asked.repository, tag_places.BY_NAME, window, total=total)
    return _details(conn, asked.repository, names), total


def _manifests(asked: TagFilter) -> sa.Select[Any]:
    return sa.select(manifests.c.id).where(
        manifests.c.repository_id == asked.repository,
        manifests.c.digest == asked.digest,
        manifests.c.deleted_at.is_(None),
    )


# -- some of them -----------------------------------------------------------------------------------------------------

Where = Sequence[sa.ColumnElement[bool]]


def _named(
    conn: Connection, where: Where, asked: TagFilter, window: Slice
) -> tuple[list[str], int]:
    """The exact match, and behind it (unless only that is wanted) all that have it as a part."""
    exact = list(conn.scalars(sa.select(tags.c.name).where(*where, tags.c.name == asked.name)))
    found, total = list[str](), 0
    if not asked.is_exact:
        part = [contains(conn, tags.c.name, asked.name), tags.c.name != asked.name]
        first = max(window.offset - len(exact), 0)
        limit = window.limit - (len(exact) if window.offset == 0 else 0)
        found, total = _matching(conn, [*where, *part], Slice(first, max(limit, 0)))
    head = exact if window.offset == 0 else []
    return [*head, *found][: window.limit], total + len(exact)


def _matching(conn: Connection, where: Where, window: Slice) -> tuple[list[str], int]:
    """The page and the total, mostly by one walk through the index."""
    query = sa.select(tags.c.name).where(*where).order_by(tags.c.name)
    end = window.offset + window.limit
    if end <= _AT_ONCE:
        found = list(conn.scalars(query.limit(_AT_ONCE)))
        page = found[window.offset : end]
        if len(found) < _AT_ONCE:
            return page, len(found)
        return page, _count(conn, where)
    total = _count(conn, where)
    if total <= window.offset:
        return [], total
    return list(conn.scalars(query.offset(window.offset).limit(window.limit))), total


def _count(conn: Connection, where: Where) -> int:
    query = sa.select(sa.func.count()).select_from(tags).where(*where)
    return int(conn.execute(query).scalar_one())


# -- what they mean ---------------------------------------------------------------------------------------------------


def _details(conn: Connection, repository: RepositoryId, names: Sequence[str]) -> list[TagDetails]:
    found: dict[str, TagDetails] = {}
    for start in range(0, len(names), 400):
        rows = conn.execute(
            sa.select(
                tags.c.name,
                tags.c.pushed_at,
                manifests.c.digest,
                manifests.c.media_type,
                manifests.c.layers_size,
            )
            .join(manifests, manifests.c.id == tags.c.manifest_id)
            .where(
                tags.c.repository_id == repository,
                tags.c.name.in_(names[start : start + 400]),
                tags.c.valid_until.is_(None),
            )
        )
        for row in rows:
            found[row.name] = TagDetails(
                row.name,
                row.digest,
                row.media_type,
                size=row.layers_size,
                set_at=Micros(row.pushed_at),
            )
    return [found[name] for name in names if name in found]
