"""Requests and answers: framing, keep-alive, pipelining, HEAD, interim answers."""

import asyncio
import calendar
import socket
import time

import pytest
from server_harness import Reader, Serve, echo

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def answering(status=200, headers=(), bodies=(b"",)):
    """An application that always answers this, without reading the request."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for number, body in enumerate(bodies, 1):
            await send(
                {"type": "http.response.body", "body": body, "more_body": number < len(bodies)}
            )

    return app


def length(size):
    return [(b"content-length", b"%d" % size)]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
def test_a_connection_serves_one_request_after_the_other(serve: Serve, tls, loop_name):
    run = serve(echo, tls=tls, loop_name=loop_name)

    with Reader(run.connect()) as reader:
        for number in range(20):
            body = b"x" * number * 5000
            head = f"PUT /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
            reader.sock.sendall(head.encode() + body)
            answer = reader.answer()
            assert answer.status == 200
            assert answer.body == f"PUT /{number} ".encode() + body
    assert run.errors == []


def test_every_answer_names_date_and_server(serve: Serve):
    run = serve(echo)

    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET)
        headers = reader.answer().headers

    assert headers["server"] == "entrepot"
    sent = calendar.timegm(time.strptime(headers["date"], "%a, %d %b %Y %H:%M:%S GMT"))
    assert abs(sent - time.time()) < 5
    assert "connection" not in headers


def test_the_scope_says_what_was_asked(serve: Serve):
    scopes = []

    async def app(scope, receive, send):
        scopes.append(dict(scope))
        await echo(scope, receive, send)

    run = serve(app)
    run.exchange(
        b"GET /a%2Fb/%C3%A9?x=%20 HTTP/1.1\r\nHOST: h:1\r\nX-Pad:  v \t\r\nx-pad: 2\r\n"
        b"Connection: close\r\n\r\n"
    )

    (scope,) = scopes
    assert scope["method"] == "GET"
    assert scope["path"] == "/a/b/é"
    assert scope["raw_path"] == b"/a%2Fb/%C3%A9"
    assert scope["query_string"] == b"x=%20"
    assert scope["headers"] == [
        (b"host", b"h:1"), (b"x-pad", b"v"), (b"x-pad", b"2"), (b"connection", b"close"),
    ]  # fmt: skip
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"] == run.address
    assert scope["scheme"] == "http"
    assert scope["http_version"] == "1.1"
    assert set(scope["extensions"]) == {
        "http.response.zerocopysend",
        "entrepot.body_to_sink",
        "entrepot.whole_answer",
        "entrepot.fields",
    }


def test_pipelined_requests_are_answered_in_order_one_at_a_time(serve: Serve):
    running_now = []

    async def app(scope, receive, send):
        running_now.append(scope["path"])
        assert len(running_now) == 1
        await asyncio.sleep(0.001)
        running_now.clear()
        await echo(scope, receive, send)

    run = serve(app)
    requests = [
        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" % number
        if number % 3
        else b"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        % number
        for number in range(60)
    ]

    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"".join(requests))
        bodies = [reader.answer().body for _ in requests]

    assert bodies == [b"POST /%d ab" % number for number in range(60)]
    assert run.errors == []


def test_a_flood_of_pipelined_requests_is_read_only_as_it_is_answered(serve: Serve):
    gate = asyncio.Event()

    async def app(scope, receive, send):
        await gate.wait()
        await echo(scope, receive, send)

    run = serve(app)
    with run.connect(timeout=0.5) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        with pytest.raises(TimeoutError):
            sock.sendall(GET * 2_000_000)
        (connection,) = run.server._serving.connections

        assert len(connection._waiting) <= 2 * 65536
        run.loop.call_soon_threadsafe(gate.set)


def test_head_sends_the_length_and_no_body(serve: Serve):
    run = serve(answering(headers=length(5), bodies=[b"hello"]))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        head, get = reader.answer(head_only=True), reader.answer()

    assert head.headers["content-length"] == "5"
    assert get.body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_body_send_none(serve: Serve, status):
    run = serve(answering(status=status, bodies=[b"oops", b"oops"]))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET + GET)
        first, second = reader.answer(), reader.answer()

    assert first.status == second.status == status
    assert "transfer-encoding" not in first.headers
    assert run.errors == []


def test_an_answer_of_unknown_length_is_chunked(serve: Serve):
    pieces = [b"a", b"", b"b" * 100000, b"c"]
    run = serve(answering(bodies=pieces))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET + GET)
        first, second = reader.answer(), reader.answer()

    assert first.headers["transfer-encoding"] == "chunked"
    assert first.body == second.body == b"".join(pieces)


def test_http_1_0_gets_an_answer_that_ends_with_the_connection(serve: Serve):
    run = serve(answering(bodies=[b"a", b"b"]))

    received = run.exchange(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

    head, _, body = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"ab"


def test_http_1_0_keeps_the_connection_on_request(serve: Serve):
    run = serve(answering(headers=length(2), bodies=[b"ab"]))

    with Reader(run.connect()) as reader:
        for _ in range(2):
            reader.sock.sendall(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            answer = reader.answer()
            assert answer.headers["connection"] == "keep-alive"
        reader.sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert reader.answer().headers["connection"] == "close"
        assert reader.file.read() == b""


def test_connection_close_is_obeyed(serve: Serve):
    run = serve(echo)

    received = run.exchange(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n" + GET)

    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in received


def test_continue_is_sent_when_the_application_reads_and_not_before(serve: Serve):
    read = asyncio.Event()

    async def app(scope, receive, send):
        await read.wait()
        await echo(scope, receive, send)

    run = serve(app)
    with Reader(run.connect()) as reader:
        reader.sock.sendall(
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n"
        )
        reader.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            reader.sock.recv(1, socket.MSG_PEEK)
        run.loop.call_soon_threadsafe(read.set)
        reader.sock.settimeout(5)
        assert reader.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        reader.sock.sendall(b"ab")
        answer = Reader(reader.sock).answer()

    assert answer.body == b"PUT / ab"


def test_continue_is_never_sent_after_an_early_answer(serve: Serve):
    async def app(scope, receive, send):
        await answering(status=401, headers=length(0))(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    run = serve(app)

    received = run.exchange(
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    )

    assert received.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in received
    assert b"100 Continue" not in received
    assert run.errors == []


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_still_sending_sees_the_early_answer(serve: Serve, tls):
    run = serve(answering(status=413, headers=length(3), bodies=[b"big"]), tls=tls)
    body = b"x" * (4 << 20)

    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
        reader.sock.sendall(body)
        answer = reader.answer()
        assert reader.file.read() == b""

    assert (answer.status, answer.body) == (413, b"big")
    assert answer.headers["connection"] == "close"


def test_a_small_unread_body_costs_no_connection(serve: Serve):
    run = serve(answering(status=404, headers=length(0)))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" + GET)
        assert [reader.answer().status, reader.answer().status] == [404, 404]


def test_trailers_are_ignored(serve: Serve):
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope["headers"])
        await echo(scope, receive, send)

    run = serve(app)
    with Reader(run.connect()) as reader:
        reader.sock.sendall(CHUNKED + b"1;x=y\r\na\r\n0\r\nX-Late: 1\r\n\r\n" + GET)
        assert reader.answer().body == b"POST /c a"
        assert reader.answer().body == b"GET / "

    assert scopes[1] == [(b"host", b"a")]


@pytest.mark.parametrize("split", range(1, 75, 3))
def test_a_chunked_request_split_anywhere_is_read_alike(serve: Serve, split):
    run = serve(echo)
    data = CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + GET

    with Reader(run.connect()) as reader:
        reader.sock.sendall(data[:-split])
        time.sleep(0.005)
        reader.sock.sendall(data[-split:])
        assert reader.answer().body == b"POST /c abc"
        assert reader.answer().body == b"GET / "


def test_an_offer_to_upgrade_is_answered_in_http_1(serve: Serve):
    """curl --http2 and Java's client send this with every first request."""
    run = serve(echo)
    offer = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    )

    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"GET /1 HTTP/1.1\r\nHost: a\r\n" + offer + b"\r\n" + GET)
        first, second = reader.answer(), reader.answer()
        reader.sock.sendall(
            b"PUT /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + offer + b"\r\nab" + GET
        )
        third, fourth = reader.answer(), reader.answer()

    assert [first.body, second.body] == [b"GET /1 ", b"GET / "]
    assert [third.body, fourth.body] == [b"PUT /3 ab", b"GET / "]


