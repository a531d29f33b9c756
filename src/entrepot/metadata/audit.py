"""The audit trail: changes, denials, logins. Written in the transaction of what it tells of, or in batches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import audit
from entrepot.model.ids import Micros, TenantId


class Outcome(StrEnum):
    """How it ended."""

    DONE = "done"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what, from where. `happened_at` None: now, by the database. Never a secret in `details`."""

    actor: str
    action: str
    resource: str
    outcome: Outcome
    tenant: TenantId | None = None
    source: str = ""
    request_id: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    happened_at: Micros | None = None


def record(conn: Connection, entry: AuditEntry) -> None:
    """Write one entry."""
    record_all(conn, (entry,))


def record_all(conn: Connection, entries: Iterable[AuditEntry]) -> None:
    """Write many entries."""
    at = now(conn)
    rows = [
        {
            "happened_at": at if entry.happened_at is None else entry.happened_at,
            "tenant_id": entry.tenant,
            "actor": entry.actor,
            "source": entry.source,
            "action": entry.action,
            "resource": entry.resource,
            "outcome": entry.outcome.value,
            "request_id": entry.request_id,
            "details": dict(entry.details),
        }
        for entry in entries
    ]
    if rows:
        conn.execute(sa.insert(audit), rows)


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as it stands in the trail."""

    id: int
    entry: AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for; what is None or empty is not looked at. `before`: entries behind this one (moment and id), to go on from a page."""

    tenant: TenantId | None = None
    since: Micros | None = None
    until: Micros | None = None
    action: str = ""  # exact, or `namespace.*`
    outcome: Outcome | None = None
    before: tuple[Micros, int] | None = None
    limit: int = 100


def find(conn: Connection, search: Search) -> list[Recorded]:
    """Entries that match, newest first, at most `limit`."""
    query = sa.select(audit).where(*_conditions(search)).limit(search.limit)
    order = (audit.c.happened_at.desc(), audit.c.id.desc())
    return [_recorded(row) for row in conn.execute(query.order_by(*order))]


def _conditions(search: Search) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if search.tenant is not None:
        found.append(audit.c.tenant_id == search.tenant)
    if search.since is not None:
        found.append(audit.c.happened_at >= search.since)
    if search.until is not None:
        found.append(audit.c.happened_at < search.until)
    if search.action.endswith("*"):
        found.append(audit.c.action.startswith(search.action[:-1], autoescape=True))
    elif search.action:
        found.append(audit.c.action == search.action)
    if search.outcome is not None:
        found.append(audit.c.outcome == search.outcome.value)
    if search.before is not None:
        at, number = search.before
        is_older = audit.c.happened_at < at
        found.append(is_older | ((audit.c.happened_at == at) & (audit.c.id < number)))
    return found


def _recorded(row: Any) -> Recorded:
    entry = AuditEntry(
        actor=row.actor,
        action=row.action,
        resource=row.resource,
        outcome=Outcome(row.outcome),
        tenant=None if row.tenant_id is None else TenantId(row.tenant_id),
        source=row.source,
        request_id=row.request_id,
        details=dict(row.details),
        happened_at=Micros(row.happened_at),
    )
    return Recorded(int(row.id), entry)


# -- retention --------------------------------------------------------------------------------------------------------


def purge(conn: Connection, before: Micros, *, limit: int = 1000) -> int:
    """Forget entries older than that, oldest first; how many went."""
    past = (
        sa.select(audit.c.id)
        .where(audit.c.happened_at < before)
        .order_by(audit.c.happened_at)
        .limit(limit)
    )
    result = conn.execute(sa.delete(audit).where(audit.c.id.in_(past)))
    return result.rowcount


def is_purge_wanted(conn: Connection, before: Micros) -> bool:
    """Whether any entry is older than that."""
    old = sa.exists().where(audit.c.happened_at < before)
    return bool(conn.execute(sa.select(old)).scalar())
