"""The body of the request in progress: pieces waiting for `receive`, or flowing to a sink.

The connection puts bytes in (`feed`), the cycle takes them out (`take`). What nobody takes is
bounded: above `Limits.read_ahead` the connection stops reading.
"""

from typing import Final, Protocol

from entrepot.http.server.request import BadRequest, Cutter, RequestParser

_FRAMING_ALLOWANCE: Final = 32768
_FRAMING_PER_BYTE: Final = 16
"""Chunk sizes, extensions and trailers may take this much beside the body's own bytes:
one-byte chunks are honest (5 bytes of framing each), endless extensions are not."""


class Taker(Protocol):
    """Takes body bytes as they arrive, instead of the queue."""

    def push(self, data: bytes) -> None: ...

    def ended(self) -> None: ...


class RequestBody:
    """Counts a body with Content-Length, lets llhttp read a chunked one."""

    __slots__ = ("_chunks", "_cutter", "_framing", "_parser", "_taker", "buffered", "complete",
                 "received", "remaining")  # fmt: skip

    def __init__(self, length: int | None, parser: RequestParser) -> None:
        self.remaining = length
        """Bytes still to come; None for a chunked body."""
        self.complete = length == 0
        self.received = 0
        self.buffered = 0
        self._framing = 0
        self._parser = parser
        self._cutter = Cutter()
        self._chunks: list[bytes] = []
        self._taker: Taker | None = None

    def feed(self, data: bytes) -> bytes:
        """Take what belongs to the body; return the rest. Raises BadRequest."""
        if self.remaining is None:
            return self._feed_chunked(data)
        size = len(data)
        if size <= self.remaining:
            self.counted(size)
            self._push(data)
            rest = b""
        else:
            rest = data[self.remaining :]
            data = data[: self.remaining]
            self.counted(self.remaining)
            self._push(data)
        return rest

    def counted(self, size: int) -> None:
        """`size` bytes of a body with Content-Length have arrived."""
        assert self.remaining is not None  # noqa: S101  (narrows the type; callers checked)
        self.received += size
        self.remaining -= size
        self.complete = self.remaining == 0

    def _feed_chunked(self, data: bytes) -> bytes:
        position, parser = 0, self._parser
        while position < len(data):
            end = self._cutter.cut(data, position)
            parser.feed(data[position:end])
            self._take_chunks(end - position)
            position = end
            if parser.complete:
                self.complete = True
                break
        return data[position:]

    def _take_chunks(self, fed: int) -> None:
        chunks = self._parser.chunks
        self._parser.chunks = []
        size = sum(map(len, chunks))
        self.received += size
        self._framing += fed - size
        if self._framing > _FRAMING_ALLOWANCE + _FRAMING_PER_BYTE * self.received:
            raise BadRequest(400, "too much chunk framing")
        for chunk in chunks:
            self._push(chunk)

    def _push(self, data: bytes) -> None:
        if self._taker is not None:
            self._taker.push(data)
        else:
            self._chunks.append(data)
            self.buffered += len(data)

    def take(self) -> bytes:
        """Everything queued, perhaps nothing."""
        chunks, self._chunks, self.buffered = self._chunks, [], 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def flow_to(self, taker: Taker | None) -> None:
        """From now on give everything to `taker`, beginning with what is queued."""
        self._taker = taker
        if taker is not None and self.buffered:
            taker.push(self.take())
