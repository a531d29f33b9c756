"""INSERT that leaves an existing row alone, spelled for both engines."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, literal
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(conn: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert unless a unique index objects; whether a row was inserted."""
    # Not rowcount: the PostgreSQL driver does not tell it for this statement.
    statement = _insert(conn, table).values(**values).on_conflict_do_nothing()
    return conn.execute(statement.returning(literal(1))).first() is not None


def insert_or_set(
    conn: Connection,
    table: Table,
    values: Mapping[str, Any],
    *,
    key: Sequence[str],
    set_: Mapping[str, Any],
) -> None:
    """Insert, or update `set_` in the row that has the same `key` columns."""
    statement = _insert(conn, table).values(**values)
    conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(set_)))


def _insert(conn: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    return sqlite.insert(table) if conn.dialect.name == "sqlite" else postgresql.insert(table)
