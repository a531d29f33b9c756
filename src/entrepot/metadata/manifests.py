"""Manifest rows, what they refer to, and who refers to them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import Database, PageSelect
from entrepot.metadata.schema import manifest_references, manifests, tags
from entrepot.metadata.sums import of_row, summed
from entrepot.metadata.types import NameText
from entrepot.model.content import ReferrerRow, StoredManifest
from entrepot.model.ids import ManifestId, Micros, RepositoryId
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import Manifest

_BATCH = 400
MOST_SIZE: Final = (
    1 << 42
)  # bytes that an image counts for: what is stated is anybody's to say, and tags add it up


def find(conn: Connection, repository: RepositoryId, digest: str) -> StoredManifest | None:
    """The living manifest of that digest."""
    return _one(conn, manifests.c.repository_id == repository, manifests.c.digest == digest)


def get(conn: Connection, manifest: ManifestId) -> StoredManifest | None:
    """The living manifest of that id."""
    return _one(conn, manifests.c.id == manifest)


def _one(conn: Connection, *which: sa.ColumnElement[bool]) -> StoredManifest | None:
    row = conn.execute(sa.select(manifests).where(*which, manifests.c.deleted_at.is_(None))).first()
    if row is None:
        return None
    return StoredManifest(
        ManifestId(row.id), row.digest, row.media_type, row.size, bytes(row.payload)
    )


def find_id(conn: Connection, repository: RepositoryId, digest: str) -> ManifestId | None:
    """The living manifest's id, without its payload."""
    number = conn.execute(
        sa.select(manifests.c.id).where(
            manifests.c.repository_id == repository,
            manifests.c.digest == digest,
            manifests.c.deleted_at.is_(None),
        )
    ).scalar()
    return None if number is None else ManifestId(number)


def living(conn: Connection, repository: RepositoryId, digests: Iterable[str]) -> dict[str, int]:
    """Which of `digests` are living manifests of the repository, with the sizes of their documents."""
    wanted = sorted(set(digests))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _BATCH):
        rows = conn.execute(
            sa.select(manifests.c.digest, manifests.c.size).where(
                manifests.c.repository_id == repository,
                manifests.c.digest.in_(wanted[start : start + _BATCH]),
                manifests.c.deleted_at.is_(None),
            )
        )
        found.update((digest, size) for digest, size in rows)
    return found


def insert(
    conn: Connection,
    repository: RepositoryId,
    digest: Digest,
    *,
    manifest: Manifest,
    payload: bytes,
    at: Micros,
) -> ManifestId:
    """A new manifest with its reference rows. The caller has seen that no living one has the digest."""
    subject = manifest.subject
    number = conn.execute(
        sa.insert(manifests)
        .values(
            repository_id=repository,
            digest=str(digest),
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            subject_digest=None if subject is None else str(subject.digest),
            annotations=manifest.annotations,
            size=len(payload),
            layers_size=min(_layers_size(conn, repository, manifest), MOST_SIZE),
            pushed_at=at,
            payload=payload,
        )
        .returning(manifests.c.id)
    ).scalar_one()
    rows = [
        {
            "manifest_id": number,
            "position": position,
            "repository_id": repository,
            "role": str(reference.role),
            "digest": str(reference.descriptor.digest),
            "size": reference.descriptor.size,
            "media_type": reference.descriptor.media_type,
        }
        for position, reference in enumerate(manifest.references)
    ]
    if rows:
        conn.execute(sa.insert(manifest_references), rows)
    return ManifestId(number)


