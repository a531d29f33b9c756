"""The SQLite file: how connections to it are opened, whose turn it is to write, and what its errors mean."""

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from entrepot.model.errors import RegistryError, StorageFull, StorageUnavailable

BUSY_SECONDS = 5.0  # another program (a shell, a backup) may hold the file so long
CHECKPOINT_BYTES = 4 << 20  # the log is folded into the file after so much growth
LOG_LIMIT_BYTES = 64 << 20  # above it the log is cut back as soon as no reader needs it

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_UNAVAILABLE = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_PROTOCOL,
    *_BUSY,
)


def connect(
    path: Path, *, busy_seconds: float = BUSY_SECONDS, is_writer: bool = False
) -> sqlite3.Connection:
    """A connection in autocommit with our pragmas. Only the writer folds the log, and it alone may write.

    Opening waits for another process that opens or closes the file, whatever `busy_seconds` says of what comes after.
    """
    connection = sqlite3.connect(
        path,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        f"journal_size_limit={LOG_LIMIT_BYTES}",
        "wal_autocheckpoint=0",  # `Writer` does it, after it has answered
        f"cache_size={-8000 if is_writer else -4000}",  # KiB
        "temp_store=MEMORY",
        f"query_only={'OFF' if is_writer else 'ON'}",
        f"busy_timeout={int(busy_seconds * 1000)}",  # last: the others may have to wait
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def create(path: Path) -> None:
    """Make the file (mode 0600: it holds password hashes) and put it in WAL mode, once for all processes."""
    if sqlite3.sqlite_version_info < (3, 35):
        raise StorageUnavailable(f"SQLite 3.35 or newer is needed, not {sqlite3.sqlite_version}")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with Turn(path):
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            finally:
                connection.close()
    except OSError as error:
        raise StorageUnavailable(f"{path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise (meaning(error) or StorageUnavailable(f"{path}: {error}")) from error
    if mode != "wal":
        raise StorageUnavailable(f"{path}: this file system cannot hold a shared log (WAL)")


class Turn:
    """The right to write, among processes: an exclusive lock on `<file>.write`.

    SQLite itself lets waiters poll with growing pauses, and the process that just wrote wins most races; the kernel wakes those
    who wait here (measured in ADR 3). Blocks while another process writes. Not for two threads at once.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(f"{path}.write", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> None:
        """Wait for the turn."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def give(self) -> None:
        """Let the next one write."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file; it stays, since a removed one would be two."""
        os.close(self._file)

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give()
        self.close()


def code_of(error: BaseException) -> int:
    """SQLite's primary result code of a driver's or SQLAlchemy's error, 0 for any other."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Whether somebody else held the file."""
    return code_of(error) in _BUSY


def meaning(error: BaseException) -> RegistryError | None:
    """What a failure of the file means to the registry; None for errors of the statement."""
    code = code_of(error)
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(str(cause))
    if code in _UNAVAILABLE:
        return StorageUnavailable(str(cause))
    return None
