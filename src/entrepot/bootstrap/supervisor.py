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
STEADY_SECONDS = 60.0  # a child that lived so long starts again without waiting


@dataclass(slots=True)
class Child:
    """One child process and how to start it again."""

    name: str
    arguments: Sequence[str]
    sockets: Sequence[socket.socket] = ()
    admin: Sequence[socket.socket] = ()  # the operator's
    process: subprocess.Popen[bytes] | None = None
    status: int = -1
    is_ready: bool = False
    started_at: float = 0.0
    failures: int = 0


@dataclass(slots=True)
class Supervisor:
    """Runs until a signal, or until a child cannot be started the first time. `announce` gets the lines a child wants shown."""

    command: Sequence[str]  # program and options that every child is started with
    announce: Callable[[Sequence[str]], None]
    grace_seconds: float
    children: list[Child] = field(default_factory=list)
    _stopping: bool = False
    _life: tuple[int, int] = field(default_factory=os.pipe)

    def start(self, child: Child) -> bool:
        """Start it and wait until it is ready; False if it ended instead."""
        self.children.append(child)
        self._spawn(child)
        return self._await_ready(child)

    def run(self) -> int:
        """Watch until told to stop; the exit code."""
        while not self._stopping:
            for child in self.children:
                self._look_after(child)
            self._sleep(0.2)
        return self._stop()

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

    def stop(self) -> int:
        """Stop without having run."""
        return self._stop()

    def _ask_to_stop(self) -> None:
        self._stopping = True

    def _spawn(self, child: Child) -> None:
        reading, writing = os.pipe()
        child.is_ready = False
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
        child.status, child.started_at = reading, time.monotonic()

    def _await_ready(self, child: Child) -> bool:
        """Read its one line; the pipe's end means that it died."""
        with (
            selectors.DefaultSelector() as selector,
            os.fdopen(child.status, "rb", buffering=0) as pipe,
        ):
            selector.register(pipe, selectors.EVENT_READ)
            text = b""
            while not self._stopping and not text.endswith(b"\n"):
                if not selector.select(timeout=0.2):
                    continue
                piece = pipe.read(65536)
                if not piece:
                    return False
                text += piece
        if self._stopping:
            return False
        child.is_ready = True
        lines = json.loads(text)["lines"]
        if lines:
            self.announce(lines)
        return True

    def _look_after(self, child: Child) -> None:
        process = child.process
        if process is None or process.poll() is None or self._stopping:
            return
        lived = time.monotonic() - child.started_at
        child.failures = 0 if lived >= STEADY_SECONDS else child.failures + 1
        pause = min(RESTART_SECONDS * 2 ** (child.failures - 1), LONGEST_RESTART_SECONDS)
        text = f"{child.name} process ended with code {process.returncode}; starting it again"
        sys.stderr.write(f"{text}\n")
        self._sleep(pause if child.failures else 0.0)
        if not self._stopping:
            self._spawn(child)
            self._await_ready(child)

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))

    def _stop(self) -> int:
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


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
