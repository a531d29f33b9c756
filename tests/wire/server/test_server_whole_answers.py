"""Answers given in one step (`entrepot.whole_answer`) are framed as those of events are, and refused where they contradict themselves."""

import socket
import time

import pytest
from server_harness import Reader, Serve, read_all

from entrepot.http.fields import WHOLE_ANSWER, Shared, encode

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
FIELDS = Shared(((b"etag", b'"a"'), (b"X-One", b"1")))


def whole(status=200, length=None, body=b"", fields=FIELDS):
    async def app(scope, receive, send):
        answer = scope["extensions"][WHOLE_ANSWER]
        rest = answer(status, fields.lines, length, body=body)
        if rest is not None:
            await rest

    return app


def events(status=200, length=None, body=b"", fields=FIELDS):
    async def app(scope, receive, send):
        headers = [*fields.pairs]
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def undated(answer):
    return sorted(line for line in answer.split(b"\r\n") if not line.startswith(b"date:"))


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
@pytest.mark.parametrize(
    ("method", "status", "length", "body"),
    [
        (b"GET", 200, 5, b"hello"),
        (b"GET", 404, 0, b""),
        (b"HEAD", 200, 5, b""),
        (b"GET", 304, None, b""),
        (b"DELETE", 204, None, b""),
        (b"GET", 200, 70_000, b"x" * 70_000),
    ],
)
def test_they_say_what_events_would(
    serve: Serve, method, status, length, body, version, connection
):
    head = b"%b / HTTP/%b\r\nHost: a\r\nConnection: %b\r\n\r\n" % (method, version, connection)
    said = [
        serve(kind(status, length, body)).exchange(head, half_close=True)
        for kind in (whole, events)
    ]
    assert undated(said[0]) == undated(said[1])
    assert said[0].startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("request_head", "status", "length", "body"),
    [
        (GET, 200, 5, b"four"),
        (GET, 200, 5, b""),
        (GET, 200, None, b""),
        (GET, 204, 0, b""),
        (GET, 304, None, b"body"),
        (GET, 99, 0, b""),
    ],
)
def test_a_contradiction_is_an_error_of_the_application(
    serve: Serve, request_head, status, length, body
):
    run = serve(whole(status, length, body))
    answer = run.exchange(request_head)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert len(run.errors) == 1


def test_an_answer_comes_once(serve: Serve):
    async def app(scope, receive, send):
        answer = scope["extensions"][WHOLE_ANSWER]
        answer(200, FIELDS.lines, 2, body=b"ok")
        answer(200, FIELDS.lines, 2, body=b"no")

    run = serve(app)
    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET)
        assert reader.answer().body == b"ok"
    run.wait_until(lambda: run.errors)


def test_a_client_that_reads_late_gets_all_of_it(serve: Serve):
    body = bytes(range(256)) * 64_000
    run = serve(whole(200, len(body), body))
    with run.connect() as sock:
        sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        time.sleep(0.1)
        assert read_all(sock).partition(b"\r\n\r\n")[2] == body
    assert run.errors == []


@pytest.mark.parametrize("client_is_there", [True, False])
def test_the_hook_hears_of_them(serve: Serve, client_is_there):
    body = b"x" * (1 << 23)
    run = serve(whole(200, len(body), body))
    with run.connect() as sock:
        sock.sendall(GET)
        if client_is_there:
            sock.shutdown(socket.SHUT_WR)
            assert len(read_all(sock)) > len(body)
    run.wait_until(lambda: run.responses)
    assert [status for _, status, _, _ in run.responses] == [200]


@pytest.mark.parametrize(
    "pair",
    [
        (b"a", b"b\r\nc: d"),
        (b"a", b"b\n"),
        (b"a\r", b"b"),
        (b"a", b"\0"),
        (b"Content-Length", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"close"),
    ],
)
def test_fields_that_would_break_out_or_frame_are_refused(pair):
    with pytest.raises(ValueError):
        encode([(b"etag", b"x"), pair])
