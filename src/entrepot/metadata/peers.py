"""Peers: other deployments that tenants copy images to, with what logs in there."""

import secrets
import string
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import peers, repositories, sync_rules
from entrepot.model.ids import Micros, TenantId
from entrepot.model.syncing import Peer

_ALPHABET: Final = string.ascii_lowercase + string.digits


def new_public_id(conn: Connection) -> str:
    """`peer-` and eight letters or digits that no peer ever had."""
    while True:
        public_id = "peer-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
        if (
            conn.execute(sa.select(peers.c.id).where(peers.c.public_id == public_id)).first()
            is None
        ):
            return public_id


def insert_peer(
    conn: Connection,
    public_id: str,
    *,
    tenant: TenantId,
    name: str,
    url: str,
    username: str,
    secret_sealed: bytes,
    authorities: str,
) -> Peer:
    """A new peer. The name's uniqueness is the caller's to check and the index's to enforce."""
    values = {
        "public_id": public_id,
        "tenant_id": tenant,
        "name": name,
        "url": url,
        "username": username,
        "secret_sealed": secret_sealed,
        "authorities": authorities,
        "created_at": now(conn),
    }
    return _peer_of(conn.execute(sa.insert(peers).values(**values).returning(peers)).one())


def find_peer(conn: Connection, tenant: TenantId, name: str) -> Peer | None:
    """The tenant's living peer of that name."""
    found = _row(conn, tenant, name)
    return None if found is None else _peer_of(found)


def find_sealed(conn: Connection, tenant: TenantId, name: str) -> tuple[Peer, bytes] | None:
    """Likewise, with its sealed secret."""
    found = _row(conn, tenant, name)
    return None if found is None else (_peer_of(found), bytes(found.secret_sealed))


def list_peers(conn: Connection, tenant: TenantId) -> list[Peer]:
    """The tenant's living peers by name."""
    query = (
        sa.select(peers)
        .where(peers.c.tenant_id == tenant, peers.c.deleted_at.is_(None))
        .order_by(peers.c.name)
    )
    return [_peer_of(row) for row in conn.execute(query)]


def count_peers(conn: Connection, tenant: TenantId) -> int:
    """How many living ones the tenant has."""
    of_it = peers.c.tenant_id == tenant, peers.c.deleted_at.is_(None)
    query = sa.select(sa.func.count()).select_from(peers).where(*of_it)
    return int(conn.execute(query).scalar_one())


def is_named(conn: Connection, name: str) -> bool:
    """Whether a living peer of any tenant has the name."""
    query = sa.select(peers.c.id).where(peers.c.name == name, peers.c.deleted_at.is_(None))
    return conn.execute(query.limit(1)).first() is not None


def is_used(conn: Connection, tenant: TenantId, name: str) -> bool:
    """Whether a sync rule of a living repository names the peer."""
    query = (
        sa.select(sync_rules.c.id)
        .join(repositories, repositories.c.id == sync_rules.c.repository_id)
        .where(
            sync_rules.c.tenant_id == tenant,
            sync_rules.c.region == name,
            repositories.c.deleted_at.is_(None),
        )
        .limit(1)
    )
    return conn.execute(query).first() is not None


def tombstone_peer(conn: Connection, number: int) -> None:
    """Delete it with its secret."""
    values = {"deleted_at": now(conn), "secret_sealed": b""}
    conn.execute(sa.update(peers).where(peers.c.id == number).values(**values))


def tombstone_all(conn: Connection, tenant: TenantId) -> None:
    """Likewise for all peers of a tenant; its sync rules go, too."""
    values = {"deleted_at": now(conn), "secret_sealed": b""}
    which = peers.c.tenant_id == tenant, peers.c.deleted_at.is_(None)
    conn.execute(sa.update(peers).where(*which).values(**values))
    conn.execute(sa.delete(sync_rules).where(sync_rules.c.tenant_id == tenant))


def sealed_secrets(conn: Connection, *, after: int, limit: int) -> list[tuple[int, str, bytes]]:
    """(id, public id, sealed secret) of living peers behind an id."""
    query = (
        sa.select(peers.c.id, peers.c.public_id, peers.c.secret_sealed)
        .where(peers.c.id > after, peers.c.deleted_at.is_(None))
        .order_by(peers.c.id)
        .limit(limit)
    )
    return [(row.id, row.public_id, bytes(row.secret_sealed)) for row in conn.execute(query)]


def set_sealed(conn: Connection, number: int, secret_sealed: bytes) -> None:
    """The same secret sealed anew, or another one."""
    conn.execute(sa.update(peers).where(peers.c.id == number).values(secret_sealed=secret_sealed))


def _row(conn: Connection, tenant: TenantId, name: str) -> Any:
    query = sa.select(peers).where(
        peers.c.tenant_id == tenant, peers.c.name == name, peers.c.deleted_at.is_(None)
    )
    return conn.execute(query).first()


def _peer_of(row: Any) -> Peer:
    return Peer(
        id=row.id,
        public_id=row.public_id,
        tenant=TenantId(row.tenant_id),
        name=row.name,
        url=row.url,
        username=row.username,
        authorities=row.authorities,
        created_at=Micros(row.created_at),
    )
