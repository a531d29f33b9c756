"""The audit trail: changes, denials, logins. Written in the transaction of what it tells of, or in batches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

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
