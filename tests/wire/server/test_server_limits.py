"""Clients that are slow, that stop, or that are too many.

Beside test_server_time.py. Only the limit under test is short, and no test says how soon it acts.
"""

import asyncio
import random
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from server_harness import Reader, Running, Serve, echo, read_all
from server_reading import Outcome, one_loop
from test_server_reading import DAMAGES, EVIL, SEEDS

from entrepot.http.server import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = 40_000_000


def put(framing: str, size: int) -> bytes:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\n"
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % size
    return head + b"Transfer-Encoding: chunked\r\n\r\n"


# Streams that stop


def test_a_stream_that_stops_anywhere_is_ended_by_the_server(tmp_path: Path):
    """Hundreds of clients that send a beginning or something broken, and then wait for ever."""
    whole = b"".join(SEEDS)
    streams = [whole[:end] for end in range(0, len(whole), 3)]
    streams += [data[: -len(EVIL)] for data in random.Random(5).sample(DAMAGES, 150)]
    limits = Limits(
        header_seconds=0.5, idle_seconds=0.5, body_seconds=0.5, linger_seconds=0.5
    )  # fmt: skip

    with one_loop(tmp_path, "uvloop", limits=limits) as one:

        async def client(data: bytes) -> bytes:
            loop, received = asyncio.get_running_loop(), b""
            with await one.connect() as sock:
                await loop.sock_sendall(sock, data)
                while more := await loop.sock_recv(sock, 65536):
                    received += more
            return received

        async def crowd() -> list[bytes]:
            return await asyncio.gather(*map(client, streams))

        everything = one.run(crowd())  # TimeoutError where the server waits for ever

    answered = 0
    for received in everything:
        replies = [reply.status for reply in _replies(received)]
        assert all(status == 200 for status in replies[:-1])
        answered += len(replies)
    assert answered > len(streams) / 2


def _replies(received: bytes) -> list[Any]:
    return Outcome(received, [None]).replies()


@pytest.mark.parametrize("tls", [False, True])
def test_the_head_of_a_later_request_has_no_more_time(serve: Serve, tls):
    run = serve(echo, limits=Limits(header_seconds=1), tls=tls)

    with Reader(run.connect(timeout=30)) as reader:
        for _ in range(3):
            reader.sock.sendall(GET)
            assert reader.answer().status == 200
        reader.sock.sendall(GET[:-1])
        answer = reader.answer()
        assert reader.file.read() == b""

    assert answer.status == 408
    assert answer.headers["connection"] == "close"


def test_an_idle_connection_is_closed_without_a_word(serve: Serve):
    """A 408 here could be taken for the answer to a request that is on its way."""
    run = serve(echo, limits=Limits(idle_seconds=0.5))

    with Reader(run.connect(timeout=30)) as reader:
        reader.sock.sendall(GET)
        assert reader.answer().status == 200
        assert reader.file.read() == b""


