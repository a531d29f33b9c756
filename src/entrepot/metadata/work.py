"""Executions and tasks as rows: deferring work, watching it, cancelling it, forgetting it.

What a worker does with tasks (claim, heartbeat, finish) is in `leases.py`; when a schedule starts them in `schedules.py`.
Every function here is for use inside `db.write` or `db.read`.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from entrepot.metadata.database import now
from entrepot.metadata.schema import executions, tasks
from entrepot.model.ids import ExecutionId, TaskId
from entrepot.model.work import NewTask, Status

WAKE_CHANNEL = "jobs"  # hints on it carry a task kind; workers poll as well
FINAL = tuple(status.value for status in Status if status.is_final)


def defer(conn: Connection, task: NewTask) -> TaskId | None:
    """Write a task that runs once this transaction has committed. None: one with its `unique_key` waits already."""
    moment = now(conn)
    row = {
        "execution_id": task.execution,
        "kind": task.kind,
        "target": task.target,
        "priority": task.priority,
        "status": Status.PENDING.value,
        "arguments": task.arguments,
        "unique_key": task.unique_key,
        "attempts": 0,
        "max_attempts": task.max_attempts,
        "run_after": moment + round(task.delay_seconds * 1_000_000),
        "cancel_requested": False,
        "progress": {},
        "created_at": moment,
    }
    found = conn.execute(_insert(conn, row).returning(tasks.c.id)).scalar()
    if found is None:
        return None
    if task.execution is not None:
        _reopen(conn, task.execution)
    return TaskId(int(found))


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


def _reopen(conn: Connection, execution: ExecutionId) -> None:
    """An execution that was over runs again when it is given another task."""
    conn.execute(
        executions.update()
        .where(executions.c.id == execution, executions.c.status.in_(FINAL))
        .values(status=Status.RUNNING.value, finished_at=None)
    )
