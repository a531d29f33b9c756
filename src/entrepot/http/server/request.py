"""From bytes to one request: llhttp's callbacks, and what we refuse beyond llhttp.

llhttp reads heads and chunked bodies. A body with Content-Length is counted by `RequestBody`
instead, with the length llhttp accepted; such a request is the last its parser sees.

One rule prevents two readings of a message: the parser is fed no further than the next
CRLF CRLF (`Cutter`). A head, and the end of a chunked body, can only end there, so nothing of
the next message ever reaches the parser before this one is answered.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

import httptools

from entrepot.http.fields import Received
from entrepot.http.server.limits import Limits

_BLANK_LINE: Final = b"\r\n\r\n"
_LONGEST_HOST: Final = 512
_BLANK_LINES: Final = 8
# The scheme in front is wrong and what `tccli` sends over plain HTTP, and signs.
_HOST: Final = re.compile(
    rb"(?:https?://)?(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-fvV:.%]+\])(?::[0-9]*)?"
)


class BadRequest(Exception):
    """The bytes are no request we serve: answer `status`, then close."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Cutter:
    """Finds where the parser must stop: after each CRLF CRLF, also one split over two reads."""

    __slots__ = ("_seam",)

    def __init__(self) -> None:
        self._seam = b""

    def cut(self, data: bytes, start: int) -> int:
        """The end of the next piece of `data` from `start`; call once for every piece fed."""
        seam = self._seam
        if seam:
            joined = seam + data[start : start + 3]
            found = joined.find(_BLANK_LINE)
            if found >= 0:
                self._seam = joined[: found + 4][-3:]
                return start + found + 4 - len(seam)
        found = data.find(_BLANK_LINE, start)
        end = len(data) if found < 0 else found + 4
        self._seam = data[end - 3 : end] if end - start >= 3 else (seam + data[start:end])[-3:]
        return end


