"""The worker process: background tasks, away from requests (DESIGN section 8)."""

import asyncio
import socket
import sys
from collections.abc import Sequence

import structlog

from entrepot.bootstrap.admin import operated
from entrepot.bootstrap.banner import show_first_start
from entrepot.bootstrap.child import Link
from entrepot.bootstrap.context import open_context
from entrepot.bootstrap.duties import make_duties
from entrepot.bootstrap.samplers import sample_context, sample_worker
from entrepot.capabilities.content.health import Readiness
from entrepot.config import Settings
from entrepot.jobs.worker import Worker, WorkerSettings
from entrepot.telemetry import Telemetry
from entrepot.telemetry.jobs import measured

_log = structlog.get_logger(__name__)


async def work(
    settings: Settings, sockets: Sequence[socket.socket], *, link: Link, telemetry: Telemetry
) -> None:
    """Run tasks until told to stop; what is not finished is handed back."""
    stop = link.stop_event()
    async with open_context(settings) as (ctx, first):
        duties = make_duties(ctx)
        worker = Worker(
            ctx.db,
            measured(duties.handlers, telemetry.metrics, telemetry.tracer),
            settings=WorkerSettings(
                slots=settings.jobs.concurrency,
                lease_seconds=settings.jobs.lease.seconds,
                poll_seconds=settings.jobs.poll.seconds,
            ),
            watches=duties.watches,
        )
        sample_context(telemetry.metrics, telemetry.process, ctx)
        sample_worker(telemetry.metrics, telemetry.process, worker)
        async with operated(ctx, telemetry, sockets, ready=Readiness(ctx)):
            await show_first_start(ctx, first, sys.stdout)
            link.ready()
            _log.debug("ready")
            running = asyncio.create_task(worker.run(), name="entrepot-worker")
            stopped = asyncio.create_task(stop.wait(), name="entrepot-stop")
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            worker.stop()
            await running
            stopped.cancel()
