"""The server process: opens the parts, serves until told to stop, finishes what is under way."""

import asyncio
import gc
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from entrepot.bootstrap.admin import operated
from entrepot.bootstrap.application import make_application
from entrepot.bootstrap.banner import show_first_start
from entrepot.bootstrap.child import Link
from entrepot.bootstrap.context import open_context
from entrepot.bootstrap.names import ServedNames
from entrepot.bootstrap.samplers import sample_context, sample_server
from entrepot.capabilities.content.health import Readiness
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.capabilities.operations.counting import PullCounter
from entrepot.config import Settings
from entrepot.http.server import Limits, Server, ServerContext, tls_context
from entrepot.telemetry import Telemetry

_log = structlog.get_logger(__name__)
_GARBAGE = 10_000  # new containers between two looks for cycles; a request makes some dozens and frees them itself


@dataclass(frozen=True, slots=True)
class Sockets:
    """What this process listens on, inherited from the supervisor: clients of the registry, and its operator."""

    main: Sequence[socket.socket]
    admin: Sequence[socket.socket]


async def serve(settings: Settings, sockets: Sockets, *, link: Link, telemetry: Telemetry) -> None:
    """Serve on the inherited sockets until told to stop."""
    stop = link.stop_event()
    async with open_context(settings) as (ctx, first):
        pulls = PullCounter(ctx.db)
        audit = AuditLog(ctx.db, pulls=settings.audit.pulls)
        app = make_application(ctx, pulls, audit, telemetry=telemetry)
        server = Server(app, limits=limits_of(settings), pool=ctx.pool)
        sample_context(telemetry.metrics, telemetry.process, ctx)
        sample_server(telemetry.metrics, telemetry.process, server, audit)
        async with operated(ctx, telemetry, sockets.admin, ready=Readiness(ctx)):
            gathering = [asyncio.create_task(one.run()) for one in (pulls, audit)]
            tls = _tls(settings)
            if tls is not None:
                names = ServedNames(ctx, tls)
                await names.refresh()
                gathering.append(asyncio.create_task(names.run(), name="entrepot-names"))
            await server.start(sockets.main, tls=tls)
            link.on_hangup(lambda: _reload(settings, tls))
            await show_first_start(ctx, first, sys.stdout)
            link.ready()
            _log.debug("ready")
            settle_memory()
            await stop.wait()
            await server.stop(settings.http.grace.seconds)
            for task in gathering:
                task.cancel()  # each writes what it holds, then ends
                with suppress(asyncio.CancelledError):
                    await task


def settle_memory() -> None:
    """What a started process holds, it holds to its end: the collector need not look at it for every few requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 20)


def _tls(settings: Settings) -> ServerContext | None:
    http = settings.http
    if http.tls_certificate is None or http.tls_key is None:
        return None
    return tls_context(http.tls_certificate, http.tls_key)


def _reload(settings: Settings, tls: ServerContext | None) -> None:
    """On the loop, between handshakes: OpenSSL wants nobody else at a context that changes. Open connections keep what they have."""
    certificate, key = settings.http.tls_certificate, settings.http.tls_key
    if tls is None or certificate is None or key is None:
        return
    try:
        tls.reload(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        _log.error("certificate_not_reloaded", file=str(certificate), error=str(error))
    else:
        _log.info("certificate_reloaded", file=str(certificate))


def limits_of(settings: Settings) -> Limits:
    """The HTTP limits that the settings say."""
    http = settings.http
    return Limits(
        header_bytes=int(http.header_limit),
        target_bytes=int(http.header_limit) * 3 // 4,
        header_seconds=http.header_timeout.seconds,
        idle_seconds=http.idle_timeout.seconds,
        body_seconds=http.body_timeout.seconds,
        minimum_rate=int(http.minimum_rate),
        connections=http.max_connections,
    )
