"""What a byte stream says by h11, and by the letter of RFC 9112: the server is held against both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import h11

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Message:
    """One whole request."""

    method: bytes
    target: bytes
    version: bytes
    headers: Headers
    body: bytes


def cut(data: bytes, positions: Sequence[int]) -> list[bytes]:
    """The pieces of `data` between the positions, none of them empty."""
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    return [piece for piece in pieces if piece]


# The reading of h11: everything the server accepts must be accepted there, with the same meaning.

_REQUEST_LINE = re.compile(rb"[\r\n]*([^\r\n ]+) +([^\r\n ]+) +(HTTP/[^\r\n]*\r\n)")


def by_h11(data: bytes) -> tuple[list[Message], list[bytes]]:
    """The requests h11 finds, as if every one left the connection open, and the bytes of each.

    Two things in which llhttp is more tolerant, neither of them with a second meaning, are taken
    out first: line ends before a request line, and more than one space within it.
    """
    messages, spans = [], []
    while True:
        data = _REQUEST_LINE.sub(rb"\1 \2 \3", data, count=1) if _REQUEST_LINE.match(data) else data
        found = _one_by_h11(data)
        if found is None:
            return messages, spans
        message, rest = found
        messages.append(message)
        spans.append(data[: len(data) - len(rest)])
        data = rest


def _one_by_h11(data: bytes) -> tuple[Message, bytes] | None:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    head, body = None, b""
    try:
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                return None
    except h11.RemoteProtocolError:
        return None
    assert head is not None
    headers = tuple(head.headers)
    message = Message(head.method, head.target, head.http_version, headers, body)
    return message, parser.trailing_data[0]


def alike(got: Message, expected: Message) -> bool:
    """Whether two readings of a message have the same meaning.

    ASGI does not tell an empty query from none, and h11 writes the coding in lower case.
    """
    return _meaning(got) == _meaning(expected)


def _meaning(message: Message) -> Message:
    headers = tuple(
        (name, value.lower() if name == b"transfer-encoding" else value)
        for name, value in message.headers
    )
    return replace(message, target=message.target.removesuffix(b"?"), headers=headers)


UNCLEAN = re.compile(
    rb"(?<!\r)\n|\r(?!\n)"  # bare LF, bare CR
    rb"|\r\n[ \t]"  # obs-fold
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"  # controls
    rb"|\n[^\r\n:]*[ \t]:"  # space before the colon
)


# The letter of the RFC: everything that it clearly allows must be accepted.

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(
    rb"(?:\r\n)*(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!\"$->@-~]*(?:\?[!\"$-~]+)?) HTTP/(1\.[01])\r\n"
    rb"((?:%s:[ \t]*(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?[ \t]*\r\n)*)\r\n" % _TOKEN
)  # fmt: skip
_EXTENSION = rb"(?:;%s(?:=(?:%s|\"[ !#-\[\]-~]*\"))?)*" % (_TOKEN, _TOKEN)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})%s\r\n" % _EXTENSION)
_TRAILERS = re.compile(rb"(?:trailer-[a-z]*: [!-~]*\r\n)*\r\n")
_READ_BY_SERVERS = (b"host", b"content-length", b"transfer-encoding", b"expect", b"connection",
                    b"upgrade", b"proxy-connection")  # fmt: skip


def by_the_letter(data: bytes) -> list[Message]:
    """The requests that are beyond doubt, up to the first that is not or that ends it all."""
    found = []
    while head := _HEAD.match(data):
        if b"chunked\t" in head[4].lower():
            break  # allowed, but not by llhttp, and nobody sends it
        data = data[head.end() :]
        fields = [
            (name.lower(), value.strip(b" \t"))
            for name, _, value in (line.partition(b":") for line in head[4].split(b"\r\n")[:-1])
        ]
        known = _plain_fields(fields, head[3])
        if known is None:
            break
        taken_body = _body(known, data)
        if taken_body is None:
            break
        body, data = taken_body
        found.append(Message(head[1], head[2], head[3], tuple(fields), body))
        keeps = known.get(b"connection", b"keep-alive" if head[3] == b"1.1" else b"close")
        if keeps.lower() != b"keep-alive":
            break
    return found


def _plain_fields(fields: list[tuple[bytes, bytes]], version: bytes) -> dict[bytes, bytes] | None:
    """The fields that mean something for the framing, or None where there is any doubt."""
    known = dict(field for field in fields if field[0] in _READ_BY_SERVERS)
    doubtful = (
        len(known) != sum(name in _READ_BY_SERVERS for name, _ in fields)
        or not re.fullmatch(rb"[a-z0-9.]+(:\d+)?", known.get(b"host", b"a"))
        or (b"host" not in known and version == b"1.1")
        or not re.fullmatch(rb"\d{1,8}", known.get(b"content-length", b"0"))
        or known.get(b"transfer-encoding", b"chunked").lower() != b"chunked"
        or (b"transfer-encoding" in known and (b"content-length" in known or version == b"1.0"))
        or known.get(b"expect", b"100-continue").lower() != b"100-continue"
        or known.get(b"connection", b"close").lower() not in (b"close", b"keep-alive")
        or b"upgrade" in known
        or b"proxy-connection" in known
    )
    return None if doubtful else known


def _body(known: dict[bytes, bytes], data: bytes) -> tuple[bytes, bytes] | None:
    if b"transfer-encoding" not in known:
        length = int(known.get(b"content-length", b"0"))
        return (data[:length], data[length:]) if len(data) >= length else None
    body = b""
    while chunk := _CHUNK.match(data):
        size, data = int(chunk[1], 16), data[chunk.end() :]
        if size == 0:
            end = _TRAILERS.match(data)
            return (body, data[end.end() :]) if end else None
        if data[size : size + 2] != b"\r\n":
            return None
        body, data = body + data[:size], data[size + 2 :]
    return None
