"""Answered means on disk; and what happens when the disk says no."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from database_tables import TABLES, add_name, names

from entrepot.metadata import sqlite, sqlite_file, sqlite_writer
from entrepot.metadata.database import Database
from entrepot.model.errors import StorageFull, StorageUnavailable

PROGRAM = Path(__file__).with_name("database_tables.py")


def test_every_answered_write_survives_kill_9(db, database_url, names_in):
    for round_ in range(3):
        child = subprocess.Popen(
            [sys.executable, str(PROGRAM), "names", database_url, f"r{round_}-"],
            stdout=subprocess.PIPE,
            text=True,
        )
        answered = [child.stdout.readline().strip() for _ in range(30 + 7 * round_)]
        os.kill(child.pid, signal.SIGKILL)
        answered += [line.strip() for line in child.stdout if line.endswith("\n")]
        child.wait()
        child.stdout.close()

        assert set(answered) <= set(names_in(db))


def test_a_group_is_answered_only_after_its_commit(sqlite_db, tmp_path):
    """While another program holds the file, nobody hears of success."""
    other = sqlite3.connect(tmp_path / "metadata.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers = []
    writers = [
        threading.Thread(target=lambda i=i: answers.append(sqlite_db.write_sync(add_name(f"n{i}"))))
        for i in range(5)
    ]
    for writer in writers:
        writer.start()
    time.sleep(0.3)

    assert answers == []

    other.execute("ROLLBACK")
    other.close()
    for writer in writers:
        writer.join()
    assert len(answers) == 5


def test_many_waiting_writes_share_commits(sqlite_db):
    before = sqlite_db.statistics.counts()

    async def scenario():
        await asyncio.gather(*[sqlite_db.write(add_name(f"n{i}")) for i in range(300)])

    asyncio.run(scenario())

    difference = sqlite_db.statistics.counts() - before
    assert difference.writes == 300
    assert 300 / sqlite_writer.GROUP_FUNCTIONS <= difference.commits < 150


def test_a_full_disk_is_told_to_who_filled_it_and_to_nobody_else(tmp_path, names_in):
    database = full_after(tmp_path, pages=40)

    def big(conn):
        conn.execute(names.insert().values(name="big", body=b"x" * 400_000))

    async def scenario():
        small = [database.write(add_name(f"a{i}")) for i in range(10)]
        more = [database.write(add_name(f"b{i}")) for i in range(10)]
        return await asyncio.gather(*small, database.write(big), *more, return_exceptions=True)

    answers = asyncio.run(scenario())

    assert [i for i, answer in enumerate(answers) if isinstance(answer, Exception)] == [10]
    assert isinstance(answers[10], StorageFull)
    assert len(names_in(database)) == 20
    database.close_sync()


def test_after_the_disk_was_full_writing_goes_on(tmp_path, names_in):
    database = full_after(tmp_path, pages=40)

    def fill():
        for i in range(100):
            row = names.insert().values(name=f"n{i}", body=b"x" * 9000)
            database.write_sync(lambda conn, row=row: conn.execute(row))

    with pytest.raises(StorageFull):
        fill()

    database.write_sync(lambda conn: conn.execute(names.delete()))
    database.write_sync(add_name("again"))

    assert names_in(database) == ["again"]
    database.close_sync()


def full_after(folder, *, pages):
    """A database whose file cannot grow past so many pages, like a disk without room."""
    database = Database.open(f"sqlite:///{folder / 'small.db'}")

    database.change_schema(TABLES.create_all)
    database.write_sync(lambda conn: conn.exec_driver_sql(f"PRAGMA max_page_count={pages}").all())
    return database


def test_a_file_held_by_another_program_makes_writes_unavailable_and_not_hang(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(
        sqlite_file.connect, "__kwdefaults__", {"busy_seconds": 0.05, "is_writer": False}
    )
    monkeypatch.setattr(sqlite_writer, "ATTEMPTS", 3)
    database = Database.open(f"sqlite:///{tmp_path / 'metadata.db'}")
    other = sqlite3.connect(tmp_path / "metadata.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable, match="locked"):
        database.write_sync(lambda conn: 1)

    other.execute("ROLLBACK")
    other.close()
    assert database.write_sync(lambda conn: 1) == 1
    assert database.statistics.counts().retries == 2
    database.close_sync()


def test_the_log_stays_small_under_writes_and_shrinks_after_a_long_reader(
    sqlite_db, tmp_path, monkeypatch
):
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_BYTES", 200_000)
    monkeypatch.setattr(sqlite_writer, "LOG_LIMIT_BYTES", 1_000_000)
    log = tmp_path / "metadata.db-wal"

    def write(count):
        for _ in range(count):
            sqlite_db.write_sync(
                lambda conn: conn.execute(
                    names.insert().values(name=f"{time.monotonic_ns()}", body=b"x" * 20_000)
                )
            )

    write(60)
    without_reader = log.stat().st_size
    reading, go_on = threading.Event(), threading.Event()

    def long(conn):
        conn.scalar(sa.select(sa.func.count()).select_from(names))
        reading.set()
        go_on.wait(30)

    reader = threading.Thread(target=lambda: sqlite_db.read_sync(long))
    reader.start()
    reading.wait(30)
    write(100)
    with_reader = log.stat().st_size
    go_on.set()
    reader.join()
    write(60)

    assert without_reader < 1_000_000 < with_reader
    assert log.stat().st_size < 1_000_000


def test_a_read_that_never_ends_is_ended(sqlite_db, monkeypatch):
    monkeypatch.setattr(sqlite, "READ_SECONDS", 0.1)
    endless = sa.text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n"
    )

    with pytest.raises(StorageUnavailable, match="interrupted"):
        sqlite_db.read_sync(lambda conn: conn.execute(endless).all())

    assert sqlite_db.read_sync(lambda conn: conn.scalar(sa.text("SELECT 1"))) == 1


def test_every_connection_syncs_at_commit_and_checks_references(sqlite_db):
    def pragmas(conn):
        return [
            conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "foreign_keys", "journal_mode")
        ]

    assert sqlite_db.write_sync(pragmas) == [2, 1, "wal"]
    assert sqlite_db.read_sync(pragmas) == [2, 1, "wal"]


def test_the_file_is_for_its_owner_only(sqlite_db, tmp_path):
    sqlite_db.write_sync(add_name("a"))

    modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.glob("metadata.db*")}
    beside = ["", "-shm", "-wal", ".write"]
    assert modes == dict.fromkeys([f"metadata.db{name}" for name in beside], 0)
