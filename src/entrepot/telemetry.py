"""Logs and measurements, set up once a process."""

import logging
import sys
from typing import Any

import structlog

from entrepot.config import Settings
from entrepot.http.messages import Request


def configure_logging(settings: Settings, *, process: str) -> None:
    """JSON lines (or lines for people) on standard error, with the request id where there is one."""
    level = getattr(logging, settings.log.level.value.upper())
    renderer: Any = structlog.processors.JSONRenderer()
    if settings.log.format.value == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


class Telemetry:
    """Is told of every request."""

    def __init__(self, settings: Settings) -> None:
        self._log = structlog.get_logger("entrepot.access")
        self._settings = settings

    def observe(self, request: Request, *, status: int, size: int, seconds: float) -> None:
        """One line a request."""
        self._log.info(
            "request",
            method=request.method,
            path=request.path.decode("latin-1")[:500],
            status=status,
            size=size,
            seconds=round(seconds, 6),
            client=request.client,
            request_id=request.id,
        )