def test_a_client_that_never_stops_sending_after_its_refusal_is_let_go(serve: Serve):
    """It is read for a while, so that it sees the answer; then its bytes are not waited for."""
    run = serve(echo, limits=Limits(linger_seconds=0.5))

    with run.connect(timeout=30) as sock:
        sock.sendall(b"no request\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 501"
        deadline = time.monotonic() + 30
        while run.server.connections:
            assert time.monotonic() < deadline
            try:
                sock.sendall(b"x")
            except ConnectionError:
                break
            time.sleep(0.01)
    run.wait_until(lambda: not run.server.connections)


def test_a_flood_after_a_refusal_is_let_go(serve: Serve):
    run = serve(echo, limits=Limits(linger_bytes=1_000_000, linger_seconds=60))

    with run.connect(timeout=30) as sock:
        sock.sendall(b"no request\r\n\r\n")
        with pytest.raises(ConnectionError):
            sock.sendall(b"x" * 100_000_000)
    run.wait_until(lambda: not run.server.connections)


# The minimum rate


def serving_file(path: Path) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % SIZE)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == "/file":
            with path.open("rb") as file:
                await send({"type": "http.response.zerocopysend", "file": file, "count": SIZE})
            return
        for start in range(0, SIZE, 100_000):
            more = start + 100_000 < SIZE
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": more})

    return app


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def narrow(run: Running) -> socket.socket:
    """A connection whose kernel takes little in advance."""
    sock = run.connect(timeout=30)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    return sock


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("target", [b"/file", b"/bytes"])
def test_a_download_below_the_minimum_rate_is_cut(serve: Serve, path, tls, target):
    """It never stands still, so only its rate can end it."""
    limits = Limits(rate_grace_seconds=0.5, minimum_rate=1_000_000_000)
    run = serve(serving_file(path), limits=limits, tls=tls)

    with narrow(run) as sock:
        sock.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        deadline, received = time.monotonic() + 60, 0
        with suppress(ConnectionError):  # a reset is the right end of it
            while not run.responses:
                assert time.monotonic() < deadline
                received += len(sock.recv(2000))
                time.sleep(0.01)

    run.wait_until(lambda: run.responses, 30)
    assert 0 < received < SIZE
    assert [(status, size < SIZE) for _, status, size, _ in run.responses] == [(200, True)]
    assert run.errors == []


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_below_the_minimum_rate_gives_408(serve: Serve, framing):
    limits = Limits(rate_grace_seconds=0.5, minimum_rate=1_000_000_000)
    run = serve(echo, limits=limits)

    with run.connect(timeout=30) as sock:
        sock.sendall(put(framing, SIZE))
        sock.settimeout(0.01)
        deadline, received = time.monotonic() + 60, b""
        while not received:
            assert time.monotonic() < deadline
            sock.sendall(b"x" if framing == "length" else b"1\r\nx\r\n")
            try:
                received = sock.recv(100)
            except TimeoutError:
                continue

    assert received.startswith(b"HTTP/1.1 408 ")
    run.wait_until(lambda: run.responses)
    assert [status for _, status, _, _ in run.responses] == [408]


@pytest.mark.parametrize("tls", [False, True])
def test_a_slow_but_steady_upload_is_served(serve: Serve, tls):
    run = serve(echo, limits=Limits(rate_grace_seconds=0.2, minimum_rate=100), tls=tls)
    with Reader(run.connect(timeout=60)) as reader:
        reader.sock.sendall(put("length", 60_000))
        for _ in range(20):
            reader.sock.sendall(b"x" * 3000)
            time.sleep(0.03)
        assert len(reader.answer().body) == 60_000 + len(b"PUT / ")


# Too many


def test_connections_that_say_nothing_make_room_for_those_that_wait(serve: Serve):
    run = serve(echo, limits=Limits(connections=4, header_seconds=1))
    silent = [run.connect() for _ in range(4)]
    run.wait_until(lambda: run.server.connections == 4, 30)
    waiting = [run.connect(timeout=30) for _ in range(8)]
    for sock in waiting:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    for sock in waiting:
        with sock:
            assert read_all(sock).endswith(b"GET / ")
            assert run.server.connections <= 4
    for sock in silent:
        with sock:
            assert read_all(sock) == b""


def test_handshakes_that_do_not_come_make_room_too(serve: Serve):
    run = serve(echo, limits=Limits(connections=3, handshake_seconds=2), tls=True)
    silent = [socket.create_connection(run.address, timeout=30) for _ in range(3)]
    silent[0].sendall(b"\x16\x03\x01")
    run.wait_until(lambda: run.server.connections == 3, 30)

    with Reader(run.connect(timeout=30)) as reader:
        reader.sock.sendall(GET)
        assert reader.answer().status == 200
    for sock in silent:
        assert read_all(sock) == b""
        sock.close()


def test_clients_that_leave_while_they_wait_take_no_place(serve: Serve):
    run = serve(echo, limits=Limits(connections=2))
    held = [Reader(run.connect(timeout=30)) for _ in range(2)]
    for reader in held:
        reader.sock.sendall(GET)
        assert reader.answer().status == 200
    for _ in range(30):
        sock = run.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(GET)
        sock.close()
    with Reader(run.connect(timeout=30)) as last:
        last.sock.sendall(GET)
        for reader in held:
            reader.close()
        assert last.answer().status == 200
    run.wait_until(lambda: run.server.connections == 0, 30)
