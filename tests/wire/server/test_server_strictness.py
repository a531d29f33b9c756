"""Where llhttp and the kernel say less than the whole truth: trailers, protocols, hosts, request lines, the end of a body, slow readers."""

import socket
import threading
import time
from contextlib import suppress

import pytest
from server_harness import Serve, echo, read_all
from server_reading import OneLoop

from entrepot.http.bodies import body_to_sink
from entrepot.http.server import Limits

NEXT = b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST / " + version + b"\r\nHost: a\r\n" + lines + b"\r\n" + body


def trailing(*trailers: bytes) -> bytes:
    lines = b"".join(trailer + b"\r\n" for trailer in trailers)
    return post(b"Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n" + lines + b"\r\n")


def test_trailers_that_come_with_the_head_are_no_headers(one: OneLoop):
    outcome = one.exchange([trailing(b"Authorization: Basic evil", b"Host: evil") + NEXT])
    assert outcome.read[0].headers == ((b"host", b"a"), (b"transfer-encoding", b"chunked"))


def test_the_headers_of_a_scope_do_not_change(serve: Serve):
    counts = []

    async def app(scope, receive, send):
        counts.append(len(scope["headers"]))
        await echo(scope, receive, send)
        counts.append(len(scope["headers"]))

    run = serve(app)
    data = trailing(b"X-Forwarded-For: 1.2.3.4")
    with run.connect() as sock:
        sock.sendall(data[:-10])
        run.wait_until(lambda: counts)
        sock.sendall(data[-10:])
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    run.wait_until(lambda: len(counts) == 2)
    assert counts == [2, 2]


@pytest.mark.parametrize("line", [
    b"GET / RTSP/1.0", b"GET / RTSP/1.1", b"PLAY / RTSP/1.0", b"SOURCE / ICE/1.0",
    b"SOURCE / ICE/1.1",
])  # fmt: skip
def test_only_http_is_served(one: OneLoop, line):
    outcome = one.exchange([line + b"\r\nHost: a\r\n\r\n"])
    assert outcome.seen == []
    assert [reply.status for reply in outcome.replies()] in ([400], [505])


@pytest.mark.parametrize("rest", [b"\r\n", b"Content-Length: 1\r\n\r\na"])
def test_connect_is_refused_whatever_its_target(one: OneLoop, rest):
    outcome = one.exchange([b"CONNECT / HTTP/1.1\r\nHost: a\r\n" + rest + NEXT])
    assert outcome.seen == []
    assert [reply.status for reply in outcome.replies()] == [405]


# llhttp obeys Proxy-Connection, and Connection in trailers; the server does not.
@pytest.mark.parametrize("data", [
    post(b"Proxy-Connection: close"), trailing(b"Connection: close"),
    trailing(b"Proxy-Connection: close"),
], ids=["head", "trailer", "proxy trailer"])  # fmt: skip
def test_a_connection_that_was_not_closed_goes_on(one: OneLoop, data):
    outcome = one.exchange([data, NEXT])
    first, *others = outcome.replies()
    assert first.status == 200
    assert first.closes or [reply.status for reply in others] == [200]


# RFC 9112 §3.2
@pytest.mark.parametrize("host", [b"a b", b"a/b", b"a,b", b"u@a", b"a?b", b"\xff", b"a:b", b"a\\b"])
def test_an_invalid_host_is_refused(one: OneLoop, host):
    outcome = one.exchange([b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"])
    assert [reply.status for reply in outcome.replies()] == [400]


# llhttp is more lenient.
@pytest.mark.parametrize("data", [
    b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\n\r\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /   HTTP/1.1\r\nHost: a\r\n\r\n",
])  # fmt: skip
def test_the_request_line_is_read_strictly(one: OneLoop, data):
    outcome = one.exchange([data])
    assert outcome.seen == []
    assert [reply.status for reply in outcome.replies()] == [400]


@pytest.mark.parametrize("then", ["the next request", "the end"])
@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
def test_bytes_after_a_body_wait_while_it_is_written(serve: Serve, then, loop_name):
    writing, go = threading.Event(), threading.Event()

    class Slow:
        def write(self, data):
            writing.set()
            assert go.wait(30)

    async def app(scope, receive, send):
        if scope["method"] == "PUT":
            await body_to_sink(scope, receive, Slow(), limit=None, pool=None)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    run = serve(app, loop_name=loop_name)  # its end fails where the loop saw an exception
    with run.connect(timeout=30) as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        run.wait_until(lambda: run.server.requests_in_flight)
        sock.sendall(b"x")
        assert writing.wait(30)
        if then == "the end":
            sock.shutdown(socket.SHUT_WR)
        else:
            sock.sendall(NEXT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        time.sleep(0.1)
        go.set()
        received = read_all(sock)
    assert received.count(b"HTTP/1.1 200 ") == (1 if then == "the end" else 2)


# One buffer is being written, the end of the body lies in the other.
def test_a_request_after_a_large_body_is_not_taken_for_the_end(serve: Serve):
    writing, go = threading.Event(), threading.Event()

    class Slow:
        def write(self, data):
            writing.set()
            assert go.wait(30)

    async def app(scope, receive, send):
        if scope["method"] == "PUT":
            await body_to_sink(scope, receive, Slow(), limit=None, pool=None)
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    run = serve(app)
    size = 1_500_000
    with run.connect(timeout=5) as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        sock.sendall(bytes(size))
        assert writing.wait(30)
        (connection,) = run.server._serving.connections
        run.wait_until(lambda: connection.cycle.body.complete)
        sock.sendall(NEXT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        time.sleep(0.2)
        go.set()
        received = read_all(sock)
    assert b"connection: close" not in received.partition(b"\r\n\r\n")[0]
    assert received.count(b"HTTP/1.1 200 ") == 2


# What a client sends ahead waits in its own socket, not in our memory.
@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
@pytest.mark.parametrize("body", [b"", b"x"], ids=["without a body", "with one"])
def test_an_endless_pipeline_is_read_as_fast_as_it_is_answered(serve: Serve, body, loop_name):
    run = serve(echo, loop_name=loop_name, limits=Limits(read_ahead=65536))
    one = post(b"Content-Length: 1", body=body) if body else NEXT
    most, sent = 0, 0
    with run.connect(timeout=30) as sock:
        sock.setblocking(False)
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            try:
                sent += sock.send(one * 2000)
            except BlockingIOError:
                time.sleep(0.005)
            with suppress(BlockingIOError):
                sock.recv(1 << 20)
            for connection in list(run.server._serving.connections):
                most = max(most, len(connection._waiting))
    assert sent > 4 * 65536
    assert most <= 65536 + 2 * 65536


# A full send buffer takes nothing until a third of it is free, however steadily the client reads.
@pytest.mark.broad
@pytest.mark.parametrize("tls", [False, True])
def test_a_steady_reader_is_not_taken_for_a_stalled_one(serve: Serve, tls):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(500):
            event = {"type": "http.response.body", "body": bytes(65536), "more_body": True}
            await send(event)
        await send({"type": "http.response.body"})

    run = serve(app, limits=Limits(body_seconds=1), tls=tls)
    with run.connect(timeout=30) as sock:
        # A small window tells the server of every few KiB; nobody else knows how steadily a client reads.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        until = time.monotonic() + 3.5
        while time.monotonic() < until:  # about 200 KiB a second; the minimum is 1 KiB
            sock.recv(4096)
            time.sleep(0.02)
        assert not run.responses, run.responses[0][1:]
