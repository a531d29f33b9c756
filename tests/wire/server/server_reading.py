"""What the server reads from a byte stream, segment by segment, and what it answers.

`OneLoop` runs the server and its client on one event loop over a Unix socket, where a segment can
be sent only after the one before was taken: the server sees exactly the cuts a test made.
"""

import asyncio
import fcntl
import re
import socket
import ssl
import struct
import termios
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server_harness import LOOPS
from server_reference import Message, cut

from entrepot.http.bodies import EXTENSION, ClientDisconnected
from entrepot.http.server import Limits, Server, ServerContext, bind

HANG_SECONDS = 60
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class Reply:
    """One answer; `interim` counts the 100s before it."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    interim: int

    @property
    def closes(self) -> bool:
        return self.headers.get(b"connection") == b"close"


@dataclass(frozen=True)
class Outcome:
    """What one connection brought about. `seen` has None for a request whose body never ended."""

    received: bytes
    seen: list[Message | None]

    @property
    def read(self) -> list[Message]:
        return [message for message in self.seen if message is not None]

    def replies(self) -> list[Reply]:
        """The answers; AssertionError where they are no clean sequence of answers."""
        found, rest = [], self.received
        methods = [message.method if message else b"" for message in self.seen]
        if None in self.seen:  # asked to go on, then gone
            rest = rest.removesuffix(CONTINUE)
        while rest:
            method = methods[len(found)] if len(found) < len(methods) else b""
            reply, rest = _reply(rest, method)
            found.append(reply)
        return found


def _reply(data: bytes, method: bytes) -> tuple[Reply, bytes]:
    interim = 0
    while data.startswith(CONTINUE):
        data, interim = data[len(CONTINUE) :], interim + 1
    head, separator, rest = data.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    assert separator, data
    assert re.fullmatch(rb"HTTP/1\.1 [2-5]\d\d [ -~]*", line), data
    headers = dict(entry.split(b": ", 1) for entry in lines)
    assert len(headers) == len(lines), head
    size = 0 if method == b"HEAD" else int(headers[b"content-length"])
    assert len(rest) >= size, data
    return Reply(int(line.split()[1]), headers, rest[:size], interim), rest[size:]


class OneLoop:
    """A server whose application keeps what it read, and one client at a time."""

    def __init__(self, server: Server, runner: asyncio.Runner, path: str) -> None:
        self.server = server
        self.path = path
        self.errors: list[object] = []
        self.seen: list[Message | None] = []
        self._runner = runner

    def exchange(self, segments: Sequence[bytes], tls: ssl.SSLContext | None = None) -> Outcome:
        """Send the segments one by one, then the end; everything until the server closes.

        TimeoutError when it does not. With `tls` every segment is a record, and the records go
        out in pieces of another size; then the last request must say `Connection: close`.
        """
        self.seen = []
        talk = self._talk(segments) if tls is None else self._talk_tls(segments, tls)
        received = self._runner.run(asyncio.wait_for(talk, HANG_SECONDS))
        errors = [repr(error) for error in self.errors]
        self.errors.clear()
        assert errors == []
        return Outcome(received, self.seen)

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(asyncio.wait_for(coroutine, HANG_SECONDS))

    async def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.path)
        return sock

    async def _talk(self, segments: Sequence[bytes]) -> bytes:
        loop = asyncio.get_running_loop()
        received = b""
        with await self.connect() as sock:
            with suppress(ConnectionError):
                for segment in segments:
                    await loop.sock_sendall(sock, segment)
                    await taken(sock)
                sock.shutdown(socket.SHUT_WR)
            while data := await loop.sock_recv(sock, 65536):
                received += data
        await self.settled()
        return received

    async def settled(self) -> None:
        """Until the server has forgotten every connection and request."""
        while self.server.connections or self.server.requests_in_flight:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _talk_tls(self, segments: Sequence[bytes], context: ssl.SSLContext) -> bytes:
        loop = asyncio.get_running_loop()
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(inward, outward, server_hostname="localhost")
        received = b""
        with await self.connect() as sock:
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await loop.sock_sendall(sock, outward.read())
                    inward.write(await loop.sock_recv(sock, 65536))
            for segment in segments:
                client.write(segment)
            records = outward.read()
            for piece in cut(records, range(len(segments) * 7, len(records), 701)):
                await loop.sock_sendall(sock, piece)
                await taken(sock)
            while data := await loop.sock_recv(sock, 65536):
                inward.write(data)
                with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                    while plain := client.read(65536):
                        received += plain
        await self.settled()
        return received

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        place = len(self.seen)
        self.seen.append(None)
        headers = tuple(scope["headers"])
        try:
            body = await _whole_body(scope, receive)
        except ClientDisconnected:
            return
        target = scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        message = Message(
            scope["method"].encode(), target, scope["http_version"].encode(), headers, body
        )
        self.seen[place] = message
        text = echoed(message)
        length = [(b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": text})


async def _whole_body(scope: Any, receive: Any) -> bytes:
    """By the way of uploads for PUT, else by that of ordinary requests."""
    body = bytearray()
    if scope["method"] == "PUT":
        await scope["extensions"][EXTENSION](_Sink(body), limit=None)
        return bytes(body)
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnected
        body += event["body"]
        if not event["more_body"]:
            return bytes(body)


class _Sink:
    def __init__(self, body: bytearray) -> None:
        self._body = body

    def write(self, data: memoryview) -> None:
        self._body += data


def echoed(message: Message) -> bytes:
    """The body of the answer to `message`."""
    return b"%s %s %s" % (message.method, message.target, message.body)


async def taken(sock: socket.socket) -> None:
    """Until the server has read all of it, or does not read (while it answers, or after)."""
    for _ in range(500):
        (unread,) = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))
        if not unread:
            return
        await asyncio.sleep(0)


@contextmanager
def one_loop(
    folder: Path,
    loop_name: str,
    *,
    limits: Limits | None = None,
    tls: ServerContext | None = None,
) -> Iterator[OneLoop]:
    path = f"{folder}/s"
    with (
        ThreadPoolExecutor(1) as pool,
        asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner,
    ):
        one: OneLoop

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await one.app(scope, receive, send)

        def failed(error: BaseException, _scope: object) -> None:
            one.errors.append(error)

        server = Server(app, limits=limits or Limits(), pool=pool, on_error=failed)
        one = OneLoop(server, runner, path)
        runner.get_loop().set_exception_handler(lambda _loop, context: one.errors.append(context))
        runner.run(server.start([bind(f"unix:{path}", reuse_port=False)], tls=tls))
        yield one
        runner.run(server.stop(0.2))
        assert one.errors == []
