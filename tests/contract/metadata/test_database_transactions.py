"""What a transaction promises, on every engine."""

import asyncio
import threading
import time

import pytest
import sqlalchemy as sa
from database_tables import add_name, names

from entrepot.metadata.database import Database, DatabaseMisuse, now
from entrepot.model.errors import StorageUnavailable


def test_a_write_is_seen_by_later_reads(db, names_in):
    db.write_sync(add_name("a"))

    assert names_in(db) == ["a"]


def test_values_come_back_as_they_went_in_on_both_engines(db):
    row = {
        "name": "x",
        "document": {"b": [1, None, "é"], "a": 1.5},
        "body": b"\x00\xff",
        "made_at": 1_800_000_000_000_001,
    }

    db.write_sync(lambda conn: conn.execute(names.insert().values(**row)))
    found = db.read_sync(lambda conn: conn.execute(sa.select(names)).mappings().one())

    assert {key: found[key] for key in row} == row


def test_none_in_a_json_column_is_null(db):
    db.write_sync(lambda conn: conn.execute(names.insert().values(name="x", document=None)))

    count = sa.select(sa.func.count()).select_from(names).where(names.c.document.is_(None))

    assert db.read_sync(lambda conn: conn.scalar(count)) == 1


def test_names_sort_byte_by_byte(db, names_in):
    for name in ["b", "B", "a-b", "a.b", "é", "a_b", "ab"]:
        db.write_sync(add_name(name))

    assert names_in(db) == sorted(["b", "B", "a-b", "a.b", "é", "a_b", "ab"])


def test_an_exception_rolls_back_and_reaches_the_caller_as_it_is(db, names_in):
    class Mine(Exception):
        pass

    def fails(conn):
        add_name("gone")(conn)
        raise Mine

    with pytest.raises(Mine):
        db.write_sync(fails)

    assert names_in(db) == []


