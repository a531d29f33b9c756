"""One request and its answer, as ASGI sees them: `receive`, `send` and the two extensions."""

import asyncio
import os
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from entrepot.http.bodies import EXTENSION, BodyTooLarge, ClientDisconnected, Event, Scope, Sink
from entrepot.http.fields import RECEIVED, WHOLE_ANSWER, Lines
from entrepot.http.server.body import RequestBody
from entrepot.http.server.eager import begin
from entrepot.http.server.request import Request
from entrepot.http.server.response import (
    CONTINUE,
    LAST_CHUNK,
    ResponseHead,
    WrongResponse,
    whole_head,
)
from entrepot.http.server.sendfile import FileRange, send_file
from entrepot.http.server.upload import Upload

if TYPE_CHECKING:
    from entrepot.http.server.connection import Connection

_ASGI: Final = {"version": "3.0", "spec_version": "2.4"}
_JOIN_BYTES: Final = 65536
CLIENT_GONE: Final = 499
"""What `on_response` is told when the client left before there was an answer."""


class Cycle:
    """The server's half of one application call. `gone`: nothing more comes from the client."""

    # What most requests never change is said once, here.
    begun_at = 0.0
    complete = gone = started = False
    upload: Upload | None = None
    _body_given = False
    _head: ResponseHead | None = None
    _pending_head = b""
    _status, _keep_alive = 500, False  # until an answer begins
    _sent = 0
    _task: "asyncio.Task[None] | None" = None

    def __init__(
        self, connection: "Connection", request: Request, body: RequestBody | None
    ) -> None:
        self._connection = connection
        self._serving = connection.serving
        self.request = request
        self.body = body
        if self._serving.hooks.on_response is not None:
            self.begun_at = connection.loop.time()
        self._waiters: list[asyncio.Future[None]] = []
        self.scope = self._make_scope()

    def _make_scope(self) -> Scope:
        line, fields, connection = self.request.line, self.request.fields, self._connection
        extensions: dict[str, Any] = {
            "http.response.zerocopysend": {},
            EXTENSION: self.body_to_sink,
            WHOLE_ANSWER: self.answer_whole,
            RECEIVED: fields.received,
        }
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": line.version,
            "method": line.method,
            "scheme": connection.scheme,
            "path": line.path,
            "raw_path": line.raw_path,
            "query_string": line.query,
            "root_path": "",
            "headers": fields.pairs.copy(),
            "client": connection.client,
            "server": connection.address,
            "extensions": extensions,
        }

    def start(self) -> None:
        """Run the application: without a body to wait for, at once as far as it comes; the rest in a task of its own."""
        loop = self._connection.loop
        self._task = (
            begin(self._run(), loop) if self.body is None else loop.create_task(self._run())
        )
        if self._task is not None:
            self._serving.tasks.add(self._task)

    async def _run(self) -> None:
        """Call the application and settle what it leaves unsettled."""
        serving = self._serving
        try:
            await serving.app(self.scope, self.receive, self.send)
            if not (self.complete or self.gone):
                serving.hooks.on_error(WrongResponse("no complete response"), self.scope)
        except ClientDisconnected:
            pass  # the application stopped because its client did; `_settle` sees to the rest
        except Exception as error:  # noqa: BLE001  (the edge: whatever an application raises)
            serving.hooks.on_error(error, self.scope)
        finally:
            if not self.complete:
                self._settle()
            if self._task is not None:
                serving.tasks.discard(self._task)
            if serving.stopping:
                serving.on_closed()
            # The scope's extension refers to us: free both now, not in the garbage collector.
            self.scope = {}

    def _settle(self) -> None:
        """500 where nothing was sent yet, else a cut: never a whole-looking half answer."""
        self.complete = True
        if self.started and not self._pending_head:
            self._report(self._status)
            self._connection.cut(hard=self._ends_with_connection())
        elif self.gone:
            self._report(CLIENT_GONE)
            self._connection.cut(hard=False)
        else:
            self._report(500)
            self._connection.answer_and_close(500)

    def _ends_with_connection(self) -> bool:
        head = self._head
        return head is not None and head.length is None and not head.chunked

    # What the connection tells

    @property
    def wants_body(self) -> bool:
        """Whether the application waits for body bytes of the client."""
        body = self.body
        waits = body is not None and not body.complete and not self.gone
        return waits and (self.upload is not None or bool(self._waiters))

    def body_arrived(self) -> None:
        """Bytes came, or the end of the body."""
        if self.upload is None:
            self._wake()
        elif self.body is not None and self.body.complete:
            self.upload.ended()

    def client_gone(self) -> None:
        """The connection ended or is given up."""
        self.gone = True
        if self.upload is not None:
            self.upload.ended()
        self._wake()

    def dismiss(self, status: int) -> None:
        """The connection answered `status` itself: for the application the client is gone."""
        if not self.complete:
            self.complete = True
            self._report(status)
        self.client_gone()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    # The application reads

    async def receive(self) -> Event:
        while True:
            event = self._next_event()
            if event is not None:
                return event
            await self._continue()
            waiter: asyncio.Future[None] = self._connection.loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def _next_event(self) -> Event | None:
        body = self.body
        if self.complete:
            return {"type": "http.disconnect"}
        if not self._body_given:
            if body is None:
                self._body_given = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if body.buffered or body.complete:
                self._body_given = body.complete
                event = {"type": "http.request", "body": body.take(),
                         "more_body": not body.complete}  # fmt: skip
                self._connection.resume_body()
                return event
        return {"type": "http.disconnect"} if self.gone else None

    async def _continue(self) -> None:
        """Send the interim answer, once, when the application first wants the body."""
        body = self.body
        if not self.request.expects or body is None or self.started or self.gone:
            return
        self.request.expects = False
        if not body.received:
            await self._connection.write_rest(CONTINUE)

    async def body_to_sink(self, sink: Sink, *, limit: int | None) -> int:
        """The extension `entrepot.body_to_sink`: see `bodies.body_to_sink` for its meaning."""
        body, connection = self.body, self._connection
        if body is None or self._body_given:
            return 0
        if limit is not None and (body.remaining or 0) + body.buffered > limit:
            raise BodyTooLarge(limit)
        before = body.received - body.buffered
        await self._continue()
        upload = Upload(self._serving.buffers, limit=limit, loop=connection.loop)
        try:
            body.flow_to(upload)
            self.upload = upload
            if body.complete or self.gone:
                upload.ended()
            connection.resume_body()
            await upload.run(sink, self._serving.pool, connection.resume_body)
        finally:
            self.upload = None
            body.flow_to(None)
            upload.close()
        self._body_given = body.complete
        if not body.complete:
            raise ClientDisconnected
        return body.received - before

    # The application answers

    async def send(self, event: Event) -> None:
        kind = event["type"]
        if kind == "http.response.start":
            self._start(event)
        elif kind == "http.response.body":
            more = event.get("more_body", False)
            data = event.get("body", b"")
            self._check_size(len(data), more=more)
            await self._write(self._framed(data, more=more))
            self._wrote(len(data), more=more)
        elif kind == "http.response.zerocopysend":
            await self._send_file(event)
        else:
            raise WrongResponse(f"unexpected {kind}")

    def _start(self, event: Event) -> None:
        self._require_open(started=False)
        request, serving = self.request, self._serving
        self._head = head = ResponseHead(
            event["status"],
            event.get("headers", ()),
            serving.preamble,
            method=request.line.method,
            version=request.line.version,
            keep_alive=self._may_keep_alive(),
        )
        self._status, self._keep_alive = head.status, head.keep_alive
        self._pending_head = head.rendered
        self.started = True

    def _may_keep_alive(self) -> bool:
        body = self.body
        # An unread body must not be taken for the next request, and is not worth waiting for.
        read = body is None or body.complete
        return self.request.keep_alive and read and not self._serving.stopping

    def answer_whole(
        self, status: int, lines: Lines, length: int | None, *, body: bytes
    ) -> Awaitable[None] | None:
        """The extension `entrepot.whole_answer` (see `http.fields.WholeAnswer`): head and body in one system call, mostly."""
        self._require_open(started=False)
        request, connection = self.request, self._connection
        if length != len(body) and (body or (length and request.line.method != "HEAD")):
            raise WrongResponse(f"body of {len(body)} bytes, content-length {length}")
        keep_alive = self._may_keep_alive()
        parts = whole_head(status, lines, length, request=request, keep_alive=keep_alive)
        parts += (self._serving.preamble, b"\r\n", body)
        whole = b"".join(parts)
        self._status, self._keep_alive = status, keep_alive
        self.started = True
        self._sent = len(body)
        sent = connection.send_now(whole) if len(whole) <= _JOIN_BYTES else 0
        if sent < len(whole):
            return self._write_rest(memoryview(whole)[sent:])
        self._finish()
        return None

    async def _write_rest(self, rest: memoryview) -> None:
        await self._connection.write_rest(rest)
        self._finish()

    def _require_open(self, *, started: bool) -> None:
        if self._connection.closed or (self.complete and self.gone):
            raise ClientDisconnected
        if self.complete or self.started is not started:
            raise WrongResponse("events of a response come once, and the start comes first")

    def _check_size(self, size: int, *, more: bool) -> None:
        """The body must be exactly as long as declared. Raises before anything is sent."""
        self._require_open(started=True)
        head = self._head
        if head is None or head.length is None or head.silent:
            return
        total = self._sent + size
        if total > head.length or (not more and total < head.length):
            raise WrongResponse(f"body of {total} bytes, content-length {head.length}")

    def _framed(self, data: bytes, *, more: bool) -> list[bytes]:
        head = self._head
        assert head is not None  # noqa: S101  (_check_size saw it)
        parts = [self._pending_head] if self._pending_head else []
        if head.silent:
            return parts
        if not head.chunked:
            parts.append(data)
            return parts
        if data:
            parts += (b"%x\r\n" % len(data), data, b"\r\n")
        if not more:
            parts.append(LAST_CHUNK)
        return parts

    async def _write(self, parts: list[bytes]) -> None:
        """Everything, in one system call where it is small."""
        connection = self._connection
        self._pending_head = b""
        if len(parts) > 1 and sum(map(len, parts)) <= _JOIN_BYTES:
            parts = [b"".join(parts)]
        for part in parts:
            if len(part) <= _JOIN_BYTES:
                sent = connection.send_now(part) if part else 0
                part = part[sent:] if sent < len(part) else b""  # noqa: PLW2901
            if part:
                await connection.write_rest(part)

    def _wrote(self, size: int, *, more: bool) -> None:
        head = self._head
        if head is not None and not head.silent:
            self._sent += size
        if not more:
            self._finish()

    async def _send_file(self, event: Event) -> None:
        file, more = event["file"], event.get("more_body", False)
        fd: int = file if isinstance(file, int) else file.fileno()
        offset, count = event.get("offset"), event.get("count")
        start = os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset
        size = max(0, os.fstat(fd).st_size - start) if count is None else count
        self._check_size(size, more=more)
        head = self._head
        assert head is not None  # noqa: S101  (_check_size saw it)
        if head.chunked and size:
            self._pending_head += b"%x\r\n" % size
        connection = self._connection
        if self._pending_head:
            prefix, self._pending_head = self._pending_head, b""
            await connection.write_rest(prefix, more=size > 0 and not head.silent)
        if not head.silent:
            await send_file(connection, FileRange(fd, start, size), self._serving.pool)
        if offset is None:
            os.lseek(fd, start + size, os.SEEK_SET)
        if head.chunked:
            await self._write([b"\r\n" if size else b"", b"" if more else LAST_CHUNK])
        self._wrote(size, more=more)

    def _finish(self) -> None:
        self.complete = True
        self._report(self._status)
        if self._waiters:
            self._wake()
        body = self.body
        read = body is None or body.complete
        self._connection.response_done(keep_alive=self._keep_alive and read)

    def _report(self, status: int) -> None:
        on_response = self._serving.hooks.on_response
        if on_response is not None:
            seconds = self._connection.loop.time() - self.begun_at
            on_response(self.scope, status, self._sent, seconds)
