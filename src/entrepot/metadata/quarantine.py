"""Blobs whose bytes are not what they should be: set aside, and healed when the right bytes are there again.

A quarantined row keeps its links, so that the repositories that had it get a healthy one back; it is never shown, mounted or
linked. The collector takes it when it has no links any more.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import collection
from entrepot.metadata.collection import holder_of
from entrepot.metadata.database import now
from entrepot.metadata.reviews import ReviewKind
from entrepot.metadata.schema import LIVE, blobs, repositories, repository_blobs
from entrepot.model.ids import BlobId

_BATCH = 400


def quarantine(conn: Connection, blob: BlobId) -> bool:
    """Set a live blob aside; False if it is not live (any more)."""
    changed = conn.execute(
        sa.update(blobs)
        .where(blobs.c.id == blob, blobs.c.state == LIVE)
        .values(state="quarantined", scrubbed_at=now(conn))
    )
    return changed.rowcount > 0


def release(conn: Connection, blob: BlobId, *, delay_seconds: float) -> bool:
    """The bytes of a quarantined blob were found right: make it live, or give its links to the one that is. False: not quarantined."""
    row = conn.execute(
        sa.select(blobs.c.digest).where(blobs.c.id == blob, blobs.c.state == "quarantined")
    ).first()
    if row is None:
        return False
    healthy = conn.execute(
        sa.select(blobs.c.id).where(blobs.c.digest == row.digest, blobs.c.state == LIVE)
    ).scalar()
    if healthy is not None:
        heal(conn, row.digest, BlobId(healthy), delay_seconds=delay_seconds)
    else:
        conn.execute(
            sa.update(blobs).where(blobs.c.id == blob).values(state="live", scrubbed_at=now(conn))
        )
    return True


def heal(conn: Connection, digest: str, healthy: BlobId, *, delay_seconds: float) -> int:
    """Give the links of quarantined rows of the digest to its live one; how many. For the transaction that makes the live row."""
    rows = conn.execute(
        sa.select(blobs.c.id).where(blobs.c.state == "quarantined", blobs.c.digest == digest)
    )
    moved = 0
    for (number,) in rows.all():
        moved += _move_links(conn, BlobId(number), healthy)
        collection.ensure_review(
            conn, ReviewKind.BLOB, number, after_seconds=delay_seconds, reason="healed"
        )
    if moved:
        collection.ensure_review(
            conn, ReviewKind.BLOB, healthy, after_seconds=delay_seconds, reason="healed"
        )
    return moved


def _move_links(conn: Connection, old: BlobId, new: BlobId) -> int:
    already = sa.select(repository_blobs.c.repository_id).where(repository_blobs.c.blob_id == new)
    doubled = conn.execute(
        sa.select(repositories.c.id, repositories.c.namespace_id, repositories.c.deleted_at)
        .join(repository_blobs, repository_blobs.c.repository_id == repositories.c.id)
        .where(repository_blobs.c.blob_id == old, repositories.c.id.in_(already))
    ).all()
    size = collection.size_of(conn, old)
    for row in doubled:  # counted for both links
        collection.count(conn, holder_of(row), -size)
        conn.execute(
            sa.delete(repository_blobs).where(
                repository_blobs.c.repository_id == row.id, repository_blobs.c.blob_id == old
            )
        )
    changed = conn.execute(
        sa.update(repository_blobs).where(repository_blobs.c.blob_id == old).values(blob_id=new)
    )
    return changed.rowcount


def mark_scrubbed(conn: Connection, numbers: Sequence[BlobId]) -> None:
    """Their bytes were just found right."""
    for start in range(0, len(numbers), _BATCH):
        conn.execute(
            sa.update(blobs)
            .where(blobs.c.id.in_(numbers[start : start + _BATCH]))
            .values(scrubbed_at=now(conn))
        )
