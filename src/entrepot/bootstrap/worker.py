"""The worker process: background tasks, away from requests (DESIGN section 8)."""

import asyncio

from entrepot.bootstrap.banner import first_start_lines
from entrepot.bootstrap.child import Link
from entrepot.bootstrap.context import open_context
from entrepot.bootstrap.duties import make_duties
from entrepot.config import Settings
from entrepot.jobs.worker import Worker, WorkerSettings


async def work(settings: Settings, *, link: Link) -> None:
    """Run tasks until told to stop; what is not finished is handed back."""
    stop = link.stop_event()
    async with open_context(settings) as (ctx, first):
        duties = make_duties(ctx)
        worker = Worker(
            ctx.db,
            duties.handlers,
            settings=WorkerSettings(
                slots=settings.jobs.concurrency,
                lease_seconds=settings.jobs.lease.seconds,
                poll_seconds=settings.jobs.poll.seconds,
            ),
            watches=duties.watches,
        )
        link.ready(first_start_lines(first, settings))
        running = asyncio.create_task(worker.run(), name="entrepot-worker")
        stopped = asyncio.create_task(stop.wait(), name="entrepot-stop")
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()
        await running
        stopped.cancel()