def test_failures_in_a_group_undo_only_their_own_work(db, names_in):
    async def scenario():
        def failing(number):
            def fn(conn):
                add_name(f"bad{number}")(conn)
                raise ValueError(number)

            return fn

        jobs = [db.write(failing(i) if i % 3 == 0 else add_name(f"good{i:02}")) for i in range(60)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    answers = asyncio.run(scenario())

    assert [i for i, answer in enumerate(answers) if isinstance(answer, ValueError)] == [
        *range(0, 60, 3)
    ]
    assert names_in(db) == [f"good{i:02}" for i in range(60) if i % 3]


def test_a_broken_rule_leaves_the_neighbours_alone(db, names_in):
    async def scenario():
        same = [db.write(add_name("same")) for _ in range(10)]
        others = [db.write(add_name(f"other{i}")) for i in range(10)]
        return await asyncio.gather(*same, *others, return_exceptions=True)

    answers = asyncio.run(scenario())

    assert sum(isinstance(answer, sa.exc.IntegrityError) for answer in answers) == 9
    assert len(names_in(db)) == 11


def test_a_function_may_catch_a_failure_inside_its_own_savepoint(db, names_in):
    def fn(conn):
        add_name("a")(conn)
        try:
            with conn.begin_nested():
                add_name("a")(conn)
        except sa.exc.IntegrityError:
            add_name("b")(conn)

    db.write_sync(fn)

    assert names_in(db) == ["a", "b"]


def test_a_read_is_one_snapshot(db):
    count = sa.select(sa.func.count()).select_from(names)

    def fn(conn):
        before = conn.scalar(count)
        writer = threading.Thread(target=lambda: db.write_sync(add_name("new")))
        writer.start()
        writer.join()
        return before, conn.scalar(count)

    assert db.read_sync(fn) == (0, 0)
    assert db.read_sync(lambda conn: conn.scalar(count)) == 1


def test_a_long_reader_does_not_block_writers(db):
    reading, go_on = threading.Event(), threading.Event()

    def long(conn):
        conn.scalar(sa.select(sa.func.count()).select_from(names))
        reading.set()
        return go_on.wait(20)

    reader = threading.Thread(target=lambda: db.read_sync(long))
    reader.start()
    reading.wait(20)
    started = time.monotonic()

    for i in range(20):
        db.write_sync(add_name(f"n{i}"))

    assert reader.is_alive()
    assert time.monotonic() - started < 15
    go_on.set()
    reader.join()


def test_reads_cannot_write(db, names_in):
    with pytest.raises(DatabaseMisuse, match="read"):
        db.read_sync(add_name("a"))

    assert names_in(db) == []


@pytest.mark.parametrize("how", ["read_sync", "write_sync"])
def test_async_functions_are_refused(db, how):
    async def fn(conn):
        return conn

    with pytest.raises(DatabaseMisuse, match="synchronous"):
        getattr(db, how)(fn)


@pytest.mark.parametrize("inner", ["read_sync", "write_sync"])
@pytest.mark.parametrize("outer", ["read_sync", "write_sync"])
def test_nesting_is_refused_instead_of_waiting_for_itself(db, outer, inner):
    with pytest.raises(DatabaseMisuse, match="connection it is given"):
        getattr(db, outer)(lambda _: getattr(db, inner)(lambda conn: 1))

    assert db.write_sync(lambda _: 2) == 2


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_function_cannot_end_its_transaction(db, names_in, end):
    def fn(conn):
        add_name("a")(conn)
        getattr(conn, end)()

    with pytest.raises(DatabaseMisuse, match="does not commit"):
        db.write_sync(fn)

    assert names_in(db) == []
    db.write_sync(add_name("b"))
    assert names_in(db) == ["b"]


def test_a_cancelled_awaiter_does_not_disturb_the_others(db, names_in):
    async def scenario():
        slow = asyncio.ensure_future(db.write(lambda _: time.sleep(0.2)))
        await asyncio.sleep(0.05)
        others = [asyncio.ensure_future(db.write(add_name(f"n{i}"))) for i in range(10)]
        await asyncio.sleep(0)
        slow.cancel()
        others[3].cancel()
        return await asyncio.gather(slow, *others, return_exceptions=True)

    answers = asyncio.run(scenario())

    assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 2
    assert {f"n{i}" for i in range(10) if i != 3} <= set(names_in(db))


def test_close_finishes_what_is_queued(db, database_url, names_in):
    async def scenario():
        jobs = [asyncio.ensure_future(db.write(add_name(f"n{i}"))) for i in range(100)]
        await asyncio.sleep(0)
        await db.close()
        await asyncio.gather(*jobs)

    asyncio.run(scenario())

    again = Database.open(database_url)
    assert len(names_in(again)) == 100
    again.close_sync()


def test_a_closed_database_answers_unavailable(db):
    db.close_sync()

    with pytest.raises(StorageUnavailable):
        db.write_sync(add_name("a"))
    with pytest.raises(StorageUnavailable):
        db.read_sync(lambda conn: 1)


def test_statistics_count_one_read_for_one_read(db):
    db.read_sync(lambda conn: conn.execute(sa.select(names)).all())
    before = db.statistics.counts()

    db.read_sync(lambda conn: conn.execute(sa.select(names)).all())

    difference = db.statistics.counts() - before
    assert (difference.statements, difference.reads, difference.writes) == (1, 1, 0)
    assert (difference.thread_hops, difference.commits) == (1, 0)


def test_the_databases_clock_is_in_microseconds(db):
    started = time.time_ns() // 1000

    at = db.write_sync(now)

    assert abs(at - started) < 60_000_000
    assert db.write_sync(now) >= at


def test_ids_count_up(db):
    first, second = db.write_sync(add_name("a")), db.write_sync(add_name("b"))

    assert second > first


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://host/name", "nonsense"]
)
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match=r"metadata\.url"):
        Database.open(url)


def test_an_unreachable_server_is_unavailable_without_the_password_in_the_error():
    database = Database.open("postgresql://user:hunter2@127.0.0.1:1/name")

    with pytest.raises(StorageUnavailable) as caught:
        database.write_sync(lambda conn: 1)

    assert "hunter2" not in str(caught.value)
    database.close_sync()


def test_a_missing_folder_is_unavailable(tmp_path):
    with pytest.raises(StorageUnavailable, match="No such file"):
        Database.open(f"sqlite:///{tmp_path / 'nowhere' / 'metadata.db'}")
