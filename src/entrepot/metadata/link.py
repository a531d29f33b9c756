"""One connection in the hands of one thread, and the rules for functions that are given it.

The engines speak BEGIN, COMMIT, ROLLBACK and SAVEPOINT to the driver themselves; SQLAlchemy is told that the connection is in
autocommit, so that no function can end the transaction it runs in.
"""

import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from entrepot.metadata.statistics import Statistics
from entrepot.model.errors import StorageUnavailable

T = TypeVar("T")
R = TypeVar("R")


class DatabaseMisuse(RuntimeError):
    """A programming error in a function given to the database. Never caught, never shown to clients."""


class _Here(threading.local):
    inside = False


class Guard:
    """Knows whether this thread is inside a function given to the database."""

    def __init__(self) -> None:
        self._here = _Here()

    @property
    def is_inside(self) -> bool:
        """Whether a function of this database runs in this thread."""
        return self._here.inside

    def refuse_nesting(self) -> None:
        """DatabaseMisuse when called from inside a function: it would wait for itself, or see another snapshot."""
        if self._here.inside:
            raise DatabaseMisuse(
                "a function given to the database uses the connection it is given, not the database"
            )

    def call(self, fn: Callable[[sa.Connection], T], connection: sa.Connection) -> T:
        """Run the function in its own SQLAlchemy transaction frame (no SQL of ours)."""
        frame = connection.begin()
        self._here.inside = True
        try:
            result = fn(connection)
            if inspect.isawaitable(result):
                if inspect.iscoroutine(result):
                    result.close()
                raise DatabaseMisuse("a function given to the database is synchronous, not async")
            if connection.in_nested_transaction():
                raise DatabaseMisuse("begin_nested() was left open; use it with `with`")
        finally:
            self._here.inside = False
            while nested := connection.get_nested_transaction():
                nested.close()
            frame.close()
        return result


@dataclass(slots=True)
class Link(Generic[R]):
    """A connection: SQLAlchemy's face of it for functions, the driver's for us."""

    connection: sa.Connection
    raw: R
    hints: list[tuple[str, str]] = field(default_factory=list)  # of the function that runs now


def make_engine(
    url: str, creator: Callable[[], Any], *, guard: Guard, statistics: Statistics
) -> sa.Engine:
    """An engine whose connections count their statements and refuse to end transactions."""
    engine = sa.create_engine(
        url,
        creator=creator,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        hide_parameters=True,  # values may be secrets
    )

    def refuse(_: sa.Connection) -> None:
        if guard.is_inside:
            raise DatabaseMisuse("a function given to the database does not commit or roll back")

    def count(*_: object) -> None:
        statistics.add("statements")

    event.listen(engine, "commit", refuse)
    event.listen(engine, "rollback", refuse)
    event.listen(engine, "before_cursor_execute", count)
    return engine


class Crew(Generic[R]):
    """A bounded pool of threads, each with a connection of its own that it opens when first needed."""

    def __init__(self, name: str, size: int, connect: Callable[[], Link[R]]) -> None:
        self._connect = connect
        self._here = threading.local()
        self._links: list[Link[R]] = []
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run the job in one of the threads. StorageUnavailable once closed."""
        try:
            return self._threads.submit(job)
        except RuntimeError as error:
            raise StorageUnavailable("the metadata database is closed") from error

    def link(self) -> Link[R]:
        """The connection of the thread that asks."""
        link: Link[R] | None = getattr(self._here, "link", None)
        if link is None:
            link = self._connect()
            self._here.link = link
            with self._lock:
                self._links.append(link)
        return link

    def discard(self) -> None:
        """Throw away this thread's connection; the next `link` opens another."""
        link: Link[R] | None = getattr(self._here, "link", None)
        if link is not None:
            self._here.link = None
            with self._lock:
                self._links.remove(link)
            abandon(link)

    def close(self) -> None:
        """Finish what is queued, then close the connections."""
        self._threads.shutdown(wait=True)
        for link in self._links:
            abandon(link)
        self._links.clear()


def abandon(link: Link[Any]) -> None:
    """Close a connection in whatever state it is."""
    link.connection.invalidate()
    link.connection.close()
