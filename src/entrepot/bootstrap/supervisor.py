"""`entrepot serve`: binds the sockets, starts server and worker processes, starts those again that die, stops them all.

Imports nothing heavy: it lives as long as they do and holds only sockets and pipes.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

RESTART_SECONDS = 1.0
LONGEST_RESTART_SECONDS = 30.0
TURN_SECONDS = 0.2
STEADY_SECONDS = 60.0  # a child that lived so long starts again without waiting


@dataclass(slots=True)
class Child:
    """One child process and how to start it again."""

    name: str
    arguments: Sequence[str]
    sockets: Sequence[socket.socket] = ()
    admin: Sequence[socket.socket] = ()  # the operator's
    process: subprocess.Popen[bytes] | None = None
    said: bytes = b""  # of its one line, so far
    is_ready: bool = False
    started_at: float = 0.0
    failures: int = 0
    restart_at: float | None = None  # monotonic; None: it runs


@dataclass(slots=True)
class Supervisor:
    """Runs until a signal, or until a child cannot be started the first time. `announce` gets the lines a child wants shown."""

    command: Sequence[str]  # program and options that every child is started with
    announce: Callable[[Sequence[str]], None]
    grace_seconds: float
    children: list[Child] = field(default_factory=list)
    is_stopping: bool = False
    _life: tuple[int, int] = field(default_factory=os.pipe)
    _pipes: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def begin(self, child: Child) -> None:
        """Start it; whether it gets ready is for `run` to see to."""
        self.children.append(child)
        self._spawn(child)

    def start(self, child: Child) -> bool:
        """Start it and wait until it is ready; False if it ended instead, or if everything is to stop."""
        self.begin(child)
        while not (self.is_stopping or child.is_ready or _has_ended(child)):
            self._listen(TURN_SECONDS)
        return child.is_ready

    def run(self) -> int:
        """Watch until told to stop; the exit code."""
        while not self.is_stopping:
            self._listen(TURN_SECONDS)
            for child in self.children:
                self._look_after(child)
        return self.stop()

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT stop everything, once. SIGHUP goes on to the children, who read certificates again; but where it tells
        that the terminal we were started from is gone, we go too."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ask_to_stop())
        had_terminal = _has_terminal()
        signal.signal(signal.SIGHUP, lambda *_: self._hang_up(had_terminal))

    def _hang_up(self, had_terminal: bool) -> None:  # noqa: FBT001  (private)
        if had_terminal and not _has_terminal():
            self._ask_to_stop()
            return
        for child in self.children:
            process = child.process
            # One that is not ready yet would die of it, and has just read what there is to read.
            if child.is_ready and process is not None and process.poll() is None:
                process.send_signal(signal.SIGHUP)

    def _ask_to_stop(self) -> None:
        self.is_stopping = True

    def _spawn(self, child: Child) -> None:
        reading, writing = os.pipe()
        child.is_ready, child.said, child.restart_at = False, b"", None
        main = [sock.fileno() for sock in child.sockets]
        admin = [sock.fileno() for sock in child.admin]
        options = [f"--socket={n}" for n in main] + [f"--admin={n}" for n in admin]
        child.process = subprocess.Popen(  # noqa: S603  (our own program, arguments made here)
            [
                *self.command,
                *child.arguments,
                f"--status={writing}",
                f"--life={self._life[0]}",
                *options,
            ],
            pass_fds=(*main, *admin, writing, self._life[0]),
            stdin=subprocess.DEVNULL,
        )
        os.close(writing)
        child.started_at = time.monotonic()
        self._pipes.register(reading, selectors.EVENT_READ, child)

    def _listen(self, seconds: float) -> None:
        """Take what children say within that time; a pipe's end closes it."""
        for key, _ in self._pipes.select(seconds):
            child: Child = key.data
            piece = os.read(key.fd, 65536)
            child.said += piece
            if piece and not child.said.endswith(b"\n"):
                continue
            self._pipes.unregister(key.fd)
            os.close(key.fd)
            if child.said.endswith(b"\n"):
                child.is_ready = True
                lines = json.loads(child.said)["lines"]
                if lines:
                    self.announce(lines)

    def _look_after(self, child: Child) -> None:
        """Start it again if it ended: at once after a long life, else later and later. Holds up no other child."""
        if child.restart_at is not None:
            if time.monotonic() >= child.restart_at:
                self._spawn(child)
            return
        if not _has_ended(child) or child.process is None:
            return
        lived = time.monotonic() - child.started_at
        child.failures = 0 if lived >= STEADY_SECONDS else child.failures + 1
        pause = min(RESTART_SECONDS * 2 ** (child.failures - 1), LONGEST_RESTART_SECONDS)
        child.restart_at = time.monotonic() + (pause if child.failures else 0.0)
        child.is_ready = False
        code = child.process.returncode
        sys.stderr.write(f"{child.name} process ended with code {code}; starting it again\n")

    def stop(self) -> int:
        """Ask all, wait for the grace, then kill what is left."""
        living = [c.process for c in self.children if c.process is not None]
        for process in living:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self.grace_seconds + 5.0
        for process in living:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return 0


def _has_ended(child: Child) -> bool:
    return child.process is not None and child.process.poll() is not None


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
