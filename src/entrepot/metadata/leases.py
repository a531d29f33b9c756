"""The worker's side of tasks: claim (`claims.py`), heartbeat, finish, recover. Times are the database's.

A claim writes a fresh token into the row; whatever its holder writes afterwards names that token and changes nothing once the row
carries another (LeaseLost). So a holder that was paused, or cut off, does no harm when it comes back.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection

from entrepot.metadata.claims import Offer, claim, task_of
from entrepot.metadata.database import now
from entrepot.metadata.schema import executions, tasks
from entrepot.metadata.work import PENDING, RUNNING, held_by, lease_name, settle
from entrepot.model.errors import LeaseLost
from entrepot.model.ids import ExecutionId, TaskId
from entrepot.model.work import Status, Task

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Done; the summary stays as the task's progress, and its numbers are added to the execution's."""

    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """Tried in vain. Retried with backoff, no sooner than `after_seconds`, unless that is useless or it was the last attempt."""

    error: str
    may_retry: bool
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Stopped because somebody asked."""


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The holder has to stop: somebody else may begin at once, and the attempt does not count."""


Outcome = Succeeded | Failed | Cancelled | HandedBack


def backoff_seconds(attempts: int) -> float:
    """How long to wait after so many attempts: 5 s times 3 each, an hour at most, spread over its upper half. 0 attempts: 0."""
    if attempts <= 0:
        return 0.0
    longest: float = min(5.0 * 3.0 ** min(attempts - 1, 10), 3600.0)
    return random.uniform(0.5, 1.0) * longest  # noqa: S311 (jitter)


# -- hold and end -----------------------------------------------------------------------------------------------------


def heartbeat(
    conn: Connection,
    task: Task,
    *,
    lease_seconds: float,
    progress: Mapping[str, Any] | None = None,
) -> bool:
    """Hold on for another lease, and show progress. Whether the task should stop because it was cancelled. LeaseLost."""
    values: dict[str, Any] = {"lease_until": now(conn) + round(lease_seconds * 1_000_000)}
    if progress is not None:
        values["progress"] = dict(progress)
    row = conn.execute(
        tasks.update().where(*held_by(task)).values(values).returning(tasks.c.cancel_requested)
    ).first()
    if row is None:
        raise LeaseLost(lease_name(task))
    return bool(row.cancel_requested)


def finish(conn: Connection, task: Task, outcome: Outcome) -> None:
    """End this claim of the task. LeaseLost (and nothing is written) when it is no longer the caller's."""
    row = conn.execute(sa.select(tasks).where(*held_by(task))).first()
    if row is None:
        raise LeaseLost(lease_name(task))
    match outcome:
        case Succeeded(summary):
            _end(conn, row, Status.SUCCEEDED, progress=dict(summary), error=None)
            _add_up(conn, task.execution, summary)
        case HandedBack() if not row.cancel_requested:
            _wait_again(conn, row, attempts=row.attempts - 1, after_seconds=0)
        case Cancelled() | HandedBack():
            _end(conn, row, Status.CANCELLED)
        case Failed(error, may_retry, after_seconds):
            _fail(conn, row, error, may_retry=may_retry, after_seconds=after_seconds)
    if task.execution is not None:
        settle(conn, task.execution)


