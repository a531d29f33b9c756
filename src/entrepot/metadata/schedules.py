"""Schedules: what starts by the clock, each in its own time zone.

A tenant's schedule starts an execution; one of the deployment's own (no tenant) defers a lone task. Runs missed while nothing was
up become one. A schedule whose last run is still not over skips its turn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from cronsim import CronSim, CronSimError
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import executions, schedules
from entrepot.metadata.upsert import insert_or_set
from entrepot.metadata.work import defer, start_execution
from entrepot.model.errors import ValueInvalid
from entrepot.model.ids import Micros, TenantId
from entrepot.model.work import NewTask, Status

_UNFINISHED = (Status.PENDING.value, Status.RUNNING.value)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When tasks of a kind start on a target. `cron` has five fields (Debian's rules), read in `timezone` (an IANA name)."""

    kind: str
    target: str
    cron: str
    timezone: str = "UTC"
    tenant: TenantId | None = None
    enabled: bool = True
    next_at: Micros | None = None  # computed; `upsert` ignores it and `last_at`
    last_at: Micros | None = None


def next_run(cron: str, timezone: str, *, after: Micros) -> Micros:
    """The first moment after `after` that the expression means. ValueInvalid for a bad one, a bad zone, or one that never comes.

    A time of day that a change of clocks skips runs right behind the gap; one that comes twice runs the first time.
    """
    if len(cron.split()) != 5:
        raise ValueInvalid("cron", "it must have five fields")
    try:
        moments = CronSim(cron, datetime.fromtimestamp(after // 1_000_000, _zone(timezone)))
    except CronSimError as error:
        raise ValueInvalid("cron", str(error)) from error
    for moment in moments:
        at = int(moment.timestamp()) * 1_000_000
        if at > after:  # the first of two 02:30 lies before an `after` inside the second hour
            return Micros(at)
    raise ValueInvalid("cron", "it never comes")


def _zone(name: str) -> tzinfo:
    if name == "UTC":  # also where the system has no zone files
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueInvalid("timezone", "no such time zone") from error


def upsert(conn: Connection, schedule: Schedule, arguments: Mapping[str, Any]) -> Micros:
    """Make or change the schedule of this kind and target. When it runs next. ValueInvalid.

    An unchanged time keeps its next run, also one that is overdue; what was disabled begins anew.
    """
    old = conn.execute(sa.select(schedules).where(*_is(schedule.kind, schedule.target))).first()
    same_time = old is not None and (old.cron, old.timezone) == (schedule.cron, schedule.timezone)
    if old is not None and same_time and old.enabled:
        next_at = Micros(old.next_at)
    else:
        next_at = next_run(schedule.cron, schedule.timezone, after=Micros(now(conn)))
    values = {
        "tenant_id": schedule.tenant,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "arguments": dict(arguments),
        "enabled": schedule.enabled,
        "next_at": next_at,
    }
    key = {"kind": schedule.kind, "target": schedule.target}
    insert_or_set(conn, schedules, {**key, **values}, key=list(key), set_=values)
    return next_at


def get(conn: Connection, kind: str, target: str) -> Schedule | None:
    """The schedule of this kind and target."""
    row = conn.execute(sa.select(schedules).where(*_is(kind, target))).first()
    if row is None:
        return None
    return Schedule(
        kind=row.kind,
        target=row.target,
        cron=row.cron,
        timezone=row.timezone,
        tenant=None if row.tenant_id is None else TenantId(row.tenant_id),
        enabled=row.enabled,
        next_at=Micros(row.next_at),
        last_at=None if row.last_at is None else Micros(row.last_at),
    )


def remove(conn: Connection, kind: str, target: str) -> bool:
    """Forget the schedule; what it started goes on. Whether there was one."""
    return conn.execute(schedules.delete().where(*_is(kind, target))).rowcount > 0


def _is(kind: str, target: str) -> tuple[sa.ColumnElement[bool], ...]:
    return schedules.c.kind == kind, schedules.c.target == target


# -- starting ---------------------------------------------------------------------------------------------------------


def is_due(conn: Connection) -> bool:
    """Whether `start_due` would do something."""
    due = sa.exists().where(schedules.c.enabled, schedules.c.next_at <= now(conn))
    return bool(conn.execute(sa.select(due)).scalar())


def start_due(conn: Connection, *, limit: int = 50) -> int:
    """Start what is due, each once however many workers ask. How many started."""
    moment = now(conn)
    rows = conn.execute(
        sa.select(schedules)
        .where(schedules.c.enabled, schedules.c.next_at <= moment)
        .order_by(schedules.c.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return sum(_start(conn, row, moment) for row in rows)


def _start(conn: Connection, row: Any, moment: int) -> bool:
    next_at, enabled = row.next_at, True
    try:
        next_at = next_run(row.cron, row.timezone, after=Micros(moment))
    except ValueInvalid:  # the system lost the zone, or the last run of its kind: never a loop
        enabled = False
    won = conn.execute(
        schedules.update()
        .where(schedules.c.id == row.id, schedules.c.next_at == row.next_at)
        .values(next_at=next_at, enabled=enabled)
    )
    if won.rowcount == 0 or _is_unfinished(conn, row):
        return False
    _begin(conn, row)
    conn.execute(schedules.update().where(schedules.c.id == row.id).values(last_at=moment))
    return True


def _is_unfinished(conn: Connection, row: Any) -> bool:
    last = sa.exists().where(
        executions.c.kind == row.kind,
        executions.c.target == row.target,
        executions.c.status.in_(_UNFINISHED),
    )
    return row.tenant_id is not None and bool(conn.execute(sa.select(last)).scalar())


def _begin(conn: Connection, row: Any) -> None:
    task = NewTask(kind=row.kind, target=row.target, arguments=row.arguments)
    if row.tenant_id is not None:
        start_execution(
            conn,
            row.kind,
            target=row.target,
            trigger="schedule",
            actor="schedule",
            tenant=TenantId(row.tenant_id),
            tasks=[task],
        )
    else:
        key = f"schedule:{row.kind}:{row.target}"
        defer(conn, NewTask(task.kind, task.target, task.arguments, unique_key=key))
