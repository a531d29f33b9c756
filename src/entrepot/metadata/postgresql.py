"""PostgreSQL behind `Database`: threads with a connection each, SERIALIZABLE writes run again on conflict, snapshot reads."""

import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Literal, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from entrepot.metadata.link import Crew, DatabaseMisuse, Guard, Link, abandon, make_engine
from entrepot.metadata.postgresql_server import (
    Listener,
    Raw,
    connect,
    is_conflict,
    is_taken,
    meaning,
    sqlstate,
)
from entrepot.metadata.prepared import PageSelect, Prepared, Rows, compile_select
from entrepot.metadata.statistics import Latency, Statistics
from entrepot.model.errors import RegistryError, StorageUnavailable

T = TypeVar("T")
WRITE = "BEGIN ISOLATION LEVEL SERIALIZABLE"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
SCHEMA = "BEGIN ISOLATION LEVEL READ COMMITTED"  # must see what was committed while it waited for the lock
SCHEMA_LOCK = 0x656E7472  # "entr": advisory locks are per database
RETRY_SECONDS = 10.0
BACKOFF_SECONDS = 0.2  # the longest pause between two attempts


class PostgresqlBackend:
    """One PostgreSQL database. Connects when first used: at most `pool` writing and `readers` reading connections."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self, url: sa.URL, *, pool: int, readers: int) -> None:
        self._url = url
        self.guard = Guard()
        self.statistics = Statistics()
        self.latency = Latency()
        self._engine = make_engine(
            "postgresql+psycopg://",
            lambda: connect(url),
            guard=self.guard,
            statistics=self.statistics,
        )
        self._writers: Crew[Raw] = Crew("entrepot-writer", pool, self._link)
        self._readers: Crew[Raw] = Crew("entrepot-reader", readers, self._link)
        self._listener: Listener | None = None

    def _link(self) -> Link[Raw]:
        connection = self._engine.connect()
        raw = connection.connection.driver_connection
        if not isinstance(raw, psycopg.Connection):
            raise StorageUnavailable("no connection to PostgreSQL")
        return Link(connection, raw)

    def prepare(self, statement: sa.Executable) -> Prepared:
        """Compile a select for psycopg."""
        return compile_select(statement, self._engine.dialect)

    def submit_write(self, fn: Callable[[sa.Connection], T]) -> "Future[T]":
        """SERIALIZABLE, run again whole on conflict for at most `RETRY_SECONDS`."""
        return self._writers.submit(lambda: self._insist(self._writers, WRITE, fn))

    def submit_read(self, fn: Callable[[sa.Connection], T]) -> "Future[T]":
        """REPEATABLE READ, READ ONLY: one snapshot."""
        return self._readers.submit(lambda: self._insist(self._readers, READ, fn))

    def _insist(self, crew: Crew[Raw], begin: str, fn: Callable[[sa.Connection], T]) -> T:
        until = time.monotonic() + RETRY_SECONDS
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._attempt(crew, begin, fn)
            except (psycopg.Error, sa.exc.DBAPIError) as error:
                if not self._is_worth_another(error, attempt=attempt, until=until):
                    raise self._translate(error) from error
            self.statistics.add("retries")
            time.sleep(random.uniform(0, min(0.002 * 2**attempt, BACKOFF_SECONDS)))  # noqa: S311 (jitter)

    @staticmethod
    def _is_worth_another(error: BaseException, *, attempt: int, until: float) -> bool:
        """Conflicts until time is up. Once: a lost connection that did not see our COMMIT, and a broken unique rule.

        The second attempt sees the row it ran into, so the function can say so in the registry's words.
        """
        if is_conflict(error):
            return time.monotonic() < until
        is_lost = not sqlstate(error) or sqlstate(error)[:2] in ("08", "57")
        is_lost = is_lost and isinstance(meaning(error), StorageUnavailable)
        return attempt == 1 and sqlstate(error) != "57014" and (is_lost or is_taken(error))

    @staticmethod
    def _translate(error: BaseException) -> BaseException:
        if is_conflict(error):
            return StorageUnavailable("the transaction kept running into others")
        if sqlstate(error) == "25006":
            return DatabaseMisuse("a function given to read() writes")
        return meaning(error) or error

    def _attempt(self, crew: Crew[Raw], begin: str, fn: Callable[[sa.Connection], T]) -> T:
        link = crew.link()
        try:
            link.raw.execute(begin, prepare=False)
            value = self.guard.call(fn, link.connection)
            self._commit(link)
        except BaseException:
            self.statistics.add("rollbacks")
            with suppress(psycopg.Error):
                link.raw.rollback()
            if link.raw.closed or link.connection.invalidated:
                crew.discard()
            raise
        if begin is WRITE:
            self.statistics.add("commits")
        return value

    @staticmethod
    def _commit(link: Link[Raw]) -> None:
        if (
            link.raw.info.transaction_status is TransactionStatus.INERROR
        ):  # COMMIT would roll back, without a word
            raise DatabaseMisuse(
                "a function swallowed a database error; wrap what may fail in conn.begin_nested()"
            )
        try:
            link.raw.execute("COMMIT", prepare=False)
        except psycopg.Error as error:
            if link.raw.closed:
                raise StorageUnavailable(
                    "the connection broke while committing; the outcome is unknown"
                ) from error
            raise

    def points_here(self, prepared: Prepared, parameters: Mapping[str, object]) -> Rows | None:
        """Never: a server is a network away."""
        del prepared, parameters
        return None

    def submit_points(self, prepared: Prepared, parameters: Mapping[str, object]) -> "Future[Rows]":
        """In a reader thread, in autocommit, as a statement prepared on the server."""
        return self._readers.submit(lambda: self._rows(prepared, parameters, latency=self.latency))

    def submit_page(self, select: PageSelect, parameters: Mapping[str, object]) -> "Future[Rows]":
        """As a point read; how long it takes says nothing about those."""
        return self._readers.submit(
            lambda: self._rows(select.prepared(self._engine.dialect), parameters)
        )

    def _rows(
        self,
        prepared: Prepared,
        parameters: Mapping[str, object],
        *,
        latency: Latency | None = None,
        is_first: bool = True,
    ) -> Rows:
        bound = prepared.bind(parameters)
        try:
            raw = self._readers.link().raw
            started = time.perf_counter()
            rows = raw.execute(prepared.sql, bound, prepare=True).fetchall()
        except (psycopg.Error, sa.exc.DBAPIError) as error:
            known = meaning(error)
            if isinstance(known, RegistryError):
                self._readers.discard()
                if is_first and sqlstate(error) != "57014":
                    return self._rows(prepared, parameters, latency=latency, is_first=False)
                raise known from error
            raise
        if latency is not None:
            latency.observe(time.perf_counter() - started)
        return rows if prepared.out is None else [prepared.row(row) for row in rows]

    def change_schema(self, fn: Callable[[sa.Connection], T]) -> T:
        """Under an advisory lock; no limit on time, but at most 30 s of waiting for each table."""
        try:
            link = self._link()
        except (psycopg.Error, sa.exc.DBAPIError) as error:
            raise (meaning(error) or error) from error
        try:
            link.raw.execute(SCHEMA)
            link.raw.execute("SET LOCAL statement_timeout = 0")
            link.raw.execute("SET LOCAL lock_timeout = 0")
            link.raw.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            link.raw.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            link.raw.execute("SET LOCAL lock_timeout = '30s'")
            value = self.guard.call(fn, link.connection)
            link.raw.execute("COMMIT")
        except (psycopg.Error, sa.exc.DBAPIError) as error:
            raise (meaning(error) or error) from error
        finally:
            with suppress(psycopg.Error):
                link.raw.rollback()
            abandon(link)
        return value

    def notify(self, connection: sa.Connection, channel: str, payload: str) -> None:
        """NOTIFY: the server sends it at commit, and one of equal ones."""
        statement = sa.text("SELECT pg_notify('entrepot', :message)")
        connection.execute(statement, {"message": f"{channel} {payload}"})

    def listen(self, deliver: Callable[[str, str], None]) -> None:
        """Start the listening thread; waits a moment for its LISTEN."""
        self._listener = Listener(self._url, deliver)
        self._listener.wait_until_ready(2.0)

    def close(self) -> None:
        """Writers first, so that what is queued finishes."""
        self._writers.close()
        self._readers.close()
        if self._listener is not None:
            self._listener.close()
