"""What is no request, or could be read in two ways, is refused and the connection closed."""

import pytest
from server_harness import Reader, Serve, echo, read_all

from entrepot.http.server import Limits

HOST = b"Host: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST / HTTP/" + version + b"\r\n" + HOST + lines + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


CORPUS = {
    "repeated length": (400, post(b"Content-Length: 1", b"Content-Length: 1", body=b"a")),
    "conflicting lengths": (400, post(b"Content-Length: 1", b"Content-Length: 40", body=b"a")),
    "length list": (400, post(b"Content-Length: 1, 1", body=b"a")),
    "signed length": (400, post(b"Content-Length: +1", body=b"a")),
    "hex length": (400, post(b"Content-Length: 0x1", body=b"a")),
    "negative length": (400, post(b"Content-Length: -1", body=b"a")),
    "empty length": (400, post(b"Content-Length:", body=b"a")),
    "two numbers": (400, post(b"Content-Length: 1 1", body=b"a")),
    "length overflow": (400, post(b"Content-Length: 18446744073709551617", body=b"a")),
    "length, then coding": (
        400, post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    "coding, then length": (
        400, post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n")),
    "unknown coding": (400, post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n")),
    "gzip, chunked": (501, post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n")),
    "chunked, identity": (400, post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n")),
    "identity": (400, post(b"Transfer-Encoding: identity", body=b"0\r\n\r\n")),
    "coding twice": (400, post(*[b"Transfer-Encoding: chunked"] * 2, body=b"0\r\n\r\n")),
    "vertical tab in coding": (400, post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n")),
    "coding in 1.0": (
        400, post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0")),
    "space before colon": (400, post(b"Content-Length : 1", body=b"a")),
    "folded header": (400, post(b"X: a\r\n b")),
    "folded first header": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "folded coding": (400, post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n")),
    "bare LF in head": (400, b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    "bare LF at the end": (400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    "bare LF everywhere": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "bare CR": (400, b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
    "NUL in value": (400, post(b"X: a\0b")),
    "NUL in name": (400, post(b"X\0: a")),
    "empty name": (400, post(b": a")),
    "no colon": (400, post(b"X")),
    "no Host": (400, b"GET / HTTP/1.1\r\nX: a\r\n\r\n"),
    "two Hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    "two Hosts in 1.0": (400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    "absolute form": (400, b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "star": (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    "fragment": (400, b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "space in target": (400, b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "control in target": (400, b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "high byte in target": (400, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
    "CONNECT": (405, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "upgrade with chunks": (
        501, post(b"Connection: upgrade", b"Upgrade: x", b"Transfer-Encoding: chunked",
                  body=b"0\r\n\r\n")),
    "unknown method": (501, b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "lower case method": (501, b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "unknown expectation": (417, post(b"Expect: cake", b"Content-Length: 1", body=b"a")),
    "HTTP/2": (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /\r\n\r\n"),
    "HTTP/1.2": (400, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "TLS hello": (501, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40),
    "bare LF after chunk size": (400, chunked(b"1\na\r\n0\r\n\r\n")),
    "bare LF after chunk": (400, chunked(b"1\r\na\n0\r\n\r\n")),
    "bare LF in extension": (400, chunked(b"1;a\nb\r\na\r\n0\r\n\r\n")),
    "no CRLF after chunk": (400, chunked(b"1\r\nab0\r\n\r\n")),
    "0x chunk size": (400, chunked(b"0x1\r\na\r\n0\r\n\r\n")),
    "signed chunk size": (400, chunked(b"-1\r\na\r\n0\r\n\r\n")),
    "empty chunk size": (400, chunked(b"\r\na\r\n0\r\n\r\n")),
    "space after chunk size": (400, chunked(b"1 \r\na\r\n0\r\n\r\n")),
    "chunk size overflow": (400, chunked(b"10000000000000001\r\na\r\n0\r\n\r\n")),
    "length in trailer": (400, chunked(b"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n")),
    "endless extension": (400, chunked(b"1;" + b"x" * 400000 + b"\r\na\r\n0\r\n\r\n")),
    "endless trailers": (400, chunked(b"0\r\n" + b"x: y\r\n" * 40000 + b"\r\n")),
}  # fmt: skip


@pytest.mark.parametrize("tls", [False, True])
def test_ambiguous_and_broken_messages_are_refused_and_end_the_connection(serve: Serve, tls):
    run = serve(echo, tls=tls)

    for name, (status, data) in CORPUS.items():
        received = run.exchange(data + SMUGGLED)
        assert received.startswith(b"HTTP/1.1 %d " % status), (name, received)
        assert received.count(b"HTTP/1.1 ") == 1, (name, received)
        assert b"connection: close" in received, name
        assert received.endswith(b"\r\n\r\n"), name
    assert run.errors == []
    assert run.server.requests_in_flight == 0


def test_a_good_request_before_a_bad_one_is_answered_first(serve: Serve):
    run = serve(echo)

    received = run.exchange(SMUGGLED + CORPUS["conflicting lengths"][1] + SMUGGLED)

    first, second = received.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 ")
    assert second.startswith(b"400 ")


def test_a_head_that_is_too_large_or_has_too_many_headers_gives_431(serve: Serve):
    run = serve(echo, limits=Limits(header_bytes=4096, header_count=20))

    for extra in (b"X: " + b"a" * 5000 + b"\r\n", b"X: a\r\n" * 20):
        received = run.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n" + extra + b"\r\n")
        assert received.startswith(b"HTTP/1.1 431 ")
    with run.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"a" * 4096)
        assert sock.recv(100).startswith(b"HTTP/1.1 431 ")


def test_a_target_that_is_too_long_gives_414(serve: Serve):
    run = serve(echo, limits=Limits(target_bytes=1000))

    assert run.exchange(b"GET /" + b"a" * 1000 + b" HTTP/1.1\r\n").startswith(b"HTTP/1.1 414 ")
    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"GET /" + b"a" * 999 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reader.answer().status == 200


def test_a_broken_chunk_ends_the_body_for_the_application(serve: Serve):
    events = []

    async def app(scope, receive, send):
        while True:
            event = await receive()
            events.append((event["type"], event.get("body")))
            if event["type"] == "http.disconnect":
                return

    run = serve(app)
    received = run.exchange(chunked(b"1\r\na\r\nZZZ\r\n") + SMUGGLED)
    run.wait_until(lambda: events and events[-1][0] == "http.disconnect")

    assert received.startswith(b"HTTP/1.1 400 ")
    assert events[-1][0] == "http.disconnect"
    assert all(body in (b"a", b"", None) for _, body in events)
    assert run.errors == []


def test_a_broken_chunk_after_the_answer_began_cuts_it_and_is_told(serve: Serve):
    events = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            event = await receive()
            events.append(event["type"])
            if event["type"] == "http.disconnect":
                return
            await send({"type": "http.response.body", "body": event["body"], "more_body": True})

    run = serve(app)
    with run.connect() as sock:
        sock.sendall(chunked(b"1\r\na\r\n"))
        assert b"\r\n\r\n1\r\na\r\n" in sock.recv(1000)
        sock.sendall(b"ZZZ\r\n")
        assert read_all(sock) == b""
    run.wait_until(lambda: events[-1:] == ["http.disconnect"])

    assert run.server.requests_in_flight == 0
