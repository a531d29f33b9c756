"""SQLite behind `Database`: one writer thread, a few readers, and one connection for point reads on the event loop."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Literal, TypeVar

import sqlalchemy as sa

from entrepot.metadata.hints import Sockets
from entrepot.metadata.link import Crew, DatabaseMisuse, Guard, Link, make_engine
from entrepot.metadata.prepared import PageSelect, Prepared, Rows, compile_select
from entrepot.metadata.sqlite_file import Turn, code_of, connect, create, is_busy, meaning
from entrepot.metadata.sqlite_writer import Writer
from entrepot.metadata.statistics import DiskReads, Latency, Statistics
from entrepot.model.errors import StorageUnavailable

T = TypeVar("T")
READ_SECONDS = 60.0  # a read transaction is ended after it: a snapshot held open keeps the log from being folded
_STEPS = 20_000  # of SQLite's machine between two looks at the clock: under a millisecond


class SqliteBackend:
    """One SQLite file. Creates it (mode 0600) in a folder that must be there."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, path: Path, *, readers: int) -> None:
        create(path)
        self._path = path
        self.guard = Guard()
        self.statistics = Statistics()
        self.latency = Latency(DiskReads().are_new)
        self._writing = self._engine(is_writer=True)
        self._reading = self._engine(is_writer=False)
        self._hot = connect(path, busy_seconds=0.0)
        self._sockets = Sockets(path)
        self._crew = Crew("entrepot-reader", readers, lambda: self._link(self._reading))
        self._writer = Writer(
            path,
            lambda: self._link(self._writing),
            guard=self.guard,
            statistics=self.statistics,
            publish=self._sockets.publish,
        )

    def _engine(self, *, is_writer: bool) -> sa.Engine:
        return make_engine(
            "sqlite+pysqlite://",
            lambda: connect(self._path, is_writer=is_writer),
            guard=self.guard,
            statistics=self.statistics,
        )

    def _link(self, engine: sa.Engine) -> Link[sqlite3.Connection]:
        connection = engine.connect()
        raw = connection.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            raise StorageUnavailable("no connection to the SQLite file")
        link = Link(connection, raw)
        connection.info["link"] = link
        return link

    def prepare(self, statement: sa.Executable) -> Prepared:
        """Compile a select for SQLite."""
        return compile_select(statement, self._reading.dialect)

    def submit_write(self, fn: Callable[[sa.Connection], T]) -> "Future[T]":
        """Queue for the writer thread."""
        return self._writer.submit(fn)

    def submit_read(self, fn: Callable[[sa.Connection], T]) -> "Future[T]":
        """Run in a reader thread, in a snapshot that ends after `READ_SECONDS`."""
        return self._crew.submit(lambda: self._read(fn))

    def _read(self, fn: Callable[[sa.Connection], T]) -> T:
        try:
            link = self._crew.link()
            until = time.monotonic() + READ_SECONDS
            link.raw.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            try:
                link.raw.execute("BEGIN")
                return self.guard.call(fn, link.connection)
            finally:
                link.raw.set_progress_handler(None, 0)
                if link.raw.in_transaction:
                    link.raw.execute("ROLLBACK")
        except (sqlite3.Error, sa.exc.DBAPIError) as error:
            if code_of(error) == sqlite3.SQLITE_READONLY:
                raise DatabaseMisuse("a function given to read() writes") from error
            if (known := meaning(error)) is not None:
                raise known from error
            raise

    def points_here(self, prepared: Prepared, parameters: Mapping[str, object]) -> Rows | None:
        """On the caller's thread, unless recent ones took long or the file is locked."""
        latency = self.latency
        if latency.is_slow:
            return None
        bound = prepared.bind(parameters)
        started = time.perf_counter()
        try:
            rows: Rows = self._hot.execute(prepared.sql, bound).fetchall()
            latency.observe(time.perf_counter() - started)
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return None
            if (known := meaning(error)) is not None:
                raise known from error
            raise
        return rows if prepared.out is None else [prepared.row(row) for row in rows]

    def submit_points(self, prepared: Prepared, parameters: Mapping[str, object]) -> "Future[Rows]":
        """In a reader thread, in autocommit like on the loop."""

        def job() -> Rows:
            bound = prepared.bind(parameters)
            started = time.perf_counter()
            try:
                rows: Rows = self._crew.link().raw.execute(prepared.sql, bound).fetchall()
            except sqlite3.Error as error:
                if (known := meaning(error)) is not None:
                    raise known from error
                raise
            self.latency.observe(time.perf_counter() - started)
            return rows if prepared.out is None else [prepared.row(row) for row in rows]

        return self._crew.submit(job)

    def submit_page(self, select: PageSelect, parameters: Mapping[str, object]) -> "Future[Rows]":
        """In a reader thread, in autocommit: the statement is its own snapshot, and ends after `READ_SECONDS`."""

        def job() -> Rows:
            prepared = select.prepared(self._reading.dialect)
            bound = prepared.bind(parameters)
            try:
                raw = self._crew.link().raw
                until = time.monotonic() + READ_SECONDS
                raw.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
                try:
                    rows: Rows = raw.execute(prepared.sql, bound).fetchall()
                finally:
                    raw.set_progress_handler(None, 0)
            except sqlite3.Error as error:
                if (known := meaning(error)) is not None:
                    raise known from error
                raise
            return rows if prepared.out is None else [prepared.row(row) for row in rows]

        return self._crew.submit(job)

    def change_schema(self, fn: Callable[[sa.Connection], T]) -> T:
        """On a connection of its own with foreign keys off, since batch mode drops and renames tables; checked before COMMIT."""
        with Turn(self._path):
            link = self._link(self._writing)
            try:
                link.raw.execute("PRAGMA foreign_keys=OFF")
                link.raw.execute("BEGIN IMMEDIATE")
                value = self.guard.call(fn, link.connection)
                if broken := link.raw.execute("PRAGMA foreign_key_check").fetchone():
                    raise DatabaseMisuse(
                        f"the revision leaves dangling rows in {broken[0]} to {broken[2]}"
                    )
                link.raw.execute("COMMIT")
            except (sqlite3.Error, sa.exc.DBAPIError) as error:
                raise (meaning(error) or error) from error
            finally:
                if link.raw.in_transaction:
                    link.raw.execute("ROLLBACK")
                link.connection.close()
            return value

    def notify(self, connection: sa.Connection, channel: str, payload: str) -> None:
        """Kept with the function until its commit."""
        link: Link[sqlite3.Connection] = connection.info["link"]
        link.hints.append((channel, payload))

    def listen(self, deliver: Callable[[str, str], None]) -> None:
        """Open this process' hint socket."""
        self._sockets.listen(deliver)

    def close(self) -> None:
        """Writer first: queued functions finish. The last connection of all processes folds the log."""
        self._writer.close()
        self._crew.close()
        self._hot.close()
        self._sockets.close()
