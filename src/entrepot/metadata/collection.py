"""What the collector asks of blobs and their links: which links nothing needs, which blobs nobody has, what is condemned.

A link is needed while a manifest of its repository that is not purged names the blob, while the link is younger than the
collector's delay, and while an upload session is open in the repository that was started within that delay of it (a push under way
finds its first layers however long the last one takes). Lengths of time are microseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import counters
from entrepot.metadata.database import now
from entrepot.metadata.reviews import ReviewKind
from entrepot.metadata.schema import (
    blobs,
    manifest_references,
    repositories,
    repository_blobs,
    reviews,
    upload_sessions,
)
from entrepot.metadata.upsert import insert_new
from entrepot.model.ids import BlobId, Micros, NamespaceId, RepositoryId

DEPLOYMENT: Final = (
    "deployment",
    0,
)  # the subject of the reclaimed_bytes and reclaimed_objects counters
_BATCH = 400


@dataclass(frozen=True, slots=True)
class Holder:
    """A repository as far as counting goes: a deleted one's bytes have left its namespace's count already."""

    repository: RepositoryId
    namespace: NamespaceId
    is_living: bool


@dataclass(frozen=True, slots=True)
class CondemnedBlob:
    """A blob row whose object is to be deleted."""

    id: BlobId
    object_key: str
    size: int
    attempts: int  # that failed


def _referenced() -> sa.ColumnElement[bool]:
    return sa.exists().where(
        manifest_references.c.repository_id == repository_blobs.c.repository_id,
        manifest_references.c.digest == blobs.c.digest,
        manifest_references.c.role.in_(("config", "layer")),
    )


def _uploading(delay: int) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        upload_sessions.c.repository_id == repository_blobs.c.repository_id,
        upload_sessions.c.started_at <= repository_blobs.c.linked_at + delay,
    )


def needed(moment: int, delay: int) -> sa.ColumnElement[bool]:
    """Of a row of repository_blobs and blobs: whether the link is."""
    young = repository_blobs.c.linked_at > moment - delay
    return sa.or_(young, _referenced(), _uploading(delay))


def _links() -> sa.FromClause:
    return repository_blobs.join(blobs, blobs.c.id == repository_blobs.c.blob_id)


def unneeded_links(conn: Connection, blob: BlobId, delay: int, *, limit: int) -> list[RepositoryId]:
    """Repositories that have the blob and nothing that needs it. Looks at every link of the blob: for `db.read`."""
    rows = conn.execute(
        sa.select(repository_blobs.c.repository_id)
        .select_from(_links())
        .where(repository_blobs.c.blob_id == blob, sa.not_(needed(now(conn), delay)))
        .limit(limit)
    )
    return [RepositoryId(number) for (number,) in rows]


def unlink_unneeded(
    conn: Connection, blob: BlobId, candidates: Sequence[RepositoryId], *, delay: int
) -> list[Holder]:
    """Take those links away that still nothing needs; whose they were."""
    holders: list[Holder] = []
    for start in range(0, len(candidates), _BATCH):
        rows = conn.execute(
            sa.select(repositories.c.id, repositories.c.namespace_id, repositories.c.deleted_at)
            .select_from(
                _links().join(repositories, repositories.c.id == repository_blobs.c.repository_id)
            )
            .where(
                repository_blobs.c.blob_id == blob,
                repository_blobs.c.repository_id.in_(candidates[start : start + _BATCH]),
                sa.not_(needed(now(conn), delay)),
            )
        )
        holders += [holder_of(row) for row in rows]
    for holder in holders:
        conn.execute(
            sa.delete(repository_blobs).where(
                repository_blobs.c.repository_id == holder.repository,
                repository_blobs.c.blob_id == blob,
            )
        )
    return holders


def holder_of(row: Any) -> Holder:
    """Of a row that begins with a repository's id, namespace and deletion."""
    number, namespace, deleted_at = row[:3]
    return Holder(RepositoryId(number), NamespaceId(namespace), deleted_at is None)


