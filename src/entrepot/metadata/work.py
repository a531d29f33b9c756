"""Executions and tasks as rows: deferring work, cancelling it, retrying it, forgetting it.

What a worker does with tasks (claim, heartbeat, finish) is in `leases.py`, what is shown of them in `executions.py`, when they
start by the clock in `schedules.py`. Every function is for use inside `db.write`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from entrepot.metadata.database import now
from entrepot.metadata.schema import executions, tasks
from entrepot.model.errors import LeaseLost, TaskUnknown
from entrepot.model.ids import ExecutionId, Micros, TaskId, TenantId
from entrepot.model.work import NewTask, Status, Task

FINAL = tuple(status.value for status in Status if status.is_final)

# As literals, because only those let SQLite use the partial indexes.
PENDING: sa.ColumnElement[str] = sa.literal_column("'pending'")
RUNNING: sa.ColumnElement[str] = sa.literal_column("'running'")
WAKE_CHANNEL = "jobs"  # hints on it carry a task's kind; workers also poll


def defer(conn: Connection, task: NewTask) -> TaskId | None:
    """Write a task that runs once this transaction has committed. None: one with its `unique_key` waits already; if the task `renews`,
    that one has all its attempts again and is due no later than this one would have been."""
    row = _row(task, now(conn))
    found = conn.execute(_insert(conn, row).returning(tasks.c.id)).scalar()
    if found is None:
        if task.renews:
            _renew(conn, row)
        return None
    if task.execution is not None:
        _reopen(conn, task.execution)
    if task.delay_seconds <= 0:
        _wake(conn, task.kind)
    return TaskId(int(found))


def defer_all(conn: Connection, deferred: Sequence[NewTask]) -> None:
    """Write many lone tasks by one statement. Without unique keys and executions: ValueError."""
    if any(task.unique_key is not None or task.execution is not None for task in deferred):
        raise ValueError("only tasks without a unique key and an execution are deferred together")
    if not deferred:
        return
    moment = now(conn)
    conn.execute(tasks.insert(), [_row(task, moment) for task in deferred])
    for kind in sorted({task.kind for task in deferred if task.delay_seconds <= 0}):
        _wake(conn, kind)


def _row(task: NewTask, moment: int) -> dict[str, Any]:
    return {
        "execution_id": task.execution,
        "tenant_id": task.tenant,
        "kind": task.kind,
        "target": task.target,
        "priority": task.priority,
        "status": Status.PENDING.value,
        "arguments": task.arguments,
        "unique_key": task.unique_key,
        "renews": task.renews,
        "attempts": 0,
        "max_attempts": task.max_attempts,
        "run_after": moment + round(task.delay_seconds * 1_000_000),
        "cancel_requested": False,
        "progress": {},
        "created_at": moment,
    }


def _insert(conn: Connection, row: dict[str, Any]) -> sa.Insert:
    """An insert that does nothing where a waiting task has the key."""
    if row["unique_key"] is None:
        return tasks.insert().values(row)
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    statement: sqlite.Insert | postgresql.Insert = insert(tasks)
    return statement.values(row).on_conflict_do_nothing(
        index_elements=[tasks.c.unique_key],
        index_where=sa.text("unique_key IS NOT NULL AND status = 'pending'"),
    )


def _renew(conn: Connection, row: dict[str, Any]) -> None:
    at = row["run_after"]
    conn.execute(
        tasks.update()
        .where(tasks.c.unique_key == row["unique_key"], tasks.c.status == PENDING)
        .values(
            attempts=0,
            run_after=sa.case((tasks.c.run_after < at, tasks.c.run_after), else_=at),
        )
    )
    if at <= row["created_at"]:
        _wake(conn, row["kind"])


def _wake(conn: Connection, kind: str) -> None:
    """What `Database.notify` does, for those who have the connection alone."""
    if conn.dialect.name == "postgresql":
        message = f"{WAKE_CHANNEL} {kind}"
        conn.execute(sa.text("SELECT pg_notify('entrepot', :message)"), {"message": message})
    else:
        conn.info["link"].hints.append((WAKE_CHANNEL, kind))


def _reopen(conn: Connection, execution: ExecutionId) -> None:
    """An execution that was over goes on when it is given another task."""
    conn.execute(
        executions.update()
        .where(executions.c.id == execution, executions.c.status.in_(FINAL))
        .values(status=Status.RUNNING.value, finished_at=None)
    )


def start_execution(
    conn: Connection,
    kind: str,
    *,
    target: str,
    trigger: str,
    actor: str,
    tenant: TenantId | None,
    tasks: Iterable[NewTask],
) -> ExecutionId:
    """One run of something, made of tasks (more may be deferred into it while it runs). Without any it has succeeded already."""
    moment = now(conn)
    key = ExecutionId(
        conn.execute(
            executions.insert()
            .values(
                kind=kind,
                tenant_id=tenant,
                target=target,
                trigger=trigger,
                actor=actor,
                status=Status.PENDING.value,
                summary={},
                created_at=moment,
            )
            .returning(executions.c.id)
        ).scalar_one()
    )
    if not [defer(conn, replace(task, execution=key)) for task in tasks]:
        settle(conn, key)
    return key


def settle(conn: Connection, execution: ExecutionId) -> None:
    """Make the execution's status what its tasks say. Called in every transaction that changes one of theirs."""

    def has(status: Status) -> sa.Exists:
        return sa.exists().where(tasks.c.execution_id == execution, tasks.c.status == status.value)

    row = conn.execute(
        sa.select(executions.c.started_at, *[has(status) for status in Status]).where(
            executions.c.id == execution
        )
    ).one()
    present = {status for status, found in zip(Status, row[1:], strict=True) if found}
    status = _status_of(present, is_started=row.started_at is not None)
    moment = now(conn)
    started_at = row.started_at or (None if status is Status.PENDING else moment)
    conn.execute(
        executions.update()
        .where(executions.c.id == execution, executions.c.status != status.value)
        .values(
            status=status.value,
            started_at=started_at,
            finished_at=moment if status.is_final else None,
        )
    )


