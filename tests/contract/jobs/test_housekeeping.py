"""Fan-out, folding, recounting, purging, and pulls counted in memory: on both engines."""

import asyncio

import pytest
import sqlalchemy as sa

from entrepot.bootstrap.duties import CONSUMERS
from entrepot.capabilities.operations.counting import (
    FOLD_HANDLER,
    FOLD_WATCH,
    Counted,
    PullCounter,
    recount_handler,
)
from entrepot.capabilities.operations.fanout import Consumer, fanout_handler
from entrepot.capabilities.operations.work import PURGE_HANDLER, PURGE_WATCH, Watch
from entrepot.metadata import counters, events, executions
from entrepot.metadata.schema import events as event_rows
from entrepot.metadata.schema import tasks
from entrepot.model.errors import Unavailable
from entrepot.model.events import Event, EventKind
from entrepot.model.work import NewTask, Status

PUSHED = frozenset({EventKind.MANIFEST_PUSHED})


def record(jobs, kind=EventKind.MANIFEST_PUSHED, **fields) -> None:
    jobs.db.write_sync(lambda conn: events.record(conn, Event(kind, "alice", 5, **fields)))


def deferring(name, kinds=PUSHED):
    def make(conn, event):
        return [NewTask(f"{name}.deliver", event.tag or "")]

    return Consumer(name, kinds, make)


def deferred(jobs) -> list[str]:
    query = sa.select(tasks.c.kind, tasks.c.target).where(tasks.c.kind != events.FANOUT)
    return sorted(
        f"{row.kind} {row.target}" for row in jobs.db.read_sync(lambda c: c.execute(query).all())
    )


async def until_fanned_out(jobs) -> None:
    pending = sa.select(
        sa.exists().where(tasks.c.kind == events.FANOUT, tasks.c.status.in_(["pending", "running"]))
    )
    async with asyncio.timeout(30):
        while await jobs.db.read(lambda conn: conn.execute(pending).scalar()):
            await asyncio.sleep(0.01)


def fan_out(jobs, *consumers, until=until_fanned_out) -> None:
    async def scenario():
        async with jobs.worker(fanout_handler(consumers)):
            await until(jobs)

    asyncio.run(scenario())


def test_each_consumer_gets_each_event_of_its_kinds_once(jobs):
    record(jobs, tag="v1")
    record(jobs, tag="v2")

    fan_out(jobs, deferring("hook"), deferring("sync"), deferring("scan", frozenset()))

    assert deferred(jobs) == [
        "hook.deliver v1",
        "hook.deliver v2",
        "sync.deliver v1",
        "sync.deliver v2",
    ]


def test_events_of_kinds_without_a_consumer_make_no_task(jobs):
    for kind in EventKind:
        if kind not in events.FANNED_OUT:
            record(jobs, kind)

    assert jobs.db.read_sync(executions.count_tasks) == {}
    told = jobs.db.read_sync(
        lambda conn: conn.execute(sa.select(event_rows.c.kind)).scalars().all()
    )
    assert set(told) == set(EventKind) - events.FANNED_OUT


def test_a_consumer_of_a_kind_that_makes_no_task_is_refused():
    with pytest.raises(ValueError, match=r"tag\.deleted"):
        fanout_handler([deferring("hook", frozenset({EventKind.TAG_DELETED}))])


def test_each_kind_that_makes_a_task_has_a_consumer():
    assert {kind for one in CONSUMERS for kind in one.kinds} == events.FANNED_OUT


def test_events_nobody_wants_are_done(jobs):
    record(jobs)

    fan_out(jobs)

    assert jobs.db.read_sync(executions.count_tasks) == {Status.SUCCEEDED: 1}


def test_a_broken_consumer_holds_up_nobody_and_is_tried_again_alone(jobs):
    def broken(conn, event):
        raise KeyError("missing")

    async def until_it_waits_for_its_retry(jobs):
        waiting = sa.select(tasks).where(tasks.c.status == "pending", tasks.c.error.is_not(None))
        async with asyncio.timeout(30):
            while not await jobs.db.read(lambda conn: conn.execute(waiting).all()):
                await asyncio.sleep(0.01)

    record(jobs, tag="v1")
    fan_out(
        jobs,
        deferring("hook"),
        Consumer("broken", PUSHED, broken),
        deferring("sync"),
        until=until_it_waits_for_its_retry,
    )
    jobs.db.write_sync(lambda conn: conn.execute(tasks.update().values(run_after=0)))
    fan_out(jobs, deferring("hook"), deferring("broken"), deferring("sync"))

    assert deferred(jobs) == ["broken.deliver v1", "hook.deliver v1", "sync.deliver v1"]


def test_a_fan_out_whose_event_was_purged_ends(jobs):
    record(jobs)
    jobs.db.write_sync(lambda conn: conn.execute(event_rows.delete()))

    fan_out(jobs, deferring("hook"))

    assert deferred(jobs) == []
    assert jobs.db.read_sync(executions.count_tasks) == {Status.SUCCEEDED: 1}