def test_an_application_that_fails_before_answering_gives_500(serve: Serve):
    async def app(scope, receive, send):
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError(scope["path"])

    run = serve(app)
    for path in (b"/early", b"/late"):
        received = run.exchange(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 500 ")
        assert received.endswith(b"\r\n\r\n")

    assert [str(error) for error in run.errors] == ["/early", "/late"]
    assert [status for _, status, _, _ in run.responses] == [500, 500]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("declared", [True, False])
def test_an_application_that_fails_later_cuts_the_answer(serve: Serve, version, declared):
    async def app(scope, receive, send):
        headers = length(10) if declared else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(0.05)
        raise LookupError

    run = serve(app)
    with run.connect() as sock:
        sock.sendall(b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
        received = b""
        reset = False
        try:
            while data := sock.recv(65536):
                received += data
        except ConnectionResetError:
            reset = True

    assert b"half" in received
    assert not received.endswith(b"0\r\n\r\n")
    assert reset or declared or version == b"1.1"
    run.wait_until(lambda: run.errors)
    assert [type(error) for error in run.errors] == [LookupError]


@pytest.mark.parametrize("bodies", [[b"toolong"], [b"ab", b"cdef"], [b"x"], [b"x", b"y"]])
def test_a_body_of_another_length_than_declared_is_never_passed_off(serve: Serve, bodies):
    run = serve(answering(headers=length(3), bodies=bodies))

    received = run.exchange(GET)

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500") or len(body) < 3
    assert len(run.errors) == 1


@pytest.mark.parametrize(
    "header",
    [(b"x", b"a\r\ny: b"), (b"x\r\ny", b"a"), (b"x", b"a\nb"), (b"x", b"a\rb"), (b"x", b"\0"),
     (b"content-length", b"+1"), (b"content-length", b"")],
)  # fmt: skip
def test_a_response_header_cannot_break_out_of_its_line(serve: Serve, header):
    run = serve(answering(headers=[header]))

    received = run.exchange(GET)

    assert received.startswith(b"HTTP/1.1 500 ")
    assert len(run.errors) == 1


def test_the_application_does_not_decide_about_framing(serve: Serve):
    headers = [(b"Transfer-Encoding", b"gzip"), (b"Connection", b"close"), (b"Date", b"never"),
               (b"Content-Length", b"2")]  # fmt: skip
    run = serve(answering(headers=headers, bodies=[b"ab"]))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET)
        answer = reader.answer()

    assert "transfer-encoding" not in answer.headers
    assert answer.headers["date"] != "never"
    assert answer.headers["connection"] == "close"
    assert answer.body == b"ab"


def test_a_disconnect_is_told_and_cancels_nothing(serve: Serve):
    finished = []

    async def app(scope, receive, send):
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await asyncio.sleep(0.05)
        finished.append(True)

    run = serve(app)
    with run.connect() as sock:
        sock.sendall(GET)
        time.sleep(0.05)
    run.wait_until(lambda: run.responses)

    assert finished == [True]
    assert run.errors == []
    assert [status for _, status, _, _ in run.responses] == [499]


def test_a_client_that_only_closed_its_sending_side_gets_its_answers(serve: Serve):
    async def app(scope, receive, send):
        await asyncio.sleep(0.05)
        await echo(scope, receive, send)

    run = serve(app)

    received = run.exchange(GET + GET, half_close=True)

    assert received.count(b"HTTP/1.1 200 OK") == 2


def test_sending_to_a_client_that_left_raises_and_is_no_error(serve: Serve):
    raised = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        except OSError as error:
            raised.append(type(error).__name__)
            raise

    run = serve(app)
    with run.connect() as sock:
        sock.sendall(GET)
        sock.recv(1000)
    run.wait_until(lambda: run.responses)

    assert raised == ["ClientDisconnected"]
    assert run.errors == []


def test_the_hook_is_told_status_bytes_and_seconds(serve: Serve):
    async def app(scope, receive, send):
        await asyncio.sleep(0.02)
        await answering(headers=length(5), bodies=[b"he", b"llo"])(scope, receive, send)

    run = serve(app)
    run.exchange(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    run.wait_until(lambda: run.responses)
    ((scope, status, size, seconds),) = run.responses
    assert (scope["path"], status, size) == ("/x", 200, 5)
    assert 0.01 < seconds < 5


def test_a_slow_reader_holds_the_application_back(serve: Serve):
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(500):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body", "body": b""})

    run = serve(app)
    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET)
        time.sleep(0.3)
        assert len(sent) < 400  # the kernel's buffers are a few MiB
        assert len(reader.answer().body) == 500 * 65536
