"""Heads that were read before: a client sends the same header fields with each request, and asks for the same few targets.

What llhttp read once and `RequestParser.checked` let pass is remembered in two halves, the request line and the block of fields
behind it, byte for byte. A head of two known halves is read without a parser. The halves of the heads kept here do not depend on
each other: GET or HEAD of HTTP/1.1, no body, no upgrade, no expectation, and the connection stays open.

Fields hold credentials, so they are remembered by their connection alone and go with it; lines by the whole server.
"""

from typing import Final

from entrepot.http.server.limits import Limits
from entrepot.http.server.request import Fields, Line, Request

_BLANK_LINE: Final = b"\r\n\r\n"
_MOST_LINES: Final = 4096
_LONGEST_LINE: Final = 512
_MOST_BLOCKS: Final = 4
_LONGEST_BLOCK: Final = 4096
_METHODS: Final = frozenset({"GET", "HEAD"})
_DEPENDENT: Final = frozenset(
    [b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"proxy-connection"]
)


class KnownHeads:
    """Of one connection. `lines` are shared among all of its server."""

    __slots__ = ("_blocks", "_lines", "_most")

    def __init__(self, lines: dict[bytes, Line], limits: Limits) -> None:
        self._lines = lines
        self._blocks: dict[bytes, Fields] = {}
        self._most = limits.header_bytes

    def find(self, data: bytes) -> tuple[Request, int] | None:
        """The request whose head `data` begins with, and where that ends; None: parse it."""
        blocks = self._blocks
        if not blocks:
            return None
        middle = data.find(b"\r\n")
        line = self._lines.get(data[:middle])
        if line is None:
            return None
        end = data.find(_BLANK_LINE, middle) + 4
        fields = blocks.get(data[middle:end])
        if fields is None or end > self._most:
            return None
        return Request(line, fields), end

    def remember(self, raw: bytes, request: Request) -> None:
        """Keep both halves of a head that was parsed and checked, where they are of the kind that may be kept."""
        line, fields = request.line, request.fields
        text = b"%b %b HTTP/1.1" % (line.method.encode(), line.target)
        block = raw[len(text) :]
        if (
            line.method not in _METHODS
            or line.version != "1.1"
            or not raw.startswith(text)
            or not request.keep_alive
            or not _DEPENDENT.isdisjoint(fields.by_name)
            or len(text) > _LONGEST_LINE
            or len(block) > _LONGEST_BLOCK
        ):
            return
        if len(self._lines) >= _MOST_LINES:
            self._lines.clear()
        self._lines[text] = line
        if len(self._blocks) >= _MOST_BLOCKS:
            self._blocks.clear()
        self._blocks[block] = fields
