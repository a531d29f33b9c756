"""What the collector has before it and behind it: for `gc status`, metrics and doctor."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import collection, counters
from entrepot.metadata.database import now
from entrepot.metadata.schema import blobs, repository_blobs, reviews


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the collector has before it. Ages are seconds; `reclaimable` is what the due blob reviews would give back now."""

    waiting: int
    overdue: int
    oldest_overdue_seconds: float
    failing: int  # reviews that were tried in vain
    condemned: int
    condemned_bytes: int
    quarantined: int
    reclaimable: int
    reclaimable_bytes: int
    reclaimed: int  # objects, since ever
    reclaimed_bytes: int


def backlog(conn: Connection, delay: int) -> Backlog:
    """Counted now: reads every waiting review."""
    moment = now(conn)
    is_due = reviews.c.review_after <= moment
    waiting, overdue, oldest, failing = conn.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(sa.case((is_due, 1), else_=0)), 0),
            sa.func.min(reviews.c.review_after),
            sa.func.coalesce(sa.func.sum(sa.case((reviews.c.attempts > 0, 1), else_=0)), 0),
        )
    ).one()
    doomed, doomed_bytes = _blobs_in(conn, blobs.c.state == "condemned")
    quarantined, _ = _blobs_in(conn, blobs.c.state == "quarantined")
    objects, freed = reclaimable(conn, delay)
    return Backlog(
        waiting=int(waiting),
        overdue=int(overdue),
        oldest_overdue_seconds=max(0.0, (moment - oldest) / 1e6) if oldest is not None else 0.0,
        failing=int(failing),
        condemned=doomed,
        condemned_bytes=doomed_bytes,
        quarantined=quarantined,
        reclaimable=objects,
        reclaimable_bytes=freed,
        reclaimed=counters.value(conn, *collection.DEPLOYMENT, "reclaimed_objects"),
        reclaimed_bytes=counters.value(conn, *collection.DEPLOYMENT, "reclaimed_bytes"),
    )


def reclaimable(conn: Connection, delay: int) -> tuple[int, int]:
    """Objects and bytes that the due blob reviews would give back."""
    moment = now(conn)
    wanted = sa.exists(
        sa.select(repository_blobs.c.blob_id)
        .where(repository_blobs.c.blob_id == blobs.c.id, collection.needed(moment, delay))
        .correlate(blobs)
    )
    due = sa.exists().where(collection.review_of_blob(), reviews.c.review_after <= moment)
    return _blobs_in(conn, blobs.c.state != "condemned", due, sa.not_(wanted))


def _blobs_in(conn: Connection, *which: sa.ColumnElement[bool]) -> tuple[int, int]:
    total, size = conn.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(blobs.c.size), 0)).where(*which)
    ).one()
    return int(total), int(size)
