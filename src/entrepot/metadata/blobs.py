"""Blob rows and the links that decide which repository may read them."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.namespaces import repository_of, select_repositories
from entrepot.metadata.schema import (
    LIVE,
    blobs,
    manifest_references,
    manifests,
    repositories,
    repository_blobs,
)
from entrepot.metadata.upsert import insert_new
from entrepot.model.content import Blob, Repository
from entrepot.model.ids import BlobId, InstanceId, Micros, RepositoryId

_BATCH = 400  # bound parameters a statement


def find_live(conn: Connection, digest: str) -> Blob | None:
    """The one live blob of that digest, linked or not."""
    row = conn.execute(
        sa.select(blobs).where(blobs.c.digest == digest, blobs.c.state == LIVE)
    ).first()
    return None if row is None else blob_of(row)


def find_linked(conn: Connection, repository: RepositoryId, digest: str) -> Blob | None:
    """The live blob of that digest if the repository has it."""
    row = conn.execute(
        sa.select(blobs)
        .join(repository_blobs, repository_blobs.c.blob_id == blobs.c.id)
        .where(
            repository_blobs.c.repository_id == repository,
            blobs.c.digest == digest,
            blobs.c.state == LIVE,
        )
    ).first()
    return None if row is None else blob_of(row)


def linked_sizes(
    conn: Connection, repository: RepositoryId, digests: Iterable[str]
) -> dict[str, int]:
    """Which of `digests` the repository has, with their sizes."""
    wanted = sorted(set(digests))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _BATCH):
        rows = conn.execute(
            sa.select(blobs.c.digest, blobs.c.size)
            .join(repository_blobs, repository_blobs.c.blob_id == blobs.c.id)
            .where(
                repository_blobs.c.repository_id == repository,
                blobs.c.digest.in_(wanted[start : start + _BATCH]),
                blobs.c.state == LIVE,
            )
        )
        found.update((digest, size) for digest, size in rows)
    return found


def insert_live(conn: Connection, digest: str, size: int, *, object_key: str) -> BlobId | None:
    """A new live blob row; None if there is a live one of that digest already."""
    values = {
        "digest": digest,
        "size": size,
        "object_key": object_key,
        "state": "live",
        "created_at": now(conn),
    }
    if not insert_new(conn, blobs, values):
        return None
    number = conn.execute(
        sa.select(blobs.c.id).where(blobs.c.object_key == object_key)
    ).scalar_one()
    return BlobId(number)


def link(conn: Connection, repository: RepositoryId, blob: BlobId, at: Micros) -> bool:
    """Let the repository read the blob; whether that is new. An old link becomes young again."""
    values = {"repository_id": repository, "blob_id": blob, "linked_at": at}
    if insert_new(conn, repository_blobs, values):
        return True
    conn.execute(
        sa.update(repository_blobs)
        .where(repository_blobs.c.repository_id == repository, repository_blobs.c.blob_id == blob)
        .values(linked_at=at)
    )
    return False


def unlink(conn: Connection, repository: RepositoryId, blob: BlobId) -> bool:
    """Take the repository's link away; whether there was one."""
    result = conn.execute(
        sa.delete(repository_blobs).where(
            repository_blobs.c.repository_id == repository, repository_blobs.c.blob_id == blob
        )
    )
    return result.rowcount > 0


def used_by_living_manifest(conn: Connection, repository: RepositoryId, digest: str) -> bool:
    """Whether a living manifest of the repository names the digest as config or layer."""
    row = conn.execute(
        sa.select(manifest_references.c.manifest_id)
        .join(manifests, manifests.c.id == manifest_references.c.manifest_id)
        .where(
            manifest_references.c.repository_id == repository,
            manifest_references.c.digest == digest,
            manifest_references.c.role.in_(("config", "layer")),
            manifests.c.deleted_at.is_(None),
        )
        .limit(1)
    ).first()
    return row is not None


def repositories_with(
    conn: Connection, instance: InstanceId, digest: str, *, limit: int
) -> Sequence[Repository]:
    """Living repositories of the instance that have the blob: candidates for a mount without a source."""
    rows = conn.execute(
        select_repositories()
        .join(repository_blobs, repository_blobs.c.repository_id == repositories.c.id)
        .join(blobs, blobs.c.id == repository_blobs.c.blob_id)
        .where(
            blobs.c.digest == digest,
            blobs.c.state == LIVE,
            repositories.c.instance_id == instance,
            repositories.c.deleted_at.is_(None),
        )
        .limit(limit)
    )
    return [repository_of(row) for row in rows]


def blob_of(row: Any) -> Blob:
    """The record of a blobs row."""
    return Blob(BlobId(row.id), row.digest, row.size, row.object_key)
