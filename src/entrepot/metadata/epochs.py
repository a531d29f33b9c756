"""Epochs: rows that say that rights, routes or signing keys changed, so that every process can drop what it remembers.

Values grow over all scopes and never repeat; a transaction sees every value lower than its own committed (SQLite: one writer;
PostgreSQL: SERIALIZABLE). So `read_since` with the highest value seen misses nothing.
"""

from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import epochs
from entrepot.metadata.upsert import insert_or_set
from entrepot.model.ids import TenantId

ROUTING = "routing"  # hosts, instances, networks
KEYS = "keys"  # signing keys of bearer tokens


@lru_cache(maxsize=4096)
def of_tenant(tenant: TenantId) -> str:
    """The scope of a tenant: its users, keys, accounts, policies, and the grants and visibility of its namespaces."""
    return f"tenant:{tenant}"


def raise_epoch(conn: Connection, scope: str) -> int:
    """Within the transaction of the change: what was remembered under this scope no longer counts. The new value."""
    value = current(conn) + 1
    insert_or_set(
        conn, epochs, {"scope": scope, "value": value}, key=("scope",), set_={"value": value}
    )
    return value


def current(conn: Connection) -> int:
    """The highest value of any scope; 0 before the first."""
    highest = conn.execute(sa.select(sa.func.max(epochs.c.value))).scalar_one()
    return 0 if highest is None else int(highest)


def read_since(conn: Connection, value: int) -> list[tuple[str, int]]:
    """(scope, value) of what was raised above `value`, lowest first."""
    query = (
        sa.select(epochs.c.scope, epochs.c.value)
        .where(epochs.c.value > value)
        .order_by(epochs.c.value)
    )
    return [(row.scope, int(row.value)) for row in conn.execute(query)]
