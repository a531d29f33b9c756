"""Races between real connections and real processes."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from database_tables import counters, names, read_then_increment

from entrepot.metadata.database import Database

PROGRAM = Path(__file__).with_name("database_tables.py")


class Taken(Exception):
    pass


def create(name):
    """As use cases do: look first, then insert."""

    def fn(conn):
        if conn.scalar(sa.select(names.c.id).where(names.c.name == name)) is not None:
            raise Taken
        conn.execute(names.insert().values(name=name))

    return fn


def both(databases, function):
    """Run the function on several databases at the same moment; their results or exceptions."""
    barrier, results = threading.Barrier(len(databases)), [None] * len(databases)

    def run(index):
        barrier.wait()
        try:
            results[index] = databases[index].write_sync(function(index))
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(databases))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def four(db, database_url):
    """The same database opened four times, as four processes would."""
    others = [Database.open(database_url) for _ in range(3)]
    yield [db, *others]
    for other in others:
        other.close_sync()


def test_one_of_many_creators_wins_and_the_others_learn_it_in_their_own_words(four):
    for round_ in range(10):
        results = both(four, lambda _, r=round_: create(f"name{r}"))

        assert results.count(None) == 1
        assert sum(isinstance(result, Taken) for result in results) == 3


def test_write_skew_is_impossible(four):
    """Two doctors each see the other on call and both go home, unless transactions are serializable."""
    one = four[0]
    for round_ in range(10):
        one.write_sync(lambda conn: conn.execute(counters.delete()))
        one.write_sync(
            lambda conn: conn.execute(
                counters.insert(), [{"name": "0", "value": 1}, {"name": "1", "value": 1}]
            )
        )

        def leave(index):
            def fn(conn):
                on_call = conn.scalar(sa.select(sa.func.sum(counters.c.value)))
                if on_call < 2:
                    return "stays"
                mine = counters.c.name == str(index)
                conn.execute(counters.update().where(mine).values(value=0))
                return "leaves"

            return fn

        results = both(four[:2], leave)

        assert sorted(results) == ["leaves", "stays"], round_


def test_threads_that_read_then_write_lose_no_increment(four):
    four[0].write_sync(lambda conn: conn.execute(counters.insert().values(name="n", value=0)))

    for _ in range(20):
        both(four, lambda _: read_then_increment)

    assert four[0].read_sync(lambda conn: conn.scalar(sa.select(counters.c.value))) == 80


def test_four_processes_of_200_increments_make_800(db, database_url):
    db.write_sync(lambda conn: conn.execute(counters.insert().values(name="n", value=0)))

    command = [sys.executable, str(PROGRAM), "count", database_url, "200"]
    processes = [subprocess.Popen(command) for _ in range(4)]
    statuses = [process.wait(100) for process in processes]

    assert statuses == [0, 0, 0, 0]
    assert db.read_sync(lambda conn: conn.scalar(sa.select(counters.c.value))) == 800


OPENING = """
import os, sys, time
from entrepot.metadata.database import Database

def open_at(url, moment):
    while time.time() < moment:
        pass
    try:
        Database.open(url).close_sync()
    except BaseException as error:
        sys.stderr.write(repr(error))
        os._exit(1)
    os._exit(0)

for number in range(20):
    url, moment = f"sqlite:///{sys.argv[1]}/{number}.db", time.time() + 0.03
    children = [os.fork() or open_at(url, moment) for _ in range(4)]
    assert not any([os.waitpid(child, 0)[1] for child in children])
"""


def test_processes_that_open_a_new_file_at_the_same_moment_wait_for_each_other(tmp_path):
    command = [sys.executable, "-c", OPENING, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
