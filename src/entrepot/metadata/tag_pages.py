"""Pages of a repository's tags at arbitrary offsets, with exact totals.

An engine finds the page at an offset by stepping over all rows before it. In a long list processes therefore remember where pages
began, and count from the nearest of these places, or from the nearer end. What is remembered counts only as long as the repository says
the same about itself: every tag that is added touches it, and one that ends is missing in the total.
"""

import bisect
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from entrepot.metadata import counters
from entrepot.metadata.browsing import Slice, contains
from entrepot.metadata.schema import manifests, repositories, tags
from entrepot.model.content import TagDetails
from entrepot.model.ids import Micros, RepositoryId

_LONG: Final = 10_000  # tags, from which on places are remembered
_STRIDE: Final = 2_000  # rows that may be stepped over before another place is worth remembering
_PLACES: Final = 1_000  # of a repository
_REPOSITORIES: Final = 64  # of a process, the ones looked at last
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
        names = _any(conn, where, asked.repository, window, total=total)
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


# -- all of them ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Known:
    """Of one repository while `stamp` is what it says about itself: names by their number in the list, the numbers in order."""

    stamp: tuple[int, int]
    numbers: list[int] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def around(self, first: int, end: int) -> tuple[int | None, int | None]:
        """The nearest known numbers: at or before `first`, at or behind `end`."""
        before = bisect.bisect_right(self.numbers, first)
        behind = bisect.bisect_left(self.numbers, end)
        return (
            self.numbers[before - 1] if before else None,
            self.numbers[behind] if behind < len(self.numbers) else None,
        )

    def add(self, number: int, name: str) -> None:
        """Remember one more, while there is room."""
        if number not in self.names and len(self.numbers) < _PLACES:
            bisect.insort(self.numbers, number)
            self.names[number] = name


_lock = threading.Lock()
_known: "weakref.WeakKeyDictionary[Engine, OrderedDict[RepositoryId, _Known]]" = (
    weakref.WeakKeyDictionary()
)


def _any(
    conn: Connection, where: Where, repository: RepositoryId, window: Slice, *, total: int
) -> list[str]:
    """The page's names, counted from the nearest place that is known."""
    size = min(window.limit, total - window.offset)
    if size <= 0:
        return []
    first, end = window.offset, window.offset + size
    stamp = (0 if total < _LONG else conn.execute(_touched(repository)).scalar_one(), total)
    with _lock:
        known = _Known(stamp) if total < _LONG else _known_of(conn.engine, repository, stamp)
        before, behind = known.around(first, end)
        start, skip = known.names.get(before or 0), first - (before or 0)
        stop, rest = known.names.get(behind or total), (behind or total) - end
    if skip <= rest:
        names = _forward(conn, where, size, start=start, skip=skip)
    else:
        names = _backward(conn, where, size, start=stop, skip=rest)
    if names and min(skip, rest) > _STRIDE:
        with _lock:
            known.add(first, names[0])
    return names


def _touched(repository: RepositoryId) -> sa.Select[Any]:
    return sa.select(repositories.c.updated_at).where(repositories.c.id == repository)


def _known_of(engine: Engine, repository: RepositoryId, stamp: tuple[int, int]) -> _Known:
    held = _known.setdefault(engine, OrderedDict())
    known = held.get(repository)
    if known is None or known.stamp != stamp:
        known = held[repository] = _Known(stamp)
    held.move_to_end(repository)
    while len(held) > _REPOSITORIES:
        held.popitem(last=False)
    return known


def _forward(
    conn: Connection, where: Where, size: int, *, start: str | None, skip: int
) -> list[str]:
    """From `start` on, itself among them; None: from the first."""
    query = sa.select(tags.c.name).where(*where)
    if start is not None:
        query = query.where(tags.c.name >= start)
    return list(conn.scalars(query.order_by(tags.c.name).offset(skip).limit(size)))


def _backward(
    conn: Connection, where: Where, size: int, *, start: str | None, skip: int
) -> list[str]:
    """Those before `start`, without itself; None: up to the last."""
    query = sa.select(tags.c.name).where(*where)
    if start is not None:
        query = query.where(tags.c.name < start)
    return list(conn.scalars(query.order_by(tags.c.name.desc()).offset(skip).limit(size)))[::-1]


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
