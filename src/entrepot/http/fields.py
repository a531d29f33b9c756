"""Header fields, read once for the requests that share them, and encoded once for the answers that do."""

from collections.abc import Awaitable, Iterable
from typing import Final, NewType, Protocol

Pairs = tuple[tuple[bytes, bytes], ...]
Lines = NewType("Lines", bytes)
"""Whole header lines, names in lower case, none that frames the message: only `encode` makes them."""

WHOLE_ANSWER: Final = "entrepot.whole_answer"
"""The private ASGI extension that takes `Lines`: see `server.cycle.Cycle.answer_whole`."""


class WholeAnswer(Protocol):
    """What is found there."""

    def __call__(
        self, status: int, lines: Lines, length: int | None, *, body: bytes
    ) -> Awaitable[None] | None:
        """Answer in one step. `length`: what content-length says, None for statuses that have none; `body` empty for HEAD.

        An awaitable where the client does not take it all at once. Raises ClientDisconnected.
        """


FRAMING: Final = frozenset(
    [b"connection", b"content-length", b"date", b"keep-alive", b"server", b"transfer-encoding"]
)


def encode(pairs: Iterable[tuple[bytes, bytes]]) -> Lines:
    """Raises ValueError for what would break out of its line, or is the server's to say."""
    lines = [b"%b: %b\r\n" % (name.lower(), value) for name, value in pairs]
    whole = b"".join(lines)
    if not whole.count(b"\n") == whole.count(b"\r") == len(lines) or b"\0" in whole:
        raise ValueError("control character in a response header")
    if any(line.partition(b":")[0] in FRAMING for line in lines):
        raise ValueError("a header field that frames the message")
    return Lines(whole)


class Shared:
    """Fields of many answers, both as ASGI has them and as they go over the wire. Raises ValueError as `encode` does."""

    __slots__ = ("lines", "pairs")

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.lines = encode(pairs)


NONE: Final = Shared(())


def encode_with_id(shared: Shared, own: Iterable[tuple[bytes, bytes]], request_id: str) -> Lines:
    """All fields of one answer. The id is ours, of ASCII letters and digits. Raises ValueError."""
    lines = shared.lines + encode(own) if own else shared.lines
    return Lines(b"%bx-request-id: %b\r\n" % (lines, request_id.encode("ascii")))


RECEIVED: Final = "entrepot.fields"
"""The private ASGI extension that holds the `Received` of a request, which others of its connection may share."""


class Received:
    """The fields of a request by their names in lower case, the last of repeated ones; texts are made when first asked for."""

    __slots__ = ("_texts", "by_name")

    def __init__(self, by_name: dict[bytes, bytes]) -> None:
        self.by_name = by_name
        self._texts: dict[bytes, str] = {}

    def text(self, name: bytes) -> str:
        """The value, "" where there is none. `name`: one of the program's words, not a client's, since it is remembered."""
        text = self._texts.get(name)
        if text is None:
            value = self.by_name.get(name)
            text = "" if value is None else value.decode("latin-1").strip()
            self._texts[name] = text
        return text
