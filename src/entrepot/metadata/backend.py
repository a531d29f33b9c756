"""What an engine offers to `Database`. Two implement it: `sqlite.py` and `postgresql.py`."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Literal, Protocol, TypeVar

import sqlalchemy as sa

from entrepot.metadata.link import Guard
from entrepot.metadata.prepared import PageSelect, Prepared, Rows
from entrepot.metadata.statistics import Latency, Statistics

T = TypeVar("T")


class Backend(Protocol):
    """One database. Futures are answered from other threads."""

    dialect: Literal["sqlite", "postgresql"]
    guard: Guard
    statistics: Statistics
    latency: Latency  # of point reads, without thread hops

    def prepare(self, statement: sa.Executable) -> Prepared:
        """Compile a select for this engine."""

    def submit_read(self, fn: Callable[[sa.Connection], T]) -> "Future[T]":
        """Run in a read-only snapshot."""

    def submit_write(self, fn: Callable[[sa.Connection], T]) -> "Future[T]":
        """Run in a transaction, whole again on conflict; answered when its commit is durable."""

    def points_here(self, prepared: Prepared, parameters: Mapping[str, object]) -> Rows | None:
        """Rows of a point read in the calling thread at once; None when it would take too long: use `submit_points`."""

    def submit_points(self, prepared: Prepared, parameters: Mapping[str, object]) -> "Future[Rows]":
        """Rows of a point read in a thread; it sees the newest commit."""

    def submit_page(self, select: PageSelect, parameters: Mapping[str, object]) -> "Future[Rows]":
        """Rows of a page in a reader thread; it sees the newest commit."""

    def change_schema(self, fn: Callable[[sa.Connection], T]) -> T:
        """Run in a transaction of its own while no other process writes (SQLite) or changes the schema (PostgreSQL). Blocks."""

    def notify(self, connection: sa.Connection, channel: str, payload: str) -> None:
        """Send a hint if and when the transaction of this connection commits."""

    def listen(self, deliver: Callable[[str, str], None]) -> None:
        """Begin to receive hints of all processes; `deliver` (channel, payload) is called from any thread. Once only."""

    def close(self) -> None:
        """Finish what is queued and close every connection."""
