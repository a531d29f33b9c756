"""Numbers used once, of signed requests that carry one: kept until the request's time is over."""

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import nonces
from entrepot.metadata.upsert import insert_new
from entrepot.model.ids import Micros


def use(
    conn: Connection, access_key_id: str, *, signed_at: int, nonce: int, expires_at: Micros
) -> bool:
    """Whether the key never used that number in that second (`signed_at`, seconds as the client says); from now on it has.

    The primary key decides, so of two requests that race, one is told False.
    """
    values = {
        "access_key_id": access_key_id,
        "signed_at": signed_at,
        "nonce": nonce,
        "expires_at": expires_at,
    }
    return insert_new(conn, nonces, values)


def purge(conn: Connection, before: Micros, *, limit: int = 1000) -> int:
    """Forget those that ended before that moment, oldest first; how many went."""
    past = (
        sa.select(nonces.c.access_key_id, nonces.c.signed_at, nonces.c.nonce)
        .where(nonces.c.expires_at < before)
        .order_by(nonces.c.expires_at)
        .limit(limit)
    )
    key = sa.tuple_(nonces.c.access_key_id, nonces.c.signed_at, nonces.c.nonce)
    return conn.execute(sa.delete(nonces).where(key.in_(past))).rowcount


def is_purge_wanted(conn: Connection, before: Micros) -> bool:
    """Whether any ended before that moment."""
    old = sa.exists().where(nonces.c.expires_at < before)
    return bool(conn.execute(sa.select(old)).scalar())
