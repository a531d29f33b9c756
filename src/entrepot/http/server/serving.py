"""What all connections of one server share."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from entrepot.http.bodies import ASGIApp, Scope
from entrepot.http.server.limits import Limits
from entrepot.http.server.request import Line
from entrepot.http.server.upload import Buffers

if TYPE_CHECKING:
    from entrepot.http.server.connection import Connection

_SMALL_READ: Final = 65536
_LARGE_READ: Final = 262144

log = logging.getLogger("entrepot.http.server")


def log_error(error: BaseException, scope: Scope) -> None:
    """What becomes of an application's error when nobody else wants to know."""
    log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)


@dataclass(frozen=True, slots=True)
class Hooks:
    """`on_error` gets what the application raised; `on_response`, if anybody measures, every answer
    that was begun: scope, status, body bytes sent, seconds since the head of the request was complete."""

    on_error: Callable[[BaseException, Scope], None] = log_error
    on_response: Callable[[Scope, int, int, float], None] | None = None


class Serving:
    """The application, the limits, the shared buffers, the clock and the living connections."""

    def __init__(
        self, app: ASGIApp, *, limits: Limits, pool: Executor, server_name: str, hooks: Hooks
    ) -> None:
        self.app = app
        self.limits = limits
        self.pool = pool
        self.hooks = hooks
        self.buffers = Buffers()
        self.large_read = memoryview(bytearray(_LARGE_READ))
        self.small_read = self.large_read[:_SMALL_READ]
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.lines: dict[bytes, Line] = {}
        self.in_flight = 0
        self.stopping = False
        self.on_closed: Callable[[], None] = lambda: None
        self.now = 0.0
        """The loop's time at the last sweep."""
        self.preamble = b""
        """The date and server header lines."""
        self._server_line = b"server: " + server_name.encode("ascii") + b"\r\n"

    def tick(self, now: float) -> None:
        """Once per sweep: no request asks the clock."""
        self.now = now
        date = formatdate(time.time(), usegmt=True).encode("ascii")
        self.preamble = b"date: " + date + b"\r\n" + self._server_line
