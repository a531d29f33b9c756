"""Tags as retention reads them, page by page, and as it ends them: only while they are what was read."""

from collections import defaultdict
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
_PLACE: Final = sa.tuple_(tags.c.pushed_at, tags.c.name)

Key: TypeAlias = tuple[Micros, str]
"""A tag's place in the order in which they were set: when, and its name."""


@dataclass(frozen=True, slots=True)
class PresentTag:
    """A tag as it was read."""

    manifest: ManifestId
    image: TaggedImage


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


def named(conn: Connection, repository: RepositoryId, names: Collection[str]) -> list[PresentTag]:
    """Present tags that have one of the names."""
    found: list[PresentTag] = []
    for some in _chunks(sorted(names)):
        rows = conn.execute(_present(repository).where(tags.c.name.in_(some)))
        found += [_tag(row) for row in rows]
    return found


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


def held(conn: Connection, repository: RepositoryId, digests: Collection[str]) -> set[str]:
    """Those of the digests that a present tag of the repository means, or an index that one means lists, at any depth."""
    found: set[str] = set()
    seen: defaultdict[str, set[str]] = defaultdict(set)
    above = {one: {one} for one in digests}  # what may hold, and which of them that would hold
    while above:
        for holder in _tagged(conn, repository, above):
            found |= above[holder]
        following: defaultdict[str, set[str]] = defaultdict(set)
        for listed, index in _listing(conn, repository, above):
            fresh = above[listed] - found - seen[index]
            if fresh:
                seen[index] |= fresh
                following[index] |= fresh
        above = dict(following)
    return found


def _tagged(conn: Connection, repository: RepositoryId, digests: Collection[str]) -> list[str]:
    """Those of the digests that a present tag means."""
    found: list[str] = []
    means = sa.exists().where(tags.c.manifest_id == manifests.c.id, tags.c.valid_until.is_(None))
    for some in _chunks(sorted(digests)):
        query = sa.select(manifests.c.digest).where(
            manifests.c.repository_id == repository,
            manifests.c.digest.in_(some),
            manifests.c.deleted_at.is_(None),
            means,
        )
        found += conn.scalars(query)
    return found


def _listing(
    conn: Connection, repository: RepositoryId, digests: Collection[str]
) -> list[tuple[str, str]]:
    """(one of the digests, an index that lists it)."""
    found: list[tuple[str, str]] = []
    for some in _chunks(sorted(digests)):
        query = (
            sa.select(manifest_references.c.digest, manifests.c.digest)
            .join(manifests, manifests.c.id == manifest_references.c.manifest_id)
            .where(
                manifest_references.c.repository_id == repository,
                manifest_references.c.role == "manifest",
                manifest_references.c.digest.in_(some),
                manifests.c.deleted_at.is_(None),
            )
        )
        found += [(listed, index) for listed, index in conn.execute(query)]
    return found


@dataclass(frozen=True, slots=True)
class Part:
    """What an index lists. `manifest`: None where it is not in the repository."""

    index: ManifestId
    digest: str
    manifest: ManifestId | None


def parts(conn: Connection, numbers: Collection[ManifestId]) -> list[Part]:
    """What those of the manifests that are indexes list."""
    found: list[Part] = []
    there = manifests.alias("there")
    for some in _chunks(sorted(numbers)):
        query = (
            sa.select(manifest_references.c.manifest_id, manifest_references.c.digest, there.c.id)
            .outerjoin(
                there,
                sa.and_(
                    there.c.repository_id == manifest_references.c.repository_id,
                    there.c.digest == manifest_references.c.digest,
                    there.c.deleted_at.is_(None),
                ),
            )
            .where(
                manifest_references.c.manifest_id.in_(some),
                manifest_references.c.role == "manifest",
            )
        )
        for index, digest, number in conn.execute(query):
            found.append(
                Part(ManifestId(index), digest, None if number is None else ManifestId(number))
            )
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
    return (
        sa.select(tags.c.name, tags.c.manifest_id, tags.c.pushed_at, manifests.c.digest)
        .join(manifests, manifests.c.id == tags.c.manifest_id)
        .where(tags.c.repository_id == repository, tags.c.valid_until.is_(None))
    )


def _tag(row: Any) -> PresentTag:
    image = TaggedImage(row.name, row.digest, Micros(row.pushed_at))
    return PresentTag(ManifestId(row.manifest_id), image)


def _chunks(wanted: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(wanted), _BATCH):
        yield wanted[start : start + _BATCH]
