"""From settings to a running event loop: the body of a child process."""

import asyncio

import uvloop

from entrepot.bootstrap.child import Link
from entrepot.bootstrap.server import Sockets, serve
from entrepot.bootstrap.worker import work
from entrepot.config import Settings
from entrepot.model.errors import RegistryError
from entrepot.telemetry import Telemetry, configure_logging


def run_process(settings: Settings, name: str, link: Link, sockets: Sockets) -> None:
    """Run one child, `server-<number>` or `worker`, until it is told to stop. A start that fails says why in one line and ends with code 1."""
    configure_logging(settings, process=name)
    try:
        telemetry = Telemetry(settings, process=name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if name.startswith("server"):
                runner.run(serve(settings, sockets, link=link, telemetry=telemetry))
            else:
                runner.run(work(settings, sockets.admin, link=link, telemetry=telemetry))
    except RegistryError as error:
        raise SystemExit(f"entrepot: {error}") from error
