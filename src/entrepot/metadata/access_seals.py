"""Sealed secrets of access keys, for resealing after the master key was rotated."""

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import access_keys


def list_sealed(conn: Connection) -> list[tuple[str, bytes]]:
    """(access key id, sealed secret) of every living key."""
    query = sa.select(access_keys.c.access_key_id, access_keys.c.secret_sealed).where(
        access_keys.c.deleted_at.is_(None)
    )
    return [(row.access_key_id, bytes(row.secret_sealed)) for row in conn.execute(query)]


def set_sealed(conn: Connection, access_key_id: str, sealed: bytes) -> None:
    """Store the secret sealed anew."""
    conn.execute(
        sa.update(access_keys)
        .where(access_keys.c.access_key_id == access_key_id)
        .values(secret_sealed=sealed)
    )
