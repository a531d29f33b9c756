"""Deferring, executions, cancelling, retrying, forgetting: on both engines."""

import pytest

from entrepot.metadata import executions, leases, work
from entrepot.metadata.database import Database, now
from entrepot.metadata.leases import Cancelled, Failed, Offer, Succeeded
from entrepot.model.errors import LeaseLost, TaskUnknown
from entrepot.model.work import NewTask, Status

OFFER = Offer("copy", lease_seconds=60)


def start(db: Database, *targets: str, **fields):
    return db.write_sync(
        lambda conn: work.start_execution(
            conn,
            "copy",
            target="rule:7",
            trigger="manual",
            actor="alice",
            tenant=None,
            tasks=[NewTask("copy", target, **fields) for target in targets],
        )
    )


def claim(db: Database, limit: int = 1):
    return db.write_sync(lambda conn: leases.claim(conn, [OFFER], limit=limit))


def finish(db: Database, task, outcome) -> None:
    db.write_sync(lambda conn: leases.finish(conn, task, outcome))


def status(db: Database, execution) -> Status:
    return db.read_sync(lambda conn: executions.get_execution(conn, execution)).status


def test_many_tasks_are_deferred_together_unless_their_keys_must_be_looked_at(migrated_database):
    db = migrated_database
    many = [NewTask("copy", f"{number}", {"n": number}, priority=1) for number in range(3)]
    db.write_sync(lambda conn: work.defer_all(conn, many))
    assert sorted(task.arguments["n"] for task in claim(db, limit=9)) == [0, 1, 2]

    for alone in (NewTask("copy", unique_key="only"), NewTask("copy", execution=1)):
        with pytest.raises(ValueError, match="unique key"):
            db.write_sync(lambda conn, alone=alone: work.defer_all(conn, [alone]))


def test_a_task_of_a_transaction_that_fails_is_never_seen(migrated_database):
    def change(conn):
        work.defer(conn, NewTask("copy"))
        raise TaskUnknown("something later in the transaction")

    with pytest.raises(TaskUnknown):
        migrated_database.write_sync(change)

    assert claim(migrated_database) == []


def test_a_second_task_with_the_key_of_a_waiting_one_is_not_written(migrated_database):
    db = migrated_database

    def put(key):
        return db.write_sync(lambda conn: work.defer(conn, NewTask("copy", unique_key=key)))

    first = put("a")
    assert first is not None
    assert put("a") is None
    assert put("b") is not None
    assert [t.id for t in claim(db)] == [first]
    assert put("a") is not None  # the first runs: what it has read may be old
    assert put("a") is None


def test_a_retried_task_and_a_waiting_one_with_its_key_become_one(migrated_database):
    db = migrated_database
    db.write_sync(lambda conn: work.defer(conn, NewTask("copy", unique_key="a")))
    (task,) = claim(db)
    twin = db.write_sync(lambda conn: work.defer(conn, NewTask("copy", unique_key="a")))

    finish(db, task, Failed("no answer", may_retry=True, after_seconds=100))

    waiting, total = db.read_sync(lambda c: executions.find_tasks(c, status=Status.PENDING))
    moment = db.read_sync(now)
    assert (total, waiting[0].id, waiting[0].attempts) == (1, twin, 1)
    assert waiting[0].run_after > moment + 50_000_000  # the wait is inherited
    assert f"task {twin} goes on" in db.read_sync(lambda c: executions.get_task(c, task.id)).error


def test_a_retried_task_of_an_execution_stays_beside_a_waiting_one_with_its_key(migrated_database):
    db = migrated_database
    execution = start(db, "x", unique_key="a")
    (task,) = claim(db)
    db.write_sync(lambda conn: work.defer(conn, NewTask("copy", unique_key="a")))

    finish(db, task, Failed("no answer", may_retry=True))

    assert db.read_sync(lambda c: executions.get_task(c, task.id)).status is Status.PENDING
    assert status(db, execution) is Status.RUNNING


def test_an_execution_is_what_its_tasks_are(migrated_database):
    db = migrated_database
    execution = start(db, "a", "b")
    assert status(db, execution) is Status.PENDING

    first, second = claim(db, 2)
    assert status(db, execution) is Status.RUNNING

    finish(db, first, Succeeded({"copied": 2, "bytes": 10, "last": "a"}))
    assert status(db, execution) is Status.RUNNING

    finish(db, second, Succeeded({"copied": 3, "bytes": 5, "last": "b"}))
    shown = db.read_sync(lambda conn: executions.get_execution(conn, execution))
    assert shown.status is Status.SUCCEEDED
    assert shown.summary == {"copied": 5, "bytes": 15, "last": "b"}
    assert shown.started_at <= shown.finished_at


