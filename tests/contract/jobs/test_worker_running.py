"""What a worker does with a task, on both engines."""

import asyncio

import pytest

from entrepot.capabilities.operations.work import Handler
from entrepot.metadata import executions, leases, work
from entrepot.metadata.schema import tasks
from entrepot.model.errors import LeaseLost, RateLimited, StorageUnavailable, ValueInvalid
from entrepot.model.work import NewTask, Status


def handler(run, **fields) -> Handler:
    return Handler(kind="job", run=run, **fields)


def test_a_task_runs_and_its_summary_stays(jobs):
    async def body(ctx):
        return {"got": ctx.task.arguments["x"], "target": ctx.task.target}

    async def scenario():
        task = jobs.put(target="t", arguments={"x": [1, None]})
        async with jobs.worker(handler(body)):
            return await jobs.until_over(task)

    shown = asyncio.run(scenario())

    assert (shown.status, shown.progress) == (
        Status.SUCCEEDED,
        {"got": [1, None], "target": "t"},
    )


def test_a_hint_wakes_a_worker_that_would_look_much_later(jobs):
    async def scenario():
        async with jobs.worker(handler(nothing), poll_seconds=60):
            await asyncio.sleep(0.3)
            await jobs.until_over(await asyncio.to_thread(jobs.put))

    asyncio.run(asyncio.wait_for(scenario(), 30))


async def nothing(ctx):
    return None


def test_an_idle_worker_reads_once_a_poll_and_never_writes(jobs):
    async def scenario():
        async with jobs.worker(handler(nothing), poll_seconds=0.1):
            await asyncio.sleep(0.1)
            before = jobs.db.statistics.counts()
            await asyncio.sleep(1.0)
            return jobs.db.statistics.counts() - before

    spent = asyncio.run(scenario())

    assert spent.writes == 0
    assert 1 <= spent.reads <= 11
    assert spent.statements <= 4 * spent.reads


def test_long_tasks_leave_room_for_what_is_soon_done(jobs):
    async def scenario():
        forever = asyncio.Event()
        long = [jobs.put("long", target=str(i)) for i in range(4)]
        short = jobs.put()

        async def wait(ctx):
            await forever.wait()

        async def soon(ctx):
            return None

        async with jobs.worker(
            handler(soon), Handler(kind="long", run=wait, is_long=True), slots=3
        ):
            await jobs.until_over(short)
            running = [jobs.show(task).status is Status.RUNNING for task in long]
            forever.set()
            for task in long:
                await jobs.until_over(task)
        return running

    assert sum(asyncio.run(scenario())) == 1


@pytest.mark.parametrize(
    ("error", "is_retried", "text"),
    [
        (ValueInvalid("peer", "it is gone"), False, "field=peer, reason=it is gone"),
        (StorageUnavailable("no route"), True, "detail=no route"),
        (KeyError("hunter2"), True, "unexpected KeyError in body"),
    ],
)
def test_an_error_fails_or_retries_the_task_and_tells_no_secret(jobs, error, is_retried, text):
    async def body(ctx):
        raise error

    async def scenario():
        task = jobs.put()
        async with jobs.worker(handler(body)):
            return await (jobs.until_retried(task) if is_retried else jobs.until_over(task))

    shown = asyncio.run(scenario())

    assert shown.status is (Status.PENDING if is_retried else Status.FAILED)
    assert text in shown.error
    assert "hunter2" not in shown.error


def test_a_rate_limit_of_the_other_side_is_kept(jobs):
    async def body(ctx):
        raise RateLimited(900)

    async def scenario():
        task = jobs.put()
        async with jobs.worker(handler(body)):
            return await jobs.until_retried(task)

    shown = asyncio.run(scenario())

    assert shown.run_after - shown.started_at >= 900_000_000


def test_the_last_attempt_leaves_a_dead_letter(jobs):
    async def body(ctx):
        raise StorageUnavailable("no route")

    async def scenario():
        task = jobs.put(max_attempts=1)
        async with jobs.worker(handler(body)):
            return await jobs.until_over(task)

    assert asyncio.run(scenario()).status is Status.FAILED


def test_an_attempt_that_takes_too_long_is_ended(jobs):
    async def body(ctx):
        await asyncio.sleep(60)

    async def scenario():
        task = jobs.put()
        async with jobs.worker(handler(body, timeout_seconds=0.1)):
            return await jobs.until_retried(task)

    assert asyncio.run(scenario()).error == "not done within 0.1 s"


def test_a_summary_that_cannot_be_stored_fails_the_task(jobs):
    async def body(ctx):
        return {"bad": object()}

    async def scenario():
        task = jobs.put()
        async with jobs.worker(handler(body)):
            return await jobs.until_over(task)

    shown = asyncio.run(scenario())

    assert (shown.status, shown.error) == (Status.FAILED, "its summary cannot be stored")


def test_progress_is_shown_while_the_task_runs(jobs):
    async def scenario():
        go_on = asyncio.Event()

        async def body(ctx):
            ctx.report(done=1, total=3)
            ctx.report(done=2)
            await go_on.wait()

        task = jobs.put()
        async with jobs.worker(handler(body)):
            shown = await jobs.until(task, lambda shown: shown.progress != {})
            go_on.set()
            await jobs.until_over(task)
            return shown

    assert asyncio.run(scenario()).progress == {"done": 2, "total": 3}