def _status_of(present: set[Status], *, is_started: bool) -> Status:
    """The status of an execution whose tasks have these. Once started, it does not go back to pending."""
    if present & {Status.PENDING, Status.RUNNING}:
        is_waiting = present == {Status.PENDING} and not is_started
        return Status.PENDING if is_waiting else Status.RUNNING
    for status in (Status.FAILED, Status.CANCELLED):
        if status in present:
            return status
    return Status.SUCCEEDED


def check_lease(conn: Connection, task: Task) -> None:
    """First thing in a task body's own transaction: LeaseLost unless this claim of the task still stands.

    Under SQLite's writer and PostgreSQL's SERIALIZABLE the answer holds until the transaction ends.
    """
    held = sa.select(tasks.c.id).where(*held_by(task))
    if conn.execute(held).first() is None:
        raise LeaseLost(lease_name(task))


def held_by(task: Task) -> tuple[sa.ColumnElement[bool], ...]:
    """The fence: the row is still this claim's."""
    return (
        tasks.c.id == task.id,
        tasks.c.status == Status.RUNNING.value,
        tasks.c.lease_token == task.lease_token,
    )


def lease_name(task: Task) -> str:
    """How LeaseLost names it."""
    return f"task {task.id}"


def unfinished(conn: Connection, targets: Collection[str]) -> set[tuple[str, str]]:
    """Kind and target of every task on one of the targets that is waiting or running."""
    query = sa.select(tasks.c.kind, tasks.c.target).where(
        tasks.c.status.in_((Status.PENDING.value, Status.RUNNING.value)),
        tasks.c.target.in_(list(targets)),
    )
    return {(row.kind, row.target) for row in conn.execute(query)}


def cancel_task(conn: Connection, task: TaskId) -> Status:
    """Cancel: at once while it waits; a running one is asked to stop; a finished one stays. What it is now. TaskUnknown."""
    query = sa.select(tasks.c.status, tasks.c.execution_id).where(tasks.c.id == task)
    row = conn.execute(query).first()
    if row is None:
        raise TaskUnknown(str(task))
    _cancel(conn, tasks.c.id == task)
    if row.execution_id is not None:
        settle(conn, ExecutionId(row.execution_id))
    return Status(conn.execute(query).one().status)


def cancel_execution(conn: Connection, execution: ExecutionId) -> Status:
    """Cancel all its tasks; it is over once the running ones have stopped. What it is now. TaskUnknown."""
    query = sa.select(executions.c.status).where(executions.c.id == execution)
    if conn.execute(query).first() is None:
        raise TaskUnknown(str(execution))
    _cancel(conn, tasks.c.execution_id == execution)
    settle(conn, execution)
    return Status(conn.execute(query).scalar_one())


def _cancel(conn: Connection, which: sa.ColumnElement[bool]) -> None:
    conn.execute(
        tasks.update()
        .where(which, tasks.c.status == Status.PENDING.value)
        .values(status=Status.CANCELLED.value, finished_at=now(conn), cancel_requested=True)
    )
    conn.execute(
        tasks.update()
        .where(which, tasks.c.status == Status.RUNNING.value)
        .values(cancel_requested=True)
    )
    _wake(conn, "")


def retry(conn: Connection, task: TaskId) -> bool:
    """Let a failed task wait again with all its attempts. False when it has not failed."""
    changed = conn.execute(
        tasks.update()
        .where(tasks.c.id == task, tasks.c.status == Status.FAILED.value)
        .values(
            status=Status.PENDING.value,
            attempts=0,
            run_after=now(conn),
            unique_key=None,  # another with the key may wait by now; this one was asked for by hand
            finished_at=None,
            cancel_requested=False,
        )
        .returning(tasks.c.execution_id)
    ).first()
    if changed is not None and changed.execution_id is not None:
        settle(conn, ExecutionId(changed.execution_id))
    return changed is not None


def purge(conn: Connection, before: Micros, *, limit: int = 1000) -> int:
    """Forget up to `limit` lone tasks, and as many tasks of executions, that were over before the moment; then executions
    left without tasks. How many rows went: call again until 0."""
    lone = sa.select(tasks.c.id).where(tasks.c.execution_id.is_(None), tasks.c.finished_at < before)
    parts = (
        sa.select(tasks.c.id)
        .join(executions, executions.c.id == tasks.c.execution_id)
        .where(executions.c.finished_at < before)
    )
    empty = sa.select(executions.c.id).where(
        executions.c.finished_at < before,
        ~sa.exists().where(tasks.c.execution_id == executions.c.id),
    )
    gone = 0
    for table, old in ((tasks, lone), (tasks, parts), (executions, empty)):
        gone += conn.execute(table.delete().where(table.c.id.in_(old.limit(limit)))).rowcount
    return gone


def is_purge_wanted(conn: Connection, before: Micros) -> bool:
    """Whether `purge` would find something."""
    old_tasks = sa.exists().where(tasks.c.execution_id.is_(None), tasks.c.finished_at < before)
    old_executions = sa.exists().where(executions.c.finished_at < before)
    return bool(conn.execute(sa.select(sa.or_(old_tasks, old_executions))).scalar())
