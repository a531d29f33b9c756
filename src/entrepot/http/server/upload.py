"""Uploads: the event loop fills one buffer while a pool thread writes the other.

A pool thread is taken only for a full buffer (or the last one), so a slow client holds memory,
never a thread. The pair of buffers is the whole memory of an upload: when both are full the
connection stops reading and TCP slows the client down.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from entrepot.http.bodies import BodyTooLarge, Sink

LARGE: Final = 1024 * 1024
SMALL: Final = 256 * 1024
_PAIR: Final = 2


class Buffers:
    """Upload buffers that are used again. Large ones up to `budget` bytes, small ones beyond."""

    def __init__(self, budget: int = 32 * LARGE, kept: int = 8) -> None:
        self._free: list[bytearray] = []
        self._kept = kept
        self._budget = budget
        self._out = 0

    def take(self) -> bytearray:
        """A buffer of LARGE or SMALL bytes, with unspecified content."""
        if self._out + LARGE > self._budget:
            buffer = bytearray(SMALL)
        else:
            buffer = self._free.pop() if self._free else bytearray(LARGE)
        self._out += len(buffer)
        return buffer

    def give_back(self, buffer: bytearray, *, clean: bool) -> None:
        """Return a buffer; not `clean` when a thread may still read it."""
        self._out -= len(buffer)
        if clean and len(buffer) == LARGE and len(self._free) < self._kept:
            self._free.append(buffer)


class Upload:
    """One body on its way into one sink.

    The connection asks for `space` and reports `advance`, or pushes pieces of a chunked body;
    `run` hands full buffers to the pool.
    """

    __slots__ = ("_buffers", "_ended", "_failure", "_filled", "_filling", "_full", "_limit",
                 "_loop", "_overflow", "_owned", "_total", "_wake", "_writing")  # fmt: skip

    def __init__(
        self, buffers: Buffers, *, limit: int | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._buffers = buffers
        self._limit = limit
        self._loop = loop
        self._owned: list[bytearray] = []
        self._full: deque[memoryview] = deque()
        self._overflow: list[bytes] = []
        self._filled = self._total = 0
        self._filling = self._another()
        self._failure: BodyTooLarge | None = None
        self._writing = self._ended = False
        self._wake: asyncio.Future[None] | None = None

    # The connection's side

    @property
    def wants_data(self) -> bool:
        """Whether there is room; False means that the connection must stop reading."""
        return self._filling is not None

    def space(self) -> memoryview:
        """Where the next bytes go. Only while `wants_data`."""
        assert self._filling is not None  # noqa: S101  (narrows the type)
        return self._filling[self._filled :]

    def advance(self, size: int) -> None:
        """`size` bytes are in `space` now."""
        self._filled += size
        if self._filling is not None and self._filled == len(self._filling):
            self._full.append(self._filling)
            self._filling, self._filled = self._another(), 0
            self._notify()

    def push(self, data: bytes) -> None:
        """Copy a piece in; what has no room waits, at most one read of the connection."""
        self._total += len(data)
        if self._limit is not None and self._total > self._limit:
            self._failure = BodyTooLarge(self._limit)
            self._notify()
        else:
            self._copy(data)

    def ended(self) -> None:
        """No more bytes will come: the body is complete or the client is gone."""
        self._ended = True
        self._notify()

    # The driver's side

    async def run(self, sink: Sink, pool: Executor, resume: Callable[[], None]) -> None:
        """Write everything that arrives, in order, until `ended`; `resume` asks for more.

        Raises BodyTooLarge and whatever the sink raised.
        """
        while (data := await self._next()) is not None:
            self._writing = True
            await self._loop.run_in_executor(pool, sink.write, data)
            self._writing = False
            self._written(data)
            resume()

    def close(self) -> None:
        """Give the buffers back. One that a thread may still read is left to it."""
        self._filling = None
        for buffer in self._owned:
            self._buffers.give_back(buffer, clean=not self._writing)
        self._owned.clear()

    async def _next(self) -> memoryview | None:
        """The next full buffer, at the end the partly filled one, then None."""
        while not (self._full or self._ended or self._failure):
            self._wake = self._loop.create_future()
            await self._wake
        if self._failure is not None:
            raise self._failure
        if self._full:
            return self._full.popleft()
        if self._filling is None or not self._filled:
            return None
        data, self._filling = self._filling[: self._filled], None
        self._filled = 0
        return data

    def _written(self, data: memoryview) -> None:
        """The buffer of `data` is free: fill it again, first with what had no room."""
        buffer = _buffer_of(data)
        if self._filling is not None:
            self._owned = [owned for owned in self._owned if owned is not buffer]
            self._buffers.give_back(buffer, clean=True)
            return
        self._filling, self._filled = memoryview(buffer), 0
        overflow, self._overflow = self._overflow, []
        for piece in overflow:
            self._copy(piece)

    def _another(self) -> memoryview | None:
        if len(self._owned) == _PAIR:
            return None
        self._owned.append(self._buffers.take())
        return memoryview(self._owned[-1])

    def _copy(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            if self._filling is None:
                self._overflow.append(data[position:])
                return
            room = self.space()
            piece = data[position : position + len(room)]
            room[: len(piece)] = piece
            position += len(piece)
            self.advance(len(piece))

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def _buffer_of(view: memoryview) -> bytearray:
    buffer = view.obj
    assert isinstance(buffer, bytearray)  # noqa: S101  (memoryview does not say what it views)
    return buffer