def test_one_failed_task_fails_its_execution_and_a_retry_by_hand_reopens_it(migrated_database):
    db = migrated_database
    execution = start(db, "a", "b")
    first, second = claim(db, 2)
    finish(db, first, Failed("no such target", may_retry=False))
    finish(db, second, Succeeded())
    assert status(db, execution) is Status.FAILED

    assert db.write_sync(lambda conn: work.retry(conn, first.id))
    assert not db.write_sync(lambda conn: work.retry(conn, second.id))

    assert status(db, execution) is Status.RUNNING
    (again,) = claim(db)
    assert (again.id, again.attempts) == (first.id, 1)
    finish(db, again, Succeeded())
    assert status(db, execution) is Status.SUCCEEDED


def test_an_execution_without_tasks_has_succeeded(migrated_database):
    assert status(migrated_database, start(migrated_database)) is Status.SUCCEEDED


def test_a_task_deferred_into_a_finished_execution_reopens_it(migrated_database):
    db = migrated_database
    execution = start(db)

    db.write_sync(lambda conn: work.defer(conn, NewTask("copy", execution=execution)))

    assert status(db, execution) is Status.RUNNING


def test_cancelling_ends_what_waits_and_asks_what_runs(migrated_database):
    db = migrated_database
    execution = start(db, "a", "b")
    (running,) = claim(db)

    assert db.write_sync(lambda c: work.cancel_execution(c, execution)) is Status.RUNNING

    assert claim(db) == []
    assert db.write_sync(lambda c: leases.heartbeat(c, running, lease_seconds=60))
    finish(db, running, Cancelled())
    assert status(db, execution) is Status.CANCELLED


def test_a_cancelled_task_that_fails_is_not_retried(migrated_database):
    db = migrated_database
    start(db, "a")
    (task,) = claim(db)
    assert db.write_sync(lambda c: work.cancel_task(c, task.id)) is Status.RUNNING

    finish(db, task, Failed("interrupted", may_retry=True))

    assert db.read_sync(lambda c: executions.get_task(c, task.id)).status is Status.CANCELLED


def test_cancelling_what_is_over_changes_nothing(migrated_database):
    db = migrated_database
    execution = start(db, "a")
    (task,) = claim(db)
    finish(db, task, Succeeded())

    assert db.write_sync(lambda c: work.cancel_task(c, task.id)) is Status.SUCCEEDED
    assert status(db, execution) is Status.SUCCEEDED


def test_cancelling_what_is_not_there_says_so(migrated_database):
    with pytest.raises(TaskUnknown):
        migrated_database.write_sync(lambda c: work.cancel_task(c, 1))
    with pytest.raises(TaskUnknown):
        migrated_database.write_sync(lambda c: work.cancel_execution(c, 1))


def test_lists_are_pages_with_exact_totals(migrated_database):
    db = migrated_database
    ids = [start(db, "a", "b") for _ in range(5)]

    page, total = db.read_sync(
        lambda c: executions.find_executions(c, target="rule:7", offset=1, limit=2)
    )
    parts, part_total = db.read_sync(lambda c: executions.find_tasks(c, execution=ids[2], limit=1))

    assert (total, [e.id for e in page]) == (5, [ids[3], ids[2]])
    assert (part_total, parts[0].target) == (2, "a")
    assert db.read_sync(lambda c: executions.find_executions(c, target="rule:8")) == ([], 0)
    assert db.read_sync(executions.count_tasks) == {Status.PENDING: 10}


def test_purge_forgets_what_was_over_before_the_moment_and_nothing_else(migrated_database):
    db = migrated_database
    done, waiting = start(db, "a", "b"), start(db, "c")
    db.write_sync(lambda conn: work.defer(conn, NewTask("copy", "lone", priority=1)))
    for task in claim(db, 3):
        finish(db, task, Succeeded())
    before = db.read_sync(now) + 1
    assert not db.read_sync(lambda c: work.is_purge_wanted(c, before - 60_000_000))
    assert db.read_sync(lambda c: work.is_purge_wanted(c, before))

    rounds = 0
    while db.write_sync(lambda c: work.purge(c, before, limit=1)):
        rounds += 1

    assert rounds >= 2  # bounded batches
    assert status(db, waiting) is Status.PENDING
    with pytest.raises(TaskUnknown):
        status(db, done)
    assert db.read_sync(executions.count_tasks) == {Status.PENDING: 1}


def test_a_bodys_own_transaction_is_refused_once_its_lease_is_gone(migrated_database):
    db = migrated_database
    start(db, "a")
    (task,) = claim(db)

    db.write_sync(lambda conn: work.check_lease(conn, task))
    finish(db, task, Succeeded())

    with pytest.raises(LeaseLost):
        db.write_sync(lambda conn: work.check_lease(conn, task))
