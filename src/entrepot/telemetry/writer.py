"""Log lines leave the process through one thread, so that a full pipe on standard error stops nobody who logs.

A line is handed over under a lock (well under a microsecond); those of requests as they are, to be encoded many at a time. The thread
gathers what comes within `GATHER_SECONDS` and writes it in one call. While the reader of the pipe does not read, up to `MOST_BYTES` wait; further lines are dropped and counted, and the count is itself
a line once there is room again. `kill -9` loses what waits: a hundredth of a second's lines, as a rule.
"""

import os
import select
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final

from entrepot.telemetry.rendering import AccessLine, render_lines

MOST_BYTES: Final = 8 * 1024 * 1024
GATHER_SECONDS: Final = 0.01
CLOSE_SECONDS: Final = 2.0
_ACCESS_BYTES: Final = 1024  # what a line of a request counts for before it is encoded


class LineWriter:
    """Writes whole lines to a file descriptor, in order. `lost_line` makes the line that tells of dropped ones, `render` those of
    requests."""

    def __init__(
        self,
        fd: int,
        lost_line: Callable[[int], bytes],
        *,
        render: Callable[[list[AccessLine]], bytes] = render_lines,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.lost = 0
        self._fd = fd
        self._lost_line = lost_line
        self._render = render
        self._most = most_bytes
        self._lock = threading.Lock()
        self._lines: list[bytes | AccessLine] = []
        self._size = 0
        self._told = 0
        self._wake = threading.Event()
        self._is_awake = False  # the same, without a call
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="entrepot-log", daemon=True)
        self._thread.start()

    def put(self, line: bytes | AccessLine) -> None:
        """Hand over a line with its end, or one of a request. From any thread; never waits for the reader, never raises."""
        if isinstance(line, AccessLine):
            self.put_access(line)
            return
        with self._lock:
            if self._size + len(line) > self._most:
                self.lost += 1
                return
            self._lines.append(line)
            self._size += len(line)
        self._rouse()

    def put_access(self, line: AccessLine) -> None:
        """Likewise, for what each request does."""
        with self._lock:
            if self._size > self._most - _ACCESS_BYTES:
                self.lost += 1
                return
            self._lines.append(line)
            self._size += _ACCESS_BYTES
        if not self._is_awake:
            self._rouse()

    def _rouse(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._wake.set()

    def close(self) -> None:
        """Write what waits, for two seconds at most; lines put later are lost."""
        self._closing.set()
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(GATHER_SECONDS)
            self._wake.clear()
            self._is_awake = False  # in this order: who sees it true is taken below
            self._write(self._take())
        self._write(self._take())

    def _take(self) -> bytes:
        with self._lock:
            lines, self._lines = self._lines, []
            self._size = 0
            lost, self._told = self.lost - self._told, self.lost
        if lost:
            lines.append(self._lost_line(lost))
        return b"".join(self._encoded(lines))

    def _encoded(self, lines: list[bytes | AccessLine]) -> Iterator[bytes]:
        for kind, some in groupby(lines, type):
            run = list(some)
            if kind is AccessLine:
                yield self._render([line for line in run if isinstance(line, AccessLine)])
            else:
                yield from (line for line in run if isinstance(line, bytes))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # somebody made the shared terminal or pipe non-blocking
                select.select([], [self._fd], [], 1.0)
            except OSError:  # nobody will ever read it: the terminal or the reader is gone
                return