def test_consumers_have_names_of_their_own():
    with pytest.raises(ValueError, match="same name"):
        fanout_handler([deferring("hook"), deferring("hook")])


def run_until(jobs, is_done, *handlers, watches) -> None:
    async def scenario():
        async with jobs.worker(*handlers, watches=watches):
            async with asyncio.timeout(30):
                while not await jobs.db.read(is_done):
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_deltas_are_folded_when_there_are_some(jobs):
    jobs.db.write_sync(lambda c: [counters.add(c, "repository", 1, "tags", 1) for _ in range(9)])

    run_until(
        jobs,
        lambda conn: not counters.is_fold_wanted(conn),
        FOLD_HANDLER,
        watches=[Watch(FOLD_WATCH.kind, 0.1, FOLD_WATCH.wanted)],
    )

    assert jobs.db.read_sync(lambda c: counters.value(c, "repository", 1, "tags")) == 9


def test_a_watch_with_nothing_to_do_writes_nothing(jobs):
    async def scenario():
        watches = [Watch(FOLD_WATCH.kind, 0.0, FOLD_WATCH.wanted), PURGE_WATCH]
        async with jobs.worker(FOLD_HANDLER, PURGE_HANDLER, watches=watches):
            await asyncio.sleep(0.5)

    asyncio.run(scenario())

    assert jobs.db.read_sync(executions.count_tasks) == {}


def test_old_work_and_events_are_forgotten(jobs):
    record(jobs)  # happened in 1970
    record(jobs, EventKind.RESTORED)
    jobs.db.write_sync(
        lambda conn: conn.execute(tasks.update().values(status="succeeded", finished_at=5))
    )

    run_until(
        jobs,
        lambda conn: not PURGE_WATCH.wanted(conn),
        PURGE_HANDLER,
        watches=[PURGE_WATCH],
    )

    rows = jobs.db.read_sync(lambda conn: conn.execute(sa.select(tasks.c.kind)).scalars().all())
    assert rows == [PURGE_HANDLER.kind]
    assert jobs.db.read_sync(lambda conn: conn.execute(sa.select(event_rows)).all()) == []


def test_a_recount_puts_wrong_counts_right_and_says_how_many(jobs):
    for subject in range(1, 251):
        wrong = 1 if subject % 50 == 0 else 0
        jobs.db.write_sync(
            lambda c, s=subject, w=wrong: counters.add(c, "repository", s, "tags", s + w)
        )
    counted = Counted(
        "repository",
        "tags",
        subjects=lambda conn, after, limit: list(range(after + 1, min(after + limit, 250) + 1)),
        truths=lambda conn, subjects: {subject: subject for subject in subjects},
    )
    one = recount_handler([counted])

    async def scenario():
        task = jobs.put(one.kind)
        async with jobs.worker(one):
            return await jobs.until_over(task)

    before = jobs.db.statistics.counts()
    assert asyncio.run(scenario()).progress == {"checked": 250, "wrong": 5}
    assert (
        jobs.db.statistics.counts() - before
    ).writes < 5 + 10  # one a wrong count, and the task's own
    found = jobs.db.read_sync(lambda c: counters.many(c, "repository", range(1, 251), "tags"))
    assert found == {subject: subject for subject in range(1, 251)}


# -- pulls ------------------------------------------------------------------------------------------------------------


def pulls(jobs, subject=1) -> int:
    return jobs.db.read_sync(lambda c: counters.value(c, "repository", subject, "pulls"))


def test_pulls_cost_no_write_until_they_are_flushed_together(jobs):
    async def scenario():
        counter = PullCounter(jobs.db)
        before = jobs.db.statistics.counts()
        for number in range(1000):
            counter.add("repository", number % 10)
        unflushed = jobs.db.statistics.counts() - before
        await counter.flush()
        await counter.flush()
        return unflushed, jobs.db.statistics.counts() - before

    unflushed, spent = asyncio.run(scenario())

    assert (unflushed.writes, spent.writes) == (0, 1)
    assert pulls(jobs) == 100


def test_pulls_are_flushed_every_interval_and_at_the_end(jobs):
    async def scenario():
        counter = PullCounter(jobs.db, every_seconds=0.05)
        running = asyncio.ensure_future(counter.run())
        counter.add("repository", 1)
        async with asyncio.timeout(10):
            while not await jobs.db.read(counters.is_fold_wanted):
                await asyncio.sleep(0.01)
        counter.add("repository", 1)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(scenario())

    assert pulls(jobs) == 2


def test_pulls_of_an_outage_are_kept_within_bounds(jobs):
    async def scenario():
        counter = PullCounter(jobs.db, max_keys=3)
        for number in range(5):
            counter.add("repository", number)
        counter.add("repository", 0)
        jobs.db.close_sync()
        with pytest.raises(Unavailable):
            await counter.flush()
        counter.add("repository", 0)
        return counter

    counter = asyncio.run(scenario())

    assert counter.lost == 2
    assert counter._counts[("repository", 0, "pulls")] == 3
    assert len(counter._counts) == 3
