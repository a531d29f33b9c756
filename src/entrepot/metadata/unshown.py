"""The first start's secrets, sealed, from its transaction until somebody has been shown them. A note in `schema_info`."""

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import schema_info

_KEY = "unshown_secrets"


def keep(conn: Connection, sealed: bytes) -> None:
    """Keep them. For the transaction that makes what they open."""
    conn.execute(sa.insert(schema_info).values(key=_KEY, value=sealed.hex()))


def find(conn: Connection) -> bytes | None:
    """What is kept; None where it was shown."""
    query = sa.select(schema_info.c.value).where(schema_info.c.key == _KEY)
    text = conn.execute(query).scalar()
    return None if text is None else bytes.fromhex(text)


def forget(conn: Connection) -> bool:
    """They were shown. False: somebody said so before."""
    return conn.execute(sa.delete(schema_info).where(schema_info.c.key == _KEY)).rowcount > 0