def count(conn: Connection, holder: Holder, delta: int) -> None:
    """Add to the logical bytes without asking quotas: what the collector takes away."""
    counters.add(conn, "repository", holder.repository, "bytes", delta)
    if holder.is_living:
        counters.add(conn, "namespace", holder.namespace, "bytes", delta)


def has_links(conn: Connection, blob: BlobId) -> bool:
    """Whether any repository, living or deleted, has the blob."""
    query = sa.select(repository_blobs.c.repository_id).where(repository_blobs.c.blob_id == blob)
    return conn.execute(query.limit(1)).first() is not None


def has_passing_links(conn: Connection, blob: BlobId, delay: int) -> bool:
    """Whether a link is there that only its age or an upload session may be keeping."""
    mine = repository_blobs.c.blob_id == blob
    young = sa.select(repository_blobs.c.repository_id).where(
        mine, repository_blobs.c.linked_at > now(conn) - delay
    )
    held = (
        sa.select(repository_blobs.c.repository_id)
        .join(upload_sessions, upload_sessions.c.repository_id == repository_blobs.c.repository_id)
        .where(mine, upload_sessions.c.started_at <= repository_blobs.c.linked_at + delay)
    )
    return any(conn.execute(query.limit(1)).first() is not None for query in (young, held))


def size_of(conn: Connection, blob: BlobId) -> int:
    """Its bytes; 0 if there is no such row."""
    return conn.execute(sa.select(blobs.c.size).where(blobs.c.id == blob)).scalar() or 0


def refresh_link(conn: Connection, repository: RepositoryId, blob: BlobId) -> bool:
    """Make the repository's link young again; False if the repository has no such live blob (any more)."""
    live = sa.exists().where(blobs.c.id == blob, blobs.c.state == "live")
    changed = conn.execute(
        sa.update(repository_blobs)
        .where(
            repository_blobs.c.repository_id == repository,
            repository_blobs.c.blob_id == blob,
            live,
        )
        .values(linked_at=now(conn))
    )
    return changed.rowcount > 0


# -- condemned blobs --------------------------------------------------------------------------------------------------


def is_condemned(conn: Connection, blob: BlobId) -> bool | None:
    """Whether the blob is condemned; None: there is no such row."""
    state = conn.execute(sa.select(blobs.c.state).where(blobs.c.id == blob)).scalar()
    return None if state is None else state == "condemned"


def condemn(conn: Connection, blob: BlobId) -> bool:
    """Mark a blob that no repository has; False if one has it. The row never becomes live again."""
    linked = sa.exists().where(repository_blobs.c.blob_id == blobs.c.id)
    changed = conn.execute(
        sa.update(blobs)
        .where(blobs.c.id == blob, blobs.c.state != "condemned", sa.not_(linked))
        .values(state="condemned", condemned_at=now(conn))
    )
    return changed.rowcount > 0


def condemned(conn: Connection, *, limit: int) -> list[CondemnedBlob]:
    """Condemned blobs whose objects may be there still, oldest first; without those that are to be tried again later."""
    rows = conn.execute(
        sa.select(blobs.c.id, blobs.c.object_key, blobs.c.size, reviews.c.attempts)
        .select_from(blobs.outerjoin(reviews, review_of_blob()))
        .where(
            blobs.c.state == "condemned",
            sa.or_(reviews.c.review_after.is_(None), reviews.c.review_after <= now(conn)),
        )
        .order_by(blobs.c.condemned_at)
        .limit(limit)
    )
    return [CondemnedBlob(BlobId(n), key, size, tried or 0) for n, key, size, tried in rows]


