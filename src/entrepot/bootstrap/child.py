"""What a child process and its supervisor say to each other: one line when the child is ready, and the end of a pipe.

The supervisor keeps the writing end of the life pipe open. When it dies, however it dies, the pipe ends and the child stops as if it
had been asked to.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

READY: Final = b"ready\n"


@dataclass(frozen=True, slots=True)
class Link:
    """The child's two pipe ends."""

    status: int
    life: int

    def ready(self) -> None:
        """Tell the supervisor."""
        os.write(self.status, READY)
        os.close(self.status)

    def stop_event(self) -> asyncio.Event:
        """Set on SIGTERM, SIGINT, or the supervisor's end."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        loop.add_reader(self.life, self._ended, stop)
        return stop

    def on_hangup(self, callback: Callable[[], None]) -> None:
        """Called on SIGHUP, which the supervisor passes on: read again what can be read again. After `stop_event`."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, callback)

    def _ended(self, stop: asyncio.Event) -> None:
        asyncio.get_running_loop().remove_reader(self.life)
        stop.set()