def test_heartbeats_keep_a_task_that_lasts_longer_than_its_lease(jobs):
    runs = []

    async def body(ctx):
        runs.append(ctx.task.id)
        await asyncio.sleep(2.5)

    async def scenario():
        task = jobs.put()
        async with jobs.worker(handler(body, lease_seconds=1.0), slots=3):
            return await jobs.until_over(task)

    shown = asyncio.run(scenario())

    assert (shown.status, shown.attempts, runs) == (Status.SUCCEEDED, 1, [shown.id])


def test_a_body_whose_lease_was_lost_is_ended_and_can_write_nothing(jobs):
    refused = []

    async def scenario():
        started = asyncio.Event()

        async def body(ctx):
            started.set()
            try:
                await asyncio.sleep(60)
            finally:
                try:
                    await ctx.write(lambda conn: refused.append("wrote"))
                except LeaseLost:
                    refused.append("refused")

        def steal(conn):
            conn.execute(tasks.update().values(lease_token="another"))

        task = jobs.put()
        async with jobs.worker(handler(body, lease_seconds=0.3)) as worker:
            await started.wait()
            await jobs.db.write(steal)
            async with asyncio.timeout(10):
                while worker.running:
                    await asyncio.sleep(0.01)
        return task

    shown = jobs.show(asyncio.run(scenario()))

    assert refused == ["refused"]
    assert shown.status is Status.RUNNING  # the other holder's to end


def test_a_cancelled_task_that_looks_ends_itself(jobs):
    async def scenario():
        started = asyncio.Event()

        async def body(ctx):
            started.set()
            while True:
                ctx.checkpoint()
                await asyncio.sleep(0.01)

        task = jobs.put()
        async with jobs.worker(handler(body), cancel_grace_seconds=60):
            await started.wait()
            await jobs.db.write(lambda conn: work.cancel_task(conn, task))
            return await jobs.until_over(task)

    assert asyncio.run(scenario()).status is Status.CANCELLED


def test_a_cancelled_task_that_does_not_look_is_interrupted(jobs):
    async def scenario():
        started = asyncio.Event()

        async def body(ctx):
            started.set()
            await asyncio.sleep(60)

        task = jobs.put()
        async with jobs.worker(handler(body), poll_seconds=60):  # woken by the hint
            await started.wait()
            await asyncio.sleep(0.2)
            await jobs.db.write(lambda conn: work.cancel_task(conn, task))
            return await jobs.until_over(task)

    assert asyncio.run(scenario()).status is Status.CANCELLED


def test_a_stopping_worker_hands_back_what_it_runs(jobs):
    cleaned = []

    async def scenario():
        started = asyncio.Event()

        async def body(ctx):
            started.set()
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                cleaned.append(True)

        task = jobs.put(max_attempts=1)
        async with jobs.worker(handler(body)):
            await started.wait()
        return task

    shown = jobs.show(asyncio.run(scenario()))

    assert cleaned == [True]
    assert (shown.status, shown.attempts, shown.error) == (Status.PENDING, 0, None)
    assert len(jobs.db.write_sync(lambda c: leases.claim(c, [leases.Offer("job", 60)], limit=1)))


def test_a_stopping_worker_lets_short_tasks_end(jobs):
    async def scenario():
        started = asyncio.Event()

        async def body(ctx):
            started.set()
            await asyncio.sleep(0.2)

        task = jobs.put()
        async with jobs.worker(handler(body), finish_seconds=20):
            await started.wait()
        return task

    assert jobs.show(asyncio.run(scenario())).status is Status.SUCCEEDED


def test_two_workers_keep_the_limit_of_a_kind(jobs):
    at_once = most = 0

    async def body(ctx):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1

    async def scenario():
        one = handler(body, concurrency=2)
        ids = [jobs.put(target=str(number)) for number in range(12)]
        async with jobs.worker(one), jobs.worker(one):
            for task in ids:
                await jobs.until_over(task)

    asyncio.run(scenario())

    assert most <= 2
    assert jobs.db.read_sync(executions.count_tasks) == {Status.SUCCEEDED: 12}


def test_a_last_write_and_the_end_of_the_task_are_one(jobs):
    async def body(ctx):
        await ctx.finish(lambda conn: {"next": work.defer(conn, NewTask("later"))})
        raise ValueInvalid("after", "the end")

    async def scenario():
        task = jobs.put()
        async with jobs.worker(handler(body)):
            return await jobs.until_over(task)

    shown = asyncio.run(scenario())

    assert shown.status is Status.SUCCEEDED
    assert jobs.show(shown.progress["next"]).kind == "later"


def test_a_worker_outlives_a_database_that_fails_for_a_while(jobs):
    def rename(conn, old, new):
        conn.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    async def scenario():
        task = jobs.put()
        jobs.db.change_schema(lambda conn: rename(conn, "tasks", "gone"))
        async with jobs.worker(handler(nothing)):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(
                jobs.db.change_schema, lambda conn: rename(conn, "gone", "tasks")
            )
            return await jobs.until_over(task)

    assert asyncio.run(scenario()).status is Status.SUCCEEDED
