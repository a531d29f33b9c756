"""INSERT that leaves an existing row alone, spelled for both engines."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, literal
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


def insert_selected(
    conn: Connection,
    table: Table,
    values: Mapping[str, ColumnElement[Any]],
    rows: Callable[..., Select[Any]],
    *,
    key: Sequence[str],
    set_: Mapping[str, Any],
    where: ColumnElement[bool] | None = None,
) -> None:
    """Insert what `rows` selects of these columns. Where a row has the same `key`, update `set_` if `where` holds for it.

    The query needs a WHERE, or SQLite takes ON CONFLICT for a join's.
    """
    statement = _insert(conn, table).from_select(list(values), rows(*values.values()))
    conn.execute(
        statement.on_conflict_do_update(index_elements=list(key), set_=dict(set_), where=where)
    )


def _insert(conn: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    return sqlite.insert(table) if conn.dialect.name == "sqlite" else postgresql.insert(table)
