"""Tags as retention reads them, page by page, and as it ends them: only while they are what was read."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import manifest_references, manifests, repositories, tags
from entrepot.metadata.types import Micros as MicrosType
from entrepot.metadata.types import NameText
from entrepot.model.ids import ManifestId, Micros, NamespaceId, RepositoryId
from entrepot.model.retention import TaggedImage

_BATCH: Final = 400
_SUBJECT: Final = manifests.alias("subject")
_PLACE: Final = sa.tuple_(tags.c.pushed_at, tags.c.name)

Key: TypeAlias = tuple[Micros, str]
"""A tag's place in the order in which they were set: when, and its name."""


@dataclass(frozen=True, slots=True)
class PresentTag:
    """A tag as it was read. `subject`: of what it means, be it there or not."""

    manifest: ManifestId
    image: TaggedImage
    subject: str | None


def newest_tags(
    conn: Connection, repository: RepositoryId, before: Key | None, *, limit: int
) -> list[PresentTag]:
    """Present tags of the repository, the last set first, before the place of another."""
    query = _present(repository).order_by(tags.c.pushed_at.desc(), tags.c.name.desc())
    if before is not None:
        query = query.where(_place(before) > _PLACE)
    return [_tag(row) for row in conn.execute(query.limit(limit))]


def oldest_tags(
    conn: Connection, repository: RepositoryId, after: Key, below: Key, *, limit: int
) -> list[PresentTag]:
    """Present tags between the places of two others, without them, the first set first."""
    query = _present(repository).where(_place(after) < _PLACE, _place(below) > _PLACE)
    query = query.order_by(tags.c.pushed_at, tags.c.name)
    return [_tag(row) for row in conn.execute(query.limit(limit))]


def followers(
    conn: Connection, repository: RepositoryId, names: Collection[str], subjects: Collection[str]
) -> list[PresentTag]:
    """Present tags that have one of the names, or mean a manifest with one of the subjects."""
    found: dict[str, PresentTag] = {}
    for column, wanted in ((tags.c.name, names), (manifests.c.subject_digest, subjects)):
        for some in _chunks(sorted(wanted)):
            for row in conn.execute(_present(repository).where(column.in_(some))):
                found[row.name] = _tag(row)
    return list(found.values())


def end_as_read(
    conn: Connection, repository: RepositoryId, read: Sequence[PresentTag], at: Micros
) -> set[str]:
    """End those of the tags (a few) that still are as they were read: mean the same, and were not set again. Their names."""
    wanted = {tag.image.tag: (tag.manifest, tag.image.set_at) for tag in read}
    present = conn.execute(
        sa.select(tags.c.id, tags.c.name, tags.c.manifest_id, tags.c.pushed_at).where(
            tags.c.repository_id == repository,
            tags.c.name.in_(sorted(wanted)),
            tags.c.valid_until.is_(None),
        )
    ).all()
    same = [row for row in present if wanted[row.name] == (row.manifest_id, row.pushed_at)]
    if not same:
        return set()
    ended = sa.update(tags).where(
        tags.c.id.in_([row.id for row in same]), tags.c.valid_until.is_(None)
    )
    conn.execute(ended.values(valid_until=at))
    return {row.name for row in same}


def left_untagged(conn: Connection, numbers: Collection[ManifestId]) -> set[ManifestId]:
    """Those of the manifests that no present tag means."""
    tagged: set[int] = set()
    for some in _chunks(sorted(numbers)):
        query = sa.select(tags.c.manifest_id).where(
            tags.c.manifest_id.in_(some), tags.c.valid_until.is_(None)
        )
        tagged.update(conn.scalars(query.distinct()))
    return {number for number in numbers if number not in tagged}


def children(conn: Connection, numbers: Collection[ManifestId]) -> list[tuple[ManifestId, str]]:
    """What those of the manifests that are indexes list: (index, digest)."""
    found: list[tuple[ManifestId, str]] = []
    for some in _chunks(sorted(numbers)):
        rows = conn.execute(
            sa.select(manifest_references.c.manifest_id, manifest_references.c.digest).where(
                manifest_references.c.manifest_id.in_(some),
                manifest_references.c.role == "manifest",
            )
        )
        found += [(ManifestId(number), digest) for number, digest in rows]
    return found


def living_repositories(
    conn: Connection, namespace: NamespaceId, after: RepositoryId, *, limit: int
) -> list[RepositoryId]:
    """Repositories of the namespace in order of their ids, behind `after`."""
    query = sa.select(repositories.c.id).where(
        repositories.c.namespace_id == namespace,
        repositories.c.id > after,
        repositories.c.deleted_at.is_(None),
    )
    return [
        RepositoryId(number)
        for number in conn.scalars(query.order_by(repositories.c.id).limit(limit))
    ]


def _place(key: Key) -> sa.ColumnElement[Any]:
    return sa.tuple_(sa.literal(key[0], MicrosType), sa.literal(key[1], NameText))


def _present(repository: RepositoryId) -> sa.Select[Any]:
    has_subject = sa.exists().where(
        _SUBJECT.c.repository_id == repository,
        _SUBJECT.c.digest == manifests.c.subject_digest,
        _SUBJECT.c.deleted_at.is_(None),
    )
    return (
        sa.select(
            tags.c.name,
            tags.c.manifest_id,
            tags.c.pushed_at,
            manifests.c.digest,
            manifests.c.subject_digest,
            has_subject.label("has_subject"),
        )
        .join(manifests, manifests.c.id == tags.c.manifest_id)
        .where(tags.c.repository_id == repository, tags.c.valid_until.is_(None))
    )


def _tag(row: Any) -> PresentTag:
    image = TaggedImage(
        row.name, row.digest, Micros(row.pushed_at), is_referrer=bool(row.has_subject)
    )
    return PresentTag(ManifestId(row.manifest_id), image, row.subject_digest)


def _chunks(wanted: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(wanted), _BATCH):
        yield wanted[start : start + _BATCH]
