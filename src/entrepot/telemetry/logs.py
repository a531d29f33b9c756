"""Structured logs on standard error: what every line holds, what it must not hold, and which lines there are."""

import atexit
import logging
import os
import sys
import time
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Final

import structlog

from entrepot.config import Settings
from entrepot.http.messages import CURRENT_REQUEST
from entrepot.telemetry.masking import masked, masked_fields, masked_text
from entrepot.telemetry.rendering import (
    AccessLine,
    Render,
    render_console,
    render_json,
    render_lines,
)
from entrepot.telemetry.writer import LineWriter

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_FRAMES: Final = 30  # the innermost ones of a traceback
_CAUSES: Final = 5
_NAMES: Final = {"exception": "error", "critical": "error", "fatal": "error", "warn": "warning"}


class Log:
    """The log of this process. There is one, `LOG`, as there is one standard error."""

    def __init__(self) -> None:
        self.threshold = LEVELS["info"]
        self.process = ""
        self.render: Render = render_json
        self.writer: LineWriter | None = None
        self._millisecond = self._second = -1
        self._day = ""
        self._stamp = ""

    @property
    def level(self) -> str:
        """The least important level that is written."""
        return next(name for name, number in LEVELS.items() if number == self.threshold)

    def set_level(self, name: str) -> None:
        """Write lines of this level and above from now on. KeyError for an unknown one."""
        self.threshold = LEVELS[name]

    def at(self) -> str:
        """Now, UTC, in ISO form with milliseconds; made once in each of them."""
        now = time.time_ns() // 1_000_000
        if now != self._millisecond:
            seconds, thousandths = divmod(now, 1000)
            if seconds != self._second:
                self._day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
                self._second = seconds
            self._stamp, self._millisecond = f"{self._day}.{thousandths:03d}Z", now
        return self._stamp

    def emit(self, level: str, fields: dict[str, object]) -> None:
        """Write a line whose fields are known to be clean. The caller has looked at `threshold`."""
        line = {"at": self.at(), "level": level, **fields, "process": self.process}
        self.put(self.render(line))

    def tell(self, level: str, event: str, fields: MutableMapping[str, Any]) -> None:
        """Write a line of whoever: with the request it belongs to, exceptions as data, secrets masked."""
        if LEVELS[level] < self.threshold:
            return
        exception = _exception(fields.pop("exc_info", None))
        known = {"event": masked_text(event), **_circumstances(), **masked_fields(fields)}
        if exception:
            known["exception"] = masked(exception)
        self.emit(level, known)

    def put(self, line: bytes | AccessLine) -> None:
        """Hand a line to the writer; before there is one, straight to standard error."""
        if self.writer is not None:
            self.writer.put(line)
        else:
            os.write(2, line if isinstance(line, bytes) else self.render(line))

    def close(self) -> None:
        """Write what waits."""
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.close()


LOG: Final = Log()


def configure_logging(settings: Settings, *, process: str) -> None:
    """JSON lines (or lines for people) on standard error, with the request id where there is one. Again: replaces."""
    is_console = settings.log.format.value == "console"
    open_log(settings.log.level.value, process=process, console=is_console)


def open_log(level: str, *, process: str, console: bool = False, fd: int | None = None) -> None:
    """Likewise, from plain values; `fd` instead of standard error."""
    LOG.close()
    LOG.process = process
    LOG.render = render_console if console else render_json
    LOG.set_level(level)
    render = _render_for_people if console else render_lines
    LOG.writer = LineWriter(sys.stderr.fileno() if fd is None else fd, _lost_line, render=render)
    atexit.unregister(LOG.close)
    atexit.register(LOG.close)
    structlog.configure(
        processors=[_into_log],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Forward()]
    root.setLevel(logging.WARNING)  # libraries tell how they work at info
    logging.getLogger("entrepot").setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)


def _render_for_people(lines: list[AccessLine]) -> bytes:
    return b"".join(map(render_console, lines))


def _lost_line(count: int) -> bytes:
    fields = {"at": LOG.at(), "level": "warning", "event": "log_lines_lost", "count": count}
    return LOG.render({**fields, "process": LOG.process})


def _into_log(_logger: Any, name: str, event_dict: MutableMapping[str, Any]) -> str:
    """The one structlog processor."""
    level = _NAMES.get(name, name)
    if LEVELS.get(level, 20) >= LOG.threshold:
        event = event_dict.pop("event", "")
        context = structlog.contextvars.get_contextvars()
        LOG.tell(level if level in LEVELS else "info", str(event), {**context, **event_dict})
    raise structlog.DropEvent  # it is written already; no logger behind us needs a string


class _Forward(logging.Handler):
    """The standard library's logging, as libraries and the HTTP server use it."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((n for n, at in reversed(LEVELS.items()) if record.levelno >= at), "debug")
        if LEVELS[level] < LOG.threshold:
            return
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # wrong arguments for its format
            text = str(record.msg)
        LOG.tell(level, text, {"logger": record.name, "exc_info": record.exc_info})


def _circumstances() -> dict[str, object]:
    request = CURRENT_REQUEST.get()
    if request is None:
        return {}
    known: dict[str, object] = {"request_id": request.id}
    if request.caller is not None:
        known["caller"] = request.caller.name
    return known


def _exception(exc_info: object) -> list[dict[str, object]]:
    """The exception and its causes, outermost first: type, message, frames without their variables."""
    error: BaseException | None = None
    match exc_info:
        case BaseException():
            error = exc_info
        case (_, BaseException() as error, _):
            pass
        case None | False | (None, None, None):
            return []
        case _:
            error = sys.exc_info()[1]
    told: list[dict[str, object]] = []
    while error is not None and len(told) < _CAUSES:
        told.append(_one(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told


def _one(error: BaseException) -> dict[str, object]:
    kind = type(error)
    told: dict[str, object] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    told["message"] = _message(error)
    told["frames"] = _frames(error.__traceback__)
    if isinstance(error, BaseExceptionGroup):
        told["group"] = [_one(inner) for inner in error.exceptions[:_CAUSES]]
    return told


def _message(error: BaseException) -> str:
    try:
        return str(error)[:4000]
    except Exception:  # noqa: BLE001  (foreign __str__)
        return "(no message)"


def _frames(begin: TracebackType | None) -> list[dict[str, object]]:
    found = list(traceback.walk_tb(begin))[-_FRAMES:]
    return [
        {"filename": f.f_code.co_filename, "lineno": line, "name": f.f_code.co_qualname}
        for f, line in found
    ]
