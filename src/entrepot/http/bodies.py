"""Request bodies that go to storage: the sink they are written to, and how they get there.

The wires call `body_to_sink`. Our own server offers the private ASGI extension
`entrepot.body_to_sink` (reused buffers, receiving overlaps with writing); on any other ASGI
server the loop over `receive` below means the same, only slower.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from typing import Any, Final, Protocol, TypeAlias

Event: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

EXTENSION: Final = "entrepot.body_to_sink"
WRITE_BYTES: Final = 256 * 1024
"""How much the fallback gathers before it hands a buffer to the pool."""


class ClientDisconnected(ConnectionError):
    """The client went away, or sent nothing for too long, before its request was answered."""


class BodyTooLarge(ValueError):
    """The body has, or declares, more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")
        self.limit = limit


class Sink(Protocol):
    """Where a body goes. Called on pool threads, one call at a time, in order."""

    def write(self, data: memoryview, /) -> object:
        """Take all of `data`; the buffer is reused after the call returns."""


async def body_to_sink(
    scope: Scope, receive: Receive, sink: Sink, *, limit: int | None, pool: Executor
) -> int:
    """Write the whole request body into `sink` and return its length in bytes.

    Raises ClientDisconnected when the body ends early, after everything received was written;
    BodyTooLarge when more than `limit` bytes arrive or are declared; and whatever
    `sink.write` raised. After the last two, what was written is unspecified.
    """
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    if extension is not None:
        total: int = await extension(sink, limit=limit)
        return total
    _refuse_declared(scope, limit)
    return await _gather(receive, sink, limit=limit, pool=pool)


class _Gathered:
    """A sink in memory."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: memoryview) -> None:
        self.content += data


async def read_body(scope: Scope, receive: Receive, limit: int, pool: Executor) -> bytes:
    """A whole small body. Raises BodyTooLarge, ClientDisconnected."""
    gathered = _Gathered()
    await body_to_sink(scope, receive, gathered, limit=limit, pool=pool)
    return bytes(gathered.content)


def _refuse_declared(scope: Scope, limit: int | None) -> None:
    """Refuse a too large Content-Length before any byte of it is read."""
    if limit is None:
        return
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise BodyTooLarge(limit)


async def _gather(receive: Receive, sink: Sink, *, limit: int | None, pool: Executor) -> int:
    loop = asyncio.get_running_loop()
    buffer = bytearray()
    total = 0
    while True:
        event = await receive()
        gone = event["type"] == "http.disconnect"
        chunk = b"" if gone else event.get("body", b"")
        total += len(chunk)
        if limit is not None and total > limit:
            raise BodyTooLarge(limit)
        buffer += chunk
        last = gone or not event.get("more_body", False)
        if buffer and (last or len(buffer) >= WRITE_BYTES):
            await loop.run_in_executor(pool, sink.write, memoryview(buffer))
            buffer = bytearray()
        if gone:
            raise ClientDisconnected
        if last:
            return total
