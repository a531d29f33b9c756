"""Claims, limits, leases, retries: on both engines."""

import asyncio

import pytest

from entrepot.metadata import claims, executions, leases, work
from entrepot.metadata.database import Database, now
from entrepot.metadata.leases import Failed, HandedBack, Offer, Succeeded
from entrepot.metadata.schema import tasks
from entrepot.model.errors import LeaseLost
from entrepot.model.work import NewTask, Status


def put(db: Database, *new: NewTask) -> list[int]:
    return db.write_sync(lambda conn: [work.defer(conn, task) for task in new])


def claim(db: Database, *offers: Offer, limit: int = 10):
    chosen = offers or (Offer("copy", 60),)
    return db.write_sync(lambda conn: leases.claim(conn, chosen, limit=limit))


def finish(db: Database, task, outcome) -> None:
    db.write_sync(lambda conn: leases.finish(conn, task, outcome))


def record(db: Database, task):
    return db.read_sync(lambda conn: executions.get_task(conn, task.id))


def let_leases_lapse(db: Database) -> None:
    """As if everybody had been silent for an hour."""
    db.write_sync(
        lambda c: c.execute(
            tasks.update()
            .where(tasks.c.status == "running")
            .values(lease_until=tasks.c.lease_until - 3_600_000_000)
        )
    )


def make_all_due(db: Database) -> None:
    db.write_sync(lambda c: c.execute(tasks.update().values(run_after=0)))


def test_higher_priority_first_then_what_was_due_first(migrated_database):
    db = migrated_database
    low, high, later = put(
        db, NewTask("copy", "a"), NewTask("copy", "b", priority=5), NewTask("copy", "c")
    )

    assert [task.id for task in claim(db)] == [high, low, later]


def test_a_delayed_task_waits(migrated_database):
    put(migrated_database, NewTask("copy", delay_seconds=3600))

    assert claim(migrated_database) == []
    assert not migrated_database.read_sync(lambda c: leases.look(c, ["copy"], holding=[])).is_due

    make_all_due(migrated_database)
    assert len(claim(migrated_database)) == 1


def test_only_offered_kinds_are_claimed(migrated_database):
    put(migrated_database, NewTask("scan"), NewTask("copy"))

    assert [task.kind for task in claim(migrated_database)] == ["copy"]


def test_a_claimed_task_carries_what_was_deferred(migrated_database):
    arguments = {"rule": 7, "tags": ["a", "b"], "deep": {"x": None}}
    put(migrated_database, NewTask("copy", "peer:1", arguments, max_attempts=3))

    (task,) = claim(migrated_database)

    assert (task.target, task.arguments) == ("peer:1", arguments)
    assert (task.attempts, task.max_attempts) == (1, 3)


def test_the_limit_of_a_kind_counts_the_whole_deployment(migrated_database):
    db = migrated_database
    put(db, *[NewTask("copy", str(i)) for i in range(5)], NewTask("scan"))
    offers = (Offer("copy", 60, concurrency=2), Offer("scan", 60))

    first = claim(db, *offers)
    assert sorted(task.kind for task in first) == ["copy", "copy", "scan"]
    assert claim(db, *offers) == []

    finish(db, next(t for t in first if t.kind == "copy"), Succeeded())
    assert [task.kind for task in claim(db, *offers)] == ["copy"]


def test_a_full_target_does_not_hold_up_the_others_behind_it(migrated_database):
    db = migrated_database
    put(db, *[NewTask("copy", "busy") for _ in range(60)], NewTask("copy", "quiet"))
    offer = Offer("copy", 60, per_target=1)

    assert [task.target for task in claim(db, offer, limit=2)] == ["busy"]
    assert [task.target for task in claim(db, offer, limit=2)] == ["quiet"]
    assert claim(db, offer) == []


def test_a_paused_holder_that_comes_back_is_refused_everything(migrated_database):
    db = migrated_database
    put(db, NewTask("copy"))
    (paused,) = claim(db)
    let_leases_lapse(db)
    assert db.read_sync(lambda c: leases.look(c, [], holding=[])).is_silent
    assert db.write_sync(leases.recover) == 1
    (taken,) = claim(db)

    assert (taken.id, taken.attempts) == (paused.id, 2)
    for late in (
        lambda c: leases.heartbeat(c, paused, lease_seconds=60),
        lambda c: leases.finish(c, paused, Succeeded({"from": "paused"})),
        lambda c: leases.finish(c, paused, HandedBack()),
        lambda c: work.check_lease(c, paused),
    ):
        with pytest.raises(LeaseLost):
            db.write_sync(late)
    finish(db, taken, Succeeded({"from": "taken"}))
    assert record(db, taken).progress == {"from": "taken"}


