"""The server process: opens the parts, serves until told to stop, finishes what is under way."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

from entrepot.bootstrap.application import make_application
from entrepot.bootstrap.banner import first_start_lines
from entrepot.bootstrap.child import Link
from entrepot.bootstrap.context import open_context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.capabilities.operations.counting import PullCounter
from entrepot.config import Settings
from entrepot.http.server import Limits, Server, tls_context
from entrepot.telemetry import Telemetry


async def serve(
    settings: Settings, sockets: Sequence[socket.socket], *, link: Link, telemetry: Telemetry
) -> None:
    """Serve on the inherited sockets until told to stop."""
    stop = link.stop_event()
    async with open_context(settings) as (ctx, first):
        pulls = PullCounter(ctx.db)
        counting = asyncio.create_task(pulls.run(), name="entrepot-pulls")
        audit = AuditLog(ctx.db, pulls=settings.audit.pulls)
        auditing = asyncio.create_task(audit.run(), name="entrepot-audit")
        app = make_application(ctx, pulls, audit, observe=telemetry.observe)
        server = Server(app, limits=limits_of(settings), pool=ctx.pool)
        http = settings.http
        tls = None
        if http.tls_certificate is not None and http.tls_key is not None:
            tls = tls_context(http.tls_certificate, http.tls_key)
        await server.start(sockets, tls=tls)
        link.ready(first_start_lines(first, settings))
        await stop.wait()
        await server.stop(http.grace.seconds)
        for task in (counting, auditing):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await pulls.flush()


def limits_of(settings: Settings) -> Limits:
    """The HTTP limits that the settings say."""
    http = settings.http
    return Limits(
        header_bytes=int(http.header_limit),
        header_seconds=http.header_timeout.seconds,
        idle_seconds=http.idle_timeout.seconds,
        body_seconds=http.body_timeout.seconds,
        minimum_rate=int(http.minimum_rate),
        connections=http.max_connections,
    )
