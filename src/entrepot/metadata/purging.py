"""Removing for good what history no longer keeps: past tags, deleted manifests, deleted repositories. Every step is bounded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import counters
from entrepot.metadata.collection import Holder, holder_of
from entrepot.metadata.reviews import ReviewKind
from entrepot.metadata.schema import (
    blobs,
    counter_deltas,
    grants,
    manifest_references,
    manifests,
    repositories,
    repository_blobs,
    reviews,
    shares,
    tags,
    upload_sessions,
)
from entrepot.metadata.schema import counters as counter_values
from entrepot.metadata.triggers import forget_triggers
from entrepot.model.ids import BlobId, ManifestId, Micros, RepositoryId

_BATCH = 400


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """What decides about a manifest row, living or deleted."""

    id: ManifestId
    holder: Holder
    digest: str
    subject: str | None
    size: int
    pushed_at: Micros
    deleted_at: Micros | None


def manifest_facts(conn: Connection, manifest: ManifestId) -> ManifestFacts | None:
    """The facts; None if the row is gone."""
    row = conn.execute(
        sa.select(
            repositories.c.id,
            repositories.c.namespace_id,
            repositories.c.deleted_at,
            manifests.c.digest,
            manifests.c.subject_digest,
            manifests.c.size,
            manifests.c.pushed_at,
            manifests.c.deleted_at.label("manifest_deleted_at"),
        )
        .join(repositories, repositories.c.id == manifests.c.repository_id)
        .where(manifests.c.id == manifest)
    ).first()
    if row is None:
        return None
    return ManifestFacts(
        id=manifest,
        holder=holder_of(row),
        digest=row.digest,
        subject=row.subject_digest,
        size=row.size,
        pushed_at=Micros(row.pushed_at),
        deleted_at=None if row.manifest_deleted_at is None else Micros(row.manifest_deleted_at),
    )


def is_listed(conn: Connection, repository: RepositoryId, digest: str) -> bool:
    """Whether an index of the repository lists the digest, be it living or deleted and not yet purged."""
    row = conn.execute(
        sa.select(manifest_references.c.manifest_id)
        .where(
            manifest_references.c.repository_id == repository,
            manifest_references.c.digest == digest,
            manifest_references.c.role == "manifest",
        )
        .limit(1)
    ).first()
    return row is not None


def is_there(
    conn: Connection, repository: RepositoryId, digest: str, *, besides: ManifestId | None = None
) -> bool:
    """Whether the repository has a row of that digest, living or restorable, besides the one named."""
    query = sa.select(manifests.c.id).where(
        manifests.c.repository_id == repository, manifests.c.digest == digest
    )
    if besides is not None:
        query = query.where(manifests.c.id != besides)
    return conn.execute(query.limit(1)).first() is not None


def untagged_since(conn: Connection, facts: ManifestFacts) -> Micros:
    """When its last tag ended as far as history knows, or it was pushed."""
    last = conn.execute(
        sa.select(sa.func.max(tags.c.valid_until)).where(tags.c.manifest_id == facts.id)
    ).scalar()
    return facts.pushed_at if last is None else Micros(max(last, facts.pushed_at))


@dataclass(frozen=True, slots=True)
class Dependent:
    """A living manifest that goes with another."""

    id: ManifestId
    digest: str
    size: int


def orphaned_referrers(
    conn: Connection, repository: RepositoryId, subject: str, *, limit: int
) -> list[Dependent]:
    """Living manifests whose subject it is, without a tag and in no index."""
    listing = manifest_references.alias("listing")
    listed = sa.exists().where(
        listing.c.repository_id == repository,
        listing.c.digest == manifests.c.digest,
        listing.c.role == "manifest",
    )
    tagged = sa.exists().where(tags.c.manifest_id == manifests.c.id, tags.c.valid_until.is_(None))
    rows = conn.execute(
        sa.select(manifests.c.id, manifests.c.digest, manifests.c.size)
        .where(
            manifests.c.repository_id == repository,
            manifests.c.subject_digest == subject,
            manifests.c.deleted_at.is_(None),
            sa.not_(tagged),
            sa.not_(listed),
        )
        .limit(limit)
    )
    return [Dependent(ManifestId(number), digest, size) for number, digest, size in rows]


def named_blobs(conn: Connection, facts: ManifestFacts) -> list[BlobId]:
    """Blobs that the manifest names and its repository has."""
    rows = conn.execute(
        sa.select(blobs.c.id)
        .join(repository_blobs, repository_blobs.c.blob_id == blobs.c.id)
        .join(manifest_references, manifest_references.c.digest == blobs.c.digest)
        .where(
            manifest_references.c.manifest_id == facts.id,
            manifest_references.c.role.in_(("config", "layer")),
            repository_blobs.c.repository_id == facts.holder.repository,
        )
        .distinct()
    )
    return [BlobId(number) for (number,) in rows]


def living_children(conn: Connection, facts: ManifestFacts) -> list[ManifestId]:
    """Living manifests that the index lists."""
    rows = conn.execute(
        sa.select(manifests.c.id)
        .join(manifest_references, manifest_references.c.digest == manifests.c.digest)
        .where(
            manifest_references.c.manifest_id == facts.id,
            manifest_references.c.role == "manifest",
            manifests.c.repository_id == facts.holder.repository,
            manifests.c.deleted_at.is_(None),
        )
        .distinct()
    )
    return [ManifestId(number) for (number,) in rows]


def remove_manifests(conn: Connection, numbers: Sequence[ManifestId]) -> None:
    """Remove the rows with their references, their tags past and present, their counts and reviews."""
    for start in range(0, len(numbers), _BATCH):
        some = numbers[start : start + _BATCH]
        conn.execute(sa.delete(tags).where(tags.c.manifest_id.in_(some)))
        conn.execute(
            sa.delete(manifest_references).where(manifest_references.c.manifest_id.in_(some))
        )
        conn.execute(sa.delete(manifests).where(manifests.c.id.in_(some)))
        conn.execute(
            sa.delete(reviews).where(
                reviews.c.kind == str(ReviewKind.MANIFEST), reviews.c.subject_id.in_(some)
            )
        )
        for table in (counter_values, counter_deltas):
            conn.execute(
                sa.delete(table).where(
                    table.c.subject_kind == "manifest", table.c.subject_id.in_(some)
                )
            )


def purge_past_tags(conn: Connection, before: Micros, *, limit: int) -> int:
    """Forget what tags meant until before the moment. How many rows went."""
    old = sa.select(tags.c.id).where(tags.c.valid_until < before).limit(limit)
    return conn.execute(sa.delete(tags).where(tags.c.id.in_(old))).rowcount


def has_past_tags(conn: Connection, before: Micros) -> bool:
    """Whether `purge_past_tags` would find some."""
    old = sa.exists().where(tags.c.valid_until < before)
    return bool(conn.execute(sa.select(old)).scalar())


# -- repositories -----------------------------------------------------------------------------------------------------


def deleted_at(conn: Connection, repository: RepositoryId) -> Micros | None:
    """When the repository was deleted; None if it lives or its row is gone."""
    at = conn.execute(
        sa.select(repositories.c.deleted_at).where(repositories.c.id == repository)
    ).scalar()
    return None if at is None else Micros(at)


def some_manifests(conn: Connection, repository: RepositoryId, *, limit: int) -> list[ManifestId]:
    """Any of its manifests, whatever their state."""
    rows = conn.execute(
        sa.select(manifests.c.id).where(manifests.c.repository_id == repository).limit(limit)
    )
    return [ManifestId(number) for (number,) in rows]


def unlink_some(conn: Connection, repository: RepositoryId, *, limit: int) -> list[BlobId]:
    """Take up to `limit` of its links away; the blobs."""
    rows = conn.execute(
        sa.select(repository_blobs.c.blob_id)
        .where(repository_blobs.c.repository_id == repository)
        .limit(limit)
    )
    gone = [BlobId(number) for (number,) in rows]
    for some in _chunks(gone):
        conn.execute(
            sa.delete(repository_blobs).where(
                repository_blobs.c.repository_id == repository,
                repository_blobs.c.blob_id.in_(some),
            )
        )
    return gone


def has_uploads(conn: Connection, repository: RepositoryId) -> bool:
    """Whether it has open upload sessions."""
    query = sa.select(upload_sessions.c.id).where(upload_sessions.c.repository_id == repository)
    return conn.execute(query.limit(1)).first() is not None


def remove_repository(conn: Connection, repository: RepositoryId) -> None:
    """Remove the row with what was granted on it and what was counted of it, when nothing else of it is left."""
    conn.execute(sa.delete(grants).where(grants.c.repository_id == repository))
    conn.execute(sa.delete(shares).where(shares.c.repository_id == repository))
    forget_triggers(conn, repository)
    conn.execute(sa.delete(repositories).where(repositories.c.id == repository))
    counters.forget(conn, "repository", repository)


def _chunks(numbers: Sequence[BlobId]) -> Iterable[Sequence[BlobId]]:
    for start in range(0, len(numbers), _BATCH):
        yield numbers[start : start + _BATCH]