def repositories_of(conn: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """The repository of each that is there still."""
    found: dict[int, int] = {}
    query = sa.select(manifests.c.id, manifests.c.repository_id)
    for start in range(0, len(numbers), 500):
        rows = conn.execute(query.where(manifests.c.id.in_(numbers[start : start + 500])))
        found.update((row.id, row.repository_id) for row in rows)
    return found


def layers_sizes(conn: Connection, numbers: Collection[ManifestId]) -> dict[ManifestId, int]:
    """Bytes of config and layers of each (of an index: of its manifests), as stated, at most `MOST_SIZE`. A few."""
    query = sa.select(manifests.c.id, manifests.c.layers_size)
    rows = conn.execute(query.where(manifests.c.id.in_(sorted(set(numbers)))))
    return {ManifestId(row.id): int(row.layers_size) for row in rows}


def _layers_size(conn: Connection, repository: RepositoryId, manifest: Manifest) -> int:
    """As stated, without what may stay elsewhere; an index has what those of its manifests have that are there."""
    listed = sorted({str(one.descriptor.digest) for one in manifest.manifests})
    if not manifest.is_index or not listed:
        return manifest.layers_size
    total = 0
    for start in range(0, len(listed), 500):
        query = sa.select(*summed(manifests.c.layers_size)).where(
            manifests.c.repository_id == repository,
            manifests.c.digest.in_(listed[start : start + 500]),
            manifests.c.deleted_at.is_(None),
        )
        total += of_row(conn.execute(query).one())
    return total


def tombstone(conn: Connection, manifest: ManifestId, at: Micros) -> None:
    """Mark it deleted; undelete may bring it back until the collector takes the row."""
    conn.execute(sa.update(manifests).where(manifests.c.id == manifest).values(deleted_at=at))


def referring(
    conn: Connection, repository: RepositoryId, subject: str, *, limit: int
) -> list[ManifestId]:
    """Living manifests whose subject it is, in digest order."""
    rows = conn.execute(
        sa.select(manifests.c.id)
        .where(
            manifests.c.repository_id == repository,
            manifests.c.subject_digest == subject,
            manifests.c.deleted_at.is_(None),
        )
        .order_by(manifests.c.digest)
        .limit(limit)
    )
    return [ManifestId(number) for (number,) in rows]


def tagged_index_listing(conn: Connection, repository: RepositoryId, digest: str) -> str | None:
    """The digest of a living, tagged index of the repository that lists `digest` (at any depth), if there is one."""
    seen: set[str] = set()
    wanted = {digest}
    while wanted:
        batch = set(sorted(wanted)[:_BATCH])
        parents = conn.execute(
            sa.select(
                manifests.c.digest,
                sa.exists().where(
                    tags.c.manifest_id == manifests.c.id, tags.c.valid_until.is_(None)
                ),
            )
            .select_from(
                manifest_references.join(
                    manifests, manifests.c.id == manifest_references.c.manifest_id
                )
            )
            .where(
                manifest_references.c.repository_id == repository,
                manifest_references.c.role == "manifest",
                manifest_references.c.digest.in_(sorted(batch)),
                manifests.c.deleted_at.is_(None),
            )
            .distinct()
        ).all()
        for parent, tagged in parents:
            if tagged:
                return str(parent)
        seen |= batch
        wanted = (wanted | {parent for parent, _ in parents}) - seen
    return None


def _referrers(column: "sa.Column[Any]", *more: sa.ColumnElement[bool]) -> PageSelect:
    """Behind ("value of the column", "after"), in the order of both.

    Written so that only the index with that column in front of the digest serves it: by an equation and the digest alone, planners that
    believe in a repository of few manifests read all of them in digest order.
    """
    value, after = sa.bindparam("value", type_=NameText), sa.bindparam("after", type_=NameText)
    return PageSelect(
        sa.select(
            manifests.c.digest,
            manifests.c.media_type,
            manifests.c.size,
            manifests.c.artifact_type,
            manifests.c.annotations,
        )
        .where(
            manifests.c.repository_id == sa.bindparam("repository"),
            *more,
            sa.tuple_(column, manifests.c.digest) > sa.tuple_(value, after),
            column <= value,
            manifests.c.deleted_at.is_(None),
        )
        .order_by(column, manifests.c.digest)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )


REFERRERS = _referrers(manifests.c.subject_digest)
REFERRERS_OF_TYPE = _referrers(
    manifests.c.artifact_type, manifests.c.subject_digest == sa.bindparam("subject")
)


async def referrers(
    db: Database,
    repository: RepositoryId,
    subject: str,
    *,
    artifact_type: str | None,
    after: str,
    limit: int,
) -> list[ReferrerRow]:
    """Living manifests whose subject is `subject`, in digest order behind `after`."""
    values = {"repository": repository, "after": after, "limit": limit}
    if artifact_type is None:
        rows = await db.page(REFERRERS, {**values, "value": subject})
    else:
        of_type = {**values, "subject": subject, "value": artifact_type}
        rows = await db.page(REFERRERS_OF_TYPE, of_type)
    return [_referrer(row) for row in rows]


def _referrer(row: Any) -> ReferrerRow:
    digest, media_type, size, artifact_type, annotations = row
    return ReferrerRow(digest, media_type, size, artifact_type, annotations or {})
