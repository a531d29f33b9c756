"""Private links of instances to networks."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import networks, private_links
from entrepot.model.ids import InstanceId, Micros
from entrepot.model.network_access import LinkStatus, PrivateLink


def insert_link(
    conn: Connection, instance: InstanceId, network: int, *, subnet: str
) -> PrivateLink:
    """A link that is being created. The instance has none to that network and subnet yet."""
    values = {
        "instance_id": instance,
        "network_id": network,
        "subnet": subnet,
        "status": LinkStatus.CREATING.value,
        "address": "",
        "has_names": False,
        "created_at": now(conn),
    }
    made = sa.insert(private_links).values(**values).returning(private_links.c.id)
    link = get_link(conn, int(conn.execute(made).scalar_one()))
    assert link is not None  # noqa: S101  (written a line above)
    return link


def get_link(conn: Connection, link: int) -> PrivateLink | None:
    """The link of that number."""
    row = conn.execute(_LINKS.where(private_links.c.id == link)).first()
    return None if row is None else _link_of(row)


def find_link(
    conn: Connection, instance: InstanceId, network: str, *, subnet: str
) -> PrivateLink | None:
    """The instance's link to the network of that public id."""
    query = _LINKS.where(
        private_links.c.instance_id == instance,
        private_links.c.subnet == subnet,
        networks.c.public_id == network,
    )
    row = conn.execute(query).first()
    return None if row is None else _link_of(row)


def list_links(conn: Connection, instance: InstanceId) -> list[PrivateLink]:
    """All of an instance, oldest first."""
    query = _LINKS.where(private_links.c.instance_id == instance).order_by(private_links.c.id)
    return [_link_of(row) for row in conn.execute(query)]


def set_link(conn: Connection, link: int, status: LinkStatus, *, address: str) -> None:
    """Move it on."""
    conn.execute(
        sa.update(private_links)
        .where(private_links.c.id == link)
        .values(status=status.value, address=address)
    )


def set_names(conn: Connection, link: int, *, has_names: bool) -> None:
    """Whether host names are given out for it."""
    conn.execute(
        sa.update(private_links).where(private_links.c.id == link).values(has_names=has_names)
    )


def delete_link(conn: Connection, link: int) -> None:
    """It is gone."""
    conn.execute(sa.delete(private_links).where(private_links.c.id == link))


_LINKS = sa.select(private_links, networks.c.public_id.label("network")).join(
    networks, networks.c.id == private_links.c.network_id
)


def _link_of(row: Any) -> PrivateLink:
    return PrivateLink(
        id=row.id,
        instance=InstanceId(row.instance_id),
        network=row.network,
        subnet=row.subnet,
        status=LinkStatus(row.status),
        address=row.address,
        has_names=bool(row.has_names),
        created_at=Micros(row.created_at),
    )
