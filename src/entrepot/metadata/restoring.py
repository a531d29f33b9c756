"""What history still knows: deleted repositories and manifests, and what tags meant. Undelete reads and revives here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import manifests, namespaces, repositories, tags
from entrepot.model.ids import InstanceId, ManifestId, Micros, NamespaceId, RepositoryId


@dataclass(frozen=True, slots=True)
class DeletedRepository:
    """A tombstoned repository whose row is there still."""

    id: RepositoryId
    namespace: NamespaceId
    is_namespace_living: bool
    created_at: Micros
    deleted_at: Micros


@dataclass(frozen=True, slots=True)
class DeletedManifest:
    """A tombstoned manifest whose row is there still."""

    id: ManifestId
    digest: str
    pushed_at: Micros
    deleted_at: Micros


@dataclass(frozen=True, slots=True)
class FormerTag:
    """What a tag meant from when until when."""

    name: str
    manifest: ManifestId
    digest: str
    valid_from: Micros
    valid_until: Micros


def deleted_repositories(
    conn: Connection, instance: InstanceId, full_name: str
) -> list[DeletedRepository]:
    """Deleted repositories that had the name, the last deleted first."""
    rows = conn.execute(
        sa.select(
            repositories.c.id,
            repositories.c.namespace_id,
            namespaces.c.deleted_at.is_(None).label("living"),
            repositories.c.created_at,
            repositories.c.deleted_at,
        )
        .join(namespaces, namespaces.c.id == repositories.c.namespace_id)
        .where(
            repositories.c.instance_id == instance,
            repositories.c.full_name == full_name,
            repositories.c.deleted_at.is_not(None),
        )
        .order_by(repositories.c.deleted_at.desc())
    )
    return [
        DeletedRepository(
            RepositoryId(row.id),
            NamespaceId(row.namespace_id),
            bool(row.living),
            Micros(row.created_at),
            Micros(row.deleted_at),
        )
        for row in rows
    ]


def revive_repository(conn: Connection, repository: RepositoryId, at: Micros) -> None:
    """Take its tombstone away."""
    conn.execute(
        sa.update(repositories)
        .where(repositories.c.id == repository)
        .values(deleted_at=None, updated_at=at)
    )


def deleted_manifests(
    conn: Connection,
    repository: RepositoryId,
    *,
    digest: str | None = None,
    limit: int = 1_000_000,
) -> list[DeletedManifest]:
    """Deleted manifests of the repository, the last deleted first."""
    query = (
        sa.select(manifests.c.id, manifests.c.digest, manifests.c.pushed_at, manifests.c.deleted_at)
        .where(manifests.c.repository_id == repository, manifests.c.deleted_at.is_not(None))
        .order_by(manifests.c.deleted_at.desc(), manifests.c.id.desc())
        .limit(limit)
    )
    if digest is not None:
        query = query.where(manifests.c.digest == digest)
    return [
        DeletedManifest(
            ManifestId(row.id), row.digest, Micros(row.pushed_at), Micros(row.deleted_at)
        )
        for row in conn.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest row with its bytes, living or deleted."""

    id: ManifestId
    digest: str
    media_type: str
    size: int
    payload: bytes
    is_living: bool


def document(conn: Connection, manifest: ManifestId) -> Document:
    """The row, which is there."""
    row = conn.execute(sa.select(manifests).where(manifests.c.id == manifest)).one()
    return Document(
        manifest,
        row.digest,
        row.media_type,
        row.size,
        bytes(row.payload),
        is_living=row.deleted_at is None,
    )


def revive_manifest(conn: Connection, manifest: ManifestId) -> None:
    """Take its tombstone away."""
    conn.execute(sa.update(manifests).where(manifests.c.id == manifest).values(deleted_at=None))


# -- tags -------------------------------------------------------------------------------------------------------------


def _former() -> sa.Select[Any]:
    return sa.select(
        tags.c.name, tags.c.manifest_id, manifests.c.digest, tags.c.valid_from, tags.c.valid_until
    ).join(manifests, manifests.c.id == tags.c.manifest_id)


def _former_tag(row: Any) -> FormerTag:
    return FormerTag(
        name=row.name,
        manifest=ManifestId(row.manifest_id),
        digest=row.digest,
        valid_from=Micros(row.valid_from),
        valid_until=Micros(row.valid_until),
    )


def former_tags(
    conn: Connection, repository: RepositoryId, *, name: str | None = None, limit: int = 1_000_000
) -> list[FormerTag]:
    """What tags of the repository meant once, the last ended first."""
    query = (
        _former()
        .where(tags.c.repository_id == repository, tags.c.valid_until.is_not(None))
        .order_by(tags.c.valid_until.desc(), tags.c.id.desc())
        .limit(limit)
    )
    if name is not None:
        query = query.where(tags.c.name == name)
    return [_former_tag(row) for row in conn.execute(query)]


def meanings_at(
    conn: Connection, repository: RepositoryId, at: Micros, *, name: str | None = None
) -> dict[str, ManifestId]:
    """What each tag (or the one named) meant at the moment, as far as history goes back."""
    query = sa.select(tags.c.name, tags.c.manifest_id).where(
        tags.c.repository_id == repository,
        tags.c.valid_from <= at,
        sa.or_(tags.c.valid_until.is_(None), tags.c.valid_until > at),
    )
    if name is not None:
        query = query.where(tags.c.name == name)
    return {row.name: ManifestId(row.manifest_id) for row in conn.execute(query)}


def ended_since(
    conn: Connection, repository: RepositoryId, at: Micros, names: Sequence[str]
) -> list[FormerTag]:
    """What those of the tags meant at the moment that mean nothing now."""
    present = tags.alias()
    is_present = sa.exists().where(
        present.c.repository_id == repository,
        present.c.name == tags.c.name,
        present.c.valid_until.is_(None),
    )
    found: list[FormerTag] = []
    for start in range(0, len(names), 400):
        query = _former().where(
            tags.c.repository_id == repository,
            tags.c.name.in_(names[start : start + 400]),
            tags.c.valid_from <= at,
            tags.c.valid_until > at,
            tags.c.valid_until.is_not(None),
            sa.not_(is_present),
        )
        found += [_former_tag(row) for row in conn.execute(query.order_by(tags.c.name))]
    return found


def tags_ended(conn: Connection, manifest: ManifestId, at: Micros) -> list[str]:
    """Names of its tags that ended at that very moment: those its deletion ended."""
    rows = conn.execute(
        sa.select(tags.c.name)
        .where(tags.c.manifest_id == manifest, tags.c.valid_until == at)
        .order_by(tags.c.name)
    )
    return [name for (name,) in rows]
