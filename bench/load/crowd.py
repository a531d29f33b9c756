"""Many clients that connect in the same moment and pull one body each: non-blocking sockets on one epoll, bytes read and dropped."""

import resource
import select
import socket
import ssl
import time
from collections.abc import Callable
from enum import StrEnum

from bench.httpline import BadAnswer, parse_head
from bench.load.jobs import Crowd, Outcome

_BUFFER = bytearray(256 << 10)


class _State(StrEnum):
    CONNECTING = "connecting"
    SHAKING = "in the TLS handshake"
    HEAD = "waiting for the answer"
    BODY = "inside the body"
    DONE = "done"


class _Client:
    """One connection from its start to its last byte."""

    def __init__(self, job: Crowd, context: ssl.SSLContext | None) -> None:
        self._job, self._context = job, context
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.state = _State.CONNECTING
        self.started_at = time.perf_counter()
        self.first_byte_seconds = self.seconds = 0.0
        self.left = job.size
        self._head = b""
        self.socket.connect_ex((job.target.host, job.target.port))

    def step(self) -> int:
        """Go on as far as the socket allows; returns the events to wait for.

        Raises:
            OSError: the connection failed.
            BadAnswer: the server answered something else than the body.
        """
        try:
            if self.state is _State.CONNECTING:
                self._connected()
            if self.state is _State.SHAKING:
                self.socket.do_handshake()  # type: ignore[attr-defined]  # wrapped by now
                self._ask()
            if self.state is _State.HEAD:
                self._read_head()
            if self.state is _State.BODY:
                self._read_body()
        except ssl.SSLWantWriteError:
            return select.EPOLLOUT
        except (ssl.SSLWantReadError, BlockingIOError):
            return select.EPOLLIN
        return select.EPOLLIN

    def _connected(self) -> None:
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, "connect failed")
        if self._context is None:
            self._ask()
        else:
            host = self._job.target.host
            self.socket = self._context.wrap_socket(
                self.socket, server_hostname=host, do_handshake_on_connect=False
            )
            self.state = _State.SHAKING

    def _ask(self) -> None:
        self.socket.send(self._job.request.encode())
        self.state = _State.HEAD

    def _read_head(self) -> None:
        data = self.socket.recv(16384)
        if not data:
            raise BadAnswer("closed before the answer")
        self._head += data
        head, blank, start = self._head.partition(b"\r\n\r\n")
        if blank:
            answer = parse_head(head, start)
            if answer.status != 200 or answer.length != self._job.size:
                raise BadAnswer(f"answer {answer.status}: {start[:200]!r}")
            self.first_byte_seconds = time.perf_counter() - self.started_at
            self.left -= len(start)
            self.state = _State.BODY

    def _read_body(self) -> None:
        while self.left:
            got = self.socket.recv_into(_BUFFER)
            if not got:
                raise BadAnswer(f"closed {self.left} bytes before the end")
            self.left -= got
            # A plain socket's rest wakes epoll again, and others get their turn; a TLS record that OpenSSL holds does not.
            if not (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
                break
        if self.left <= 0:
            self.seconds = time.perf_counter() - self.started_at
            self.state = _State.DONE


class _Crowd:
    """All clients of one process."""

    def __init__(self, job: Crowd) -> None:
        self._job = job
        authority = job.target.authority
        self._context = ssl.create_default_context(cafile=authority) if authority else None
        self._poll = select.epoll()
        self._open: dict[int, tuple[_Client, int]] = {}
        self.finished: list[_Client] = []
        self.errors: list[str] = []
        self.moved = 0

    def start(self) -> None:
        """Connect everybody."""
        for _ in range(self._job.clients):
            client = _Client(self._job, self._context)
            number = client.socket.fileno()
            self._open[number] = (client, select.EPOLLOUT)
            self._poll.register(number, select.EPOLLOUT)

    def drive(self) -> None:
        """Until everybody has everything, or the limit has passed."""
        limit = time.perf_counter() + self._job.limit_seconds
        while self._open and time.perf_counter() < limit:
            for number, _ in self._poll.poll(1.0):
                self._step(number)
        for client, _ in self._open.values():
            self.errors.append(f"not done after {self._job.limit_seconds:g} s, {client.state}")
            self.moved += self._job.size - client.left

    def _step(self, number: int) -> None:
        client, events = self._open[number]
        try:
            wanted = client.step()
        except (OSError, BadAnswer) as error:
            self.errors.append(f"{client.state}: {error}")
            self._close(number)
            return
        if client.state is _State.DONE:
            self.finished.append(client)
            self._close(number)
        elif wanted != events:
            self._open[number] = (client, wanted)
            self._poll.modify(number, wanted)

    def _close(self, number: int) -> None:
        client, _ = self._open.pop(number)
        self._poll.unregister(number)
        client.socket.close()
        self.moved += self._job.size - client.left


def run(job: Crowd, gate: Callable[[], None]) -> Outcome:
    """Wait for the start, let everybody connect and pull, report the spread."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = _Crowd(job)
    gate()
    cpu, started = time.process_time(), time.perf_counter()
    crowd.start()
    crowd.drive()
    seconds = time.perf_counter() - started
    histogram: dict[int, int] = {}
    for client in crowd.finished:
        bucket = int(client.seconds * 100)
        histogram[bucket] = histogram.get(bucket, 0) + 1
    firsts = [client.first_byte_seconds for client in crowd.finished]
    return Outcome(
        units=crowd.moved,
        seconds=seconds,
        cpu_seconds=time.process_time() - cpu,
        errors=len(crowd.errors),
        first_error=crowd.errors[0] if crowd.errors else "",
        histogram=histogram,
        extra={"first_byte_max_seconds": max(firsts, default=0.0)},
    )