def recover(
    conn: Connection,
    *,
    limit: int = 100,
    lost: Callable[[Connection, Task], None] = lambda _conn, _task: None,
) -> int:
    """Let tasks whose holder fell silent wait again; those without attempts left have failed, and `lost` is told of them. How many."""
    rows = conn.execute(
        sa.select(tasks)
        .where(
            tasks.c.status == RUNNING,
            tasks.c.lease_until < now(conn),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        if _fail(conn, row, "its worker fell silent", may_retry=True, is_silent=True):
            _tell(conn, row, lost)
    for execution in {row.execution_id for row in rows if row.execution_id is not None}:
        settle(conn, ExecutionId(execution))
    return len(rows)


def _tell(conn: Connection, row: Any, lost: Callable[[Connection, Task], None]) -> None:
    """Whoever cannot say what was lost must not keep all others waiting: each turn of each worker begins here."""
    try:
        lost(conn, task_of(row, row.lease_token, attempts=row.attempts))
    except sa.exc.SQLAlchemyError:  # the transaction is broken with it
        raise
    except Exception as error:  # noqa: BLE001 (one task's end; logged)
        _log.error("lost_task_not_told", task=row.id, kind=row.kind, error=type(error).__name__)


def _fail(
    conn: Connection,
    row: Any,
    error: str,
    *,
    may_retry: bool,
    after_seconds: float = 0.0,
    is_silent: bool = False,
) -> bool:
    """Whether it has failed for good."""
    if row.cancel_requested:
        _end(conn, row, Status.CANCELLED, error=error)
    elif may_retry and row.attempts < row.max_attempts:
        # a silent one waited for its lease already; only one that kills its workers again and again is slowed down
        wait = backoff_seconds(row.attempts - 1 if is_silent else row.attempts)
        _wait_again(
            conn, row, attempts=row.attempts, after_seconds=max(wait, after_seconds), error=error
        )
    else:
        _end(conn, row, Status.FAILED, error=error)
        return True
    return False


def _end(conn: Connection, row: Any, status: Status, **values: object) -> None:
    conn.execute(
        tasks.update()
        .where(tasks.c.id == row.id)
        .values(
            status=status.value,
            finished_at=now(conn),
            lease_token=None,
            lease_until=None,
            **values,
        )
    )


def _wait_again(
    conn: Connection, row: Any, *, attempts: int, after_seconds: float, error: str | None = None
) -> None:
    """Back to pending. Where another task with the same unique key waits meanwhile, the two become one."""
    run_after = now(conn) + round(after_seconds * 1_000_000)
    twin = _twin(conn, row)
    if twin is not None and row.execution_id is None:
        if (
            twin.renews
        ):  # deferred since: it has all its attempts, and waits as long as this one would
            attempts = 0
        conn.execute(
            tasks.update()
            .where(tasks.c.id == twin.id)
            .values(
                attempts=max(twin.attempts, min(attempts, twin.max_attempts - 1)),
                run_after=max(twin.run_after, run_after),
            )
        )
        _end(conn, row, Status.CANCELLED, error=f"{error or 'handed back'}; task {twin.id} goes on")
        return
    conn.execute(
        tasks.update()
        .where(tasks.c.id == row.id)
        .values(
            status=Status.PENDING.value,
            attempts=attempts,
            run_after=run_after,
            lease_token=None,
            lease_until=None,
            error=error,
            unique_key=row.unique_key if twin is None else None,
        )
    )


def _twin(conn: Connection, row: Any) -> Any:
    if row.unique_key is None:
        return None
    return conn.execute(
        sa.select(tasks).where(
            tasks.c.unique_key == row.unique_key,
            tasks.c.status == PENDING,
        )
    ).first()


def _add_up(conn: Connection, execution: ExecutionId | None, summary: Mapping[str, Any]) -> None:
    """Add the numbers of a task's summary to its execution's; of anything else the latest is kept."""
    if execution is None or not summary:
        return
    total: dict[str, Any] = dict(
        conn.execute(
            sa.select(executions.c.summary).where(executions.c.id == execution)
        ).scalar_one()
    )
    for name, value in summary.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        total[name] = total.get(name, 0) + value if is_number else value
    conn.execute(executions.update().where(executions.c.id == execution).values(summary=total))


# -- look -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a worker's look at the queue found."""

    is_due: bool  # a task of its kinds waits and may run
    is_silent: bool  # a lease ran out
    cancelled: frozenset[TaskId]  # of the ones it holds


def look(conn: Connection, kinds: Sequence[str], *, holding: Iterable[Task]) -> Outlook:
    """The cheap read of an idle worker."""
    moment = now(conn)
    due = sa.exists().where(
        tasks.c.status == PENDING,
        tasks.c.run_after <= moment,
        tasks.c.kind.in_(list(kinds)),
    )
    silent = sa.exists().where(tasks.c.status == RUNNING, tasks.c.lease_until < moment)
    is_due, is_silent = conn.execute(sa.select(due, silent)).one()
    held = [task.id for task in holding]
    asked = sa.select(tasks.c.id).where(tasks.c.id.in_(held), tasks.c.cancel_requested)
    cancelled = [TaskId(key) for key in conn.execute(asked).scalars()] if held else []
    return Outlook(bool(is_due), bool(is_silent), frozenset(cancelled))


__all__ = ["Offer", "claim"]  # with what is defined here, all that workers need
