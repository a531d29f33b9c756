"""Limits that somebody set, and what counts against them."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import counter_deltas, counters, namespaces, quotas
from entrepot.metadata.upsert import insert_or_set


def limits(
    conn: Connection, subjects: Sequence[tuple[str, int]], resource: str
) -> dict[tuple[str, int], int]:
    """The limits set on any of the (kind, id) subjects."""
    rows = conn.execute(
        sa.select(quotas.c.subject_kind, quotas.c.subject_id, quotas.c.limit).where(
            quotas.c.resource == resource,
            sa.or_(
                *(
                    sa.and_(quotas.c.subject_kind == kind, quotas.c.subject_id == number)
                    for kind, number in subjects
                )
            ),
        )
    )
    return {(kind, number): limit for kind, number, limit in rows}


def limits_of(conn: Connection, kind: str, number: int) -> dict[str, int]:
    """Every limit set on one subject, by resource."""
    rows = conn.execute(
        sa.select(quotas.c.resource, quotas.c.limit).where(
            quotas.c.subject_kind == kind, quotas.c.subject_id == number
        )
    )
    return {row.resource: row.limit for row in rows}


def limits_of_all(conn: Connection, kind: str) -> dict[int, dict[str, int]]:
    """Every limit set on subjects of one kind, by subject, then by resource."""
    rows = conn.execute(
        sa.select(quotas.c.subject_id, quotas.c.resource, quotas.c.limit).where(
            quotas.c.subject_kind == kind
        )
    )
    found: dict[int, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.subject_id, {})[row.resource] = row.limit
    return found


def set_limit(
    conn: Connection, kind: str, number: int, *, resource: str, limit: int | None
) -> None:
    """Set a limit; None takes it away."""
    key = {"subject_kind": kind, "subject_id": number, "resource": resource}
    if limit is None:
        conn.execute(
            sa.delete(quotas).where(*(quotas.c[name] == value for name, value in key.items()))
        )
        return
    insert_or_set(conn, quotas, {**key, "limit": limit}, key=tuple(key), set_={"limit": limit})


def usage(conn: Connection, kind: str, number: int, resource: str) -> int:
    """What a namespace, or all living namespaces of a tenant or instance, use: folded counts and deltas not folded yet."""
    ids = _namespaces(kind, number)
    total = 0
    for table, column in ((counters, counters.c.value), (counter_deltas, counter_deltas.c.delta)):
        total += conn.execute(
            sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(
                table.c.subject_kind == "namespace",
                table.c.name == resource,
                table.c.subject_id.in_(ids),
            )
        ).scalar_one()
    return int(total)


def _namespaces(kind: str, number: int) -> "sa.Select[tuple[int]]":
    column = {
        "namespace": namespaces.c.id,
        "tenant": namespaces.c.tenant_id,
        "instance": namespaces.c.instance_id,
    }[kind]
    return sa.select(namespaces.c.id).where(column == number, namespaces.c.deleted_at.is_(None))
