"""Events as rows. The transaction that changes content records what happened; where somebody waits for events of the kind, a fan-out
task hands it to them.

Nobody reads events by an id cursor: ids of concurrent transactions appear out of order, a task cannot be missed.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import work
from entrepot.metadata.schema import events
from entrepot.model.events import Event, EventKind
from entrepot.model.ids import InstanceId, Micros, NamespaceId, RepositoryId, TenantId
from entrepot.model.work import NewTask

FANOUT = "events.fanout"  # kind of the task; arguments {"event": id}
FANNED_OUT: Final = frozenset({EventKind.MANIFEST_PUSHED})
"""Kinds that a consumer wants: no others have a task, or a million removed tags would stand before everybody's pushes. `fanout_handler`
refuses consumers of kinds that are not here."""


def record(conn: Connection, event: Event) -> None:
    """Write the event and, if its kind has consumers, its fan-out task: both or, if the transaction fails, neither."""
    if event.kind not in FANNED_OUT:
        conn.execute(events.insert().values(_row(event)))
        return
    key = conn.execute(events.insert().values(_row(event)).returning(events.c.id)).scalar_one()
    work.defer(conn, _fan_out(key))


def record_all(conn: Connection, happened: Sequence[Event]) -> None:
    """Likewise for many, by few statements."""
    quiet = [_row(event) for event in happened if event.kind not in FANNED_OUT]
    if quiet:
        conn.execute(events.insert(), quiet)
    told = [_row(event) for event in happened if event.kind in FANNED_OUT]
    if told:
        keys = conn.scalars(events.insert().returning(events.c.id), told).all()
        work.defer_all(conn, [_fan_out(key) for key in sorted(keys)])


def _fan_out(key: int) -> NewTask:
    return NewTask(kind=FANOUT, arguments={"event": key})


def _row(event: Event) -> dict[str, object]:
    return {
        "kind": event.kind.value,
        "tenant_id": event.tenant,
        "instance_id": event.instance,
        "namespace_id": event.namespace,
        "repository_id": event.repository,
        "repository": event.repository_name,
        "digest": event.digest,
        "tag": event.tag,
        "actor": event.actor,
        "details": event.details,
        "happened_at": event.happened_at,
    }


def get(conn: Connection, key: int) -> Event | None:
    """The event of a fan-out task; None once it was purged."""
    row = conn.execute(sa.select(events).where(events.c.id == key)).first()
    if row is None:
        return None
    return Event(
        kind=EventKind(row.kind),
        actor=row.actor,
        happened_at=Micros(row.happened_at),
        tenant=None if row.tenant_id is None else TenantId(row.tenant_id),
        instance=None if row.instance_id is None else InstanceId(row.instance_id),
        namespace=None if row.namespace_id is None else NamespaceId(row.namespace_id),
        repository=None if row.repository_id is None else RepositoryId(row.repository_id),
        repository_name=row.repository,
        digest=row.digest,
        tag=row.tag,
        details=dict(row.details),
    )


def purge(conn: Connection, before: Micros, *, limit: int = 1000) -> int:
    """Forget up to `limit` of the oldest events that happened before the moment. How many went."""
    old = (
        sa.select(events.c.id)
        .where(events.c.happened_at < before)
        .order_by(events.c.happened_at)
        .limit(limit)
    )
    return conn.execute(events.delete().where(events.c.id.in_(old))).rowcount


def is_purge_wanted(conn: Connection, before: Micros) -> bool:
    """Whether `purge` would find something."""
    old = sa.exists().where(events.c.happened_at < before)
    return bool(conn.execute(sa.select(old)).scalar())
