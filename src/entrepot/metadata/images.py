"""Images as rows: what manifests list, what refers to them, and giving them to another repository, all without reading a document.

The ids of a call are those of one image's manifests, a thousand at most; so are its statements' parameters.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.blobs import blob_of
from entrepot.metadata.reviews import ReviewKind
from entrepot.metadata.schema import (
    LIVE,
    blobs,
    manifest_references,
    manifests,
    repository_blobs,
    reviews,
    tags,
)
from entrepot.metadata.sums import of_row, summed
from entrepot.metadata.upsert import insert_selected
from entrepot.model.content import Blob
from entrepot.model.ids import ManifestId, Micros, RepositoryId
from entrepot.oci.descriptor import FOREIGN_LAYERS

_BATCH: Final = 400
_MISSING_TOLD: Final = 100


@dataclass(frozen=True, slots=True)
class Part:
    """A manifest of an image, without its document. `size`: bytes of that."""

    id: ManifestId
    digest: str
    media_type: str
    artifact_type: str | None
    size: int


_PARTS: Final = (
    manifests.c.id,
    manifests.c.digest,
    manifests.c.media_type,
    manifests.c.artifact_type,
    manifests.c.size,
)


def _part(row: Any) -> Part:
    return Part(ManifestId(row.id), row.digest, row.media_type, row.artifact_type, row.size)


def part(conn: Connection, manifest: ManifestId) -> Part | None:
    """The living manifest of that id."""
    query = sa.select(*_PARTS).where(manifests.c.id == manifest, manifests.c.deleted_at.is_(None))
    row = conn.execute(query).first()
    return None if row is None else _part(row)


def listed(
    conn: Connection, repository: RepositoryId, ids: Collection[ManifestId], *, limit: int
) -> list[Part]:
    """Living manifests of the repository that these indexes list, each once."""
    named = (
        sa.select(manifest_references.c.digest)
        .where(manifest_references.c.manifest_id.in_(ids), manifest_references.c.role == "manifest")
        .distinct()
        .subquery()
    )
    query = (
        sa.select(*_PARTS)
        .select_from(named.join(manifests, manifests.c.digest == named.c.digest))
        .where(manifests.c.repository_id == repository, manifests.c.deleted_at.is_(None))
        .order_by(manifests.c.id)
        .limit(limit)
    )
    return [_part(row) for row in conn.execute(query)]


def referring(
    conn: Connection, repository: RepositoryId, subjects: Sequence[str], *, limit: int
) -> list[Part]:
    """The newest living manifests whose subject is one of these, the newest first."""
    found: list[tuple[int, Part]] = []
    for some in _batches(subjects):
        query = (
            sa.select(*_PARTS, manifests.c.pushed_at)
            .where(
                manifests.c.repository_id == repository,
                manifests.c.subject_digest.in_(some),
                manifests.c.deleted_at.is_(None),
            )
            .order_by(manifests.c.pushed_at.desc(), manifests.c.id.desc())
            .limit(limit)
        )
        found += [(row.pushed_at, _part(row)) for row in conn.execute(query)]
    found.sort(key=lambda one: (one[0], one[1].id), reverse=True)
    return [one for _, one in found[:limit]]


def tagged(conn: Connection, repository: RepositoryId, names: Sequence[str]) -> dict[str, Part]:
    """What those of the tags that are there mean now, in the order of their names."""
    found: dict[str, Part] = {}
    for some in _batches(names):
        query = (
            sa.select(tags.c.name, *_PARTS)
            .join(manifests, manifests.c.id == tags.c.manifest_id)
            .where(
                tags.c.repository_id == repository,
                tags.c.name.in_(some),
                tags.c.valid_until.is_(None),
                manifests.c.deleted_at.is_(None),
            )
        )
        found.update((row.name, _part(row)) for row in conn.execute(query))
    return dict(sorted(found.items()))


def references(conn: Connection, ids: Collection[ManifestId]) -> int:
    """How many things these manifests name together, as often as they do."""
    query = sa.select(sa.func.count()).where(manifest_references.c.manifest_id.in_(ids))
    return int(conn.scalar(query) or 0)


def edges(conn: Connection, ids: Collection[ManifestId]) -> list[tuple[ManifestId, str]]:
    """Which manifests each of these lists or has as its subject, by digest."""
    query = (
        sa.select(manifest_references.c.manifest_id, manifest_references.c.digest)
        .where(
            manifest_references.c.manifest_id.in_(ids),
            manifest_references.c.role.in_(("manifest", "subject")),
        )
        .distinct()
    )
    return [(ManifestId(number), digest) for number, digest in conn.execute(query)]


def ids_of(
    conn: Connection, repository: RepositoryId, digests: Sequence[str]
) -> dict[str, ManifestId]:
    """The living manifests of the repository that have these digests."""
    found: dict[str, ManifestId] = {}
    for some in _batches(digests):
        query = sa.select(manifests.c.digest, manifests.c.id).where(
            manifests.c.repository_id == repository,
            manifests.c.digest.in_(some),
            manifests.c.deleted_at.is_(None),
        )
        found.update((digest, ManifestId(number)) for digest, number in conn.execute(query))
    return found


def _batches(wanted: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(wanted), _BATCH):
        yield wanted[start : start + _BATCH]


# -- their blobs ------------------------------------------------------------------------------------------------------


def linked_blobs(
    conn: Connection, repository: RepositoryId, ids: Collection[ManifestId]
) -> list[Blob]:
    """The live blobs that these manifests need, each once, in the order of their digests. `missing_blobs` knows what is not there."""
    named = _named(ids).subquery()
    query = (
        sa.select(blobs.c.id, blobs.c.digest, blobs.c.size, blobs.c.object_key)
        .select_from(_held(named, repository))
        .where(repository_blobs.c.blob_id.is_not(None))
        .order_by(blobs.c.digest)
    )
    return [blob_of(row) for row in conn.execute(query)]


def _named(ids: Collection[ManifestId]) -> sa.Select[Any]:
    """Digests of their configs and layers, each once, without those whose bytes stay elsewhere."""
    return (
        sa.select(manifest_references.c.digest)
        .where(
            manifest_references.c.manifest_id.in_(ids),
            manifest_references.c.role.in_(("config", "layer")),
            manifest_references.c.media_type.not_in(sorted(FOREIGN_LAYERS)),
        )
        .distinct()
    )


def _held(named: sa.FromClause, repository: RepositoryId) -> sa.FromClause:
    """Those of the digests that are live blobs, with the repository's links to them where there are such."""
    of_repository = sa.and_(
        repository_blobs.c.blob_id == blobs.c.id, repository_blobs.c.repository_id == repository
    )
    live = sa.and_(blobs.c.digest == named.c.digest, blobs.c.state == LIVE)
    return named.outerjoin(blobs, live).outerjoin(repository_blobs, of_repository)


