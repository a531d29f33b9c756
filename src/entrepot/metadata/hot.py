"""The few point reads of the hot path: one statement a request, compiled once, run on the driver's connection.

Each answers the repository with the facts that authorization needs, and, outer-joined, the content asked for; so a manifest or
blob request costs one read (DESIGN section 10). None: no such living repository.
"""

from typing import Any

import sqlalchemy as sa

from entrepot.metadata import access_keys
from entrepot.metadata.access_keys import PresentedKey
from entrepot.metadata.database import Database
from entrepot.metadata.schema import (
    LIVE,
    blobs,
    manifests,
    namespaces,
    repositories,
    repository_blobs,
    reviews,
    tags,
)
from entrepot.model.content import Blob, LinkedBlob, Repository, StoredManifest
from entrepot.model.ids import (
    InstanceId,
    Micros,
    NamespaceId,
    TenantId,
    UserId,
)
from entrepot.model.tenancy import Namespace


def _bare(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.type_coerce(column, sa.types.NullType())


_REPOSITORY = (
    repositories.c.id,
    repositories.c.namespace_id,
    namespaces.c.tenant_id,
    namespaces.c.name,
    repositories.c.name.label("path"),
    # As the driver gives them, here and below: no work of SQLAlchemy's types for each row.
    _bare(sa.func.coalesce(repositories.c.is_public, namespaces.c.is_public)).label("public"),
)
_MANIFEST = (
    manifests.c.id.label("manifest_id"),
    manifests.c.digest,
    manifests.c.media_type,
    manifests.c.size,
    _bare(manifests.c.payload).label("payload"),
)
_NAMED = (
    repositories.c.instance_id == sa.bindparam("instance"),
    repositories.c.full_name == sa.bindparam("name"),
    repositories.c.deleted_at.is_(None),
)
_OF_NAMESPACE = repositories.join(namespaces, namespaces.c.id == repositories.c.namespace_id)


def _by_tag() -> sa.Select[Any]:
    current = sa.and_(
        tags.c.repository_id == repositories.c.id,
        tags.c.name == sa.bindparam("tag"),
        tags.c.valid_until.is_(None),
    )
    source = _OF_NAMESPACE.outerjoin(tags, current).outerjoin(
        manifests, sa.and_(manifests.c.id == tags.c.manifest_id, manifests.c.deleted_at.is_(None))
    )
    return sa.select(*_REPOSITORY, *_MANIFEST).select_from(source).where(*_NAMED)


def _by_digest() -> sa.Select[Any]:
    living = sa.and_(
        manifests.c.repository_id == repositories.c.id,
        manifests.c.digest == sa.bindparam("digest"),
        manifests.c.deleted_at.is_(None),
    )
    source = _OF_NAMESPACE.outerjoin(manifests, living)
    return sa.select(*_REPOSITORY, *_MANIFEST).select_from(source).where(*_NAMED)


def _blob() -> sa.Select[Any]:
    live = sa.and_(blobs.c.digest == sa.bindparam("digest"), blobs.c.state == LIVE)
    link = sa.and_(
        repository_blobs.c.repository_id == repositories.c.id,
        repository_blobs.c.blob_id == blobs.c.id,
    )
    review = sa.and_(
        reviews.c.kind == sa.literal_column("'blob'"), reviews.c.subject_id == blobs.c.id
    )
    source = (
        _OF_NAMESPACE.outerjoin(blobs, live)
        .outerjoin(repository_blobs, link)
        .outerjoin(reviews, review)
    )
    return (
        sa.select(
            *_REPOSITORY,
            repository_blobs.c.blob_id.label("blob_id"),
            blobs.c.digest,
            blobs.c.size,
            blobs.c.object_key,
            repository_blobs.c.linked_at,
            reviews.c.review_after,
        )
        .select_from(source)
        .where(*_NAMED)
    )


def _namespace() -> sa.Select[Any]:
    return sa.select(
        namespaces.c.id,
        namespaces.c.tenant_id,
        namespaces.c.is_public,
        namespaces.c.created_by,
        namespaces.c.created_at,
    ).where(
        namespaces.c.instance_id == sa.bindparam("instance"),
        namespaces.c.name == sa.bindparam("name"),
        namespaces.c.deleted_at.is_(None),
    )


class HotReads:
    """Prepared for one database; safe to share among requests of one process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._by_tag = db.prepare(_by_tag())
        self._by_digest = db.prepare(_by_digest())
        self._blob = db.prepare(_blob())
        self._repository = db.prepare(
            sa.select(*_REPOSITORY).select_from(_OF_NAMESPACE).where(*_NAMED)
        )
        self._namespace = db.prepare(_namespace())
        self._key = db.prepare(access_keys.presented())

    async def manifest_by_tag(
        self, instance: InstanceId, name: str, tag: str
    ) -> tuple[Repository, StoredManifest | None] | None:
        """The repository and what the tag means in it now."""
        values = {"instance": instance, "name": name, "tag": tag}
        rows = self._db.points_here(self._by_tag, values)
        if rows is None:
            rows = await self._db.points_elsewhere(self._by_tag, values)
        return _with_manifest(instance, rows[0]) if rows else None

    async def manifest_by_digest(
        self, instance: InstanceId, name: str, digest: str
    ) -> tuple[Repository, StoredManifest | None] | None:
        """The repository and its living manifest of that digest."""
        values = {"instance": instance, "name": name, "digest": digest}
        rows = self._db.points_here(self._by_digest, values)
        if rows is None:
            rows = await self._db.points_elsewhere(self._by_digest, values)
        return _with_manifest(instance, rows[0]) if rows else None

    async def blob(
        self, instance: InstanceId, name: str, digest: str
    ) -> tuple[Repository, LinkedBlob | None] | None:
        """The repository and the live blob of that digest if it is linked there, with what the collector thinks of it."""
        values = {"instance": instance, "name": name, "digest": digest}
        rows = self._db.points_here(self._blob, values)
        if rows is None:
            rows = await self._db.points_elsewhere(self._blob, values)
        return _with_blob(instance, rows[0]) if rows else None

    async def repository(self, instance: InstanceId, name: str) -> Repository | None:
        """The living repository of that full name."""
        row: Any = await self._db.point(self._repository, {"instance": instance, "name": name})
        if row is None:
            return None
        number, namespace, tenant, owner, path, public = row
        return Repository(number, instance, namespace, tenant, owner, path, bool(public))

    async def namespace(self, instance: InstanceId, name: str) -> Namespace | None:
        """The living namespace of that name."""
        row: Any = await self._db.point(self._namespace, {"instance": instance, "name": name})
        if row is None:
            return None
        number, tenant, is_public, created_by, created_at = row
        return Namespace(
            id=NamespaceId(number),
            instance=instance,
            tenant=TenantId(tenant),
            name=name,
            is_public=bool(is_public),
            created_by=None if created_by is None else UserId(created_by),
            created_at=Micros(created_at),
        )

    async def presented_key(self, access_key_id: str) -> PresentedKey | None:
        """The living access key of that id with its user's standing."""
        row = await self._db.point(self._key, {"access_key_id": access_key_id})
        return None if row is None else access_keys.presented_of(row)


# Rows by position, since each pull makes one of these; the driver's numbers and texts are ids and names already.


def _with_manifest(instance: InstanceId, row: Any) -> tuple[Repository, StoredManifest | None]:
    number, namespace, tenant, owner, path, public, manifest, digest, kind, size, payload = row
    repository = Repository(number, instance, namespace, tenant, owner, path, bool(public))
    if manifest is None:
        return repository, None
    return repository, StoredManifest(manifest, digest, kind, size, bytes(payload))


def _with_blob(instance: InstanceId, row: Any) -> tuple[Repository, LinkedBlob | None]:
    number, namespace, tenant, owner, path, public, blob, digest, size, key, linked, review = row
    repository = Repository(number, instance, namespace, tenant, owner, path, bool(public))
    if blob is None:
        return repository, None
    return repository, LinkedBlob(Blob(blob, digest, size, key), linked, review)
