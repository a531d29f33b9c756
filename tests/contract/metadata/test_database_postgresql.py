"""What only a server can do to a transaction: drop the connection, conflict, refuse."""

import contextlib
import threading

import psycopg
import pytest
import sqlalchemy as sa
from database_tables import add_name, counters, names

from entrepot.metadata import postgresql
from entrepot.metadata.database import Database, DatabaseMisuse
from entrepot.model.errors import StorageUnavailable

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]


@pytest.fixture
def kill_all(db, database_url):
    """Ends every connection of the database but its own, as a restart or failover would."""

    def kill():
        with psycopg.connect(database_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    return kill


def test_a_restart_of_the_server_between_requests_is_not_noticed(db, kill_all, names_in):
    db.write_sync(add_name("a"))
    names_in(db)

    kill_all()

    db.write_sync(add_name("b"))
    assert names_in(db) == ["a", "b"]


def test_a_connection_lost_before_the_commit_is_replaced_once(db, kill_all, names_in):
    runs = []

    def fn(conn):
        runs.append(1)
        add_name(f"n{len(runs)}")(conn)
        if len(runs) == 1:
            kill_all()
            conn.execute(sa.select(names))

    db.write_sync(fn)

    assert names_in(db) == ["n2"]


def test_a_connection_lost_again_and_again_is_unavailable(db, kill_all, names_in):
    def fn(conn):
        kill_all()
        conn.execute(sa.select(names))

    with pytest.raises(StorageUnavailable):
        db.write_sync(fn)

    assert names_in(db) == []


def test_a_connection_lost_while_committing_is_not_tried_again(db, kill_all):
    """Nobody can know whether it was committed."""
    runs = []

    def fn(conn):
        runs.append(1)
        add_name("a")(conn)
        kill_all()

    with pytest.raises(StorageUnavailable, match="outcome is unknown"):
        db.write_sync(fn)

    assert len(runs) == 1


def test_endless_conflicts_end_as_unavailable(db, database_url, monkeypatch):
    monkeypatch.setattr(postgresql, "RETRY_SECONDS", 0.5)
    db.write_sync(lambda conn: conn.execute(counters.insert().values(name="n", value=0)))
    other = Database.open(database_url)
    bump = counters.update().values(value=counters.c.value + 1)

    def fn(conn):
        conn.scalar(sa.select(counters.c.value))
        writer = threading.Thread(target=lambda: other.write_sync(lambda c: c.execute(bump)))
        writer.start()
        writer.join()
        conn.execute(bump)

    with pytest.raises(StorageUnavailable, match="kept running into others"):
        db.write_sync(fn)

    assert db.statistics.counts().retries > 1
    other.close_sync()


def test_a_swallowed_database_error_is_told_and_not_silently_rolled_back(db):
    def fn(conn):
        add_name("a")(conn)
        with contextlib.suppress(sa.exc.IntegrityError):
            add_name("a")(conn)

    with pytest.raises(DatabaseMisuse, match="begin_nested"):
        db.write_sync(fn)


def test_a_database_that_is_not_there_is_unavailable(database_url):
    url = sa.make_url(database_url).set(database="no_such_database")
    database = Database.open(url.render_as_string(hide_password=False))

    with pytest.raises(StorageUnavailable, match="no_such_database"):
        database.read_sync(lambda conn: 1)

    database.close_sync()