def missing_blobs(
    conn: Connection, repository: RepositoryId, ids: Collection[ManifestId]
) -> list[str]:
    """Some of the blobs that these manifests need and the repository has not."""
    named = _named(ids).subquery()
    query = (
        sa.select(named.c.digest)
        .select_from(_held(named, repository))
        .where(repository_blobs.c.blob_id.is_(None))
        .order_by(named.c.digest)
    )
    return list(conn.scalars(query.limit(_MISSING_TOLD)))


def unlinked_bytes(conn: Connection, repository: RepositoryId, ids: Collection[ManifestId]) -> int:
    """Bytes of the live blobs that these manifests need and the repository has not."""
    named = _named(ids).subquery()
    query = (
        sa.select(*summed(blobs.c.size))
        .select_from(_held(named, repository))
        .where(repository_blobs.c.blob_id.is_(None), blobs.c.id.is_not(None))
    )
    return of_row(conn.execute(query).one())


def link_blobs(
    conn: Connection,
    repository: RepositoryId,
    ids: Collection[ManifestId],
    *,
    at: Micros,
    delay_seconds: float,
) -> None:
    """Let the repository read all live blobs that these manifests need, and have the collector look at them: what `blobs.link` and
    `collection.ensure_review` do for one."""
    named = _named(ids).subquery()
    live = sa.and_(blobs.c.digest == named.c.digest, blobs.c.state == LIVE)

    def of_each(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        return sa.select(*columns).select_from(named.join(blobs, live)).where(sa.true())

    wide = sa.BigInteger
    insert_selected(
        conn,
        repository_blobs,
        {
            "repository_id": sa.literal(repository, wide),
            "blob_id": blobs.c.id,
            "linked_at": sa.literal(at, wide),
        },
        of_each,
        key=("repository_id", "blob_id"),
        set_={"linked_at": at},
    )
    insert_selected(
        conn,
        reviews,
        {
            "kind": sa.literal(str(ReviewKind.BLOB), sa.Text),
            "subject_id": blobs.c.id,
            "review_after": sa.literal(at + int(delay_seconds * 1e6), wide),
            "reason": sa.literal("linked", sa.Text),
            "attempts": sa.literal(0, sa.Integer),
            "created_at": sa.literal(at, wide),
        },
        of_each,
        key=("kind", "subject_id"),
        set_={"review_after": at},
        where=reviews.c.review_after <= at,
    )


# -- giving them to another repository --------------------------------------------------------------------------------


def give(
    conn: Connection, repository: RepositoryId, ids: Collection[ManifestId], at: Micros
) -> None:
    """These manifests, whose digests the repository has not, become its own too: new rows with the same documents and references."""
    same = ("digest", "media_type", "artifact_type", "subject_digest", "annotations", "size")
    columns = (*same, "layers_size", "payload")
    rows = (
        sa.select(
            sa.literal(repository, sa.BigInteger),
            sa.literal(at, sa.BigInteger),
            *(manifests.c[name] for name in columns),
        )
        .where(manifests.c.id.in_(ids))
        .order_by(manifests.c.id)
    )
    conn.execute(sa.insert(manifests).from_select(["repository_id", "pushed_at", *columns], rows))
    theirs = manifests.alias()
    named_by = ("position", "role", "digest", "size", "media_type")
    named = (
        sa.select(
            theirs.c.id,
            sa.literal(repository, sa.BigInteger),
            *(manifest_references.c[name] for name in named_by),
        )
        .select_from(
            manifest_references.join(
                manifests, manifests.c.id == manifest_references.c.manifest_id
            ).join(theirs, theirs.c.digest == manifests.c.digest)
        )
        .where(
            manifest_references.c.manifest_id.in_(ids),
            theirs.c.repository_id == repository,
            theirs.c.deleted_at.is_(None),
        )
    )
    names = ["manifest_id", "repository_id", *named_by]
    conn.execute(sa.insert(manifest_references).from_select(names, named))
