"""From settings to a running event loop: the body of a child process."""

import asyncio
import ctypes
from contextlib import suppress
from typing import Final

import uvloop

import entrepot.bootstrap.lean
import entrepot.metadata.sqlite  # noqa: F401  (before the fork: every process but PostgreSQL's needs it)
from entrepot.bootstrap.child import Link
from entrepot.bootstrap.server import Sockets, serve
from entrepot.bootstrap.worker import work
from entrepot.capabilities.access.sealing import MasterKeyUnusable
from entrepot.config import Settings
from entrepot.model.errors import RegistryError
from entrepot.telemetry import Telemetry, configure_logging
from entrepot.telemetry.logs import LOG

_M_ARENA_MAX: Final = -8  # malloc.h


def _keep_one_heap() -> None:
    """Threads of ours allocate one at a time, as they hold the interpreter: a heap for each would only lie about, half used.

    A fifth less memory under a thousand TLS connections. Before the first thread; only the GNU C library knows of it.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def run_process(settings: Settings, name: str, link: Link, sockets: Sockets) -> None:
    """Run one child, `server-<number>` or `worker`, until it is told to stop. A start that fails says why in one line and ends with code 1."""
    _keep_one_heap()
    configure_logging(settings, process=name)
    try:
        telemetry = Telemetry(settings, process=name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if name.startswith("server"):
                runner.run(serve(settings, sockets, link=link, telemetry=telemetry))
            else:
                runner.run(work(settings, sockets.admin, link=link, telemetry=telemetry))
    except (RegistryError, MasterKeyUnusable) as error:
        raise SystemExit(f"entrepot: {error}") from error
    finally:
        LOG.close()  # a forked process ends without the interpreter's last steps
