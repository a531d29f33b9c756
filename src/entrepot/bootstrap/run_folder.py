"""`<data>/run`: sockets and files that live no longer than the processes."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from entrepot.config import Settings
from entrepot.http.server.listener import bind

_REPORTS: Final = "metrics"
_LEVEL: Final = "log-level"


def reports_folder(settings: Settings) -> Path:
    """Where each process reports its numbers."""
    return settings.run_folder / _REPORTS


def level_file(settings: Settings) -> Path:
    """Holds the log level that an operator set for the running processes, if one did."""
    return settings.run_folder / _LEVEL


def prepare_run_folder(settings: Settings, processes: Sequence[str]) -> None:
    """For a supervisor that starts: what processes of these names left behind goes."""
    folder = reports_folder(settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.run_folder.chmod(0o700)  # one that was there already, too
    for name in processes:
        (folder / name).unlink(missing_ok=True)
    level_file(settings).unlink(missing_ok=True)


def bind_admin(listen: str) -> socket.socket:
    """The operator's listening socket; a Unix one is its owner's alone from its first moment. Raises OSError."""
    before = os.umask(0o177)
    try:
        return bind(listen, reuse_port=False)
    finally:
        os.umask(before)


def remove_admin(sockets: Sequence[socket.socket]) -> None:
    """Close them; a Unix socket leaves the folder too."""
    for sock in sockets:
        name = sock.getsockname()
        sock.close()
        if isinstance(name, str):
            Path(name).unlink(missing_ok=True)
