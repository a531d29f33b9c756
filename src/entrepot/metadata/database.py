"""The metadata database: the one door to SQL (DESIGN section 5, ADR 3).

A transaction is one synchronous function that is given a SQLAlchemy Core connection. It may be run again whole, so it has no effect
but SQL; it uses only the connection it is given; it neither commits nor rolls back (an exception does). Failures of the database
itself reach the caller as `StorageUnavailable` or `StorageFull`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.backend import Backend
from entrepot.metadata.link import DatabaseMisuse
from entrepot.metadata.prepared import PageSelect, Prepared, Rows
from entrepot.metadata.statistics import Counts, Latency, Statistics

__all__ = ["Connection", "Counts", "Database", "DatabaseMisuse", "PageSelect", "Prepared", "now"]

T = TypeVar("T")
Callback = Callable[[str], None]


def now(conn: Connection) -> int:
    """Microseconds since the epoch by the database's clock: the one clock all replicas share for leases and order."""
    if conn.dialect.name == "sqlite":
        return time.time_ns() // 1000
    value = conn.execute(
        sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    ).scalar_one()
    return int(value)


class Database:
    """One open database. `open` it once a process, `close` it at the end."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._listeners: dict[str, list[tuple[asyncio.AbstractEventLoop, Callback]]] = {}
        self._is_listening = False
        self._is_closed = False

    @classmethod
    def open(cls, url: str, *, pool: int = 8, readers: int = 4) -> "Database":
        """Open `sqlite:////path/to/file` (its folder must be there) or `postgresql://user@host/name`.

        `pool` bounds PostgreSQL's writing connections, `readers` the reading ones of either. PostgreSQL is connected to when first
        used. ValueError for another URL, StorageUnavailable where the file cannot be opened.
        """
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError as error:
            raise ValueError("metadata.url is no URL") from error
        if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
            from entrepot.metadata.sqlite import SqliteBackend  # noqa: PLC0415 (start-up time)

            return cls(SqliteBackend(Path(str(parsed.database)), readers=readers))
        if parsed.drivername in ("postgresql", "postgres"):
            from entrepot.metadata.postgresql import PostgresqlBackend  # noqa: PLC0415 (start-up time)

            return cls(PostgresqlBackend(parsed, pool=pool, readers=readers))
        raise ValueError("metadata.url must be sqlite:////path/to/file or postgresql://host/name")

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which engine it is, for the few statements that differ."""
        return self._backend.dialect

    @property
    def statistics(self) -> Statistics:
        """Counters, for tests and metrics."""
        return self._backend.statistics

    @property
    def point_latency(self) -> Latency:
        """Durations of point reads, without thread hops."""
        return self._backend.latency

    # -- transactions -------------------------------------------------------------------------------------------------

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a thread, in a read-only snapshot."""
        return await asyncio.wrap_future(self._read(fn))

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a thread, in a transaction; answers after its commit is durable.

        What `fn` raises rolls back its own work and is raised here. An awaiter that is cancelled leaves the outcome open: the
        function may or may not be committed.
        """
        return await asyncio.wrap_future(self._write(fn))

    def read_sync(self, fn: Callable[[Connection], T]) -> T:
        """`read` for threads without an event loop; blocks."""
        return self._read(fn).result()

    def write_sync(self, fn: Callable[[Connection], T]) -> T:
        """`write` for threads without an event loop; blocks."""
        return self._write(fn).result()

    def change_schema(self, fn: Callable[[Connection], T]) -> T:
        """For `migrate` alone: run `fn` in a transaction while nobody else changes the schema; blocks."""
        self._backend.guard.refuse_nesting()
        return self._backend.change_schema(fn)

    def _read(self, fn: Callable[[Connection], T]) -> "Future[T]":
        self._backend.guard.refuse_nesting()
        self._backend.statistics.add("reads", "thread_hops")
        return self._backend.submit_read(fn)

    def _write(self, fn: Callable[[Connection], T]) -> "Future[T]":
        self._backend.guard.refuse_nesting()
        self._backend.statistics.add("writes", "thread_hops")
        return self._backend.submit_write(fn)

    # -- point reads --------------------------------------------------------------------------------------------------

    def prepare(self, statement: sa.Executable) -> Prepared:
        """Compile a select for `point`. Its parameters are `bindparam`s, its shape is fixed (no `IN` over a list); TypeError, ValueError otherwise."""
        return self._backend.prepare(statement)

    async def point(
        self, prepared: Prepared, parameters: Mapping[str, object]
    ) -> tuple[object, ...] | None:
        """The first row, or None. Sees the newest commit; two calls may see two states. For selects by key only.

        SQLite runs it on the event loop while that takes under a millisecond (p99), else in a thread; PostgreSQL in a thread.
        """
        rows = self.points_here(prepared, parameters)
        if rows is None:
            rows = await self.points_elsewhere(prepared, parameters)
        return rows[0] if rows else None

    async def points(self, prepared: Prepared, parameters: Mapping[str, object]) -> Rows:
        """All rows of a point read. For at most a few dozen."""
        rows = self.points_here(prepared, parameters)
        return await self.points_elsewhere(prepared, parameters) if rows is None else rows

    def points_here(self, prepared: Prepared, parameters: Mapping[str, object]) -> Rows | None:
        """`points` without waiting. None where a thread must do it: `points_elsewhere`."""
        backend = self._backend
        backend.guard.refuse_nesting()
        rows = backend.points_here(prepared, parameters)
        if rows is not None:
            backend.statistics.points_on_loop += 1
        return rows

    async def points_elsewhere(self, prepared: Prepared, parameters: Mapping[str, object]) -> Rows:
        """`points` in a thread."""
        backend = self._backend
        backend.statistics.add("points", "statements", "thread_hops")
        return await asyncio.wrap_future(backend.submit_points(prepared, parameters))

    async def page(self, select: PageSelect, parameters: Mapping[str, object]) -> Rows:
        """All rows of one page, in a reader thread: a read of one statement, without SQLAlchemy's work for each row.

        It is a snapshot of its own, as new as the newest commit when it begins: two pages may see two states, and neither is that of a
        `read` before it. What must be of one state with something else is `select.rows` inside a `read`.
        """
        backend = self._backend
        backend.guard.refuse_nesting()
        backend.statistics.add("reads", "statements", "thread_hops")
        return await asyncio.wrap_future(backend.submit_page(select, parameters))

    # -- hints --------------------------------------------------------------------------------------------------------

    def notify(self, conn: Connection, channel: str, payload: str = "") -> None:
        """Inside a write: hint to every listener of every process, if and when it commits. At most 4000 bytes; may be lost."""
        if len(channel) + len(payload.encode()) > 4000:
            raise ValueError("a hint is at most 4000 bytes: send an id, not the thing")
        self._backend.notify(conn, channel, payload)

    async def listen(self, channel: str, callback: Callback) -> None:
        """Call back with the payload of each hint on the channel, on this event loop. Hints may be lost, doubled, late: poll too."""
        self._listeners.setdefault(channel, []).append((asyncio.get_running_loop(), callback))
        if not self._is_listening:
            self._is_listening = True
            await asyncio.to_thread(self._backend.listen, self._deliver)

    def _deliver(self, channel: str, payload: str) -> None:
        for loop, callback in self._listeners.get(channel, ()):
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(callback, payload)

    # -- end ----------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Finish queued functions and close; further use raises StorageUnavailable. A second call does nothing."""
        await asyncio.to_thread(self.close_sync)

    def close_sync(self) -> None:
        """`close` for threads without an event loop; blocks."""
        if not self._is_closed:
            self._is_closed = True
            self._listeners.clear()
            self._backend.close()