def test_a_heartbeat_keeps_the_lease_and_shows_progress(migrated_database):
    db = migrated_database
    put(db, NewTask("copy"))
    (task,) = claim(db)
    let_leases_lapse(db)

    cancelled = db.write_sync(
        lambda c: leases.heartbeat(c, task, lease_seconds=60, progress={"done": 3})
    )

    assert not cancelled
    assert db.write_sync(leases.recover) == 0
    assert record(db, task).progress == {"done": 3}


def test_a_task_that_kills_its_workers_ends_as_a_dead_letter(migrated_database):
    db = migrated_database
    put(db, NewTask("copy", max_attempts=2))
    for _ in range(2):
        make_all_due(db)
        (task,) = claim(db)
        let_leases_lapse(db)
        db.write_sync(leases.recover)

    assert claim(db) == []
    assert record(db, task).status is Status.FAILED
    assert record(db, task).error == "its worker fell silent"


def test_a_kind_that_cannot_say_what_was_lost_holds_up_nobody(migrated_database):
    db = migrated_database
    put(db, NewTask("odd", max_attempts=1), NewTask("copy", max_attempts=1))
    held = claim(db, Offer("odd", 60), Offer("copy", 60))
    told = []

    def lost(_conn, task):
        told.append(task.kind)
        if task.kind == "odd":
            raise ValueError("arguments of another time")

    let_leases_lapse(db)
    db.write_sync(lambda conn: leases.recover(conn, lost=lost))

    assert sorted(told) == ["copy", "odd"]
    assert {record(db, task).status for task in held} == {Status.FAILED}


def test_a_failure_is_retried_later_and_later_then_dead(migrated_database):
    db = migrated_database
    put(db, NewTask("copy", max_attempts=3))
    waits = []
    for _ in range(2):
        (task,) = claim(db)
        finish(db, task, Failed("no answer", may_retry=True))
        shown = record(db, task)
        assert (shown.status, shown.error) == (Status.PENDING, "no answer")
        waits.append((shown.run_after - db.read_sync(now)) / 1e6)
        assert claim(db) == []
        make_all_due(db)
    (task,) = claim(db)
    finish(db, task, Failed("no answer", may_retry=True))

    assert record(db, task).status is Status.FAILED
    assert 1 < waits[0] <= 5 < waits[1] <= 15


def test_a_useless_retry_is_not_made(migrated_database):
    db = migrated_database
    put(db, NewTask("copy"))
    (task,) = claim(db)

    finish(db, task, Failed("no such peer", may_retry=False))

    assert record(db, task).status is Status.FAILED


def test_a_retry_waits_as_long_as_the_other_side_asked(migrated_database):
    db = migrated_database
    put(db, NewTask("copy"))
    (task,) = claim(db)

    finish(db, task, Failed("too many", may_retry=True, after_seconds=500))

    assert record(db, task).run_after - db.read_sync(now) > 490_000_000


def test_a_handed_back_task_is_due_at_once_and_its_attempt_does_not_count(migrated_database):
    db = migrated_database
    put(db, NewTask("copy", max_attempts=1))
    (task,) = claim(db)

    finish(db, task, HandedBack())

    (again,) = claim(db)
    assert (again.id, again.attempts) == (task.id, 1)


def test_a_look_tells_which_of_the_held_tasks_were_cancelled(migrated_database):
    db = migrated_database
    put(db, NewTask("copy", "a"), NewTask("copy", "b"))
    first, second = claim(db)
    db.write_sync(lambda c: work.cancel_task(c, second.id))

    outlook = db.read_sync(lambda c: leases.look(c, ["copy"], holding=[first, second]))

    assert outlook == leases.Outlook(
        is_due=False, is_silent=False, cancelled=frozenset({second.id})
    )


def test_a_deferred_task_wakes_those_who_listen(migrated_database):
    async def scenario() -> str:
        heard: asyncio.Queue[str] = asyncio.Queue()
        await migrated_database.listen(work.WAKE_CHANNEL, heard.put_nowait)
        await migrated_database.write(lambda c: work.defer(c, NewTask("copy")))
        return await asyncio.wait_for(heard.get(), 5)

    assert asyncio.run(scenario()) == "copy"


def test_a_claim_with_many_waiting_tasks_reads_the_index_in_order(migrated_database):
    """The claim must not sort everything that waits: it runs under SQLite's only writer."""
    db = migrated_database
    if db.dialect != "sqlite":
        pytest.skip("SQLite's plan")
    offers = {"copy": Offer("copy", 60)}
    query = claims._candidates(offers, claims._Used(offers), 1, limit=4)

    plan = db.read_sync(
        lambda c: [
            row.detail
            for row in c.exec_driver_sql(
                "EXPLAIN QUERY PLAN "
                + str(query.compile(c.engine, compile_kwargs={"literal_binds": True}))
            )
        ]
    )

    assert any("ix_tasks_due" in line for line in plan), plan
