"""Rows as the blob store is compared with them: blobs in key order, known keys, upload sessions, what scrub looks at next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import (
    blobs,
    manifest_references,
    manifests,
    repositories,
    repository_blobs,
    reviews,
    tags,
    upload_sessions,
)
from entrepot.metadata.uploads import session_of
from entrepot.model.content import UploadSession
from entrepot.model.ids import BlobId, ManifestId, Micros, RepositoryId

_BATCH = 400


@dataclass(frozen=True, slots=True)
class BlobRow:
    """A blob row with its state."""

    id: BlobId
    digest: str
    size: int
    object_key: str
    state: str


def _row(row: Any) -> BlobRow:
    return BlobRow(BlobId(row.id), row.digest, row.size, row.object_key, row.state)


def blobs_by_key(conn: Connection, after: str, *, limit: int) -> list[BlobRow]:
    """Blob rows of any state in key order."""
    query = sa.select(blobs).where(blobs.c.object_key > after)
    return [_row(row) for row in conn.execute(query.order_by(blobs.c.object_key).limit(limit))]


def known_keys(conn: Connection, keys: Sequence[str]) -> set[str]:
    """Which of the keys a blob or an upload session has."""
    found: set[str] = set()
    for start in range(0, len(keys), _BATCH):
        some = keys[start : start + _BATCH]
        for table in (blobs, upload_sessions):
            query = sa.select(table.c.object_key).where(table.c.object_key.in_(some))
            found.update(key for (key,) in conn.execute(query))
    return found


def state_of(conn: Connection, blob: BlobId) -> str | None:
    """The state of a blob row; None if it is gone."""
    return conn.execute(sa.select(blobs.c.state).where(blobs.c.id == blob)).scalar()


def sessions(conn: Connection, after: str, *, limit: int) -> list[UploadSession]:
    """Upload sessions in order of their ids."""
    query = sa.select(upload_sessions).where(upload_sessions.c.id > after)
    rows = conn.execute(query.order_by(upload_sessions.c.id).limit(limit))
    return [session_of(row) for row in rows]


def sessions_of_deleted(conn: Connection, before: Micros, *, limit: int) -> list[UploadSession]:
    """Upload sessions in repositories that were deleted before the moment: nobody can go on with them."""
    rows = conn.execute(
        sa.select(upload_sessions)
        .join(repositories, repositories.c.id == upload_sessions.c.repository_id)
        .where(repositories.c.deleted_at < before)
        .limit(limit)
    )
    return [session_of(row) for row in rows]


# -- scrub ------------------------------------------------------------------------------------------------------------


def _scrub_due(before: Micros) -> sa.ColumnElement[bool]:
    never = sa.and_(blobs.c.scrubbed_at.is_(None), blobs.c.created_at < before)
    return sa.and_(blobs.c.state != "condemned", sa.or_(blobs.c.scrubbed_at < before, never))


def is_scrub_due(conn: Connection, before: Micros) -> bool:
    """Whether a blob was not looked at since the moment."""
    return bool(conn.execute(sa.select(sa.exists().where(_scrub_due(before)))).scalar())


def to_scrub(
    conn: Connection,
    *,
    before: Micros | None = None,
    repository: RepositoryId | None = None,
    after: int = 0,
    limit: int,
) -> list[BlobRow]:
    """Blobs in order of their ids: not looked at since the moment, or of one repository, or all."""
    query = sa.select(blobs).where(blobs.c.id > after, blobs.c.state != "condemned")
    if before is not None:
        query = query.where(_scrub_due(before))
    if repository is not None:
        query = query.join(repository_blobs, repository_blobs.c.blob_id == blobs.c.id).where(
            repository_blobs.c.repository_id == repository
        )
    return [_row(row) for row in conn.execute(query.order_by(blobs.c.id).limit(limit))]


def scrub_total(
    conn: Connection, *, before: Micros | None = None, repository: RepositoryId | None = None
) -> tuple[int, int]:
    """How many blobs `to_scrub` would give in all, and their bytes."""
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(blobs.c.size), 0)).where(
        blobs.c.state != "condemned"
    )
    if before is not None:
        query = query.where(_scrub_due(before))
    if repository is not None:
        query = query.join(repository_blobs, repository_blobs.c.blob_id == blobs.c.id).where(
            repository_blobs.c.repository_id == repository
        )
    total, size = conn.execute(query).one()
    return int(total), int(size)


def quarantined(conn: Connection, *, limit: int) -> list[BlobRow]:
    """Blobs set aside."""
    query = sa.select(blobs).where(blobs.c.state == "quarantined").order_by(blobs.c.id)
    return [_row(row) for row in conn.execute(query.limit(limit))]


# -- reviews that should be there -------------------------------------------------------------------------------------


def _unreviewed(kind: str, column: "sa.Column[Any]") -> sa.ColumnElement[bool]:
    return sa.not_(sa.exists().where(reviews.c.kind == kind, reviews.c.subject_id == column))


def late_manifests(
    conn: Connection, before: Micros, *, soon: Micros, limit: int
) -> list[ManifestId]:
    """Manifests deleted before the moment that have no review before `soon`, failing ones aside."""
    waits = sa.exists().where(
        reviews.c.kind == "manifest",
        reviews.c.subject_id == manifests.c.id,
        sa.or_(reviews.c.review_after <= soon, reviews.c.attempts > 0),
    )
    query = sa.select(manifests.c.id).where(manifests.c.deleted_at < before, sa.not_(waits))
    return [ManifestId(number) for (number,) in conn.execute(query.limit(limit))]


def forgotten_repositories(conn: Connection, *, limit: int) -> list[RepositoryId]:
    """Deleted repositories without a review."""
    query = sa.select(repositories.c.id).where(
        repositories.c.deleted_at.is_not(None), _unreviewed("repository", repositories.c.id)
    )
    return [RepositoryId(number) for (number,) in conn.execute(query.limit(limit))]


def last_blob(conn: Connection) -> int:
    """The highest id of a blob; 0 if there is none."""
    return conn.execute(sa.select(sa.func.max(blobs.c.id))).scalar() or 0


def unlinked_blobs(conn: Connection, after: int, until: int) -> list[BlobId]:
    """Blobs of ids in (after, until] without links and without a review."""
    linked = sa.exists().where(repository_blobs.c.blob_id == blobs.c.id)
    query = sa.select(blobs.c.id).where(
        blobs.c.id > after,
        blobs.c.id <= until,
        blobs.c.state != "condemned",
        sa.not_(linked),
        _unreviewed("blob", blobs.c.id),
    )
    return [BlobId(number) for (number,) in conn.execute(query)]


def idle_links(conn: Connection, repository: int) -> list[BlobId]:
    """Blobs without a review that the repository has although none of its manifests names them."""
    named = sa.exists().where(
        manifest_references.c.repository_id == repository_blobs.c.repository_id,
        manifest_references.c.digest == blobs.c.digest,
        manifest_references.c.role.in_(("config", "layer")),
    )
    query = (
        sa.select(blobs.c.id)
        .join(repository_blobs, repository_blobs.c.blob_id == blobs.c.id)
        .where(
            repository_blobs.c.repository_id == repository,
            sa.not_(named),
            _unreviewed("blob", blobs.c.id),
        )
    )
    return [BlobId(number) for (number,) in conn.execute(query)]


def untagged_manifests(conn: Connection, repository: int) -> list[ManifestId]:
    """Living manifests of the repository without a tag, in no index, without a subject, and without a review."""
    tagged = sa.exists().where(tags.c.manifest_id == manifests.c.id, tags.c.valid_until.is_(None))
    listed = sa.exists().where(
        manifest_references.c.repository_id == manifests.c.repository_id,
        manifest_references.c.digest == manifests.c.digest,
        manifest_references.c.role == "manifest",
    )
    query = sa.select(manifests.c.id).where(
        manifests.c.repository_id == repository,
        manifests.c.deleted_at.is_(None),
        manifests.c.subject_digest.is_(None),
        sa.not_(tagged),
        sa.not_(listed),
        _unreviewed("manifest", manifests.c.id),
    )
    return [ManifestId(number) for (number,) in conn.execute(query)]
