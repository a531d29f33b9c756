"""What is in an instance, while it is being deleted and where it is kept afterwards."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import quotas
from entrepot.metadata.instances import instance_of
from entrepot.metadata.namespaces import count_namespaces, repository_of, select_repositories
from entrepot.metadata.schema import allow_list, instances, private_links, repositories
from entrepot.model.content import Repository
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.instances import KeptBucket
from entrepot.model.network_access import EntryStatus
from entrepot.model.tenancy import Instance, InstanceStatus


@dataclass(frozen=True, slots=True)
class Ending:
    """An instance that is being deleted, or whose kept content is. `deleted_at`: it was gone before."""

    instance: Instance
    is_kept: bool
    deleted_at: Micros | None


def ending(conn: Connection, instance: InstanceId) -> Ending | None:
    """The facts of a living or deleted instance; None if there never was one."""
    row = conn.execute(sa.select(instances).where(instances.c.id == instance)).first()
    if row is None:
        return None
    deleted_at = None if row.deleted_at is None else Micros(row.deleted_at)
    return Ending(instance_of(row), row.kept_at is not None, deleted_at)


def some_repositories(conn: Connection, instance: InstanceId, *, limit: int) -> list[Repository]:
    """Any of its living repositories."""
    query = select_repositories().where(
        repositories.c.instance_id == instance, repositories.c.deleted_at.is_(None)
    )
    return [repository_of(row) for row in conn.execute(query.limit(limit))]


def forget_entries(conn: Connection, instance: InstanceId) -> None:
    """Close it: its allow list and private links are gone."""
    for table in (allow_list, private_links):
        conn.execute(sa.delete(table).where(table.c.instance_id == instance))
    conn.execute(
        sa.update(instances)
        .where(instances.c.id == instance)
        .values(public_entry=EntryStatus.CLOSED.value, allow_version=instances.c.allow_version + 1)
    )


# -- kept -------------------------------------------------------------------------------------------------------------

_KEPT = (
    instances.c.kept_at.is_not(None),
    instances.c.deleted_at.is_not(None),
    instances.c.status == InstanceStatus.DELETED.value,
)


def kept_buckets(conn: Connection, tenant: TenantId | None = None) -> list[KeptBucket]:
    """Kept content of deleted instances, the oldest first; of one tenant or (None) of all."""
    query = sa.select(instances).where(*_KEPT).order_by(instances.c.kept_at, instances.c.id)
    if tenant is not None:
        query = query.where(instances.c.tenant_id == tenant)
    return [
        KeptBucket(
            instance=InstanceId(row.id),
            public_id=row.public_id,
            name=row.name,
            tenant=TenantId(row.tenant_id),
            edition=row.edition,
            kept_at=Micros(row.kept_at),
            namespaces=count_namespaces(conn, InstanceId(row.id), None),
            size=quotas.usage(conn, "instance", row.id, "bytes"),
        )
        for row in conn.execute(query)
    ]


def find_kept(conn: Connection, public_id: str) -> KeptBucket | None:
    """The kept content of the deleted instance that had the id."""
    for bucket in kept_buckets(conn):
        if bucket.public_id == public_id:
            return bucket
    return None
