"""Counters: exact while changed, folded and read at once."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entrepot.capabilities.operations.counting import Counted, correct, drifts
from entrepot.metadata import counters


def value(db, subject=1, name="tags"):
    return db.read_sync(lambda c: counters.value(c, "repository", subject, name))


def test_a_count_is_the_sum_of_its_changes_folded_or_not(migrated_database):
    db = migrated_database
    assert value(db) == 0
    for delta in (5, -2, 0, 4):
        db.write_sync(lambda c, delta=delta: counters.add(c, "repository", 1, "tags", delta))
    assert value(db) == 7
    assert db.read_sync(counters.is_fold_wanted)

    assert db.write_sync(lambda c: counters.fold(c, limit=2)) == 2
    assert value(db) == 7
    assert db.write_sync(counters.fold) == 1
    assert value(db) == 7
    assert not db.read_sync(counters.is_fold_wanted)


def test_counts_of_other_subjects_and_names_are_apart(migrated_database):
    db = migrated_database
    db.write_sync(lambda c: counters.add(c, "repository", 1, "tags", 1))
    db.write_sync(lambda c: counters.add(c, "namespace", 1, "tags", 10))
    db.write_sync(lambda c: counters.add(c, "repository", 1, "bytes", 2**60))

    assert (value(db), value(db, name="bytes")) == (1, 2**60)


def test_a_list_gets_its_counts_in_two_statements(migrated_database):
    db = migrated_database
    db.write_sync(lambda c: [counters.add(c, "repository", i, "pulls", i) for i in range(1, 50)])
    db.write_sync(lambda c: counters.fold(c, limit=20))
    before = db.statistics.counts()

    found = db.read_sync(lambda c: counters.many(c, "repository", list(range(100)), "pulls"))

    assert (db.statistics.counts() - before).statements == 2
    assert found == {i: i if i < 50 else 0 for i in range(100)}


def test_a_correction_makes_the_count_the_truth(migrated_database):
    db = migrated_database
    db.write_sync(lambda c: counters.add(c, "repository", 1, "tags", 9))

    four = Counted(
        subject_kind="repository",
        name="tags",
        subjects=lambda _, after, __: [1] if after < 1 else [],
        truths=lambda _, numbers: dict.fromkeys(numbers, 4),
    )

    assert db.read_sync(lambda c: drifts(c, four, 0, limit=9)) == [(1, -5)]
    assert db.write_sync(lambda c: correct(c, four, 1)) == -5
    assert value(db) == 4
    assert db.write_sync(lambda c: correct(c, four, 1)) == 0
    assert db.write_sync(lambda c: correct(c, four, 2)) == 0
    assert db.read_sync(lambda c: drifts(c, four, 1, limit=9)) == []


def test_a_count_that_is_too_large_stops_at_the_bound_and_stops_no_other(migrated_database):
    db = migrated_database
    for number in range(6):
        huge = (-1) ** (number // 3) * 2 ** (62 + number % 3)
        subject = 1 + number // 3
        db.write_sync(lambda c, n=huge, s=subject: counters.add(c, "repository", s, "bytes", n))
    db.write_sync(lambda c: counters.add(c, "repository", 3, "tags", 5))
    bounds = {1: 2**62, 2: -(2**62), 3: 0}

    for _ in range(3):
        found = db.read_sync(lambda c: counters.many(c, "repository", [1, 2, 3], "bytes"))
        assert found == bounds
        db.write_sync(lambda c: counters.fold(c, limit=3))

    assert not db.read_sync(counters.is_fold_wanted)
    assert value(db, 3) == 5
    db.write_sync(lambda c: counters.add(c, "repository", 1, "bytes", -7))
    db.write_sync(counters.fold)
    assert value(db, name="bytes") == 2**62 - 7


def test_a_forgotten_subject_counts_nothing(migrated_database):
    db = migrated_database
    for _ in range(2):
        db.write_sync(lambda c: counters.add(c, "repository", 1, "tags", 9))
        db.write_sync(lambda c: counters.fold(c, limit=1))
    db.write_sync(lambda c: counters.forget(c, "repository", 1))

    assert value(db) == 0


def test_concurrent_changes_and_folds_lose_nothing_and_every_read_is_exact(migrated_database):
    db = migrated_database

    async def change(done: list[int]) -> None:
        for delta in (3, -1, 5):
            await db.write(lambda c, delta=delta: counters.add(c, "repository", 1, "tags", delta))
            done.append(delta)

    async def scenario() -> None:
        done: list[int] = []
        changing = asyncio.gather(*[change(done) for _ in range(6)])
        while not changing.done():
            await db.write(lambda c: counters.fold(c, limit=3))
            least = sum(done) - 6  # of each changer at most its -1 is not in `done` yet
            seen = await db.read(lambda c: counters.value(c, "repository", 1, "tags"))
            assert least <= seen <= 6 * 8
        await changing
        await db.write(counters.fold)

    asyncio.run(scenario())

    assert value(db) == 6 * 7


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 3), st.integers(-(2**40), 2**40), st.integers(0, 3)), max_size=12
    )
)
def test_any_order_of_changes_and_folds_adds_up(migrated_database, steps):
    db = migrated_database
    before = {subject: value(db, subject) for subject in (1, 2, 3)}

    def run(conn):
        for subject, delta, fold in steps:
            counters.add(conn, "repository", subject, "tags", delta)
            if fold:
                counters.fold(conn, limit=fold)

    db.write_sync(run)

    for subject in (1, 2, 3):
        expected = before[subject] + sum(d for s, d, _ in steps if s == subject)
        assert value(db, subject) == expected
