"""Private networks as rows: an id of the operator's choice, and address ranges."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import instances, networks, private_links
from entrepot.model.ids import Micros, TenantId
from entrepot.model.network_access import PrivateNetwork


def insert_network(
    conn: Connection, public_id: str, *, tenant: TenantId | None, cidrs: Sequence[str]
) -> PrivateNetwork:
    """A new network. Where one of that id was deleted, its row is used again, without the links it had."""
    values = {
        "public_id": public_id,
        "tenant_id": tenant,
        "cidrs": list(cidrs),
        "created_at": now(conn),
        "deleted_at": None,
    }
    former = sa.select(networks.c.id).where(networks.c.public_id == public_id)
    number = conn.execute(former).scalar()
    if number is None:
        made = sa.insert(networks).values(**values).returning(networks)
        return _network_of(conn.execute(made).one())
    conn.execute(sa.delete(private_links).where(private_links.c.network_id == number))
    update = sa.update(networks).where(networks.c.id == number).values(**values)
    return _network_of(conn.execute(update.returning(networks)).one())


def find_network(conn: Connection, public_id: str) -> PrivateNetwork | None:
    """The living network of that id."""
    query = sa.select(networks).where(
        networks.c.public_id == public_id, networks.c.deleted_at.is_(None)
    )
    row = conn.execute(query).first()
    return None if row is None else _network_of(row)


def list_networks(conn: Connection, tenant: TenantId | None = None) -> list[PrivateNetwork]:
    """Living networks by id: those the tenant may name, or (None) all."""
    query = sa.select(networks).where(networks.c.deleted_at.is_(None))
    if tenant is not None:
        query = query.where(sa.or_(networks.c.tenant_id == tenant, networks.c.tenant_id.is_(None)))
    return [_network_of(row) for row in conn.execute(query.order_by(networks.c.public_id))]


def is_linked(conn: Connection, network: int) -> bool:
    """Whether a living instance has a link to it."""
    query = (
        sa.select(private_links.c.id)
        .join(instances, instances.c.id == private_links.c.instance_id)
        .where(private_links.c.network_id == network, instances.c.deleted_at.is_(None))
        .limit(1)
    )
    return conn.execute(query).first() is not None


def tombstone_network(conn: Connection, network: int) -> None:
    """Delete it: it admits nobody any more."""
    conn.execute(sa.update(networks).where(networks.c.id == network).values(deleted_at=now(conn)))


def _network_of(row: Any) -> PrivateNetwork:
    return PrivateNetwork(
        id=row.id,
        public_id=row.public_id,
        tenant=None if row.tenant_id is None else TenantId(row.tenant_id),
        cidrs=tuple(row.cidrs),
        created_at=Micros(row.created_at),
    )
