"""Instances in full, for APIs: pages of those a tenant sees, and the columns that change in an instance's life."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import resource_tags
from entrepot.metadata.database import now
from entrepot.metadata.instances import instance_of
from entrepot.metadata.schema import instances, namespaces, regions
from entrepot.metadata.schema import resource_tags as tag_rows
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.instances import InstanceDetails
from entrepot.model.network_access import EntryStatus
from entrepot.model.tenancy import Instance, InstanceKind, InstanceStatus

TAGGED = "instance"  # the kind of resource tags


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances; each field that is not empty must match, one of its values suffices. `part`: of the name."""

    public_ids: Collection[str] = ()
    names: Collection[str] = ()
    part: str = ""
    editions: Collection[str] = ()
    statuses: Collection[InstanceStatus] = ()
    tags: Collection[tuple[str, str]] = ()  # key, value
    region: str = ""  # empty: all


EVERYTHING = InstanceFilter()


def seen_instances(
    conn: Connection, tenant: TenantId, which: InstanceFilter = EVERYTHING
) -> list[Instance]:
    """The tenant's living dedicated instances in the order they were made, then the shared ones."""
    query = (
        sa.select(instances)
        .join(regions, regions.c.id == instances.c.region_id)
        .where(
            instances.c.deleted_at.is_(None),
            sa.or_(instances.c.tenant_id == tenant, instances.c.tenant_id.is_(None)),
            *_conditions(which),
        )
        .order_by(instances.c.kind == InstanceKind.SHARED.value, instances.c.id)
    )
    return [instance_of(row) for row in conn.execute(query)]


