"""The head of a response, and how its body is framed."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
_CLOSE: Final = b"connection: close\r\n"
_KEEP: Final = b"connection: keep-alive\r\n"
_PREAMBLE_LINES: Final = 2
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_OURS: Final = frozenset(
    [b"connection", b"content-length", b"date", b"keep-alive", b"server", b"transfer-encoding"]
)


class WrongResponse(RuntimeError):
    """The application broke the ASGI contract; what was begun is cut."""


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


_STATUS_LINES: Final = {status: _status_line(status) for status in range(200, 600)}


class ResponseHead:
    """One response head, decided from the request and what the application asked for.

    `length` is the declared body length in bytes, None where it is not known beforehand.
    `silent`: no body bytes may follow, whatever the application sends. `chunked`: the body is
    framed in chunks. Neither and no length: the end of the connection ends the body.
    """

    __slots__ = ("_expected", "_lines", "chunked", "keep_alive", "length", "silent", "status")

    def __init__(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if status not in _STATUS_LINES:
            raise WrongResponse(f"status {status}")
        self.status = status
        self.length: int | None = None
        self.keep_alive = True
        self.chunked = self.silent = False
        self._lines = [_STATUS_LINES[status]]
        self._expected = 2 + _PREAMBLE_LINES
        lines = self._lines
        for name, value in headers:
            if name in _OURS or (lower := name.lower()) in _OURS:
                self._own(name.lower(), value)
            else:
                lines.append(b"%b: %b\r\n" % (lower, value))
        self._expected += len(lines) - 1

    def _own(self, name: bytes, value: bytes) -> None:
        """The application's word on what the server is responsible for."""
        if name == b"content-length":
            if self.length is not None or not value.isdigit():
                raise WrongResponse("invalid content-length")
            self.length = int(value)
        elif name == b"connection" and b"close" in value.lower():
            self.keep_alive = False

    def render(self, preamble: bytes, *, method: str, version: str, keep_alive: bool) -> bytes:
        """The bytes of the head. Settles `silent`, `chunked` and `keep_alive`.

        Raises WrongResponse when a header would break out of its line.
        """
        lines, status = self._lines, self.status
        self.keep_alive = keep_alive = self.keep_alive and keep_alive
        self.silent = method == "HEAD" or status in (204, 304)
        if self.length is not None and status != 204:
            lines.append(b"content-length: %d\r\n" % self.length)
            self._expected += 1
        elif not self.silent:
            if version == "1.1":
                self.chunked = True
                lines.append(_CHUNKED)
                self._expected += 1
            else:
                self.keep_alive = keep_alive = False
        lines.append(preamble)
        if not keep_alive:
            lines.append(_CLOSE)
            self._expected += 1
        elif version == "1.0":
            lines.append(_KEEP)
            self._expected += 1
        lines.append(b"\r\n")
        head = b"".join(lines)
        if not head.count(b"\n") == head.count(b"\r") == self._expected or b"\0" in head:
            raise WrongResponse("control character in a response header")
        return head


def plain_answer(status: int, preamble: bytes) -> bytes:
    """A whole answer without body, after which the connection closes."""
    line = _STATUS_LINES[status]
    return b"".join((line, b"content-length: 0\r\n", preamble, _CLOSE, b"\r\n"))
