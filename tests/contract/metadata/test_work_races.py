"""Processes that really run at once, on both engines."""

import asyncio
import subprocess
import sys
from pathlib import Path

from entrepot.metadata import executions, leases, schedules, work
from entrepot.metadata.schedules import Schedule
from entrepot.metadata.schema import schedules as rows
from entrepot.model.work import NewTask, Status

RACER = Path(__file__).with_name("work_racer.py")


def test_racing_processes_finish_every_task_once_within_the_limits(database_url, migrated_database):
    db = migrated_database

    def fill(conn):
        for number in range(40):
            work.defer(conn, NewTask("copy", f"t{number % 4}", max_attempts=1000))
        schedules.upsert(conn, Schedule("copy", "nightly", "0 3 * * *"), {})
        conn.execute(rows.update().values(next_at=1))

    db.write_sync(fill)
    racers = [
        subprocess.Popen(
            [sys.executable, str(RACER), database_url], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    done = [int(key) for racer in racers for key in racer.communicate(timeout=100)[0].split()]

    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert len(done) == len(set(done)) == 41  # the schedule started once
    assert db.read_sync(executions.count_tasks) == {Status.SUCCEEDED: 41}


def test_concurrent_pushers_with_one_key_leave_one_waiting_task(migrated_database):
    db = migrated_database

    async def scenario():
        return await asyncio.gather(
            *[
                db.write(lambda conn: work.defer(conn, NewTask("copy", unique_key="a")))
                for _ in range(12)
            ]
        )

    keys = asyncio.run(scenario())

    assert len([key for key in keys if key is not None]) == 1


def test_tasks_of_one_execution_that_end_together_leave_it_ended(migrated_database):
    db = migrated_database

    def start(conn):
        return work.start_execution(
            conn,
            "copy",
            target="",
            trigger="event",
            actor="",
            tenant=None,
            tasks=[NewTask("copy") for _ in range(8)],
        )

    execution = db.write_sync(start)
    claimed = db.write_sync(lambda c: leases.claim(c, [leases.Offer("copy", 60)], limit=8))

    async def scenario():
        await asyncio.gather(
            *[
                db.write(lambda c, task=task: leases.finish(c, task, leases.Succeeded({"n": 1})))
                for task in claimed
            ]
        )

    asyncio.run(scenario())

    shown = db.read_sync(lambda c: executions.get_execution(c, execution))
    assert (shown.status, shown.summary) == (Status.SUCCEEDED, {"n": 8})
