"""Request smuggling: each message here has one reading, or is refused with all that follows it.

Beside the table of test_server_refusals.py. Every entry is sent whole and byte by byte.
"""

from typing import Any

import pytest
from server_harness import Reader, Serve, echo, read_all
from server_reading import OneLoop
from server_reference import Message, alike, by_h11
from test_server_refusals import CORPUS

from entrepot.http.server import Limits

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n"
END = b"0\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST / " + version + b"\r\nHost: a\r\n" + lines + b"\r\n" + body


def coded(coding: bytes) -> bytes:
    return post(b"Transfer-Encoding:" + coding, body=END)


def long(length: bytes, body: bytes = b"a") -> bytes:
    return post(b"Content-Length:" + length, body=body)


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def line(request_line: bytes) -> bytes:
    return request_line + b"\r\nHost: a\r\n\r\n"


# Refused: (status, message). The application sees none of it.
HEADS = {
    "comma after length": (400, long(b" 1,")),
    "comma before length": (400, long(b" ,1")),
    "semicolon after length": (400, long(b" 1;")),
    "fraction": (400, long(b" 1.0")),
    "exponent": (400, long(b" 1e0")),
    "underscore in length": (400, long(b" 1_0")),
    "quoted length": (400, long(b' "1"')),
    "superscript length": (400, long(b" \xb2")),
    "no-break space before length": (400, long(b"\xa01")),
    "vertical tab before length": (400, long(b"\x0b1")),
    "NUL after length": (400, long(b" 1\0")),
    "folded length": (400, long(b"\r\n 1")),
    "length that goes on in a fold": (400, long(b" 1\r\n 0", b"a" * 10)),
    "length 2^64": (400, long(b" 18446744073709551616")),
    "same length twice, zero": (400, post(b"Content-Length: 0", b"Content-Length: 0")),
    "lengths of other case": (400, post(b"Content-Length: 1", b"content-length: 1", body=b"a")),
    "empty length, then length": (400, post(b"Content-Length:", b"Content-Length: 1", body=b"a")),
    "zero length and coding": (
        400, post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=END)),
    "length and empty coding": (
        400, post(b"Content-Length: 1", b"Transfer-Encoding:", body=b"a")),
    "length and identity": (
        400, post(b"Transfer-Encoding: identity", b"Content-Length: 1", body=b"a")),
    "length between codings": (
        400, post(b"Transfer-Encoding: chunked", b"Content-Length: 3",
                  b"Transfer-Encoding: chunked", body=END)),
    "tab before the colon of length": (400, post(b"Content-Length\t: 1", body=b"a")),
    "NUL before the colon of length": (400, post(b"Content-Length\0: 1", body=b"a")),
    "vertical tab before length's name": (400, post(b"\x0bContent-Length: 1", body=b"a")),
    "length on a folded line": (400, post(b" Content-Length: 1", body=b"a")),
    "length after bare LF": (400, post(b"X: y\nContent-Length: 1", body=b"a")),
    "length after bare CR": (400, post(b"X: y\rContent-Length: 1", body=b"a")),
    "chunked, chunked": (400, coded(b" chunked, chunked")),
    "chunked with comma": (400, coded(b" chunked,")),
    "comma before chunked": (501, coded(b" ,chunked")),
    "identity, chunked": (501, coded(b" identity, chunked")),
    "chunked with parameter": (400, coded(b" chunked;q=1")),
    "chunked in quotes": (400, coded(b' "chunked"')),
    "chunked cut short": (400, coded(b" chunke")),
    "chunked and more": (400, coded(b" chunkedx")),
    "empty coding": (400, coded(b"")),
    "deflate": (400, coded(b" deflate")),
    "vertical tab after chunked": (400, coded(b" chunked\x0b")),
    "form feed after chunked": (400, coded(b" chunked\x0c")),
    "NUL after chunked": (400, coded(b" chunked\0")),
    "no-break space after chunked": (400, coded(b" chunked\xa0")),
    "no-break space before chunked": (400, coded(b"\xa0chunked")),
    "chunked folded inside": (400, coded(b" chun\r\n ked")),
    "chunked and an empty fold": (400, coded(b" chunked\r\n ")),
    "another coding folded": (400, coded(b" x\r\n chunked")),
    "coding and identity": (
        400, post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=END)),
    "identity and coding": (
        400, post(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", body=END)),
    "coding of other case twice": (
        400, post(b"Transfer-Encoding: chunked", b"TRANSFER-ENCODING: Chunked", body=END)),
    "space before the colon of coding": (400, post(b"Transfer-Encoding : chunked", body=END)),
    "tab before the colon of coding": (400, post(b"Transfer-Encoding\t: chunked", body=END)),
    "coding without colon": (400, post(b"Transfer-Encoding", body=END)),
    "coding after bare LF": (400, post(b"X: y\nTransfer-Encoding: chunked", body=END)),
    "coding after bare CR": (400, post(b"X: y\rTransfer-Encoding: chunked", body=END)),
    "coding in 1.0, kept alive": (
        400, post(b"Connection: keep-alive", b"Transfer-Encoding: chunked", body=END,
                  version=b"HTTP/1.0")),
    "coding with upgrade": (501, post(b"Upgrade: h2c", b"Transfer-Encoding: chunked", body=END)),
    "name with parenthesis": (400, post(b"X(: a")),
    "name with high byte": (400, post(b"X\xe9: a")),
    "control in value": (400, post(b"X: \x01")),
    "DEL in value": (400, post(b"X: \x7f")),
    "two Hosts of other case": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n"),
    "Host with space": (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    "expectation with more": (
        417, post(b"Expect: 100-continue, x", b"Content-Length: 1", body=b"a")),
    "two expectations": (
        400, post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 1",
                  body=b"a")),
    "absolute form, another host": (400, line(b"GET http://b/ HTTP/1.1")),
    "absolute form, https": (400, line(b"GET https://a/ HTTP/1.1")),
    "absolute OPTIONS": (400, line(b"OPTIONS http://a HTTP/1.1")),
    "authority form": (400, line(b"GET a:1 HTTP/1.1")),
    "relative target": (400, line(b"GET a HTTP/1.1")),
    "query alone": (400, line(b"GET ?a HTTP/1.1")),
    "more than a star": (400, line(b"OPTIONS *x HTTP/1.1")),
    "star with query": (400, line(b"OPTIONS *?x HTTP/1.1")),
    "tab in target": (400, line(b"GET /a\tb HTTP/1.1")),
    "tab for space": (400, line(b"GET /a\tHTTP/1.1")),
    "space after version": (400, line(b"GET / HTTP/1.1 ")),
    "space first": (501, line(b" GET / HTTP/1.1")),
    "lower case protocol": (400, line(b"GET / http/1.1")),
    "version of many digits": (400, line(b"GET / HTTP/1.10")),
    "version with zero": (400, line(b"GET / HTTP/01.1")),
    "version without minor": (400, line(b"GET / HTTP/1")),
    "version 0.9": (505, line(b"GET / HTTP/0.9")),
    "version 0.9, nothing said": (505, line(b"GET /")),
    "version 3.0": (400, line(b"GET / HTTP/3.0")),
    "HTTP/2 preface and frames": (
        400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
    "PRI in 1.1": (400, line(b"PRI / HTTP/1.1")),
    "CONNECT with a body": (
        405, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\n" + SMUGGLED),
    "answer for a request": (501, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
}  # fmt: skip

# Refused when the head was read already: the application learns that the client is gone.
BODIES = {
    "empty extension": b"1;\r\na\r\n0\r\n\r\n",
    "space before extension": b"1 ;a\r\na\r\n0\r\n\r\n",
    "space in extension": b"1; a\r\na\r\n0\r\n\r\n",
    "CR in extension": b"1;a\rb\r\na\r\n0\r\n\r\n",
    "NUL in extension": b"1;a\0b\r\na\r\n0\r\n\r\n",
    "high byte in extension": b"1;\xff\r\na\r\n0\r\n\r\n",
    "open quote in extension": b'1;a="b\r\na\r\n0\r\n\r\n',
    "line in a quoted extension": b'1;a="\r\n"\r\na\r\n0\r\n\r\n',
    "tab after size": b"1\t\r\na\r\n0\r\n\r\n",
    "space before size": b" 1\r\na\r\n0\r\n\r\n",
    "plus": b"+1\r\na\r\n0\r\n\r\n",
    "minus zero": b"1\r\na\r\n-0\r\n\r\n",
    "upper case 0X": b"0X1\r\na\r\n0\r\n\r\n",
    "hexadecimal h": b"1h\r\na\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n",
    "superscript": b"\xb2\r\na\r\n0\r\n\r\n",
    "dot": b"1.0\r\na\r\n0\r\n\r\n",
    "comma": b"1,1\r\na\r\n0\r\n\r\n",
    "2^64": b"10000000000000000\r\na\r\n0\r\n\r\n",
    "2^64 + 1 with zeros": b"0000010000000000000001\r\na\r\n0\r\n\r\n",
    "two CRs after size": b"1\r\r\na\r\n0\r\n\r\n",
    "two CRs after chunk": b"1\r\na\r\r\n0\r\n\r\n",
    "bare CR after chunk": b"1\r\na\r0\r\n\r\n",
    "chunk longer than said": b"1\r\naa\r\n0\r\n\r\n",
    "chunk shorter than said": b"3\r\na\r\n0\r\n\r\n",
    "bare LF ends trailers": b"1\r\na\r\n0\r\n\n",
    "bare LF after last size": b"1\r\na\r\n0\n\r\n",
    "bare CR ends trailers": b"1\r\na\r\n0\r\n\rx",
    "no end of trailers": b"1\r\na\r\n0\r\n",
    "no last chunk": b"1\r\na\r\n",
    "trailer without colon": b"1\r\na\r\n0\r\nX\r\n\r\n",
    "space before a trailer's colon": b"1\r\na\r\n0\r\nX : y\r\n\r\n",
    "folded trailer": b"1\r\na\r\n0\r\nX: y\r\n z\r\n\r\n",
    "bare LF in trailers": b"1\r\na\r\n0\r\nX: y\nZ: a\r\n\r\n",
    "NUL in trailers": b"1\r\na\r\n0\r\nX: \0\r\n\r\n",
    "coding in trailers": b"1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "length in trailers": b"1\r\na\r\n0\r\nContent-Length: 0\r\n\r\n",
}

# Accepted, with one meaning: the body that the application must see.
ACCEPTED = {
    "no body": (b"", post()),
    "zero length": (b"", long(b" 0", b"")),
    "no space before length": (b"a", long(b"1")),
    "tabs around length": (b"a", long(b"\t1\t")),
    "leading zeros": (b"a", long(b" 0001")),
    "upper case name": (b"a", post(b"CONTENT-LENGTH: 1", body=b"a")),
    "another name": (b"", post(b"Content_Length: 1", b"Transfer_Encoding: chunked")),
    "length in another value": (b"", post(b"X: Content-Length: 5")),
    "TE is not Transfer-Encoding": (b"", post(b"TE: chunked")),
    "body that looks like a request": (SMUGGLED, long(b" %d" % len(SMUGGLED), SMUGGLED)),
    "body that looks like an end": (END + SMUGGLED, long(b" 40", END + SMUGGLED)),
    "Chunked": (b"", coded(b" Chunked")),
    "CHUNKED": (b"", coded(b"CHUNKED")),
    "tab before chunked": (b"", coded(b"\tchunked")),
    "space after chunked": (b"", coded(b" chunked ")),
    "zeros before sizes": (b"a", chunked(b"0001\r\na\r\n000\r\n\r\n")),
    "upper and lower case sizes": (b"a" * 21, chunked(b"A\r\n%s\r\nb\r\n%s\r\n0\r\n\r\n" % (
        b"a" * 10, b"a" * 11))),
    "extensions": (b"a", chunked(b'1;a;b=c;d="e;f"\r\na\r\n0;x\r\n\r\n')),
    "chunk that looks like a request": (
        SMUGGLED, chunked(b"%x\r\n%s\r\n" % (len(SMUGGLED), SMUGGLED) + END)),
    "chunk that looks like an end": (b"0\r\n\r\n", chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n")),
    "chunk of line ends": (b"\r\n\r\n\r\n", chunked(b"6\r\n\r\n\r\n\r\n\r\n0\r\n\r\n")),
    "offer to upgrade": (
        b"a", post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 1", body=b"a")),
    "offer without a body": (b"", post(b"Connection: upgrade", b"Upgrade: websocket")),
    "upgrade that is none": (b"", post(b"Connection: upgrade")),
    "expectation without a body": (b"", post(b"Expect: 100-continue")),
    "connection options": (b"", post(b"Connection: keep-alive, close-notify, x-close", b"")[:-2]),
    "high bytes in a value": (b"", post(b"X: \xe9\xff")),
    "old and kept alive": (
        b"a", post(b"Connection: keep-alive", b"Content-Length: 1", body=b"a",
                   version=b"HTTP/1.0")),
    "lines before": (b"", b"\r\n\r\n" + post()),
    "odd target": (b"", b"POST //a/../%00%zz?x?[]|^`{} HTTP/1.1\r\nHost: [::1]:5000\r\n\r\n"),
    "star": (b"", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
}  # fmt: skip


def ways(data: bytes) -> list[list[bytes]]:
    """All at once, byte by byte, and with a cut in every CRLF."""
    return [[data], [data[at : at + 1] for at in range(len(data))], data.replace(
        b"\r\n", b"\r\0\0\n").split(b"\0\0")]  # fmt: skip


def refused(one: OneLoop, status: int, segments: list[bytes]) -> list[Message | None]:
    """What the application saw before the one answer, a refusal that ends the connection."""
    outcome = one.exchange(segments)
    (reply,) = outcome.replies()
    assert reply.status == status
    assert reply.closes
    assert reply.body == b""
    return outcome.seen


@pytest.mark.parametrize("name", HEADS)
def test_a_doubtful_head_is_refused_with_all_that_follows(quick: OneLoop, name):
    status, data = HEADS[name]
    for segments in ways(data + SMUGGLED):
        assert refused(quick, status, segments) == []


@pytest.mark.parametrize("name", BODIES)
def test_a_doubtful_chunk_is_refused_with_all_that_follows(one: OneLoop, name):
    for segments in ways(chunked(BODIES[name]) + SMUGGLED):
        assert refused(one, 400, segments) == [None]


@pytest.mark.parametrize("name", [name for name, (_, data) in CORPUS.items() if len(data) < 1000])
def test_what_is_refused_whole_is_refused_byte_by_byte(quick: OneLoop, name):
    status, data = CORPUS[name]
    for segments in ways(data + SMUGGLED)[1:]:
        assert not any(refused(quick, status, segments))


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_has_one_reading_is_read_so_and_the_next_request_too(one: OneLoop, name):
    body, data = ACCEPTED[name]
    for segments in ways(data + SMUGGLED):
        outcome = one.exchange(segments)
        first, second = outcome.read
        assert first.body == body
        assert second.target == b"/smuggled"
        assert [reply.status for reply in outcome.replies()] == [200, 200]
        assert all(map(alike, outcome.read, by_h11(data + SMUGGLED)[0]))


@pytest.mark.parametrize("zeros", [30, 3000])
def test_a_size_may_have_many_zeros_but_not_without_end(quick: OneLoop, zeros):
    """More digits than h11 reads."""
    for data in (long(b"0" * zeros + b"1"), chunked(b"0" * zeros + b"1\r\na\r\n0\r\n\r\n")):
        first, second = quick.exchange([data, SMUGGLED]).read
        assert (first.body, second.target) == (b"a", b"/smuggled")

    assert refused(quick, 431, [b"GET / HTTP/1.1\r\nContent-Length: " + b"0" * 80000]) == []
    assert refused(quick, 400, [chunked(b"0" * 400000)]) == [None]


def test_trailers_never_reach_the_next_request(one: OneLoop):
    trailers = b"Host: t\r\nAuthorization: t\r\nUpgrade: t\r\nExpect: cake\r\n"
    data = chunked(b"1\r\na\r\n0\r\n" + trailers + b"\r\n")
    for segments in ways(data * 2 + SMUGGLED):
        outcome = one.exchange(segments)
        assert [message.body for message in outcome.read] == [b"a", b"a", b""]
        assert outcome.read[2].headers == ((b"host", b"s"),)
        assert not any(reply.closes for reply in outcome.replies())


def test_the_total_of_heads_and_trailers_is_bounded(serve: Serve):
    run = serve(echo, limits=Limits(header_bytes=2048, header_count=20))
    parts = {
        431: [
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000,
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X:\r\n" * 20 + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x" * 3000,
            b"\r\n" * 3000,
        ],
        400: [chunked(b"0\r\n" + b"X: y\r\n" * 20000), chunked(b"0\r\nX: " + b"y" * 100000)],
    }
    for status, streams in parts.items():
        for data in streams:
            with run.connect() as sock:
                sock.sendall(data)  # and no end: it must not wait for one
                assert read_all(sock).startswith(b"HTTP/1.1 %d " % status), data[:50]
    with Reader(run.connect()) as reader:
        for _ in range(3):  # each head has the whole allowance
            head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 19
            reader.sock.sendall(head + b"\r\n")
            assert reader.answer().status == 200
    assert run.errors == []


# Early answers

HIDDEN = SMUGGLED * 3


def framed(framing: str) -> tuple[bytes, bytes]:
    if framing == "length":
        return post(b"Content-Length: %d" % len(HIDDEN)), HIDDEN
    return post(b"Transfer-Encoding: chunked"), b"%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + END


@pytest.mark.parametrize("status", [401, 413])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_body_that_comes_after_its_answer_is_no_request(serve: Serve, status, framing, tls):
    """The body is made of requests; whatever of it had come, none of them may be served."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"no"})

    run = serve(app, tls=tls)
    head, body = framed(framing)
    for arrived in (0, 1, 30, len(body) - 1):
        with Reader(run.connect()) as reader:
            reader.sock.sendall(head + body[:arrived])
            answer = reader.answer()
            assert (answer.status, answer.body) == (status, b"no")
            assert answer.headers["connection"] == "close"
            if not tls:  # there the server's goodbye is the client's too
                reader.sock.sendall(body[arrived:] + SMUGGLED)
            assert reader.file.read() == b""
    assert seen == ["/"] * 4
    assert run.errors == []


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_was_there_and_unread_is_passed_over(serve: Serve, framing):
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body"})

    run = serve(app)
    data = b"".join(framed(framing)) + SMUGGLED

    received = run.exchange(data * 3, half_close=True)

    assert received.count(b"HTTP/1.1 401 ") == 6
    assert seen == ["/", "/smuggled"] * 3
