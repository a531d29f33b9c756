"""Raw bytes at the server: it answers or closes, never hangs, never lets an exception out."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_harness import Running, echo, read_all, running

from entrepot.http.server import Limits

TOKENS = [
    b"GET", b"POST", b"HEAD", b" ", b"/", b"/a?b", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n",
    b"\r", b"\n", b"\r\n\r\n", b"Host: a\r\n", b"Content-Length: ", b"0", b"5", b"abcde", b"\0",
    b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"5\r\nabcde\r\n", b"5;x\r\nabcde\r\n", b":",
    b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"X: y\r\n", b"\xff",
    b"Expect: 100-continue\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n ",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
]  # fmt: skip
MESSAGES = st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=20)), max_size=30)


@pytest.fixture(scope="module")
def run() -> Iterator[Running]:
    limits = Limits(header_seconds=1, idle_seconds=1, body_seconds=1, linger_seconds=0.5)
    with ExitStack() as stack:
        yield stack.enter_context(
            running(echo, limits=limits, tls=None, client_tls=None,
                    loop_name="uvloop", pool_size=2)
        )  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=MESSAGES, cuts=st.integers(1, 5))
def test_any_bytes_are_answered_or_closed(run: Running, pieces, cuts):
    data = b"".join(pieces)

    with run.connect() as sock:
        size = len(data) // cuts + 1
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(data), size):
                sock.sendall(data[start : start + size])
            sock.shutdown(1)
        received = read_all(sock)

    assert not received or received.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
    assert run.errors == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    cuts=st.integers(1, 9),
)
def test_every_framing_of_the_same_bodies_is_read_alike(run: Running, bodies, sizes, cuts):
    parts = []
    for number, body in enumerate(bodies):
        size = sizes[number % len(sizes)]
        if number % 2:
            chunks = [body[start : start + size] for start in range(0, len(body), size)]
            framed = b"".join(b"%X;e\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
            parts.append(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            parts.append(framed + b"0\r\n\r\n")
        else:
            parts.append(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
            parts.append(body)
    data = b"".join(parts)

    with run.connect() as sock:
        size = len(data) // cuts + 1
        for start in range(0, len(data), size):
            sock.sendall(data[start : start + size])
        sock.shutdown(1)
        received = read_all(sock)

    expected = [b"POST / " + body for body in bodies]
    for body in expected:
        head, _, received = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"content-length: %d\r\n" % len(body) in head
        assert received.startswith(body)
        received = received[len(body) :]
    assert received == b""
