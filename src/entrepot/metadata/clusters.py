"""Kubernetes clusters of tenants as rows. What reaches them is sealed by the caller."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import clusters, instances, regions, repositories
from entrepot.model.clusters import Cluster
from entrepot.model.ids import Micros, RepositoryId, TenantId

_CLUSTERS = sa.select(clusters, regions.c.name.label("region")).join(
    regions, regions.c.id == clusters.c.region_id
)


def insert_cluster(
    conn: Connection,
    tenant: TenantId,
    public_id: str,
    *,
    region: int,
    values: Mapping[str, Any],
) -> Cluster:
    """A new cluster. `values`: of the columns that `change_cluster` changes. Id and name are unique among the tenant's living ones."""
    at = now(conn)
    made = sa.insert(clusters).values(
        public_id=public_id,
        tenant_id=tenant,
        region_id=region,
        created_at=at,
        updated_at=at,
        **values,
    )
    number = conn.execute(made.returning(clusters.c.id)).scalar_one()
    return _cluster_of(conn.execute(_CLUSTERS.where(clusters.c.id == number)).one())


def change_cluster(conn: Connection, number: int, values: Mapping[str, Any]) -> Cluster:
    """Set columns: name, is_default, server, access_sealed, namespaces, registry."""
    update = sa.update(clusters).where(clusters.c.id == number)
    conn.execute(update.values(updated_at=now(conn), **values))
    return _cluster_of(conn.execute(_CLUSTERS.where(clusters.c.id == number)).one())


def find_cluster(conn: Connection, tenant: TenantId, public_id: str) -> Cluster | None:
    """The tenant's living cluster of that id."""
    return _one(conn, clusters.c.tenant_id == tenant, clusters.c.public_id == public_id)


def named_cluster(conn: Connection, tenant: TenantId, name: str) -> Cluster | None:
    """The tenant's living cluster of that name."""
    return _one(conn, clusters.c.tenant_id == tenant, clusters.c.name == name)


def default_cluster(conn: Connection, tenant: TenantId, repository: RepositoryId) -> Cluster | None:
    """The tenant's default cluster in the region where the repository is."""
    region = (
        sa.select(instances.c.region_id)
        .join(repositories, repositories.c.instance_id == instances.c.id)
        .where(repositories.c.id == repository)
        .scalar_subquery()
    )
    return _one(
        conn,
        clusters.c.tenant_id == tenant,
        clusters.c.is_default,
        clusters.c.region_id == region,
    )


def list_clusters(conn: Connection, tenant: TenantId) -> list[Cluster]:
    """The tenant's living clusters, by name."""
    query = _CLUSTERS.where(clusters.c.tenant_id == tenant, clusters.c.deleted_at.is_(None))
    return [_cluster_of(row) for row in conn.execute(query.order_by(clusters.c.name))]


def count_clusters(conn: Connection, tenant: TenantId) -> int:
    """How many living ones the tenant has."""
    query = sa.select(sa.func.count()).select_from(clusters)
    query = query.where(clusters.c.tenant_id == tenant, clusters.c.deleted_at.is_(None))
    return conn.execute(query).scalar_one()


def forget_default(conn: Connection, tenant: TenantId, region: str) -> None:
    """No cluster of the tenant is the default one in that region."""
    where = sa.select(regions.c.id).where(regions.c.name == region).scalar_subquery()
    conn.execute(
        sa.update(clusters)
        .where(
            clusters.c.tenant_id == tenant,
            clusters.c.region_id == where,
            clusters.c.is_default,
            clusters.c.deleted_at.is_(None),
        )
        .values(is_default=False)
    )


def tombstone_cluster(conn: Connection, number: int) -> None:
    """Delete it with what reaches it."""
    _end(conn, clusters.c.id == number)


def tombstone_clusters(conn: Connection, tenant: TenantId) -> None:
    """Delete all of a tenant."""
    _end(conn, clusters.c.tenant_id == tenant)


def _end(conn: Connection, which: sa.ColumnElement[bool]) -> None:
    ended = {"deleted_at": now(conn), "is_default": False, "access_sealed": b""}
    living = clusters.c.deleted_at.is_(None)
    conn.execute(sa.update(clusters).where(which, living).values(**ended))


# -- what is sealed ---------------------------------------------------------------------------------------------------


def sealed_access(conn: Connection, number: int) -> bytes:
    """What reaches a living cluster, sealed."""
    query = sa.select(clusters.c.access_sealed).where(clusters.c.id == number)
    return bytes(conn.execute(query).scalar_one())


def sealed_accesses(
    conn: Connection, *, after: int, limit: int
) -> list[tuple[int, TenantId, str, bytes]]:
    """(id, tenant, public id, sealed) of living clusters behind an id."""
    query = (
        sa.select(clusters)
        .where(clusters.c.id > after, clusters.c.deleted_at.is_(None))
        .order_by(clusters.c.id)
        .limit(limit)
    )
    return [
        (row.id, TenantId(row.tenant_id), row.public_id, bytes(row.access_sealed))
        for row in conn.execute(query)
    ]


def set_sealed(conn: Connection, number: int, sealed: bytes) -> None:
    """The same, sealed anew."""
    conn.execute(sa.update(clusters).where(clusters.c.id == number).values(access_sealed=sealed))


def _one(conn: Connection, *which: sa.ColumnElement[bool]) -> Cluster | None:
    row = conn.execute(_CLUSTERS.where(*which, clusters.c.deleted_at.is_(None))).first()
    return None if row is None else _cluster_of(row)


def _cluster_of(row: Any) -> Cluster:
    return Cluster(
        id=row.id,
        public_id=row.public_id,
        tenant=TenantId(row.tenant_id),
        region=row.region,
        name=row.name,
        is_default=bool(row.is_default),
        server=row.server,
        namespaces=tuple(row.namespaces),
        registry=row.registry,
        created_at=Micros(row.created_at),
        updated_at=Micros(row.updated_at),
    )
