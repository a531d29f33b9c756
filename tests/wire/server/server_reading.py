"""What a byte stream says, read three ways: by the server, by h11, by the letter of RFC 9112.

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
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h11
from server_harness import LOOPS

from entrepot.http.bodies import EXTENSION, ClientDisconnected
from entrepot.http.server import Limits, Server, ServerContext, bind

HANG_SECONDS = 60
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Message:
    """One whole request."""

    method: bytes
    target: bytes
    version: bytes
    headers: Headers
    body: bytes


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
    """By the way of uploads for a chunked PUT, else by that of ordinary requests."""
    body = bytearray()
    if scope["method"] == "PUT" and b"content-length" not in dict(scope["headers"]):
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


def cut(data: bytes, positions: Sequence[int]) -> list[bytes]:
    """The pieces of `data` between the positions, none of them empty."""
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    return [piece for piece in pieces if piece]


# The reading of h11: everything the server accepts must be accepted there, with the same meaning.

_REQUEST_LINE = re.compile(rb"[\r\n]*([^\r\n ]+) +([^\r\n ]+) +(HTTP/[^\r\n]*\r\n)")


def by_h11(data: bytes) -> tuple[list[Message], list[bytes]]:
    """The requests h11 finds, as if every one left the connection open, and the bytes of each.

    Two things in which llhttp is more tolerant, neither of them with a second meaning, are taken
    out first: line ends before a request line, and more than one space within it.
    """
    messages, spans = [], []
    while True:
        data = _REQUEST_LINE.sub(rb"\1 \2 \3", data, count=1) if _REQUEST_LINE.match(data) else data
        found = _one_by_h11(data)
        if found is None:
            return messages, spans
        message, rest = found
        messages.append(message)
        spans.append(data[: len(data) - len(rest)])
        data = rest


def _one_by_h11(data: bytes) -> tuple[Message, bytes] | None:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    head, body = None, b""
    try:
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                return None
    except h11.RemoteProtocolError:
        return None
    assert head is not None
    headers = tuple(head.headers)
    message = Message(head.method, head.target, head.http_version, headers, body)
    return message, parser.trailing_data[0]


def alike(got: Message, expected: Message) -> bool:
    """Whether two readings of a message have the same meaning.

    ASGI does not tell an empty query from none, and h11 writes the coding in lower case. Trailers
    count as headers if they come with the head in one packet: test_trailers_are_ignored has more.
    """
    return _meaning(got, len(expected.headers)) == _meaning(expected, len(expected.headers))


def _meaning(message: Message, count: int) -> Message:
    chunked = any(name == b"transfer-encoding" for name, _ in message.headers)
    headers = tuple(
        (name, value.lower() if name == b"transfer-encoding" else value)
        for name, value in message.headers[: count if chunked else None]
    )
    return replace(message, target=message.target.removesuffix(b"?"), headers=headers)


UNCLEAN = re.compile(
    rb"(?<!\r)\n|\r(?!\n)"  # bare LF, bare CR
    rb"|\r\n[ \t]"  # obs-fold
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"  # controls
    rb"|\n[^\r\n:]*[ \t]:"  # space before the colon
)


# The letter of the RFC: everything that it clearly allows must be accepted.

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(
    rb"(?:\r\n)*(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!\"$->@-~]*(?:\?[!\"$-~]+)?) HTTP/(1\.[01])\r\n"
    rb"((?:%s:[ \t]*(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?[ \t]*\r\n)*)\r\n" % _TOKEN
)  # fmt: skip
_EXTENSION = rb"(?:;%s(?:=(?:%s|\"[ !#-\[\]-~]*\"))?)*" % (_TOKEN, _TOKEN)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})%s\r\n" % _EXTENSION)
_TRAILERS = re.compile(rb"(?:trailer-[a-z]*: [!-~]*\r\n)*\r\n")
_READ_BY_SERVERS = (b"host", b"content-length", b"transfer-encoding", b"expect", b"connection",
                    b"upgrade", b"proxy-connection")  # fmt: skip


def by_the_letter(data: bytes) -> list[Message]:
    """The requests that are beyond doubt, up to the first that is not or that ends it all."""
    found = []
    while head := _HEAD.match(data):
        if b"chunked\t" in head[4].lower():
            break  # allowed, but not by llhttp, and nobody sends it
        data = data[head.end() :]
        fields = [
            (name.lower(), value.strip(b" \t"))
            for name, _, value in (line.partition(b":") for line in head[4].split(b"\r\n")[:-1])
        ]
        known = _plain_fields(fields, head[3])
        if known is None:
            break
        taken_body = _body(known, data)
        if taken_body is None:
            break
        body, data = taken_body
        found.append(Message(head[1], head[2], head[3], tuple(fields), body))
        keeps = known.get(b"connection", b"keep-alive" if head[3] == b"1.1" else b"close")
        if keeps.lower() != b"keep-alive":
            break
    return found


def _plain_fields(fields: list[tuple[bytes, bytes]], version: bytes) -> dict[bytes, bytes] | None:
    """The fields that mean something for the framing, or None where there is any doubt."""
    known = dict(field for field in fields if field[0] in _READ_BY_SERVERS)
    doubtful = (
        len(known) != sum(name in _READ_BY_SERVERS for name, _ in fields)
        or not re.fullmatch(rb"[a-z0-9.]+(:\d+)?", known.get(b"host", b"a"))
        or (b"host" not in known and version == b"1.1")
        or not re.fullmatch(rb"\d{1,8}", known.get(b"content-length", b"0"))
        or known.get(b"transfer-encoding", b"chunked").lower() != b"chunked"
        or (b"transfer-encoding" in known and (b"content-length" in known or version == b"1.0"))
        or known.get(b"expect", b"100-continue").lower() != b"100-continue"
        or known.get(b"connection", b"close").lower() not in (b"close", b"keep-alive")
        or b"upgrade" in known
        or b"proxy-connection" in known
    )
    return None if doubtful else known


def _body(known: dict[bytes, bytes], data: bytes) -> tuple[bytes, bytes] | None:
    if b"transfer-encoding" not in known:
        length = int(known.get(b"content-length", b"0"))
        return (data[:length], data[length:]) if len(data) >= length else None
    body = b""
    while chunk := _CHUNK.match(data):
        size, data = int(chunk[1], 16), data[chunk.end() :]
        if size == 0:
            end = _TRAILERS.match(data)
            return (body, data[end.end() :]) if end else None
        if data[size : size + 2] != b"\r\n":
            return None
        body, data = body + data[:size], data[size + 2 :]
    return None
