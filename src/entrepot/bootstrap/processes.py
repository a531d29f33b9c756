"""From settings to a running event loop: the body of a child process."""

import asyncio
import socket
from collections.abc import Sequence

import uvloop

from entrepot.bootstrap.child import Link
from entrepot.bootstrap.server import serve
from entrepot.bootstrap.worker import work
from entrepot.config import Settings
from entrepot.model.errors import RegistryError
from entrepot.telemetry import Telemetry, configure_logging


def run_process(
    settings: Settings, kind: str, link: Link, sockets: Sequence[socket.socket]
) -> None:
    """Run one child until it is told to stop. A start that fails says why in one line and ends with code 1."""
    configure_logging(settings, process=kind)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if kind == "server":
                runner.run(serve(settings, sockets, link=link, telemetry=Telemetry(settings)))
            else:
                runner.run(work(settings, link=link))
    except RegistryError as error:
        raise SystemExit(f"entrepot: {error}") from error
