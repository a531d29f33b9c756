"""Point reads: the hot path."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa
from database_tables import add_name, names

from entrepot.metadata.database import Database


def by_name(db):
    return db.prepare(
        sa.select(names.c.name, names.c.document, names.c.body).where(
            names.c.name == sa.bindparam("name")
        )
    )


def test_a_point_read_gives_the_row_with_its_types_or_none(db):
    row = {"name": "a", "document": {"k": [1]}, "body": b"\x00x"}
    db.write_sync(lambda conn: conn.execute(names.insert().values(**row)))
    prepared = by_name(db)

    async def scenario():
        return await db.point(prepared, {"name": "a"}), await db.point(prepared, {"name": "b"})

    assert asyncio.run(scenario()) == (("a", {"k": [1]}, b"\x00x"), None)


def test_points_gives_all_rows(db):
    for name in "cab":
        db.write_sync(add_name(name))
    prepared = db.prepare(
        sa.select(names.c.name).where(names.c.name > sa.bindparam("after")).order_by(names.c.name)
    )

    assert asyncio.run(db.points(prepared, {"after": "a"})) == [("b",), ("c",)]


def test_a_point_read_sees_every_answered_write(db, database_url):
    prepared = by_name(db)
    other = Database.open(database_url)

    async def scenario():
        for i in range(50):
            await (db, other)[i % 2].write(add_name(f"n{i}"))
            assert await db.point(prepared, {"name": f"n{i}"}) is not None

    asyncio.run(scenario())
    other.close_sync()


def test_constants_of_the_statement_are_kept(db):
    for name in "ab":
        db.write_sync(add_name(name))
    prepared = db.prepare(
        sa.select(names.c.name)
        .where(names.c.name >= sa.bindparam("from"))
        .order_by(names.c.name)
        .limit(1)
    )

    assert asyncio.run(db.points(prepared, {"from": "a"})) == [("a",)]


def test_a_missing_parameter_is_named(db):
    with pytest.raises(KeyError, match="name"):
        asyncio.run(db.point(by_name(db), {"nome": "a"}))


def test_only_selects_of_fixed_shape_can_be_prepared(db):
    with pytest.raises(TypeError):
        db.prepare(names.delete())
    with pytest.raises(ValueError, match="list"):
        db.prepare(sa.select(names).where(names.c.name.in_(["a", "b"])))


def test_sqlite_answers_on_the_loop_without_a_thread(sqlite_db):
    prepared = by_name(sqlite_db)
    before = sqlite_db.statistics.counts()

    asyncio.run(sqlite_db.point(prepared, {"name": "a"}))

    difference = sqlite_db.statistics.counts() - before
    assert (difference.points, difference.statements) == (1, 1)
    assert (difference.thread_hops, difference.reads) == (0, 0)


def test_slow_point_reads_move_to_a_thread_and_come_back(sqlite_db):
    prepared = by_name(sqlite_db)
    latency = sqlite_db.point_latency

    async def hops(times):
        before = sqlite_db.statistics.counts()
        for _ in range(times):
            await sqlite_db.point(prepared, {"name": "a"})
        return (sqlite_db.statistics.counts() - before).thread_hops

    assert asyncio.run(hops(10)) == 0
    for _ in range(latency.WINDOW):
        latency.observe(0.002)  # this thread waited for a processor, not for the disk
    assert not latency.is_slow
    latency.waited = lambda: True
    for _ in range(latency.WINDOW):
        latency.observe(0.002)
    assert latency.is_slow
    assert asyncio.run(hops(10)) == 10

    while latency.is_slow:
        latency.observe(0.00001)
    assert asyncio.run(hops(10)) == 0


def test_a_rare_slow_read_changes_nothing(sqlite_db):
    latency = sqlite_db.point_latency

    for i in range(latency.WINDOW * 3):
        latency.observe(0.5 if i % 200 == 0 else 0.00001)

    assert not latency.is_slow
    assert latency.quantile(0.5) <= 0.00002
    assert latency.quantile(0.999) >= 0.5


def test_a_point_read_holds_no_snapshot(sqlite_db, tmp_path):
    """A select left half read would keep the log from being folded."""
    for name in "abc":
        sqlite_db.write_sync(add_name(name))
    prepared = sqlite_db.prepare(
        sa.select(names.c.name).where(names.c.name >= sa.bindparam("from"))
    )

    asyncio.run(sqlite_db.point(prepared, {"from": "a"}))

    other = sqlite3.connect(tmp_path / "metadata.db", isolation_level=None, timeout=0)
    is_busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert is_busy == 0


def test_point_inside_a_function_is_refused(db):
    prepared = by_name(db)

    def fn(_):
        return asyncio.run(db.point(prepared, {"name": "a"}))

    with pytest.raises(RuntimeError, match="connection it is given"):
        db.write_sync(fn)
