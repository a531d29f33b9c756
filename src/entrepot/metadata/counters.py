"""Counts and sizes that lists show. A change adds a delta row (never one hot row); a job folds deltas into values.

The value is exact at every moment: what is folded plus what is not yet. For use inside `db.write` and `db.read`.
Deltas and values stay within ±`MOST`: what would pass it stops there, so that no count can stop the others, and is put right by the
recount once it is less again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from entrepot.metadata.schema import counter_deltas, counters
from entrepot.metadata.sums import of_row, summed

Key = tuple[str, int, str]  # subject kind, subject id, name
MOST: Final = 1 << 62  # half of what a database counts to: two of them can be added
_CHUNK = 500  # subjects a statement


def bounded(number: int) -> int:
    """The number, or the bound that it passes."""
    return max(-MOST, min(number, MOST))


def add(conn: Connection, subject_kind: str, subject_id: int, name: str, delta: int) -> None:
    """Change a count in the transaction of what it counts."""
    add_many(conn, {(subject_kind, subject_id, name): delta})


def add_many(conn: Connection, deltas: Mapping[Key, int]) -> None:
    """Change many counts. Zeros are left out."""
    rows = [
        {"subject_kind": kind, "subject_id": key, "name": name, "delta": bounded(delta)}
        for (kind, key, name), delta in deltas.items()
        if delta
    ]
    if rows:
        conn.execute(counter_deltas.insert(), rows)


def value(conn: Connection, subject_kind: str, subject_id: int, name: str) -> int:
    """The count now; 0 if nothing was ever counted."""
    return many(conn, subject_kind, [subject_id], name)[subject_id]


def many(
    conn: Connection, subject_kind: str, subject_ids: Sequence[int], name: str
) -> dict[int, int]:
    """The counts of the subjects of a list, each of them present. Two statements for up to 500."""
    totals = dict.fromkeys(subject_ids, 0)
    for start in range(0, len(subject_ids), _CHUNK):
        ids = subject_ids[start : start + _CHUNK]
        for table, amount in (
            (counters, counters.c.value),
            (counter_deltas, counter_deltas.c.delta),
        ):
            query = sa.select(table.c.subject_id, *summed(amount)).where(
                table.c.subject_kind == subject_kind,
                table.c.subject_id.in_(ids),
                table.c.name == name,
            )
            for row in conn.execute(query.group_by(table.c.subject_id)):
                totals[row[0]] += of_row(row)
    return {subject: bounded(number) for subject, number in totals.items()}


def of(subject_kind: str, subject: sa.ColumnElement[int], name: str) -> sa.ColumnElement[int]:
    """The count now of a row's subject, as an expression of its query. For counts of rows: sums of sizes may be too large for it."""
    folded = (
        sa.select(counters.c.value)
        .where(
            counters.c.subject_kind == subject_kind,
            counters.c.subject_id == subject,
            counters.c.name == name,
        )
        .scalar_subquery()
    )
    since = (
        sa.select(sa.func.sum(counter_deltas.c.delta))
        .where(
            counter_deltas.c.subject_kind == subject_kind,
            counter_deltas.c.subject_id == subject,
            counter_deltas.c.name == name,
        )
        .scalar_subquery()
    )
    return sa.func.coalesce(folded, 0) + sa.func.coalesce(since, 0)


def fold(conn: Connection, *, limit: int = 5000) -> int:
    """Add up to `limit` deltas to their values and remove them. How many there were: call again while it is `limit`.

    They are taken by their own ids, never by a range: an id below ours may still be uncommitted.
    """
    oldest = sa.select(counter_deltas.c.id).order_by(counter_deltas.c.id).limit(limit)
    taken = conn.execute(
        counter_deltas.delete()
        .where(counter_deltas.c.id.in_(oldest))
        .returning(
            counter_deltas.c.subject_kind,
            counter_deltas.c.subject_id,
            counter_deltas.c.name,
            counter_deltas.c.delta,
        )
    ).all()
    sums: Counter[Key] = Counter()
    for kind, key, name, delta in taken:
        sums[kind, key, name] += delta
    rows = [
        {"subject_kind": kind, "subject_id": key, "name": name, "value": bounded(number)}
        for (kind, key, name), number in sorted(sums.items())
    ]
    if rows:
        conn.execute(_add_to_values(conn), rows)
    return len(taken)


def _add_to_values(conn: Connection) -> sa.Insert:
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    statement: sqlite.Insert | postgresql.Insert = insert(counters)
    return statement.on_conflict_do_update(
        index_elements=[counters.c.subject_kind, counters.c.subject_id, counters.c.name],
        set_={"value": _added(counters.c.value, statement.excluded.value)},
    )


def _added(value: sa.ColumnElement[int], more: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    """The sum of two bounded numbers, bounded: compared so that nothing on the way is too large either."""
    return sa.case(
        (sa.and_(more > 0, value > MOST - more), MOST),
        (sa.and_(more < 0, value < -MOST - more), -MOST),
        else_=value + more,
    )


def is_fold_wanted(conn: Connection) -> bool:
    """Whether there are deltas."""
    return conn.execute(sa.select(counter_deltas.c.id).limit(1)).first() is not None


def forget(conn: Connection, subject_kind: str, subject_id: int) -> None:
    """Remove all counts of a subject that is gone for good."""
    for table in (counters, counter_deltas):
        conn.execute(
            table.delete().where(
                table.c.subject_kind == subject_kind, table.c.subject_id == subject_id
            )
        )
