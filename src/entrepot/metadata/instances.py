"""Instances and the names they answer at."""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.entries import allow_everybody, load_rules
from entrepot.metadata.schema import accounts, instance_hosts, instances, namespaces, regions
from entrepot.model.certificates import DomainStatus
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.network_access import EntryRules, EntryStatus
from entrepot.model.tenancy import Instance, InstanceKind, InstanceStatus

_ALPHABET: Final = string.ascii_lowercase + string.digits
_SERVING: Final = tuple(status.value for status in InstanceStatus if status.is_serving)


@dataclass(frozen=True, slots=True)
class Hosts:
    """Living instances and their names. `regional`: shared instances by the name of their region."""

    default: Instance
    by_name: Mapping[str, Instance]
    hosts: Mapping[str, Instance]
    regional: Mapping[str, Instance]
    rules: Mapping[InstanceId, EntryRules]  # of the dedicated ones


def insert_instance(
    conn: Connection,
    kind: InstanceKind,
    name: str,
    *,
    tenant: TenantId | None,
    region: int,
    edition: str = "",
    is_default: bool = False,
    entry: EntryStatus = EntryStatus.OPENED,
    status: InstanceStatus = InstanceStatus.RUNNING,
    facts: Mapping[str, Any] | None = None,
    expires_at: Micros | None = None,
) -> Instance:
    """A new instance with a public id of its own. The name is unique among the living. An entry that is opened lets everybody in."""
    values = {
        "public_id": _new_public_id(conn),
        "kind": kind.value,
        "tenant_id": tenant,
        "region_id": region,
        "name": name,
        "is_default": is_default,
        "edition": edition,
        "public_entry": entry.value,
        "status": status.value,
        "facts": dict(facts or {}),
        "expires_at": expires_at,
        "created_at": now(conn),
    }
    made = instance_of(
        conn.execute(sa.insert(instances).values(**values).returning(instances)).one()
    )
    if kind is InstanceKind.DEDICATED and entry is EntryStatus.OPENED:
        allow_everybody(conn, made.id)
    return made


def _new_public_id(conn: Connection) -> str:
    while True:
        public_id = "tcr-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
        query = sa.select(instances.c.id).where(instances.c.public_id == public_id)
        if conn.execute(query).first() is None:
            return public_id


def find_instance(conn: Connection, name: str) -> Instance | None:
    """The living instance of that name or public id."""
    which = sa.or_(instances.c.name == name, instances.c.public_id == name)
    return _one(conn, which)


def get_instance(conn: Connection, instance: InstanceId) -> Instance | None:
    """The living instance of that id."""
    return _one(conn, instances.c.id == instance)


def public_id_of(conn: Connection, instance: InstanceId) -> str | None:
    """Its public id, living or not; None if there never was one."""
    return conn.execute(sa.select(instances.c.public_id).where(instances.c.id == instance)).scalar()


def default_instance(conn: Connection) -> Instance | None:
    """The instance of bare addresses; None before the first start."""
    return _one(conn, instances.c.is_default)


def shared_of(conn: Connection, region: int) -> Instance | None:
    """The living shared instance of the region."""
    return _one(
        conn,
        sa.and_(instances.c.kind == InstanceKind.SHARED.value, instances.c.region_id == region),
    )


def list_instances(conn: Connection, tenant: TenantId | None = None) -> list[Instance]:
    """Living instances by name: the shared ones and the dedicated ones of the tenant, or (None) of all."""
    query = sa.select(instances).where(instances.c.deleted_at.is_(None)).order_by(instances.c.name)
    if tenant is not None:
        query = query.where(
            sa.or_(instances.c.tenant_id == tenant, instances.c.tenant_id.is_(None))
        )
    return [instance_of(row) for row in conn.execute(query)]


def has_namespaces(conn: Connection, instance: InstanceId) -> bool:
    """Whether a living namespace is in it."""
    query = (
        sa.select(namespaces.c.id)
        .where(namespaces.c.instance_id == instance, namespaces.c.deleted_at.is_(None))
        .limit(1)
    )
    return conn.execute(query).first() is not None


def tombstone_instance(conn: Connection, instance: InstanceId, at: Micros) -> None:
    """Mark it deleted with its tokens and service accounts; its further host names are free again."""
    conn.execute(sa.delete(instance_hosts).where(instance_hosts.c.instance_id == instance))
    conn.execute(
        sa.update(accounts)
        .where(accounts.c.instance_id == instance, accounts.c.deleted_at.is_(None))
        .values(deleted_at=at)
    )
    conn.execute(
        sa.update(instances)
        .where(instances.c.id == instance)
        .values(deleted_at=at, status=InstanceStatus.DELETED.value)
    )


# -- hosts ------------------------------------------------------------------------------------------------------------


def add_host(conn: Connection, instance: InstanceId, host: str) -> bool:
    """Give the instance a further name; False if some instance has it."""
    present = sa.select(instance_hosts.c.instance_id).where(instance_hosts.c.host == host)
    if conn.execute(present).first() is not None:
        return False
    conn.execute(
        sa.insert(instance_hosts).values(host=host, instance_id=instance, created_at=now(conn))
    )
    return True


def remove_host(conn: Connection, instance: InstanceId, host: str) -> bool:
    """Take the name away; False if the instance did not have it."""
    done = conn.execute(
        sa.delete(instance_hosts).where(
            instance_hosts.c.host == host, instance_hosts.c.instance_id == instance
        )
    )
    return done.rowcount > 0


def list_hosts(conn: Connection, instance: InstanceId) -> list[str]:
    """Its further names."""
    query = (
        sa.select(instance_hosts.c.host)
        .where(instance_hosts.c.instance_id == instance)
        .order_by(instance_hosts.c.host)
    )
    return list(conn.scalars(query))


def load_hosts(conn: Connection) -> Hosts | None:
    """Everything the routing table needs; None before the first start. Instances that do not serve have no names there."""
    query = (
        sa.select(instances, regions.c.name.label("region"))
        .join(regions, regions.c.id == instances.c.region_id)
        .where(instances.c.deleted_at.is_(None), instances.c.status.in_(_SERVING))
    )
    living = {row.id: (instance_of(row), row.region) for row in conn.execute(query)}
    default = next((instance for instance, _ in living.values() if instance.is_default), None)
    if default is None:
        return None
    names = sa.select(instance_hosts.c.host, instance_hosts.c.instance_id)
    rows = conn.execute(names.where(instance_hosts.c.status == DomainStatus.READY.value))
    return Hosts(
        default=default,
        by_name={instance.name: instance for instance, _ in living.values()},
        hosts={row.host: living[row.instance_id][0] for row in rows if row.instance_id in living},
        regional={
            region: instance
            for instance, region in living.values()
            if instance.kind is InstanceKind.SHARED
        },
        rules=load_rules(conn),
    )


def _one(conn: Connection, which: sa.ColumnElement[bool]) -> Instance | None:
    query = sa.select(instances).where(which, instances.c.deleted_at.is_(None))
    row = conn.execute(query).first()
    return None if row is None else instance_of(row)


def instance_of(row: Any) -> Instance:
    """The record of an instances row."""
    return Instance(
        id=InstanceId(row.id),
        public_id=row.public_id,
        kind=InstanceKind(row.kind),
        tenant=None if row.tenant_id is None else TenantId(row.tenant_id),
        name=row.name,
        is_default=bool(row.is_default),
        status=InstanceStatus(row.status),
    )
