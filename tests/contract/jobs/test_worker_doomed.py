"""Workers that are killed or paused in the middle of a task, as processes of their own."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from entrepot.capabilities.operations.work import Handler
from entrepot.metadata import counters
from entrepot.model.work import Status

DOOMED = Path(__file__).with_name("doomed_worker.py")


async def finish_elsewhere(jobs, task):
    async def body(ctx):
        await ctx.write(lambda conn: counters.add(conn, "job", 1, "ended", 1))
        return {"by": "other"}

    async with jobs.worker(Handler(kind="job", run=body)):
        return await jobs.until_over(task)


def doom(url: str, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, str(DOOMED), url, name], stdout=-1, text=True)


def count(jobs, name: str) -> int:
    return jobs.db.read_sync(lambda conn: counters.value(conn, "job", 1, name))


def test_the_task_of_a_killed_worker_is_done_by_another(jobs, database_url):
    task = jobs.put()
    with doom(database_url, "SIGKILL") as process:
        assert process.wait(30) == -signal.SIGKILL
    assert jobs.show(task).status is Status.RUNNING

    shown = asyncio.run(finish_elsewhere(jobs, task))

    assert (shown.status, shown.attempts) == (Status.SUCCEEDED, 2)
    assert (count(jobs, "begun"), count(jobs, "ended")) == (1, 1)


def test_a_paused_worker_that_goes_on_after_another_finished_changes_nothing(jobs, database_url):
    task = jobs.put()
    with doom(database_url, "SIGSTOP") as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)

            shown = asyncio.run(finish_elsewhere(jobs, task))
            process.send_signal(signal.SIGCONT)
            told, _ = process.communicate(timeout=30)
        finally:
            process.kill()

    answers = told.splitlines()  # among lines of its log
    assert "ended" in answers
    assert "wrote" not in answers
    assert (shown.status, jobs.show(task).progress) == (Status.SUCCEEDED, {"by": "other"})
    assert (count(jobs, "begun"), count(jobs, "ended")) == (1, 1)
