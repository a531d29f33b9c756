"""Hints reach the other processes' loops after the commit; losing one is allowed, inventing one is not."""

import asyncio
import os
import socket

import pytest
from database_tables import add_name

from entrepot.metadata.database import Database


@pytest.fixture
def sibling(db, database_url):
    """The same database as another process sees it."""
    other = Database.open(database_url)
    yield other
    other.close_sync()


def hinting(db, channel, payload, *, then=None):
    def fn(conn):
        db.notify(conn, channel, payload)
        if then is not None:
            raise then

    return fn


async def heard(queue, count):
    return [await asyncio.wait_for(queue.get(), 10) for _ in range(count)]


def test_a_hint_reaches_listeners_here_and_in_siblings(db, sibling):
    async def scenario():
        here, there = asyncio.Queue(), asyncio.Queue()
        await db.listen("jobs", here.put_nowait)
        await sibling.listen("jobs", there.put_nowait)
        await db.write(hinting(db, "jobs", "17 é"))
        return await heard(here, 1), await heard(there, 1)

    assert asyncio.run(scenario()) == (["17 é"], ["17 é"])


def test_channels_are_apart(db, sibling):
    async def scenario():
        jobs, rights = asyncio.Queue(), asyncio.Queue()
        await sibling.listen("jobs", jobs.put_nowait)
        await sibling.listen("rights", rights.put_nowait)
        await db.write(hinting(db, "jobs", "1"))
        await db.write(hinting(db, "rights", "2"))
        return await heard(jobs, 1), await heard(rights, 1), jobs.qsize()

    assert asyncio.run(scenario()) == (["1"], ["2"], 0)


def test_what_is_rolled_back_gives_no_hint(db, sibling):
    async def scenario():
        queue = asyncio.Queue()
        await sibling.listen("jobs", queue.put_nowait)
        with pytest.raises(ValueError, match="no"):
            await db.write(hinting(db, "jobs", "undone", then=ValueError("no")))
        await db.write(hinting(db, "jobs", "done"))
        return await heard(queue, 1)

    assert asyncio.run(scenario()) == ["done"]


def test_the_change_is_visible_when_the_hint_arrives(db, sibling, names_in):
    def fn(conn):
        add_name("a")(conn)
        db.notify(conn, "jobs", "a")

    async def scenario():
        queue = asyncio.Queue()
        await sibling.listen("jobs", queue.put_nowait)
        await db.write(fn)
        await heard(queue, 1)
        return await asyncio.to_thread(names_in, sibling)

    assert asyncio.run(scenario()) == ["a"]


def test_a_dead_siblings_socket_is_swept_away(sqlite_db, tmp_path):
    left_behind = tmp_path / "run" / "metadata.db.1.dead"
    left_behind.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(os.path.relpath(left_behind))

    sqlite_db.write_sync(hinting(sqlite_db, "jobs", "1"))
    sqlite_db.close_sync()  # hints go out after the answer

    assert not left_behind.exists()


def test_deep_folders_work_too(tmp_path):
    folder = tmp_path / ("d" * 120) / ("e" * 120)
    folder.mkdir(parents=True)
    one, two = (Database.open(f"sqlite:///{folder / 'metadata.db'}") for _ in range(2))

    async def scenario():
        queue = asyncio.Queue()
        await two.listen("jobs", queue.put_nowait)
        await one.write(hinting(one, "jobs", "1"))
        return await heard(queue, 1)

    assert asyncio.run(scenario()) == ["1"]
    one.close_sync()
    two.close_sync()
    assert list((folder / "run").iterdir()) == []


def test_a_hint_is_short(db):
    with pytest.raises(ValueError, match="4000"):
        db.write_sync(hinting(db, "jobs", "x" * 4000))
