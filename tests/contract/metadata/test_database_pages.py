"""Pages of lists: prepared selects of many rows, alone and inside a transaction."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa
from database_tables import add_name, names

from entrepot.metadata.database import Database, PageSelect
from entrepot.model.errors import StorageUnavailable

BEHIND = PageSelect(
    sa.select(names.c.name, names.c.document, names.c.body)
    .where(names.c.name > sa.bindparam("after"))
    .order_by(names.c.name)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)


def listed(rows):
    return "".join(row[0] for row in rows)


@pytest.fixture
def filled(db):
    for name in "dbca":
        db.write_sync(add_name(name))
    return db


def test_a_page_gives_rows_in_order_with_their_types(db):
    for name in "ba":
        row = {"name": name, "document": {"k": [name]}, "body": b"\x00" + name.encode()}
        db.write_sync(lambda conn, row=row: conn.execute(names.insert().values(**row)))
    wanted = [("a", {"k": ["a"]}, b"\x00a"), ("b", {"k": ["b"]}, b"\x00b")]
    values = {"after": "", "limit": 10}

    def inside(conn):
        return BEHIND.rows(conn, values)

    for rows in (asyncio.run(db.page(BEHIND, values)), db.read_sync(inside)):
        assert [(name, document, bytes(body)) for name, document, body in rows] == wanted


def test_a_page_is_as_long_as_its_limit_and_begins_where_it_is_told(filled):
    async def scenario():
        return [
            listed(await filled.page(BEHIND, {"after": after, "limit": limit}))
            for after, limit in (("", 2), ("b", 2), ("b", 1), ("d", 2), ("", 0))
        ]

    assert asyncio.run(scenario()) == ["ab", "cd", "c", "", ""]


def test_a_page_sees_every_answered_write(db, database_url):
    other = Database.open(database_url)

    async def scenario():
        for i in range(20):
            await (db, other)[i % 2].write(add_name(f"n{i:02}"))
            rows = await db.page(BEHIND, {"after": "", "limit": 100})
            assert len(rows) == i + 1

    asyncio.run(scenario())
    other.close_sync()


def test_pages_inside_a_read_are_of_one_state(filled, database_url):
    other = Database.open(database_url)
    values = {"after": "", "limit": 10}

    def read(conn):
        before = listed(BEHIND.rows(conn, values))
        other.write_sync(add_name("e"))
        return before, listed(BEHIND.rows(conn, values))

    assert filled.read_sync(read) == ("abcd", "abcd")
    assert listed(asyncio.run(filled.page(BEHIND, values))) == "abcde"
    other.close_sync()


def test_a_page_is_counted_as_one_read_of_one_statement(filled):
    values = {"after": "", "limit": 10}
    seen = list(filled.point_latency.buckets)

    def spent(run):
        before = filled.statistics.counts()
        run()
        return filled.statistics.counts() - before

    for run in (
        lambda: asyncio.run(filled.page(BEHIND, values)),
        lambda: filled.read_sync(lambda conn: BEHIND.rows(conn, values)),
    ):
        counts = spent(run)
        assert (counts.reads, counts.statements, counts.thread_hops) == (1, 1, 1)
        assert (counts.points, counts.writes) == (0, 0)
    assert filled.point_latency.buckets == seen  # long pages do not make point reads slow


def test_a_missing_parameter_of_a_page_is_named(db):
    with pytest.raises(KeyError, match="limit"):
        asyncio.run(db.page(BEHIND, {"after": ""}))
    with pytest.raises(KeyError, match="limit"):
        db.read_sync(lambda conn: BEHIND.rows(conn, {"after": ""}))


def test_only_selects_of_fixed_shape_are_pages(db):
    for statement, error in (
        (names.delete(), TypeError),
        (sa.select(names).where(names.c.name.in_(["a"])), ValueError),
    ):
        with pytest.raises(error):
            asyncio.run(db.page(PageSelect(statement), {}))


def test_a_page_inside_a_function_is_refused(db):
    def fn(_):
        return asyncio.run(db.page(BEHIND, {"after": "", "limit": 1}))

    with pytest.raises(RuntimeError, match="connection it is given"):
        db.read_sync(fn)


def test_a_closed_database_has_no_pages(db):
    db.close_sync()

    with pytest.raises(StorageUnavailable):
        asyncio.run(db.page(BEHIND, {"after": "", "limit": 1}))


def test_a_page_holds_no_snapshot(sqlite_db, tmp_path):
    """A select left half read would keep the log from being folded."""
    for name in "abc":
        sqlite_db.write_sync(add_name(name))

    assert len(asyncio.run(sqlite_db.page(BEHIND, {"after": "", "limit": 1}))) == 1

    other = sqlite3.connect(tmp_path / "metadata.db", isolation_level=None, timeout=0)
    is_busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert is_busy == 0
