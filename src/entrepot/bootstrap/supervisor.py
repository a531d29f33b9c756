"""`entrepot serve`: forks server and worker processes, starts those again that die, stops them all.

Whoever runs it imports the program first: what is imported once is the memory of all processes, and one that is started again is there
at once. It never has a thread, an event loop or an open database, so that a fork inherits sockets, pipes and code, and nothing else.
"""

import gc
import multiprocessing
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Final, TypeAlias

from entrepot.bootstrap.child import READY, Link

RESTART_SECONDS = 1.0
LONGEST_RESTART_SECONDS = 30.0
TURN_SECONDS = 0.2
STEADY_SECONDS = 60.0  # a child that lived so long starts again without waiting
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FORK: Final = multiprocessing.get_context("fork")
Body: TypeAlias = Callable[[Link], None]


@dataclass(slots=True)
class Child:
    """One child process and how to start it again. `sockets`: all that it listens on; others of the supervisor's it lets go of."""

    name: str
    body: Body
    sockets: Sequence[socket.socket] = ()
    process: ForkProcess | None = None
    is_ready: bool = False
    started_at: float = 0.0
    failures: int = 0
    restart_at: float | None = None  # monotonic; None: it runs


@dataclass(slots=True)
class Supervisor:
    """Runs until a signal, or until a child cannot be started the first time."""

    grace_seconds: float
    children: list[Child] = field(default_factory=list)
    is_stopping: bool = False
    _life: tuple[int, int] = field(default_factory=os.pipe)
    _pipes: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def add(self, children: Iterable[Child]) -> None:
        """Take them on, without starting them."""
        self.children.extend(children)

    def begin(self, child: Child) -> None:
        """Start it; whether it gets ready is for `run` to see to."""
        self._spawn(child)

    def start(self, child: Child) -> bool:
        """Start it and wait until it is ready; False if it ended instead, or if everything is to stop."""
        self.begin(child)
        while not (
            self.is_stopping or child.is_ready or child.process is None or _has_ended(child)
        ):
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
            if (
                child.is_ready
                and process is not None
                and process.pid is not None
                and process.is_alive()
            ):
                with suppress(ProcessLookupError):  # it ended in this moment
                    os.kill(process.pid, signal.SIGHUP)

    def _ask_to_stop(self) -> None:
        self.is_stopping = True

    def _spawn(self, child: Child) -> None:
        """Fork it. Where that cannot be now (memory, processes, descriptors), it is tried again later."""
        child.is_ready, child.restart_at, child.process = False, None, None
        gc.freeze()  # what is there now is nobody's garbage: a collection in a child would only copy its pages
        try:
            pipe = os.pipe()
        except OSError as error:
            self._try_later(child, error)
            return
        # A daemon in the sense of the library: should this process fail, it must not wait for a child that waits for its end.
        process = _FORK.Process(target=self._live, args=(child, pipe), name=child.name, daemon=True)
        try:
            with _signals_held():  # until the child has its own handlers
                process.start()
        except OSError as error:
            os.close(pipe[0])
            self._try_later(child, error)
            return
        finally:
            os.close(pipe[1])
        child.process = process
        child.started_at = time.monotonic()
        self._pipes.register(pipe[0], selectors.EVENT_READ, child)

    def _try_later(self, child: Child, error: OSError) -> None:
        child.failures += 1
        child.restart_at = time.monotonic() + RESTART_SECONDS
        _tell(f"{child.name} process cannot be started: {error}; trying again")

    def _live(self, child: Child, pipe: tuple[int, int]) -> None:
        """In the child: let go of what is the supervisor's and the other children's, then be what it is."""
        os.close(self._life[1])  # held by whoever must be outlived
        os.close(pipe[0])
        for key in self._pipes.get_map().values():
            os.close(key.fd)
        self._pipes.close()
        for sock in {sock for other in self.children for sock in other.sockets}:
            if sock not in child.sockets:
                sock.close()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        _name_process(f"entrepot {child.name.replace('server', 'srv')}")
        child.body(Link(pipe[1], self._life[0]))

    def _listen(self, seconds: float) -> None:
        """Take what children say within that time; a pipe's end closes it."""
        for key, _ in self._pipes.select(seconds):
            child: Child = key.data
            child.is_ready = (
                os.read(key.fd, 64) == READY
            )  # so little comes whole; without it, the child ended
            self._pipes.unregister(key.fd)
            os.close(key.fd)

    def _look_after(self, child: Child) -> None:
        """Start it again if it ended: at once after a long life, else later and later. Holds up no other child."""
        if child.restart_at is not None:
            if time.monotonic() >= child.restart_at:
                self._spawn(child)
            return
        if not _has_ended(child) or child.process is None:
            return
        ended, child.process = child.process, None
        lived = time.monotonic() - child.started_at
        child.failures = 0 if lived >= STEADY_SECONDS else child.failures + 1
        pause = min(RESTART_SECONDS * 2 ** (child.failures - 1), LONGEST_RESTART_SECONDS)
        child.restart_at = time.monotonic() + (pause if child.failures else 0.0)
        child.is_ready = False
        _tell(f"{child.name} process ended with code {ended.exitcode}; starting it again")
        ended.close()

    def stop(self) -> int:
        """Ask all, wait for the grace, then kill what is left."""
        living = [c.process for c in self.children if c.process is not None]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + self.grace_seconds + 5.0
        for process in living:
            process.join(max(0.1, deadline - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
        return 0


@contextmanager
def _signals_held() -> Iterator[None]:
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _name_process(name: str) -> None:
    """What `ps` and `top` show as its command."""
    with suppress(OSError):  # no more than a name
        Path("/proc/self/comm").write_text(name[:15], encoding="ascii")


def _tell(line: str) -> None:
    """To whoever reads standard error; nobody may. Past its buffer: what could not be written stays in there, and every fork would fail
    in trying to flush it."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode(errors="replace"))


def _has_ended(child: Child) -> bool:
    return child.process is not None and child.process.exitcode is not None


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
