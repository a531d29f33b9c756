"""Uploads: distinct random content in memory (memfd), hashed beforehand, sent with sendfile, counted until the last 201."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.httpline import Answer, BadAnswer, connect, read_body, read_head, request_head
from bench.load.jobs import Outcome, Push

_PIECE = 1 << 20
_CHUNK = 32 << 10  # the size that Docker Engine's io.Copy sends as one HTTP chunk


@dataclass(frozen=True, slots=True)
class _Content:
    """Random bytes in an anonymous file, and their digest."""

    descriptor: int
    digest: str


def _content(size: int) -> _Content:
    descriptor = os.memfd_create("upload")
    hasher = hashlib.sha256()
    for start in range(0, size, _PIECE):
        piece = os.urandom(min(_PIECE, size - start))
        hasher.update(piece)
        os.write(descriptor, piece)
    return _Content(descriptor, "sha256:" + hasher.hexdigest())


class _Pusher(threading.Thread):
    """One client: its connection and its contents."""

    def __init__(self, job: Push) -> None:
        super().__init__(daemon=True)
        self._job = job
        self._contents = [_content(job.size) for _ in range(job.each)]
        self._connection = connect(job.target.host, job.target.port, authority=job.target.authority)
        self.error = ""
        self.digests: list[str] = []

    def run(self) -> None:
        try:
            for content in self._contents:
                self._upload(content)
                self.digests.append(content.digest)
        except (OSError, BadAnswer) as error:
            self.error = str(error) or type(error).__name__
        finally:
            self._connection.close()

    def _upload(self, content: _Content) -> None:
        self._head("POST", f"/v2/{self._job.repository}/blobs/uploads/", Content_Length="0")
        location = self._location(self._answer(202))
        if self._job.style != "put":
            self._body("PATCH", location, content)
            location = self._location(self._answer(202))
        location += ("&" if "?" in location else "?") + "digest=" + content.digest
        if self._job.style == "put":
            self._body("PUT", location, content)
        else:
            self._head("PUT", location, Content_Length="0")
        self._answer(201)

    def _head(self, method: str, target: str, **headers: str) -> None:
        if self._job.authorization is not None:
            headers["Authorization"] = self._job.authorization
        self._connection.sendall(request_head(method, target, self._job.target.netloc, **headers))

    def _body(self, method: str, target: str, content: _Content) -> None:
        kind, size = "application/octet-stream", self._job.size
        if self._job.style == "stream":
            self._head(method, target, Content_Type=kind, Transfer_Encoding="chunked")
            for start, length in _chunks(size):
                self._connection.sendall(b"%x\r\n" % length)
                self._send(content.descriptor, start, length)
                self._connection.sendall(b"\r\n")
            self._connection.sendall(b"0\r\n\r\n")
        else:
            self._head(method, target, Content_Type=kind, Content_Length=str(size))
            self._send(content.descriptor, 0, size)

    def _send(self, descriptor: int, start: int, length: int) -> None:
        if self._job.target.authority is not None:
            for offset in range(start, start + length, _PIECE):
                size = min(_PIECE, start + length - offset)
                self._connection.sendall(os.pread(descriptor, size, offset))
            return
        end = start + length
        self._connection.settimeout(None)  # os.sendfile wants a blocking descriptor
        while start < end:
            start += os.sendfile(self._connection.fileno(), descriptor, start, end - start)
        self._connection.settimeout(60)

    def _answer(self, status: int) -> Answer:
        answer = read_head(self._connection)
        body = read_body(self._connection, answer)
        if answer.status != status:
            raise BadAnswer(f"{answer.status} for {status}: {body[:300]!r}")
        return answer

    @staticmethod
    def _location(answer: Answer) -> str:
        place = urlsplit(answer.headers["location"])
        return place.path + ("?" + place.query if place.query else "")


def _chunks(size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, _CHUNK):
        yield start, min(_CHUNK, size - start)


def run(job: Push, gate: Callable[[], None]) -> Outcome:
    """Make the contents, wait for the start, upload."""
    pushers = [_Pusher(job) for _ in range(job.clients)]
    gate()
    cpu, started = time.process_time(), time.perf_counter()
    for pusher in pushers:
        pusher.start()
    for pusher in pushers:
        pusher.join()
    errors = [pusher.error for pusher in pushers if pusher.error]
    digests = [digest for pusher in pushers for digest in pusher.digests]
    return Outcome(
        units=len(digests) * job.size,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu,
        errors=len(errors),
        first_error=errors[0] if errors else "",
        digests=digests,
    )
