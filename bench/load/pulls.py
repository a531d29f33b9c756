"""Large bodies: a thread and a blocking socket for each connection, read into one reused buffer of 1 MiB and dropped."""

import socket
import ssl
import threading
import time
from collections.abc import Callable

from bench.httpline import BadAnswer, connect, read_head
from bench.load.jobs import Outcome, Pull

_BUFFER = 1 << 20


class _Puller(threading.Thread):
    """One connection's loop."""

    def __init__(self, job: Pull) -> None:
        super().__init__(daemon=True)
        self._job = job
        self._buffer = bytearray(_BUFFER)
        self._connection = connect(job.target.host, job.target.port, authority=job.target.authority)
        self.deadline = float("inf")
        self.moved = 0
        self.error = ""
        self.note = _negotiated(self._connection)
        self._fetch()
        self.moved = 0

    def run(self) -> None:
        try:
            while time.perf_counter() < self.deadline:
                self._fetch()
        except (OSError, BadAnswer) as error:
            self.error = str(error) or type(error).__name__
        finally:
            self._connection.close()

    def _fetch(self) -> None:
        connection, buffer, deadline = self._connection, self._buffer, self.deadline
        connection.sendall(self._job.request.encode())
        answer = read_head(connection)
        if answer.status != 200 or answer.length != self._job.size:
            raise BadAnswer(f"{answer.status}, length {answer.headers.get('content-length')}")
        left = answer.length - len(answer.start)
        self.moved += len(answer.start)
        flags = socket.MSG_TRUNC if self._job.discard else 0
        while left and time.perf_counter() < deadline:
            got = connection.recv_into(buffer, min(left, _BUFFER), flags)
            if not got:
                raise BadAnswer(f"connection closed {left} bytes before the end")
            left -= got
            self.moved += got


def _negotiated(connection: socket.socket) -> str:
    """TLS version and cipher, or nothing."""
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    cipher = connection.cipher()
    return f"{connection.version()} {cipher[0] if cipher else ''}"


def run(job: Pull, gate: Callable[[], None]) -> Outcome:
    """Each connection fetches the body once to warm up, then again and again until time is up."""
    pullers = [_Puller(job) for _ in range(job.connections)]
    gate()
    cpu, started = time.process_time(), time.perf_counter()
    for puller in pullers:
        puller.deadline = started + job.seconds
        puller.start()
    for puller in pullers:
        puller.join()
    errors = [puller.error for puller in pullers if puller.error]
    return Outcome(
        units=sum(puller.moved for puller in pullers),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu,
        errors=len(errors),
        first_error=errors[0] if errors else "",
        note=pullers[0].note,
    )
