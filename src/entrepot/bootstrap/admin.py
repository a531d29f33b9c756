"""The operator's endpoints, put together. Any process can serve them: each reports to the same folder, and any reads all reports."""

import asyncio
import json
import os
import platform
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from entrepot import __version__
from entrepot.bootstrap.run_folder import level_file, reports_folder
from entrepot.bootstrap.samplers import add_backlog
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.certificates import served_pair
from entrepot.config import Settings
from entrepot.config.types import UnixAddress
from entrepot.http.admin import AdminApplication, Endpoints, text
from entrepot.http.messages import BadQuery, Request, Response, split_host
from entrepot.http.server import Limits, Server
from entrepot.metadata.observing import backlog
from entrepot.model.errors import RegistryError
from entrepot.telemetry import Telemetry
from entrepot.telemetry.exposition import CONTENT_TYPE, added_up, exposition
from entrepot.telemetry.logs import LEVELS, LOG
from entrepot.telemetry.reporter import Reporter
from entrepot.telemetry.reports import Report, read_reports

Ready = Callable[[], Awaitable[bool]]
LIMITS = Limits(header_bytes=16384, connections=64, header_seconds=5.0, idle_seconds=30.0)
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def operated(
    ctx: Context, telemetry: Telemetry, sockets: Sequence[socket.socket], *, ready: Ready
) -> AsyncIterator[None]:
    """While inside: the process reports its numbers, and answers the operator on these sockets."""
    settings = ctx.settings
    reporter = await asyncio.to_thread(
        lambda: Reporter(
            telemetry.metrics,
            reports_folder(settings),
            telemetry.process,
            level_file=level_file(settings),
        )
    )
    reporting = asyncio.create_task(reporter.run(), name="entrepot-reports")
    server = Server(make_admin(ctx, ready), limits=LIMITS, pool=ctx.pool)
    await server.start(sockets)
    try:
        yield
    finally:
        await server.stop(1.0)
        reporting.cancel()
        with suppress(asyncio.CancelledError):
            await reporting
        if telemetry.tracer is not None:
            await asyncio.to_thread(telemetry.tracer.close)


def make_admin(ctx: Context, ready: Ready) -> AdminApplication:
    """The application of the admin listener."""
    settings = ctx.settings
    token = settings.admin.token
    is_unix = isinstance(settings.admin_listen, UnixAddress)
    return AdminApplication(
        _endpoints(ctx, ready), token=None if is_unix or token is None else token.reveal()
    )


def _endpoints(ctx: Context, ready: Ready) -> Endpoints:
    settings = ctx.settings

    async def metrics(_request: Request, _body: bytes) -> Response:
        return await _metrics(ctx)

    async def health(_request: Request, _body: bytes) -> Response:
        return text(200, "ok")

    async def readiness(_request: Request, _body: bytes) -> Response:
        return text(200, "ok") if await ready() else text(503, "not ready")

    async def processes(_request: Request, _body: bytes) -> Response:
        reports = await asyncio.to_thread(read_reports, reports_folder(settings))
        return _json([_shown(report) for report in reports])

    async def level(_request: Request, _body: bytes) -> Response:
        return _json(await asyncio.to_thread(_level, settings))

    async def set_level(_request: Request, body: bytes) -> Response:
        return await _set_level(settings, body)

    async def reset_level(_request: Request, _body: bytes) -> Response:
        return await _set_level(settings, settings.log.level.value.encode())

    async def certificate(request: Request, _body: bytes) -> Response:
        return await _certificate(ctx, request)

    served: dict[bytes, dict[str, Any]] = {
        b"/certificate": {"GET": certificate},
        b"/healthz": {"GET": health},
        b"/readyz": {"GET": readiness},
        b"/processes": {"GET": processes},
        b"/log-level": {"GET": level, "PUT": set_level, "DELETE": reset_level},
    }
    if settings.metrics.enabled:
        served[b"/metrics"] = {"GET": metrics}
    return served


async def _certificate(ctx: Context, request: Request) -> Response:
    """Chain and key of a custom domain, for a proxy that ends TLS (Caddy's `get_certificate http`); 204 for any other name."""
    try:
        names = request.query.get("server_name", [])
    except BadQuery:
        names = []
    if len(names) != 1:
        return text(400, "server_name is needed, once")
    pair = await served_pair(ctx, split_host(names[0]))
    if pair is None:
        return Response(204)
    return Response(200, [(b"content-type", b"application/x-pem-file")], pair.pem.encode())


async def _metrics(ctx: Context) -> Response:
    """Everything, even where the database is away: that is when metrics are wanted."""
    reports = await asyncio.to_thread(read_reports, reports_folder(ctx.settings))
    totals = added_up(reports)
    labels = (__version__, platform.python_version(), ctx.db.dialect)
    totals.gauges["build_info", labels] = 1
    try:
        async with asyncio.timeout(2.0):
            add_backlog(totals, await ctx.db.read(backlog))
    except (RegistryError, TimeoutError) as error:
        _log.warning("backlog_not_read", error=str(error))
    body = await asyncio.to_thread(exposition, totals)
    return Response(200, [(b"content-type", CONTENT_TYPE)], body)


def _shown(report: Report) -> dict[str, object]:
    gauges = {name: value for name, _, value in report.gauges}
    return {
        "process": report.process,
        "pid": report.pid,
        "state": "up" if report.is_alive else "down",
        "version": report.version,
        "started_at": round(report.started_at, 3),
        "reported_at": round(report.written_at, 3),
        "resident_memory_bytes": int(gauges.get("resident_memory_bytes", 0)),
        **{
            name: int(gauges[name])
            for name in ("connections", "requests_in_flight", "jobs_running")
            if name in gauges
        },
    }


def _json(value: object) -> Response:
    body = json.dumps(value, indent=2).encode() + b"\n"
    return Response(200, [(b"content-type", b"application/json")], body)


def _level(settings: Settings) -> dict[str, str]:
    """The level that every process follows within a second, and the one of the settings."""
    usual = settings.log.level.value
    try:
        asked = level_file(settings).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        asked = usual
    return {"level": asked, "usual": usual}


async def _set_level(settings: Settings, body: bytes) -> Response:
    """Until the next start. Every process looks at the file within a second; this one follows at once."""
    asked = body.decode("ascii", "replace").strip().strip('"').lower()
    if asked not in LEVELS:
        return text(400, f"the body is one of: {', '.join(LEVELS)}")
    await asyncio.to_thread(_replace, level_file(settings), asked)
    LOG.set_level(asked)
    _log.warning("log_level_changed", level_now=asked)
    return _json({"level": asked, "usual": settings.log.level.value})


def _replace(path: Path, content: str) -> None:
    """So that no process ever reads half of it."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    scratch.write_text(content + "\n", encoding="ascii")
    os.replace(scratch, path)  # noqa: PTH105  (the name says it)
