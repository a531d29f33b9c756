"""One connection: heads in, requests started in order, one at a time, bodies passed on.

The next request of a pipeline is parsed only when the one before is answered; until then its
bytes wait, at most `Limits.read_ahead` and one read of them.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from entrepot.http.bodies import ClientDisconnected
from entrepot.http.server.body import RequestBody
from entrepot.http.server.cycle import Cycle
from entrepot.http.server.known import KnownHeads
from entrepot.http.server.pace import Pace
from entrepot.http.server.request import BadRequest, Cutter, Request, RequestParser
from entrepot.http.server.response import plain_answer
from entrepot.http.server.serving import Serving
from entrepot.http.server.stream import WOULD_BLOCK, Stream

if TYPE_CHECKING:
    from entrepot.http.server.upload import Upload

Address = tuple[str, int | None]


class Connection(Stream):
    """Reads one client and starts a `Cycle` for each of its requests."""

    def __init__(
        self,
        serving: Serving,
        sock: socket.socket,
        *,
        client: Address | None,
        address: Address | None,
    ) -> None:
        limits = serving.limits
        super().__init__(sock, asyncio.get_running_loop(), piece_bytes=limits.write_buffer)
        self.serving = serving
        self.client = client
        self.address = address
        self.scheme = "https" if self.tls else "http"
        self.cycle: Cycle | None = None
        self._parser: RequestParser | None = None
        self._cutter = Cutter()
        self._known = KnownHeads(serving.lines, limits)
        self._head_bytes = 0
        self._waiting = b""
        self._end_seen = False
        self._discarded: int | None = None
        self._handshaking = self.tls
        self._pace = Pace(limits)
        first = limits.handshake_seconds if self.tls else limits.header_seconds
        self.deadline = self.loop.time() + first
        serving.connections.add(self)
        self.resume_reading()

    # Bytes in

    def on_readable(self) -> None:
        if self._write_needs_read:
            self.wake_writer()
        if self._handshaking:
            self._handshake()
            return
        cycle = self.cycle
        try:
            if self._discarded is not None:
                self._discard()
            elif cycle is not None and cycle.upload is not None:
                self._read_upload(cycle, cycle.upload)
            else:
                self._read(self.serving.small_read)
        except WOULD_BLOCK:
            return
        except OSError:
            self.lost()
            return
        if self.tls and self._reading and self._discarded is None:
            self.read_deciphered()

    def _handshake(self) -> None:
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101  (narrows the type)
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self.loop.add_writer(self.fd, self._handshake_writable)
            return
        except (OSError, ValueError):
            self.lost()
            return
        self._handshaking = False
        self.deadline = self.loop.time() + self.serving.limits.header_seconds
        self.read_deciphered()

    def _handshake_writable(self) -> None:
        self.loop.remove_writer(self.fd)
        self._handshake()

    def _read(self, view: memoryview) -> None:
        size = self.sock.recv_into(view)
        if size == 0:
            self._input_ended()
            return
        self.moved += size
        try:
            if self.cycle is None and not self._waiting:
                self._take_head(bytes(view[:size]))
            else:
                self._take(bytes(view[:size]))
        except BadRequest as refusal:
            self._refuse(refusal.status)

    def _read_upload(self, cycle: Cycle, upload: "Upload") -> None:
        """Straight into the upload's buffer where the length is known."""
        body = cycle.body
        if body is None or not body.remaining:  # chunked, or already whole
            self._read(self.serving.large_read)
            return
        size = self.sock.recv_into(upload.space()[: body.remaining])
        if size == 0:
            self._input_ended()
            return
        self.moved += size
        body.counted(size)
        upload.advance(size)
        self._body_arrived(cycle, body)

    def _take(self, data: bytes) -> None:
        cycle = self.cycle
        if cycle is not None and (body := cycle.body) is not None and not body.complete:
            data = body.feed(data)
            self._body_arrived(cycle, body)
        if data:
            self._waiting += data
            if self._is_full():
                self.pause_reading()

    def _body_arrived(self, cycle: Cycle, body: RequestBody) -> None:
        cycle.body_arrived()
        if not body.complete and not self._room_for_body(cycle, body):
            self.pause_reading()

    def _room_for_body(self, cycle: Cycle, body: RequestBody) -> bool:
        if cycle.upload is not None:
            return cycle.upload.wants_data
        return body.buffered < self.serving.limits.read_ahead

    def resume_body(self) -> None:
        """The cycle took bytes: read on if there is room for more of this body."""
        cycle = self.cycle
        if cycle is None or cycle.body is None or self._end_seen:
            return
        if self._is_full():
            return
        if cycle.body.complete or self._room_for_body(cycle, cycle.body):
            self.resume_reading()

    def _is_full(self) -> bool:
        """Whether as much of later requests waits as may: reading goes on when the one before is answered."""
        return len(self._waiting) >= self.serving.limits.read_ahead

    def _input_ended(self) -> None:
        """The client sends no more. It may still read, so an answer in progress goes on."""
        self._end_seen = True
        self.pause_reading()
        if self.cycle is not None:
            self.cycle.client_gone()
        elif not self._waiting:
            self.close()

    # Heads

    def _take_head(self, data: bytes) -> None:
        """Feed the parser up to the end of one head, then start its request."""
        limits, position = self.serving.limits, 0
        if self._head_bytes == 0:
            known = self._known.find(data)
            if known is not None:
                request, end = known
                self._open(request, None, data[end:])
                return
            self.deadline = self.serving.now + limits.header_seconds
        parser = self._parser
        if parser is None:
            parser = self._parser = RequestParser(limits)
        while position < len(data):
            end = self._cutter.cut(data, position)
            piece = data[position:end]
            self._head_bytes += len(piece)
            if self._head_bytes > limits.header_bytes:
                raise BadRequest(431, "head too large")
            parser.feed(piece)
            position = end
            if parser.head_complete:
                self._begin(parser, data[position:])
                return

    def _begin(self, parser: RequestParser, rest: bytes) -> None:
        request = parser.checked()
        body = None
        if request.length != 0:
            body = RequestBody(request.length, parser)
        if request.length is not None and (parser.upgrading or not parser.complete):
            self._parser = None  # llhttp waits for a body that we count ourselves, or for good
        elif body is None and not parser.spoilt:
            self._known.remember(parser.raw, request)
        self._open(request, body, rest)

    def _open(self, request: Request, body: RequestBody | None, rest: bytes) -> None:
        """Start a request. `rest`: what came behind its head."""
        self._head_bytes = 0
        self.deadline = inf
        self._pace.reset()
        cycle = self.cycle = Cycle(self, request, body)
        self.serving.in_flight += 1
        if body is None and rest:
            self._take(rest)  # of a later request: laid by before this one is answered at once
        cycle.start()
        if body is not None and rest:
            self._take(rest)

    # Answers

    def response_done(self, *, keep_alive: bool) -> None:
        """The answer is out: the next request, or the end."""
        if self.cycle is not None:
            self.serving.in_flight -= 1
            self.cycle = None
        if self.closed:
            return
        if not keep_alive:
            self.linger()
            return
        if self._parser is not None:
            if self._parser.spoilt:
                self._parser = None
            elif self._parser.begun:
                self._parser.reset()
        self.deadline = self.serving.now + self.serving.limits.idle_seconds
        if self._waiting:
            # In a turn of its own: requests that are answered at once would nest, and a long pipeline keep others waiting.
            self.loop.call_soon(self._next_head)
        elif self._end_seen:
            self.close()
        elif not self._reading:
            self.resume_reading()

    def _next_head(self) -> None:
        """Go on with a pipeline's bytes that waited for the answer before."""
        if self.closed or self._discarded is not None:
            return
        data, self._waiting = self._waiting, b""
        try:
            self._take_head(data)
        except BadRequest as refusal:
            self._refuse(refusal.status)
            return
        if self._end_seen:
            if self.cycle is not None:
                self.cycle.client_gone()
            elif not self._waiting:
                self.close()
        elif not self._is_full():
            self.resume_reading()

    def _refuse(self, status: int) -> None:
        """The input makes no sense (any more): say so if nothing was said yet, then close."""
        cycle = self.cycle
        if cycle is not None and cycle.started:
            self.cut(hard=True)
        else:
            self.answer_and_close(status)

    def answer_and_close(self, status: int) -> None:
        """An answer of ours, without body. Whoever runs the request sees a disconnect."""
        cycle = self.cycle
        with suppress(ClientDisconnected):
            self.send_now(plain_answer(status, self.serving.preamble))
        self._leave_cycle()
        if cycle is not None:
            cycle.dismiss(status)
        self.linger()

    def cut(self, *, hard: bool) -> None:
        """End without finishing the answer. `hard`: with a reset, where its end is the close."""
        if hard:
            self.abort()
        else:
            self.lost()
        self._leave_cycle()

    def _leave_cycle(self) -> None:
        if self.cycle is not None:
            self.serving.in_flight -= 1
            self.cycle = None

    # Endings

    def linger(self) -> None:
        """Close politely: our end first, then throw away what still comes, within bounds.

        Closing with unread bytes would reset the connection, and the client might lose the
        answer that it has not read yet.
        """
        if self.closed:
            return
        if self._end_seen:
            self.close()
            return
        self.finish_writing()
        self._discarded = 0
        self._waiting = b""
        self.deadline = self.loop.time() + self.serving.limits.linger_seconds
        self.resume_reading()

    def _discard(self) -> None:
        """Throw bytes away, undeciphered: TLS said goodbye in our direction already."""
        size = socket.socket.recv_into(self.sock, self.serving.large_read)
        self._discarded = (self._discarded or 0) + size
        if size == 0 or self._discarded > self.serving.limits.linger_bytes:
            self.close()

    def lost(self) -> None:
        cycle = self.cycle
        self.close()
        if cycle is not None:
            cycle.client_gone()

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        self._parser = None  # it refers back to its callbacks: free both without the collector
        self.serving.connections.discard(self)
        self.serving.on_closed()

    def stop(self) -> None:
        """The server stops: an idle connection closes now, a busy one after its answer."""
        idle = self.cycle is None and self._head_bytes == 0 and self._discarded is None
        if idle and not self._handshaking:
            self.close()

    # Time

    def sweep(self, now: float, elapsed: float) -> None:
        """Called regularly: end what takes too long."""
        if now >= self.deadline:
            self._expired()
            return
        if self._reading and self.was_reset():
            self.lost()
            return
        cycle = self.cycle
        if cycle is None:
            return
        waits = self.waits_to_write or (cycle.wants_body and self._reading)
        # What the kernel took is not what the client got: a full send buffer takes nothing for long while the client reads steadily.
        if self._pace.too_slow(self.moved - self.unsent(), elapsed, waits=waits):
            if cycle.started:
                self.cut(hard=True)
            else:
                self.answer_and_close(408)

    def _expired(self) -> None:
        if self._head_bytes:
            self.answer_and_close(408)
        else:
            self.close()