def _conditions(which: InstanceFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if which.public_ids:
        found.append(instances.c.public_id.in_(list(which.public_ids)))
    if which.names:
        found.append(instances.c.name.in_(list(which.names)))
    if which.part:
        found.append(instances.c.name.contains(which.part, autoescape=True))
    if which.editions:
        found.append(instances.c.edition.in_(list(which.editions)))
    if which.statuses:
        found.append(instances.c.status.in_([status.value for status in which.statuses]))
    if which.region:
        found.append(regions.c.name == which.region)
    if which.tags:
        found.append(
            sa.exists().where(
                tag_rows.c.kind == TAGGED,
                tag_rows.c.resource == instances.c.public_id,
                sa.or_(
                    *(
                        sa.and_(tag_rows.c.key == key, tag_rows.c.value == value)
                        for key, value in which.tags
                    )
                ),
            )
        )
    return found


def details_of(
    conn: Connection, wanted: Sequence[InstanceId], tenant: TenantId | None
) -> list[InstanceDetails]:
    """In the order wanted; living ones only. `tenant`: whose namespaces count in a shared instance."""
    query = (
        sa.select(instances, regions.c.name.label("region_name"), regions.c.number)
        .join(regions, regions.c.id == instances.c.region_id)
        .where(instances.c.id.in_(wanted), instances.c.deleted_at.is_(None))
    )
    rows = {row.id: row for row in conn.execute(query)}
    public = _with_public_namespace(conn, wanted, tenant)
    tags = resource_tags.tags_of_all(conn, TAGGED, [row.public_id for row in rows.values()])
    return [
        _details(
            rows[number],
            has_public=number in public,
            tags=tags.get(rows[number].public_id, {}),
        )
        for number in wanted
        if number in rows
    ]


def _with_public_namespace(
    conn: Connection, wanted: Sequence[InstanceId], tenant: TenantId | None
) -> set[int]:
    query = (
        sa.select(namespaces.c.instance_id)
        .where(
            namespaces.c.instance_id.in_(wanted),
            namespaces.c.deleted_at.is_(None),
            namespaces.c.is_public,
        )
        .distinct()
    )
    if tenant is not None:
        query = query.where(namespaces.c.tenant_id == tenant)
    return set(conn.scalars(query))


def _details(row: Any, *, has_public: bool, tags: Mapping[str, str]) -> InstanceDetails:
    return InstanceDetails(
        instance=instance_of(row),
        region_name=row.region_name,
        region_number=row.number,
        edition=row.edition,
        reason=row.status_reason,
        is_protected=bool(row.is_protected),
        public_entry=EntryStatus(row.public_entry),
        facts=row.facts,
        created_at=Micros(row.created_at),
        expires_at=None if row.expires_at is None else Micros(row.expires_at),
        has_public_namespace=has_public,
        tags=tuple(tags.items()),
    )


def count_owned(conn: Connection, tenant: TenantId) -> int:
    """Living dedicated instances of the tenant, whatever their status."""
    query = (
        sa.select(sa.func.count())
        .select_from(instances)
        .where(instances.c.tenant_id == tenant, instances.c.deleted_at.is_(None))
    )
    return conn.execute(query).scalar_one()


# -- what changes -----------------------------------------------------------------------------------------------------


def set_status(
    conn: Connection,
    instance: InstanceId,
    status: InstanceStatus,
    *,
    among: Collection[InstanceStatus],
    reason: str = "",
) -> bool:
    """Move on to `status` from any `among`; whether it was one of those."""
    done = conn.execute(
        sa.update(instances)
        .where(
            instances.c.id == instance,
            instances.c.status.in_([one.value for one in among]),
        )
        .values(status=status.value, status_reason=reason)
    )
    return done.rowcount > 0


def status_of(conn: Connection, instance: InstanceId) -> InstanceStatus | None:
    """Of a living or deleted instance; None if there never was one."""
    query = sa.select(instances.c.status).where(instances.c.id == instance)
    found = conn.execute(query).scalar()
    return None if found is None else InstanceStatus(found)


def update_instance(conn: Connection, instance: InstanceId, **values: Any) -> None:
    """Set columns: edition, is_protected, facts, expires_at, kept_at, name, deleted_at."""
    conn.execute(sa.update(instances).where(instances.c.id == instance).values(**values))


def in_status(
    conn: Connection, *statuses: InstanceStatus
) -> list[tuple[InstanceId, InstanceStatus]]:
    """Id and status of every instance in one of them, be it living or not."""
    query = (
        sa.select(instances.c.id, instances.c.status)
        .where(instances.c.status.in_([status.value for status in statuses]))
        .where(
            # a deleted tenant's instance stays as it was, but for content that is being purged
            sa.or_(
                instances.c.deleted_at.is_(None),
                instances.c.status == InstanceStatus.DELETING.value,
            )
        )
        .order_by(instances.c.id)
    )
    return [(InstanceId(row.id), InstanceStatus(row.status)) for row in conn.execute(query)]


def expiry(conn: Connection, *, enforce: bool) -> tuple[list[InstanceId], list[InstanceId]]:
    """Running instances whose end has come (none where that is not enforced), and isolated ones for which it has not."""
    moment = now(conn)
    living = sa.select(instances.c.id).where(instances.c.deleted_at.is_(None))
    over = living.where(
        instances.c.status == InstanceStatus.RUNNING.value, instances.c.expires_at <= moment
    )
    back = living.where(instances.c.status == InstanceStatus.ISOLATED.value)
    if enforce:
        back = back.where(sa.or_(instances.c.expires_at.is_(None), instances.c.expires_at > moment))
    return (
        [InstanceId(one) for one in conn.scalars(over)] if enforce else [],
        [InstanceId(one) for one in conn.scalars(back)],
    )


def editions_of_all(conn: Connection) -> list[tuple[InstanceId, str]]:
    """Id and edition of every living dedicated instance."""
    query = (
        sa.select(instances.c.id, instances.c.edition)
        .where(instances.c.deleted_at.is_(None), instances.c.kind == InstanceKind.DEDICATED.value)
        .order_by(instances.c.id)
    )
    return [(InstanceId(row.id), row.edition) for row in conn.execute(query)]
