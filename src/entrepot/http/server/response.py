"""The head of a response, and how its body is framed."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from entrepot.http.fields import FRAMING, Lines
from entrepot.http.server.request import Request

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
_CLOSE: Final = b"connection: close\r\n"
_KEEP: Final = b"connection: keep-alive\r\n"
_PREAMBLE_LINES: Final = 2
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_WITHOUT_BODY: Final = frozenset([204, 304])


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
    `rendered`: its bytes.
    """

    __slots__ = ("chunked", "keep_alive", "length", "rendered", "silent", "status")

    def __init__(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        preamble: bytes,
        *,
        method: str,
        version: str,
        keep_alive: bool,
    ) -> None:
        """Raises WrongResponse for what is no head, or would break out of its lines."""
        if status not in _STATUS_LINES:
            raise WrongResponse(f"status {status}")
        self.status = status
        self.length: int | None = None
        self.silent = method == "HEAD" or status in _WITHOUT_BODY
        self.chunked = False
        lines = [_STATUS_LINES[status]]
        for name, value in headers:
            if name not in FRAMING and (lower := name.lower()) not in FRAMING:
                lines.append(b"%b: %b\r\n" % (lower, value))
            elif name.lower() == b"content-length":
                self._declare(value)
            elif name.lower() == b"connection" and b"close" in value.lower():
                keep_alive = False
        ends_itself = self._frame(lines, version)
        self.keep_alive = keep_alive and ends_itself
        if not self.keep_alive:
            lines.append(_CLOSE)
        elif version == "1.0":
            lines.append(_KEEP)
        expected = len(lines) + _PREAMBLE_LINES + 1
        lines += (preamble, b"\r\n")
        self.rendered = head = b"".join(lines)
        if not head.count(b"\n") == head.count(b"\r") == expected or b"\0" in head:
            raise WrongResponse("control character in a response header")

    def _declare(self, value: bytes) -> None:
        if self.length is not None or not value.isdigit():
            raise WrongResponse("invalid content-length")
        self.length = int(value)

    def _frame(self, lines: list[bytes], version: str) -> bool:
        """How the body ends. False: with the connection."""
        if self.length is not None and self.status != HTTPStatus.NO_CONTENT:
            lines.append(b"content-length: %d\r\n" % self.length)
        elif not self.silent:
            if version != "1.1":
                return False
            self.chunked = True
            lines.append(_CHUNKED)
        return True


def whole_head(
    status: int, lines: Lines, length: int | None, *, request: Request, keep_alive: bool
) -> list[bytes]:
    """The parts of a head whose body follows at once, up to the server's own lines.

    Raises WrongResponse where the length does not go with the status.
    """
    line = _STATUS_LINES.get(status)
    if line is None or (length is None) is not (status in _WITHOUT_BODY):
        raise WrongResponse(f"status {status} with length {length}")
    parts = [line, lines]
    if length is not None:
        parts.append(b"content-length: %d\r\n" % length)
    if not keep_alive:
        parts.append(_CLOSE)
    elif request.line.version == "1.0":
        parts.append(_KEEP)
    return parts


def plain_answer(status: int, preamble: bytes) -> bytes:
    """A whole answer without body, after which the connection closes."""
    line = _STATUS_LINES[status]
    return b"".join((line, b"content-length: 0\r\n", preamble, _CLOSE, b"\r\n"))
