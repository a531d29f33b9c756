"""A head of two known halves is read as the parser reads it, and only halves that do not depend on each other are known."""

from itertools import product

import pytest

from entrepot.http.server.known import KnownHeads
from entrepot.http.server.limits import Limits
from entrepot.http.server.request import Request, RequestParser

LINES = [
    b"GET /v2/team/app/manifests/latest HTTP/1.1",
    b"HEAD /v2/team/app/manifests/latest HTTP/1.1",
    b"GET /v2/a/b/tags/list?n=5&last=%61 HTTP/1.1",
    b"GET /v2/a%2Fb/blobs/c HTTP/1.1",
    b"GET //?? HTTP/1.1",
]
BLOCKS = [
    b"\r\nHost: a\r\n\r\n",
    b"\r\nhost: a:5000\r\nAuthorization: Bearer x\r\nAccept: */*\r\nAccept: b\r\n\r\n",
    b"\r\nHOST:[::1]\r\nConnection: keep-alive, te\r\nUser-Agent:  two  words \r\n\r\n",
]


def parsed(head: bytes, limits: Limits) -> tuple[Request, RequestParser]:
    parser = RequestParser(limits)
    parser.feed(head)
    assert parser.head_complete
    return parser.checked(), parser


def facts(request: Request) -> tuple[object, ...]:
    line, fields = request.line, request.fields
    return (
        *(line.method, line.target, line.version, line.raw_path, line.path, line.query),
        *(fields.pairs, fields.by_name),
        *(request.length, request.keep_alive, request.expects),
    )


def knowing(heads: list[bytes], limits: Limits) -> KnownHeads:
    known = KnownHeads({}, limits)
    for head in heads:
        request, parser = parsed(head, limits)
        known.remember(parser.raw, request)
    return known


@pytest.mark.parametrize(("line", "block"), list(product(LINES, BLOCKS)))
def test_known_halves_make_the_request_that_the_parser_makes(line, block):
    limits = Limits()
    # Each half was seen, never the two together.
    other_line = next(one for one in LINES if one != line)
    other_block = next(one for one in BLOCKS if one != block)
    known = knowing([line + other_block, other_line + block], limits)
    behind = b"GET /next HTTP/1.1\r\n"
    found = known.find(line + block + behind)
    assert found is not None
    request, end = found
    assert facts(request) == facts(parsed(line + block, limits)[0])
    assert end == len(line + block)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /" + b"x" * 600 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"x" * 5000 + b"\r\n\r\n",
    ],
)
def test_a_head_whose_halves_may_depend_on_each_other_is_parsed_again(head):
    known = knowing([head], Limits())
    assert known.find(head) is None
    known = knowing([head, LINES[0] + BLOCKS[0]], Limits())
    assert known.find(head) is None


def test_half_a_head_is_not_known():
    head = LINES[0] + BLOCKS[1]
    known = knowing([head], Limits())
    assert known.find(head) is not None
    for length in range(len(head)):
        assert known.find(head[:length]) is None


def test_a_head_above_the_limit_is_refused_by_the_parser_though_its_halves_are_known():
    long_line = b"GET /" + b"x" * 200 + b" HTTP/1.1"
    long_block = b"\r\nHost: a\r\nAccept: " + b"x" * 200 + b"\r\n\r\n"
    known = knowing([long_line + BLOCKS[0], LINES[0] + long_block], Limits(header_bytes=300))
    assert known.find(long_line + long_block) is None


def test_fields_are_known_to_their_connection_alone_and_few_of_them():
    lines = {}
    first, second = KnownHeads(lines, Limits()), KnownHeads(lines, Limits())
    head = LINES[0] + BLOCKS[1]
    request, parser = parsed(head, Limits())
    first.remember(parser.raw, request)
    assert first.find(head) is not None
    assert second.find(head) is None
    for number in range(20):
        other = LINES[0] + b"\r\nHost: a\r\nX: %d\r\n\r\n" % number
        request, parser = parsed(other, Limits())
        first.remember(parser.raw, request)
    assert first.find(head) is None
