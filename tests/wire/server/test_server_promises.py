"""What `100-continue` and HEAD promise: a body only when asked for, none where none belongs."""

from pathlib import Path
from typing import Any

import pytest
from server_harness import Reader, Serve, read_all
from server_reading import CONTINUE

from entrepot.http.bodies import BodyTooLarge, body_to_sink
from entrepot.http.server import Limits

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: s\r\n\r\n"


def put(framing: str, size: int, *, expect: bool = False) -> bytes:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\n" + b"Expect: 100-continue\r\n" * expect
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % size
    return head + b"Transfer-Encoding: chunked\r\n\r\n"


# Expect: 100-continue


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_was_asked_for_and_never_sent_gives_408(serve: Serve, framing):
    events: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not events or events[-1] != "http.disconnect":
            events.append((await receive())["type"])

    run = serve(app, limits=Limits(body_seconds=0.5))
    with run.connect(timeout=30) as sock:
        sock.sendall(put(framing, 5, expect=True))
        received = read_all(sock)

    assert received.startswith(CONTINUE + b"HTTP/1.1 408 ")
    assert received.count(b"HTTP/1.1 ") == 2
    run.wait_until(lambda: events[-1:] == ["http.disconnect"])
    assert run.errors == []


def limited(seen: list[str]) -> Any:
    """Takes uploads of up to 10 bytes."""

    class Nowhere:
        def write(self, data: memoryview) -> None:
            pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        try:
            await body_to_sink(scope, receive, Nowhere(), limit=10, pool=None)
            status = 201
        except BodyTooLarge:
            status = 413
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    return app


@pytest.mark.parametrize("then", ["nothing", "the body", "a request"])
def test_a_refused_body_is_neither_asked_for_nor_taken_for_a_request(serve: Serve, then):
    seen: list[str] = []
    run = serve(limited(seen))
    body = SMUGGLED * 2

    with Reader(run.connect(timeout=30)) as reader:
        reader.sock.sendall(put("length", len(body), expect=True))
        answer = reader.answer()
        if then == "the body":
            reader.sock.sendall(body)
        elif then == "a request":
            reader.sock.sendall(SMUGGLED)
        assert reader.file.read() == b""

    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert seen == ["/"]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_is_asked_for_once_and_the_connection_goes_on(serve: Serve, framing, tls):
    seen: list[str] = []
    run = serve(limited(seen), tls=tls)
    body = b"0123456789" if framing == "length" else b"a\r\n0123456789\r\n0\r\n\r\n"

    with Reader(run.connect(timeout=30)) as reader:
        for number in range(3):
            reader.sock.sendall(put(framing, 10, expect=True))
            assert reader.file.read(len(CONTINUE)) == CONTINUE
            for place in range(len(body)):
                reader.sock.sendall(body[place : place + 1])
            assert reader.answer().status == 201
            assert len(seen) == number + 1
        reader.sock.sendall(put(framing, 10) + body)  # without the wish, no interim answer
        assert reader.answer().status == 201


# HEAD


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(bytes(9000))
    return path


def telling(path: Path) -> Any:
    """Answers each target in another way."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def answer(status: int, *bodies: bytes, **headers: str) -> None:
            pairs = [(name.replace("_", "-").encode(), value.encode())
                     for name, value in headers.items()]  # fmt: skip
            await send({"type": "http.response.start", "status": status, "headers": pairs})
            for body in bodies:
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body"})

        match scope["path"]:
            case "/known":
                await answer(200, b"hello", content_length="5", etag='"e"', x_y="z")
            case "/unknown":
                await answer(200, b"a", b"b" * 70000, content_type="text/plain")
            case "/empty":
                await answer(200, content_length="0")
            case "/missing":
                await answer(404, b"{}", content_length="2", content_type="application/json")
            case "/unauthorized":
                await answer(401, b"no", content_length="2", www_authenticate="Bearer")
            case "/unavailable":
                await answer(503, b"later", content_length="5", retry_after="1", connection="close")
            case "/unchanged":
                await answer(304, etag='"e"', content_length="5")
            case "/nothing":
                await answer(204)
            case "/file":
                headers = [(b"content-length", b"%d" % 5000)]
                await send({"type": "http.response.start", "status": 206, "headers": headers})
                with path.open("rb") as file:
                    await send({"type": "http.response.zerocopysend", "file": file, "count": 5000})
            case _:
                raise LookupError(scope["path"])

    return app


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("target", [
    b"/known", b"/unknown", b"/empty", b"/missing", b"/unauthorized", b"/unavailable",
    b"/unchanged", b"/nothing", b"/file", b"/raises", b"no-target",
])  # fmt: skip
def test_head_says_what_get_says_without_a_body(serve: Serve, path, target, version, tls):
    run = serve(telling(path), tls=tls)
    tail = b" %s HTTP/%s\r\nHost: a\r\nConnection: close\r\n\r\n" % (target, version)

    heads = {}
    for method in (b"GET", b"HEAD"):
        received = run.exchange(method + tail)
        heads[method], _, body = received.partition(b"\r\n\r\n")
        assert method == b"GET" or body == b""
    get = {line for line in heads[b"GET"].split(b"\r\n") if not line.startswith(b"date:")}
    head = {line for line in heads[b"HEAD"].split(b"\r\n") if not line.startswith(b"date:")}

    assert head <= get
    assert get - head <= {b"transfer-encoding: chunked"}  # of what is not sent


@pytest.mark.parametrize("target", ["known", "unknown", "missing", "unchanged", "nothing", "file"])
def test_after_head_the_connection_goes_on(serve: Serve, path, target):
    run = serve(telling(path))
    data = b"".join(
        b"%s /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (method, target.encode())
        for method in (b"HEAD", b"GET", b"HEAD", b"HEAD", b"GET")
    )

    with Reader(run.connect(timeout=30)) as reader:
        reader.sock.sendall(data)
        answers = [
            reader.answer(head_only=head_only) for head_only in (True, False, True, True, False)
        ]

    assert len({answer.status for answer in answers}) == 1
    assert answers[1].body == answers[4].body
    assert run.errors == []
