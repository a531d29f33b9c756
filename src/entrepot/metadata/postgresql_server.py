"""The PostgreSQL server: how connections to it are opened, what its errors mean, and its notifications."""

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress

import psycopg
import sqlalchemy as sa

from entrepot.model.errors import RegistryError, StorageFull, StorageUnavailable

OLDEST = 150000
CHANNEL = "entrepot"  # one for all our channels; the payload names ours
RECONNECT_SECONDS = 1.0
_DEFAULTS: dict[str, str] = {
    "application_name": "entrepot",
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# Commit must mean durable, whatever the server's default is; plans of point reads are not worth compiling.
_SESSION = """
SELECT set_config('statement_timeout', '30s', false), set_config('lock_timeout', '10s', false),
       set_config('idle_in_transaction_session_timeout', '60s', false), set_config('jit', 'off', false),
       set_config('timezone', 'UTC', false),
       set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = 'off' THEN 'on'
                                        ELSE current_setting('synchronous_commit') END, false)
"""
Raw = psycopg.Connection[tuple[object, ...]]


def connect(url: sa.URL) -> Raw:
    """A connection in autocommit with our time limits (statement 30 s, lock 10 s, idle in transaction 60 s).

    What the URL's query sets (libpq's parameters) wins over our defaults.
    """
    raw = psycopg.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False),
        autocommit=True,
        **{key: value for key, value in _DEFAULTS.items() if key not in url.query},  # type: ignore[arg-type]  # libpq parameters by name
    )
    if raw.info.server_version < OLDEST:
        found = raw.info.parameter_status("server_version")
        raw.close()
        raise StorageUnavailable(f"PostgreSQL 15 or newer is needed, the server is {found}")
    try:
        raw.execute(_SESSION)
    except BaseException:
        raw.close()
        raise
    return raw


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of a driver's or SQLAlchemy's error; empty when there is none (no connection)."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return (cause.sqlstate or "") if isinstance(cause, psycopg.Error) else ""


def is_conflict(error: BaseException) -> bool:
    """Whether running the transaction again may succeed: serialization failure or deadlock."""
    return sqlstate(error) in ("40001", "40P01")


def is_taken(error: BaseException) -> bool:
    """Whether a unique rule was broken, maybe by a transaction whose rows this one could not yet see."""
    return sqlstate(error) in ("23505", "23P01")


def meaning(error: BaseException) -> RegistryError | None:
    """What a failure of the server means to the registry; None for errors of the statement."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return None
    state = cause.sqlstate or ""
    words = (str(cause).splitlines() or ["no answer"])[0]
    if state == "53100":
        return StorageFull(words)
    if state[:2] in ("08", "28", "3D", "53", "57", "58") or state in ("55P03", "25P03"):
        return StorageUnavailable(words)
    if not state and isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return StorageUnavailable(words)
    return None


class Listener:
    """A thread with a connection of its own that hands on notifications; it reconnects when it must."""

    def __init__(self, url: sa.URL, deliver: Callable[[str, str], None]) -> None:
        self._url = url
        self._deliver = deliver
        self._wake_read, self._wake_write = os.pipe()
        self._ready = threading.Event()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="entrepot-listen", daemon=True)
        self._thread.start()

    def wait_until_ready(self, seconds: float) -> None:
        """Wait for the first LISTEN, at most so long: hints before it are lost."""
        self._ready.wait(seconds)

    def _run(self) -> None:
        while not self._is_ending:
            with suppress(psycopg.Error, StorageUnavailable), connect(self._url) as raw:
                raw.execute(f"LISTEN {CHANNEL}")
                self._ready.set()
                self._receive(raw)
            if not self._is_ending:
                select.select([self._wake_read], [], [], RECONNECT_SECONDS)

    def _receive(self, raw: Raw) -> None:
        while not self._is_ending:
            select.select([raw.fileno(), self._wake_read], [], [])
            for notification in raw.notifies(timeout=0):
                channel, _, payload = notification.payload.partition(" ")
                self._deliver(channel, payload)

    def close(self) -> None:
        """End the thread."""
        self._is_ending = True
        os.write(self._wake_write, b"x")
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)
