"""A worker for the use cases whose last step is a job."""

import asyncio

from entrepot.bootstrap.duties import make_duties
from entrepot.jobs.worker import Worker, WorkerSettings


def work_until(world, done):
    """Run the deployment's tasks until `done(conn)` holds."""

    async def run():
        duties = make_duties(world.ctx)
        worker = Worker(
            world.ctx.db,
            duties.handlers,
            settings=WorkerSettings(poll_seconds=0.02, finish_seconds=0.0),
        )
        running = asyncio.ensure_future(worker.run())
        try:
            async with asyncio.timeout(20):
                while not await world.ctx.db.read(done):
                    await asyncio.sleep(0.02)
        finally:
            worker.stop()
            await running

    world.do(run())
