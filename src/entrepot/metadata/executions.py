"""What is shown of executions and tasks: records and paged lists with exact totals. For use inside `db.read`."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import executions, tasks
from entrepot.model.errors import TaskUnknown
from entrepot.model.ids import ExecutionId, Micros, TaskId, TenantId
from entrepot.model.work import Status


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of something. `summary`: its tasks' numbers added up."""

    id: ExecutionId
    kind: str
    tenant: TenantId | None
    target: str
    trigger: str
    actor: str
    status: Status
    summary: dict[str, Any]
    created_at: Micros
    started_at: Micros | None
    finished_at: Micros | None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as people see it. `progress` is its summary once it succeeded, `error` what its last attempt ended with."""

    id: TaskId
    execution: ExecutionId | None
    kind: str
    target: str
    status: Status
    arguments: dict[str, Any]
    attempts: int
    max_attempts: int
    run_after: Micros
    cancel_requested: bool
    progress: dict[str, Any]
    error: str | None
    created_at: Micros
    started_at: Micros | None
    finished_at: Micros | None


def get_execution(conn: Connection, execution: ExecutionId) -> Execution:
    """The execution. TaskUnknown."""
    row = conn.execute(sa.select(executions).where(executions.c.id == execution)).first()
    if row is None:
        raise TaskUnknown(str(execution))
    return _execution(row)


def get_task(conn: Connection, task: TaskId) -> TaskRecord:
    """The task. TaskUnknown."""
    row = conn.execute(sa.select(tasks).where(tasks.c.id == task)).first()
    if row is None:
        raise TaskUnknown(str(task))
    return _record(row)


def find_executions(
    conn: Connection,
    *,
    target: str | None = None,
    kind: str | None = None,
    tenant: TenantId | None = None,
    status: Status | None = None,
    offset: int = 0,
    limit: int = 100,
) -> tuple[list[Execution], int]:
    """A page of the executions that match all that is given, newest first, and how many there are."""
    wanted = {"target": target, "kind": kind, "tenant_id": tenant, "status": status}
    where = [executions.c[name] == value for name, value in wanted.items() if value is not None]
    query = (
        sa.select(executions)
        .where(*where)
        .order_by(executions.c.created_at.desc(), executions.c.id.desc())
    )
    rows = conn.execute(query.limit(limit).offset(offset))
    return [_execution(row) for row in rows], _count(conn, executions, where)


def find_tasks(
    conn: Connection,
    *,
    execution: ExecutionId | None = None,
    kind: str | None = None,
    status: Status | None = None,
    offset: int = 0,
    limit: int = 100,
) -> tuple[list[TaskRecord], int]:
    """A page of the tasks that match all that is given, oldest first, and how many there are."""
    wanted = {"execution_id": execution, "kind": kind, "status": status}
    where = [tasks.c[name] == value for name, value in wanted.items() if value is not None]
    query = sa.select(tasks).where(*where).order_by(tasks.c.id)
    rows = conn.execute(query.limit(limit).offset(offset))
    return [_record(row) for row in rows], _count(conn, tasks, where)


def count_tasks(conn: Connection, *, execution: ExecutionId | None = None) -> dict[Status, int]:
    """How many tasks have each status: of an execution, or of all."""
    query = sa.select(tasks.c.status, sa.func.count()).group_by(tasks.c.status)
    if execution is not None:
        query = query.where(tasks.c.execution_id == execution)
    return {Status(status): int(number) for status, number in conn.execute(query)}


def _count(conn: Connection, table: sa.Table, where: list[sa.ColumnElement[bool]]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(*where)
    return int(conn.execute(query).scalar_one())


def _execution(row: Any) -> Execution:
    return Execution(
        id=ExecutionId(row.id),
        kind=row.kind,
        tenant=None if row.tenant_id is None else TenantId(row.tenant_id),
        target=row.target,
        trigger=row.trigger,
        actor=row.actor,
        status=Status(row.status),
        summary=row.summary,
        created_at=Micros(row.created_at),
        started_at=None if row.started_at is None else Micros(row.started_at),
        finished_at=None if row.finished_at is None else Micros(row.finished_at),
    )


def _record(row: Any) -> TaskRecord:
    return TaskRecord(
        id=TaskId(row.id),
        execution=None if row.execution_id is None else ExecutionId(row.execution_id),
        kind=row.kind,
        target=row.target,
        status=Status(row.status),
        arguments=row.arguments,
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        run_after=Micros(row.run_after),
        cancel_requested=row.cancel_requested,
        progress=row.progress,
        error=row.error,
        created_at=Micros(row.created_at),
        started_at=None if row.started_at is None else Micros(row.started_at),
        finished_at=None if row.finished_at is None else Micros(row.finished_at),
    )
