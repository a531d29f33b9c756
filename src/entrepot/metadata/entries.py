"""Public entries of dedicated instances, their allow lists, and the rules that admit clients."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import allow_list, instances, networks, private_links
from entrepot.model.ids import InstanceId, Micros
from entrepot.model.network_access import (
    EVERYBODY,
    AllowedNetwork,
    AllowList,
    Cidr,
    EntryRules,
    EntryStatus,
    LinkStatus,
)
from entrepot.model.tenancy import InstanceKind


def edition_name(conn: Connection, instance: InstanceId) -> str:
    """The edition of an instance that is there, as the row has it."""
    query = sa.select(instances.c.edition).where(instances.c.id == instance)
    return str(conn.execute(query).scalar_one())


def entry_status(conn: Connection, instance: InstanceId) -> EntryStatus:
    """Of an instance that is there."""
    query = sa.select(instances.c.public_entry).where(instances.c.id == instance)
    return EntryStatus(conn.execute(query).scalar_one())


def set_entry_status(conn: Connection, instance: InstanceId, status: EntryStatus) -> None:
    """Write it; rules that processes remember change with the epoch `routing`."""
    conn.execute(
        sa.update(instances).where(instances.c.id == instance).values(public_entry=status.value)
    )


def get_allow_list(conn: Connection, instance: InstanceId) -> AllowList:
    """The whole list in its order."""
    version = sa.select(instances.c.allow_version).where(instances.c.id == instance)
    query = (
        sa.select(allow_list).where(allow_list.c.instance_id == instance).order_by(allow_list.c.id)
    )
    entries = tuple(
        AllowedNetwork(
            id=row.id,
            index=index,
            cidr=Cidr(row.cidr, row.network),
            description=row.description,
            created_at=Micros(row.created_at),
        )
        for index, row in enumerate(conn.execute(query))
    )
    return AllowList(int(conn.execute(version).scalar_one()), entries)


def insert_allowed(
    conn: Connection, instance: InstanceId, entries: Sequence[tuple[Cidr, str]]
) -> None:
    """Append networks with their descriptions; none of them may be in the list yet."""
    moment = now(conn)
    rows: list[dict[str, Any]] = [
        {
            "instance_id": instance,
            "cidr": cidr.entered,
            "network": cidr.network,
            "description": description,
            "created_at": moment,
        }
        for cidr, description in entries
    ]
    if rows:
        conn.execute(sa.insert(allow_list), rows)


def update_allowed(conn: Connection, entry: int, cidr: Cidr, *, description: str) -> None:
    """Make the entry another network; its place stays."""
    conn.execute(
        sa.update(allow_list)
        .where(allow_list.c.id == entry)
        .values(cidr=cidr.entered, network=cidr.network, description=description)
    )


def delete_allowed(conn: Connection, entries: Sequence[int]) -> None:
    """Take entries out."""
    conn.execute(sa.delete(allow_list).where(allow_list.c.id.in_(entries)))


def raise_version(conn: Connection, instance: InstanceId) -> None:
    """The list has changed."""
    conn.execute(
        sa.update(instances)
        .where(instances.c.id == instance)
        .values(allow_version=instances.c.allow_version + 1)
    )


def allow_everybody(conn: Connection, instance: InstanceId) -> None:
    """In the transaction that makes an instance whose entry is open from the start."""
    insert_allowed(conn, instance, [(Cidr(cidr, cidr), "everybody") for cidr in EVERYBODY])
    raise_version(conn, instance)


def load_rules(conn: Connection) -> dict[InstanceId, EntryRules]:
    """Of every living dedicated instance."""
    living = (
        sa.select(instances.c.id, instances.c.public_entry)
        .where(instances.c.deleted_at.is_(None))
        .where(instances.c.kind == InstanceKind.DEDICATED.value)
    )
    allowed: dict[int, list[str]] = {}
    query = sa.select(allow_list.c.instance_id, allow_list.c.network).order_by(allow_list.c.id)
    for instance, network in conn.execute(query):
        allowed.setdefault(instance, []).append(network)
    linked: dict[int, list[str]] = {}
    query = (
        sa.select(private_links.c.instance_id, networks.c.cidrs)
        .join(networks, networks.c.id == private_links.c.network_id)
        .where(private_links.c.status == LinkStatus.RUNNING.value)
        .where(networks.c.deleted_at.is_(None))
        .order_by(private_links.c.id)
    )
    for instance, cidrs in conn.execute(query):
        linked.setdefault(instance, []).extend(cidrs)
    return {
        InstanceId(row.id): EntryRules(
            EntryStatus(row.public_entry),
            tuple(allowed.get(row.id, ())),
            tuple(dict.fromkeys(linked.get(row.id, ()))),
        )
        for row in conn.execute(living)
    }