class RequestParser:
    """One message at a time: `feed` pieces, look at the fields, `reset` for the next message."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._llhttp = httptools.HttpRequestParser(self)
        # Bound once: this is called for every piece of every request.
        self._feed: Callable[[bytes], None] = self._llhttp.feed_data
        self._refusal: BadRequest | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the message; llhttp itself is ready for the next one."""
        self.target = b""
        self._raw = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.head_complete = False
        self.complete = False
        self.chunks: list[bytes] = []
        self.begun = self.upgrading = self.spoilt = False

    def feed(self, piece: bytes) -> None:
        """Parse one piece that `Cutter` allowed. Raises BadRequest."""
        if not self.head_complete:
            self._raw += piece
        try:
            self._feed(piece)
        except httptools.HttpParserUpgrade:
            # Raised once the head is parsed. We never upgrade, so the message stays HTTP/1.1
            # (RFC 9110 §7.8) and this parser has read its last.
            self.upgrading = True
        except httptools.HttpParserInvalidMethodError:
            raise BadRequest(501, "unknown method") from None
        except httptools.HttpParserCallbackError:
            if self._refusal is None:
                raise
            raise self._refusal from None
        except httptools.HttpParserError as error:
            raise BadRequest(400, str(error)) from None

    def _refuse(self, status: int, reason: str) -> BadRequest:
        """Keep the refusal: llhttp turns what its callbacks raise into an error of its own."""
        self._refusal = BadRequest(status, reason)
        return self._refusal

    # llhttp's callbacks

    def on_message_begin(self) -> None:
        if self.begun:
            # Cannot happen while Cutter is right; if it ever does, refuse rather than guess.
            raise self._refuse(400, "a second message before the first was answered")
        self.begun = True

    def on_url(self, data: bytes) -> None:
        self.target += data
        if len(self.target) > self._limits.target_bytes:
            raise self._refuse(414, "target too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        # The hottest line of the server; `checked` does the thinking. Trailers come here too,
        # bounded by the body's framing allowance, and are dropped.
        if self.head_complete:
            self.spoilt = True  # a trailer, which llhttp may have obeyed
        else:
            self.headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        self.head_complete = True

    def on_body(self, data: bytes) -> None:
        self.chunks.append(data)

    def on_message_complete(self) -> None:
        self.complete = True

    @property
    def raw(self) -> bytes:
        """The head's bytes, as they came."""
        return self._raw

    def checked(self) -> "Request":
        """The request whose head is complete. Raises BadRequest."""
        headers, target = self.headers, self.target
        if len(headers) > self._limits.header_count:
            raise BadRequest(431, "too many headers")
        version = self._llhttp.get_http_version()
        if version not in ("1.1", "1.0"):
            raise BadRequest(505, "HTTP version")
        verb = self._llhttp.get_method()
        method = verb.decode()
        line = b"%b %b HTTP/%b\r\n" % (verb, target, version.encode())
        if not self._raw.startswith(line) and not _without_blank_lines(self._raw).startswith(line):
            raise BadRequest(400, "malformed request line")
        if method == "CONNECT" or target[:1] != b"/" or b"#" in target or not target.isascii():
            _refuse_target(method, target)
        fields = dict(headers)
        if len(fields) != len(headers):
            _merge_repeated(fields, headers)
        if b"host" not in fields and version == "1.1":
            raise BadRequest(400, "missing Host")
        host = fields.get(b"host", b"")
        if len(host) > _LONGEST_HOST or not _is_host(host):
            raise BadRequest(400, "invalid Host")
        self.spoilt = b"proxy-connection" in fields  # llhttp obeys it, we do not
        return Request(Line(method, target, version), Fields(headers, fields)).read()


def _without_blank_lines(head: bytes) -> bytes:
    """A client may send empty lines before a request (RFC 9112 §2.2): one from old clients; some, not thousands."""
    start = 0
    while start < _BLANK_LINES * 2 and head.startswith(b"\r\n", start):
        start += 2
    return head[start:]


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    """RFC 9110 §7.2: uri-host and port, possibly empty."""
    return _HOST.fullmatch(value) is not None


def _refuse_target(method: str, target: bytes) -> None:
    """Only origin-form is served, and `*` for OPTIONS (RFC 9112 §3.2)."""
    if method == "CONNECT":
        raise BadRequest(405, "CONNECT")
    if not (target == b"*" and method == "OPTIONS"):
        raise BadRequest(400, "only origin-form targets are served")


def _merge_repeated(fields: dict[bytes, bytes], headers: list[tuple[bytes, bytes]]) -> None:
    """Refuse repetitions that change the framing or the host; join the lists we read."""
    for name in (b"host", b"content-length", b"transfer-encoding", b"expect", b"connection"):
        values = [value for known, value in headers if known == name]
        if len(values) > 1:
            if name != b"connection":
                raise BadRequest(400, f"repeated {name.decode()}")
            fields[name] = b",".join(values)


class Line:
    """A request line: method, target as sent, version; and the target's parts, as ASGI names them."""

    __slots__ = ("method", "path", "query", "raw_path", "target", "version")

    def __init__(self, method: str, target: bytes, version: str) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.raw_path, _, self.query = target.partition(b"?")
        path = unquote_to_bytes(self.raw_path) if b"%" in self.raw_path else self.raw_path
        self.path = path.decode("utf-8", "replace")


class Fields:
    """The header fields of a request: `pairs` in order, names in lower case. Requests of one connection may share them."""

    __slots__ = ("by_name", "pairs", "received")

    def __init__(self, pairs: list[tuple[bytes, bytes]], by_name: dict[bytes, bytes]) -> None:
        self.pairs = pairs
        self.by_name = by_name
        self.received = Received(by_name)


class Request:
    """A request's head, checked.

    `length` is the declared Content-Length in bytes, 0 without a body, None when the body is
    chunked.
    """

    __slots__ = ("expects", "fields", "keep_alive", "length", "line")

    def __init__(self, line: Line, fields: Fields) -> None:
        """Of a head that says nothing about its body or its connection."""
        self.line = line
        self.fields = fields
        self.length: int | None = 0
        self.keep_alive = True
        self.expects = False

    def read(self) -> "Request":
        """What version and fields say about body and connection. Raises BadRequest where they do not go together."""
        known, version = self.fields.by_name, self.line.version
        if b"content-length" in known or b"transfer-encoding" in known:
            self.length = _body_length(known, version)
        self.keep_alive = version == "1.1"
        if b"connection" in known:
            self.keep_alive = _keep_alive(known[b"connection"], version)
        self.expects = b"expect" in known and _expects_continue(known[b"expect"], version)
        return self


def _body_length(fields: dict[bytes, bytes], version: str) -> int | None:
    """RFC 9112 §6.3, without its lenient branches."""
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is None:
        if length is None:
            return 0
        if not length.isdigit():
            raise BadRequest(400, "invalid Content-Length")
        return int(length)
    if length is not None or version == "1.0":
        raise BadRequest(400, "Transfer-Encoding not allowed here")
    if coding.lower() != b"chunked":
        raise BadRequest(501, "unknown transfer coding")
    if b"upgrade" in fields:
        raise BadRequest(501, "upgrade with a chunked body")
    return None


def _keep_alive(connection: bytes, version: str) -> bool:
    options = {option.strip() for option in connection.lower().split(b",")}
    return b"close" not in options and (version == "1.1" or b"keep-alive" in options)


def _expects_continue(expect: bytes, version: str) -> bool:
    if version == "1.0":
        return False
    if expect.lower() != b"100-continue":
        raise BadRequest(417, "unknown expectation")
    return True