def remove_condemned(conn: Connection, gone: Sequence[CondemnedBlob]) -> tuple[int, int]:
    """Remove the rows of deleted objects. How many there were still, and their bytes."""
    sizes: list[int] = []
    for start in range(0, len(gone), _BATCH):
        numbers = [blob.id for blob in gone[start : start + _BATCH]]
        rows = conn.execute(
            sa.delete(blobs)
            .where(blobs.c.id.in_(numbers), blobs.c.state == "condemned")
            .returning(blobs.c.size)
        )
        sizes += [size for (size,) in rows]
        conn.execute(
            sa.delete(reviews).where(
                reviews.c.kind == str(ReviewKind.BLOB), reviews.c.subject_id.in_(numbers)
            )
        )
    counters.add(conn, *DEPLOYMENT, "reclaimed_objects", len(sizes))
    counters.add(conn, *DEPLOYMENT, "reclaimed_bytes", sum(sizes))
    return len(sizes), sum(sizes)


def review_of_blob() -> sa.ColumnElement[bool]:
    """Of a row of blobs and reviews: whether they belong together."""
    return sa.and_(reviews.c.kind == str(ReviewKind.BLOB), reviews.c.subject_id == blobs.c.id)


# -- the queue --------------------------------------------------------------------------------------------------------


def ensure_review(
    conn: Connection, kind: ReviewKind, subject: int, *, after_seconds: float, reason: str
) -> None:
    """Look at it after that time, or when a review that waits already comes. One that is under way is made to look again."""
    at = now(conn)
    values = {
        "kind": str(kind),
        "subject_id": subject,
        "review_after": at + int(after_seconds * 1e6),
        "reason": reason,
        "attempts": 0,
        "created_at": at,
    }
    if not insert_new(conn, reviews, values):
        conn.execute(
            sa.update(reviews)
            .where(
                reviews.c.kind == str(kind),
                reviews.c.subject_id == subject,
                reviews.c.review_after <= at,
            )
            .values(review_after=at)
        )


@dataclass(frozen=True, slots=True)
class DueReview:
    """A review whose time has come, as it was seen."""

    kind: ReviewKind
    subject: int
    review_after: Micros
    attempts: int


def due(conn: Connection, *, limit: int) -> list[DueReview]:
    """Reviews whose time has come, oldest first."""
    rows = conn.execute(
        sa.select(reviews.c.kind, reviews.c.subject_id, reviews.c.review_after, reviews.c.attempts)
        .where(reviews.c.review_after <= now(conn))
        .order_by(reviews.c.review_after)
        .limit(limit)
    )
    return [DueReview(ReviewKind(kind), n, Micros(after), tried) for kind, n, after, tried in rows]


def is_as_seen(conn: Connection, review: DueReview) -> bool:
    """Whether nothing has touched the review since: what was found out for it then still tells all."""
    row = conn.execute(
        sa.select(reviews.c.subject_id).where(
            reviews.c.kind == str(review.kind),
            reviews.c.subject_id == review.subject,
            reviews.c.review_after == review.review_after,
        )
    ).first()
    return row is not None


def any_due(conn: Connection) -> bool:
    """Whether a review is due."""
    due = sa.exists().where(reviews.c.review_after <= now(conn))
    return bool(conn.execute(sa.select(due)).scalar())


def to_the_back(conn: Connection, kind: ReviewKind, subject: int, *, reason: str) -> None:
    """A step of it is done and more is left: others that are due come first."""
    conn.execute(
        sa.update(reviews)
        .where(reviews.c.kind == str(kind), reviews.c.subject_id == subject)
        .values(review_after=now(conn), attempts=0, reason=reason)
    )


def reason_of(conn: Connection, kind: ReviewKind, subject: int) -> str | None:
    """Why a review waits; None if none does."""
    return conn.execute(
        sa.select(reviews.c.reason).where(
            reviews.c.kind == str(kind), reviews.c.subject_id == subject
        )
    ).scalar()


def past(conn: Connection, seconds: float) -> Micros:
    """The moment so long ago."""
    return Micros(now(conn) - int(seconds * 1e6))
