"""A worker process that stops or kills itself in the middle of its task: `python doomed_worker.py URL SIGNAL`.

If it is continued, it tries to write and to finish, and prints what it was told.
"""

import asyncio
import os
import signal
import sys

from entrepot.capabilities.operations.work import Handler
from entrepot.jobs.worker import Worker, WorkerSettings
from entrepot.metadata import counters, leases
from entrepot.metadata.database import Database
from entrepot.metadata.leases import Succeeded
from entrepot.model.errors import LeaseLost


async def write_late(ctx, late) -> None:
    try:
        await ctx.write(late)
        print("wrote")
    except LeaseLost:
        print("refused")


async def main(url: str, signal_number: int) -> None:
    db = Database.open(url)

    async def body(ctx):
        await ctx.write(lambda conn: counters.add(conn, "job", 1, "begun", 1))
        await asyncio.sleep(0.3)  # no transaction of this process is open
        os.kill(os.getpid(), signal_number)
        try:
            for late in (
                lambda conn: counters.add(conn, "job", 1, "ended", 1),
                lambda conn: leases.finish(conn, ctx.task, Succeeded({"by": "doomed"})),
            ):
                await write_late(ctx, late)
        finally:  # the first heartbeat may end the body before it has tried both
            print("ended")
            worker.stop()

    settings = WorkerSettings(lease_seconds=2.0, poll_seconds=30.0)
    worker = Worker(db, {"job": Handler(kind="job", run=body)}, settings=settings)
    await worker.run()
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], signal.Signals[sys.argv[2]]))
