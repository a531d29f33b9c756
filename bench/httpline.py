"""The client's side of HTTP/1.1, as little of it as a load generator needs: one request, one answer with a length."""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass


class BadAnswer(Exception):
    """The server answered something else than the line expects; the text shows what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and the bytes of the body that came with the head."""

    status: int
    headers: Mapping[str, str]
    start: bytes

    @property
    def length(self) -> int:
        """The declared body length.

        Raises:
            BadAnswer: the answer is chunked or has no length, which no line here expects.
        """
        declared = self.headers.get("content-length")
        if declared is None:
            raise BadAnswer(f"answer {self.status} without Content-Length")
        return int(declared)


def request_head(method: str, target: str, host: str, **headers: str) -> bytes:
    """A request head; header names are given with `_` for `-`."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: entrepot-bench"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def parse_head(head: bytes, start: bytes) -> Answer:
    """An answer out of the bytes before the blank line."""
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Answer(int(first.split(" ", 2)[1]), headers, start)


def read_head(connection: socket.socket) -> Answer:
    """Read one answer's head from a blocking connection.

    Raises:
        BadAnswer: the connection ended first.
    """
    data = b""
    while True:
        head, blank, start = data.partition(b"\r\n\r\n")
        if blank:
            return parse_head(head, start)
        more = connection.recv(65536)
        if not more:
            raise BadAnswer(f"connection closed inside an answer: {data[:200]!r}")
        data += more


def read_body(connection: socket.socket, answer: Answer) -> bytes:
    """The whole body; only for small ones."""
    body = answer.start
    while len(body) < answer.length:
        more = connection.recv(65536)
        if not more:
            raise BadAnswer("connection closed inside a body")
        body += more
    return body


def connect(host: str, port: int, *, authority: str | None) -> socket.socket:
    """A blocking connection with a minute's timeout; TLS, verified, when a certificate authority's file is given."""
    plain = socket.create_connection((host, port), timeout=60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if authority is None:
        return plain
    context = ssl.create_default_context(cafile=authority)
    return context.wrap_socket(plain, server_hostname=host)
