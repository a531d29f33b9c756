"""Hints between the processes that share one SQLite file: "something changed, look again". They may be lost.

A process that listens binds a datagram socket `<folder of the file>/run/<file>.<pid>.<random>`. A process that committed sends to
all of them, never waits, and sweeps away sockets whose owner is gone.
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LARGEST = 4096  # bytes of channel and payload
_ADDRESS = 100  # bytes a Unix socket address may take, everywhere
Deliver = Callable[[str, str], None]


class Sockets:
    """The hint sockets beside one file."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent / "run"
        self._prefix = f"{path.name}."
        self._name = f"{self._prefix}{os.getpid()}.{secrets.token_hex(4)}"
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.settimeout(0.0)
        self._directory: int | None = None
        self._own: socket.socket | None = None
        self._deliver: Deliver | None = None
        self._thread: threading.Thread | None = None
        self._lock = (
            threading.Lock()
        )  # a short command may close while it is still beginning to listen
        self._is_closed = False

    def _address(self, name: str) -> str:
        """A path short enough for the kernel: deep folders are reached through their descriptor."""
        plain = str(self._folder / name)
        if len(os.fsencode(plain)) <= _ADDRESS:
            return plain
        if self._directory is None:
            self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._directory}/{name}"

    def listen(self, deliver: Deliver) -> None:
        """Receive in a thread. Where no socket can be made, hints of this process still arrive."""
        with self._lock:
            if not self._is_closed:
                self._open(deliver)

    def _open(self, deliver: Deliver) -> None:
        self._deliver = deliver
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            own.bind(self._address(self._name))
        except OSError:
            return
        self._own = own
        self._thread = threading.Thread(
            target=self._receive, args=(own, deliver), name="entrepot-hints", daemon=True
        )
        self._thread.start()

    @staticmethod
    def _receive(own: socket.socket, deliver: Deliver) -> None:
        while message := own.recv(LARGEST + 1):  # an empty one is our own goodbye
            channel, _, payload = message.decode("utf-8", "replace").partition("\0")
            deliver(channel, payload)

    def publish(self, hints: list[tuple[str, str]]) -> None:
        """Tell this process and its siblings. Called by the writer thread after a commit; never waits."""
        unique = list(dict.fromkeys(hints))
        if self._deliver is not None:
            for channel, payload in unique:
                self._deliver(channel, payload)
        try:
            names = [
                each.name for each in self._folder.iterdir() if each.name.startswith(self._prefix)
            ]
        except OSError:
            return
        for name in names:
            if name != self._name:
                self._send(name, unique)

    def _send(self, name: str, hints: list[tuple[str, str]]) -> None:
        try:
            for channel, payload in hints:
                self._sender.sendto(f"{channel}\0{payload}".encode(), self._address(name))
        except ConnectionRefusedError:  # nobody holds it any more
            with suppress(OSError):
                (self._folder / name).unlink()
        except OSError:  # its buffer is full: that process has been told often enough
            return

    def close(self) -> None:
        """Stop receiving and remove our socket."""
        with self._lock:
            self._is_closed = True
        self._deliver = None
        if self._own is not None and self._thread is not None:
            with suppress(OSError):
                self._sender.settimeout(1.0)
                self._sender.sendto(b"", self._address(self._name))
                self._thread.join()
            self._own.close()
            with suppress(OSError):
                (self._folder / self._name).unlink()
            self._own = None
        self._sender.close()
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None
