"""Small requests in a closed loop: one epoll, raw non-blocking sockets, one request outstanding on each.

An answer is accepted by its status and by the number of bytes after its blank line; a probe has checked length
and content before. That costs some 10 µs a request, so one process drives most servers; `bench.load.responder`
measures where it ends.
"""

import itertools
import select
import socket
import time
from collections.abc import Callable

from bench.load.jobs import Outcome, Requests

_ERROR_LIMIT = 1000  # a turn with so many ends early
_LONGEST = 100_000  # buckets of 10 µs: one second and more share the last


class _Loop:
    """The connections of one process and what they have counted."""

    def __init__(self, job: Requests) -> None:
        self._job = job
        variants = [each.encode() for each in job.variants]
        self._requests = iter(variants) if variants else itertools.repeat(job.request.encode())
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._sent_at: dict[int, float] = {}
        self._partial: dict[int, bytes] = {}
        self.reset()

    def reset(self) -> None:
        """Forget what was counted so far (the warm-up)."""
        self.done = self.errors = self.reconnects = 0
        self.first_error = ""
        self.buckets = [0] * (_LONGEST + 1)

    def open(self) -> None:
        """One more connection, its first request on its way."""
        connection = socket.create_connection((self._job.target.host, self._job.target.port), 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        number = connection.fileno()
        self._sockets[number] = connection
        self._poll.register(number, select.EPOLLIN)
        self._sent_at[number] = time.perf_counter()
        connection.send(next(self._requests))

    def drive(self, seconds: float) -> float:
        """Answer by answer until time or requests are up; returns the seconds it took."""
        body, requests = self._job.body, self._requests
        sockets, sent_at, partial, buckets = (
            self._sockets,
            self._sent_at,
            self._partial,
            self.buckets,
        )
        clock, poll = time.perf_counter, self._poll.poll
        started = now = clock()
        deadline = started + seconds
        while now < deadline and self.errors < _ERROR_LIMIT:
            for number, _ in poll(0.1):
                connection = sockets[number]
                try:
                    data = connection.recv(65536)
                except OSError as error:
                    self._again(number, str(error))
                    continue
                if number in partial:
                    data = partial.pop(number) + data
                blank = data.find(b"\r\n\r\n")
                if data[9:12] == b"200" and len(data) - blank - 4 == body and blank > 0:
                    now = clock()
                    taken = int((now - sent_at[number]) * 100_000)
                    buckets[min(taken, _LONGEST)] += 1
                    self.done += 1
                    sent_at[number] = now
                    request = next(requests, None)
                    if request is None:
                        return now - started
                    connection.send(request)
                else:
                    self._unusual(number, data, blank)
            now = clock()
        return now - started

    def _unusual(self, number: int, data: bytes, blank: int) -> None:
        """An answer in several pieces, a closed connection, or something that is not the expected answer."""
        if not data:
            self._again(number, "")
        elif blank < 0 or (data[9:12] == b"200" and len(data) - blank - 4 < self._job.body):
            self._partial[number] = data
        else:
            self._again(number, f"unexpected answer {data[:200]!r}")

    def _again(self, number: int, error: str) -> None:
        """Replace a connection; an orderly close between two answers is no error."""
        if number in self._partial:
            del self._partial[number]
            error = error or "connection closed inside an answer"
        if error:
            self.errors += 1
            self.first_error = self.first_error or error
        else:
            self.reconnects += 1
        self._poll.unregister(number)
        self._sockets.pop(number).close()
        self.open()


def run(job: Requests, gate: Callable[[], None]) -> Outcome:
    """Connect, warm up for a tenth of the time, wait for the start, drive."""
    loop = _Loop(job)
    for _ in range(job.connections):
        loop.open()
    loop.drive(max(0.2, job.seconds / 10))
    loop.reset()
    gate()
    cpu = time.process_time()
    seconds = loop.drive(job.seconds)
    return Outcome(
        units=loop.done,
        seconds=seconds,
        cpu_seconds=time.process_time() - cpu,
        errors=loop.errors,
        first_error=loop.first_error,
        reconnects=loop.reconnects,
        histogram={bucket: count for bucket, count in enumerate(loop.buckets) if count},
    )
