"""Which of a repository's present tags are at an offset, by name or by the time of their push.

An engine finds the page at an offset by stepping over all rows before it. In a long list processes therefore remember where pages
began, and count from the nearest of these places, or from the nearer end. What is remembered counts only as long as the repository says
the same about itself: every tag that is set touches it, and one that ends is missing in the total.
"""

import bisect
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from entrepot.metadata.browsing import Slice
from entrepot.metadata.schema import repositories, tags
from entrepot.model.ids import RepositoryId

Order = tuple[sa.Column[Any], ...]
"""Columns that rise together; the last is the name, which no two have."""
Key = tuple[Any, ...]
"""A tag's values in them."""
BY_NAME: Final[Order] = (tags.c.name,)
BY_PUSH: Final[Order] = (tags.c.pushed_at, tags.c.name)
_LONG: Final = 10_000  # tags, from which on places are remembered
_STRIDE: Final = 2_000  # rows that may be stepped over before another place is worth remembering
_PLACES: Final = 1_000  # of a list
_LISTS: Final = 64  # of a process, the ones looked at last


def names_at(
    conn: Connection, repository: RepositoryId, order: Order, window: Slice, *, total: int
) -> list[str]:
    """The names in the window, rising. `total`: how many tags there are in all."""
    size = min(window.limit, total - window.offset)
    if size <= 0:
        return []
    first, end = window.offset, window.offset + size
    stamp = (0 if total < _LONG else conn.execute(_touched(repository)).scalar_one(), total)
    with _lock:
        known = _Known(stamp) if total < _LONG else _known_of(conn.engine, repository, order, stamp)
        before, behind = known.around(first, end)
        start, skip = known.keys.get(before or 0), first - (before or 0)
        stop, rest = known.keys.get(behind or total), (behind or total) - end
    walk = _Walk(repository, order)
    if skip <= rest:
        keys = walk.forward(conn, size, start=start, skip=skip)
    else:
        keys = walk.backward(conn, size, start=stop, skip=rest)
    if keys and min(skip, rest) > _STRIDE:
        with _lock:
            known.add(first, keys[0])
    return [str(key[-1]) for key in keys]


@dataclass(slots=True)
class _Known:
    """Of one list while `stamp` is what the repository says about itself: keys by their number in the list, the numbers in order."""

    stamp: tuple[int, int]
    numbers: list[int] = field(default_factory=list)
    keys: dict[int, Key] = field(default_factory=dict)

    def around(self, first: int, end: int) -> tuple[int | None, int | None]:
        """The nearest known numbers: at or before `first`, at or behind `end`."""
        before = bisect.bisect_right(self.numbers, first)
        behind = bisect.bisect_left(self.numbers, end)
        return (
            self.numbers[before - 1] if before else None,
            self.numbers[behind] if behind < len(self.numbers) else None,
        )

    def add(self, number: int, key: Key) -> None:
        """Remember one more, while there is room."""
        if number not in self.keys and len(self.numbers) < _PLACES:
            bisect.insort(self.numbers, number)
            self.keys[number] = key


_Lists = OrderedDict[tuple[RepositoryId, int], _Known]
_lock = threading.Lock()
_known: "weakref.WeakKeyDictionary[Engine, _Lists]" = weakref.WeakKeyDictionary()


def _touched(repository: RepositoryId) -> sa.Select[Any]:
    return sa.select(repositories.c.updated_at).where(repositories.c.id == repository)


def _known_of(
    engine: Engine, repository: RepositoryId, order: Order, stamp: tuple[int, int]
) -> _Known:
    held = _known.setdefault(engine, OrderedDict())
    which = (repository, len(order))
    known = held.get(which)
    if known is None or known.stamp != stamp:
        known = held[which] = _Known(stamp)
    held.move_to_end(which)
    while len(held) > _LISTS:
        held.popitem(last=False)
    return known


@dataclass(frozen=True, slots=True)
class _Walk:
    """Over the keys of a repository's present tags."""

    repository: RepositoryId
    order: Order

    def forward(self, conn: Connection, size: int, *, start: Key | None, skip: int) -> list[Key]:
        """From `start` on, itself among them; None: from the first."""
        query = self._present()
        if start is not None:
            query = query.where(self._columns() >= self._values(start))
        rising = query.order_by(*self.order)
        return [tuple(row) for row in conn.execute(rising.offset(skip).limit(size))]

    def backward(self, conn: Connection, size: int, *, start: Key | None, skip: int) -> list[Key]:
        """Those before `start`, without itself; None: up to the last."""
        query = self._present()
        if start is not None:
            query = query.where(self._columns() < self._values(start))
        falling = query.order_by(*(column.desc() for column in self.order))
        return [tuple(row) for row in conn.execute(falling.offset(skip).limit(size))][::-1]

    def _present(self) -> sa.Select[Any]:
        return sa.select(*self.order).where(
            tags.c.repository_id == self.repository, tags.c.valid_until.is_(None)
        )

    def _columns(self) -> sa.ColumnElement[Any]:
        return self.order[0] if len(self.order) == 1 else sa.tuple_(*self.order)

    def _values(self, key: Key) -> sa.ColumnElement[Any]:
        said = [
            sa.literal(value, column.type) for value, column in zip(key, self.order, strict=True)
        ]
        return said[0] if len(said) == 1 else sa.tuple_(*said)
