"""What a job is to the capability that brings its body: a handler, what the body is given, and the housekeeping of work itself.

The runtime (`jobs/`) claims tasks and runs bodies; it knows no capability. A body may be killed and run again at any point: what it
writes goes through `JobContext.write` or `finish`, and what it does outside the database must be harmless to do twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from entrepot.metadata import events, leases, work
from entrepot.metadata.database import Connection, Database, now
from entrepot.model.ids import Micros
from entrepot.model.work import Task

T = TypeVar("T")
Summary = Mapping[str, Any]  # JSON; numbers are added up over the tasks of an execution
Scalar = str | int | float | bool | None

PURGE = "work.purge"
KEEP_SECONDS = 30 * 86400  # finished work and events are shown so long


class JobCancelled(Exception):
    """Somebody asked for the task to be cancelled. A body lets it pass, after putting right what it must."""


@dataclass(slots=True)
class JobContext:
    """One run of a task, in the hands of its body."""

    db: Database
    task: Task
    is_cancelled: bool = False  # asked for; `checkpoint` raises then
    is_finished: bool = False  # `finish` has committed
    progress: dict[str, Scalar] = field(default_factory=dict)
    is_news: bool = False  # progress not shown yet

    def report(self, **progress: Scalar) -> None:
        """Show progress (merged into what was reported) within a second or so. Costs nothing to call often."""
        self.progress.update(progress)
        self.is_news = True

    def news(self) -> dict[str, Scalar] | None:
        """Progress for the runtime to show, if there is any that it has not taken yet."""
        if not self.is_news:
            return None
        self.is_news = False
        return dict(self.progress)

    def checkpoint(self) -> None:
        """JobCancelled once the task was asked to stop. For loops; awaiting bodies are interrupted a little later anyway."""
        if self.is_cancelled:
            raise JobCancelled

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """`db.write` under the task's lease: LeaseLost, and nothing is written, when the task is no longer ours."""
        self.checkpoint()

        def fenced(conn: Connection) -> T:
            work.check_lease(conn, self.task)
            return fn(conn)

        return await self.db.write(fenced)

    async def finish(self, fn: Callable[[Connection], Summary]) -> None:
        """A last write that succeeds together with the task: its effect happens once, whatever is killed. Then return."""
        self.checkpoint()

        def fenced(conn: Connection) -> None:
            work.check_lease(conn, self.task)
            leases.finish(conn, self.task, leases.Succeeded(fn(conn)))

        await self.db.write(fenced)
        self.is_finished = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """The body of one kind of task. What `run` returns is the task's summary.

    A RegistryError that is retryable, and anything unexpected, is tried again with backoff; other RegistryErrors fail the task.
    Limits count the whole deployment; None: none. `lost` is told, in the transaction that finds it, of a task that has failed since the
    worker of its last attempt fell silent; it only writes, and raises nothing.
    """

    kind: str
    run: Callable[[JobContext], Awaitable[Summary | None]]
    concurrency: int | None = None  # tasks of the kind at once
    per_target: int | None = None  # of the kind on one target
    lease_seconds: float | None = None  # None: the worker's setting
    timeout_seconds: float | None = None  # of one attempt; None: as long as it takes
    is_long: bool = (
        False  # may hold a slot for hours: leaves some to others, and a tenant has its share
    )
    lost: Callable[[Connection, Task], None] | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """Housekeeping that starts when there is something to do: a lone task of the kind, while `wanted` (a cheap read) is true."""

    kind: str
    every_seconds: float
    wanted: Callable[[Connection], bool]


def _horizon(conn: Connection) -> Micros:
    return Micros(now(conn) - KEEP_SECONDS * 1_000_000)


async def _purge(ctx: JobContext) -> Summary:
    """Forget finished work and events past their time, in bounded transactions."""
    total = {"work": 0, "events": 0}
    while True:
        gone = await ctx.write(lambda conn: work.purge(conn, _horizon(conn), limit=1000))
        past = await ctx.write(lambda conn: events.purge(conn, _horizon(conn), limit=1000))
        total["work"] += gone
        total["events"] += past
        ctx.report(**total)
        if not gone and not past:
            return total


def _is_purge_wanted(conn: Connection) -> bool:
    before = _horizon(conn)
    return work.is_purge_wanted(conn, before) or events.is_purge_wanted(conn, before)


PURGE_HANDLER = Handler(kind=PURGE, run=_purge, concurrency=1)
PURGE_WATCH = Watch(PURGE, every_seconds=3600.0, wanted=_is_purge_wanted)
