"""Which waiting tasks a worker takes: what is due, within limits that hold for the whole deployment. Times are the database's.

A limit is counted in the transaction that claims. What is at its limit is left out of the query, so a backlog of it is not in
anybody's way.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import executions, tasks
from entrepot.metadata.work import PENDING, RUNNING
from entrepot.model.ids import ExecutionId, Micros, TaskId, TenantId
from entrepot.model.work import Status, Task

_SPREAD: Final = 4  # candidates looked at for each task wanted: some may be over a limit


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of task a worker can run. Limits count the whole deployment; None: no limit.

    `per_tenant` is for long work: all kinds that have such a limit count together for one tenant.
    """

    kind: str
    lease_seconds: float
    concurrency: int | None = None  # of the kind
    per_target: int | None = None  # of the kind on one target
    per_tenant: int | None = None

    @property
    def is_long(self) -> bool:
        """Whether it is work that may hold a slot for hours."""
        return self.per_tenant is not None


@dataclass(slots=True)
class _Used:
    """What runs: by kind, by kind and target, and long work by tenant."""

    offers: Mapping[str, Offer]
    kinds: Counter[str] = field(default_factory=Counter)
    targets: Counter[tuple[str, str]] = field(default_factory=Counter)
    tenants: Counter[int] = field(default_factory=Counter)

    def add(self, row: Any, number: int = 1) -> None:
        """So many more like this row."""
        self.kinds[row.kind] += number
        self.targets[row.kind, row.target] += number
        if row.tenant_id is not None and self.offers[row.kind].is_long:
            self.tenants[row.tenant_id] += number

    def has_room(self, row: Any) -> bool:
        """Whether one like this row may run beside."""
        offer = self.offers[row.kind]
        return (
            _fits(offer.concurrency, self.kinds[row.kind])
            and _fits(offer.per_target, self.targets[row.kind, row.target])
            and (row.tenant_id is None or _fits(offer.per_tenant, self.tenants[row.tenant_id]))
        )


def claim(
    conn: Connection, offers: Sequence[Offer], *, limit: int, most_long: int | None = None
) -> list[Task]:
    """Up to `limit` due tasks, `most_long` of them long, by priority, then by when they became due, within the offers' limits. Now
    the caller's alone."""
    moment = now(conn)
    if most_long is None:
        most_long = limit
    used = _running(conn, {offer.kind: offer for offer in offers})
    open_offers = {
        offer.kind: offer
        for offer in offers
        if _fits(offer.concurrency, used.kinds[offer.kind]) and (most_long > 0 or not offer.is_long)
    }
    if limit < 1 or not open_offers:
        return []
    rows = conn.execute(_candidates(open_offers, used, moment, limit=limit * _SPREAD)).all()
    chosen = _within_limits(rows, used, limit=limit, most_long=most_long)
    return _take(conn, chosen, open_offers, moment)


def _running(conn: Connection, offers: Mapping[str, Offer]) -> _Used:
    query = (
        sa.select(tasks.c.kind, tasks.c.target, tasks.c.tenant_id, sa.func.count().label("number"))
        .where(tasks.c.status == RUNNING, tasks.c.kind.in_(list(offers)))
        .group_by(tasks.c.kind, tasks.c.target, tasks.c.tenant_id)
    )
    used = _Used(offers)
    for row in conn.execute(query):
        used.add(row, row.number)
    return used


def _fits(limit: int | None, used: int) -> bool:
    return limit is None or used < limit


def _candidates(
    offers: Mapping[str, Offer], used: _Used, moment: int, *, limit: int
) -> sa.Select[Any]:
    query = (
        sa.select(tasks)
        .where(
            tasks.c.status == PENDING,
            tasks.c.run_after <= moment,
            tasks.c.kind.in_(list(offers)),
        )
        .order_by(tasks.c.priority.desc(), tasks.c.run_after, tasks.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)  # SQLite has one writer and ignores it
    )
    for kind, offer in offers.items():
        full = [
            target
            for (its, target), number in used.targets.items()
            if its == kind and not _fits(offer.per_target, number)
        ]
        if full:
            query = query.where(sa.not_(sa.and_(tasks.c.kind == kind, tasks.c.target.in_(full))))
    for offer in offers.values():
        full_tenants = [
            number for number, held in used.tenants.items() if not _fits(offer.per_tenant, held)
        ]
        if offer.is_long and full_tenants:
            theirs = sa.func.coalesce(tasks.c.tenant_id, 0).in_(full_tenants)
            query = query.where(sa.not_(sa.and_(tasks.c.kind == offer.kind, theirs)))
    return query


def _within_limits(rows: Iterable[Any], used: _Used, *, limit: int, most_long: int) -> list[Any]:
    """The first rows that fit beside what runs and beside each other."""
    chosen: list[Any] = []
    for row in rows:
        is_long = used.offers[row.kind].is_long
        if len(chosen) < limit and used.has_room(row) and (most_long > 0 or not is_long):
            chosen.append(row)
            used.add(row)
            most_long -= is_long
    return chosen


def _take(
    conn: Connection, rows: Sequence[Any], offers: Mapping[str, Offer], moment: int
) -> list[Task]:
    token = secrets.token_hex(16)
    leases: dict[float, list[int]] = {}
    for row in rows:
        leases.setdefault(offers[row.kind].lease_seconds, []).append(row.id)
    for lease_seconds, ids in leases.items():
        conn.execute(
            tasks.update()
            .where(tasks.c.id.in_(ids))
            .values(
                status=Status.RUNNING.value,
                attempts=tasks.c.attempts + 1,
                lease_token=token,
                lease_until=moment + round(lease_seconds * 1_000_000),
                started_at=sa.func.coalesce(tasks.c.started_at, moment),
            )
        )
    if begun := [row.execution_id for row in rows if row.execution_id is not None]:
        conn.execute(
            executions.update()
            .where(executions.c.id.in_(begun), executions.c.status == Status.PENDING.value)
            .values(status=Status.RUNNING.value, started_at=moment)
        )
    return [task_of(row, token, attempts=row.attempts + 1) for row in rows]


def task_of(row: Any, token: str, *, attempts: int) -> Task:
    """A row as a claim of it."""
    return Task(
        id=TaskId(row.id),
        kind=row.kind,
        target=row.target,
        arguments=row.arguments,
        execution=None if row.execution_id is None else ExecutionId(row.execution_id),
        attempts=attempts,
        max_attempts=row.max_attempts,
        lease_token=token,
        created_at=Micros(row.created_at),
        tenant=None if row.tenant_id is None else TenantId(row.tenant_id),
    )
