"""Slow clients, many clients, and the end of the server."""

import asyncio
import socket
import ssl
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from server_harness import Reader, Serve, echo, make_pair, read_all

from entrepot.http.server import Limits, Server, bind, tls_context

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SHORT = Limits(
    header_seconds=0.3, handshake_seconds=0.3, idle_seconds=0.3, body_seconds=0.3,
    rate_grace_seconds=0.4, minimum_rate=1000,
)  # fmt: skip


def drip(sock: socket.socket, data: bytes, pause: float) -> bytes:
    """Send byte by byte until the server answers or closes; what it said."""
    sock.settimeout(pause)
    for start in range(len(data)):
        try:
            sock.sendall(data[start : start + 1])
            return sock.recv(1000)
        except TimeoutError:
            continue
        except ConnectionError:
            return b""
    raise AssertionError("the server waited for all of it")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET[:-2], b"\r\n"])
def test_a_head_that_does_not_come_ends_the_connection(serve: Serve, sent):
    run = serve(echo, limits=SHORT)
    started = time.monotonic()

    received = run.exchange(sent)

    assert 0.2 < time.monotonic() - started < 3
    assert received.startswith(b"HTTP/1.1 408 ") if sent else received == b""


def test_a_head_sent_byte_by_byte_has_no_more_time(serve: Serve):
    run = serve(echo, limits=SHORT)

    with run.connect() as sock:
        assert drip(sock, b"GET / HTTP/1.1\r\nX: " + b"a" * 1000, 0.02).startswith(b"HTTP/1.1 408")


def test_an_idle_connection_is_closed_and_a_used_one_is_not(serve: Serve):
    run = serve(echo, limits=SHORT)

    with Reader(run.connect()) as reader:
        for _ in range(5):
            reader.sock.sendall(GET)
            assert reader.answer().status == 200
            time.sleep(0.1)
        assert reader.file.read() == b""


def test_a_body_below_the_minimum_rate_gives_408(serve: Serve):
    run = serve(echo, limits=SHORT)

    with run.connect() as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")
        assert drip(sock, b"x" * 9999, 0.02).startswith(b"HTTP/1.1 408 ")
    run.wait_until(lambda: run.responses)
    assert [status for _, status, _, _ in run.responses] == [408]


def test_time_that_the_server_takes_is_not_the_clients(serve: Serve):
    async def app(scope, receive, send):
        await asyncio.sleep(1.2)
        await echo(scope, receive, send)

    run = serve(app, limits=SHORT)

    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
        assert reader.answer().body == b"PUT / ab"


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_stops_reading_is_cut(serve: Serve, tls):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    run = serve(app, limits=SHORT, tls=tls)
    with run.connect() as sock:
        sock.sendall(GET)
        deadline = time.monotonic() + 5
        while run.server.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert run.server.connections == 0
    assert run.errors == []


def test_a_tls_handshake_that_does_not_come_ends_the_connection(serve: Serve):
    run = serve(echo, limits=SHORT, tls=True)

    with socket.create_connection(run.address) as sock:
        sock.sendall(b"\x16\x03\x01")
        assert read_all(sock) == b""
    with socket.create_connection(run.address) as sock:
        sock.sendall(GET)
        read_all(sock)
    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET)
        assert reader.answer().status == 200


def test_tls_is_1_2_or_later_and_http_1_1(serve: Serve):
    run = serve(echo, tls=True)
    run.client_tls.set_alpn_protocols(["h2", "http/1.1"])

    with run.connect() as sock:
        assert sock.version() == "TLSv1.3"
        assert sock.selected_alpn_protocol() == "http/1.1"
    run.client_tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with Reader(run.connect()) as reader:
        reader.sock.sendall(GET)
        assert reader.answer().status == 200


def test_a_new_certificate_drops_nobody(serve: Serve, tmp_path):
    run = serve(echo, tls=True)
    second = make_pair(tmp_path, "second")
    broken = tmp_path / "broken.key"
    broken.write_text("no key")

    with Reader(run.connect()) as reader:
        with pytest.raises(ssl.SSLError):
            run.tls.reload(second.certificate, broken)
        run.connect().close()
        run.tls.reload(second.certificate, second.key)
        with pytest.raises(ssl.SSLCertVerificationError):
            run.connect()
        run.client_tls = ssl.create_default_context(cafile=str(second.certificate))
        run.connect().close()
        reader.sock.sendall(GET)
        assert reader.answer().status == 200


def test_above_the_limit_connections_wait_for_a_place(serve: Serve):
    run = serve(echo, limits=Limits(connections=5))
    held = [Reader(run.connect()) for _ in range(5)]
    for reader in held:
        reader.sock.sendall(GET)
        reader.answer()

    with Reader(run.connect()) as waiting:
        waiting.sock.sendall(GET)
        waiting.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.sock.recv(1, socket.MSG_PEEK)
        assert run.server.connections == 5
        held.pop().close()
        waiting.sock.settimeout(5)
        assert Reader(waiting.sock).answer().status == 200
    for reader in held:
        reader.close()


@pytest.mark.parametrize("tls", [False, True])
def test_a_thousand_clients_at_once_are_all_served(serve: Serve, tls):
    async def app(scope, receive, send):
        await asyncio.sleep(0.01)
        await echo(scope, receive, send)

    run = serve(app, tls=tls)

    async def one(number: int) -> bool:
        context = run.client_tls if tls else None
        reader, writer = await asyncio.open_connection(
            *run.address, ssl=context, server_hostname="localhost" if tls else None
        )
        writer.write(b"GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % number)
        received = await reader.read()
        writer.close()
        return received.endswith(b"\r\n\r\nGET /%d " % number)

    async def crowd() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in range(300 if tls else 1000)))

    assert all(asyncio.run(crowd()))
    assert run.errors == []


def test_a_unix_socket_is_served_and_a_dead_one_replaced(tmp_path):
    path = tmp_path / "s"
    scopes = []

    async def app(scope, receive, send):
        scopes.append((scope["client"], scope["server"]))
        await echo(scope, receive, send)

    async def main():
        with ThreadPoolExecutor(1) as pool:
            server = Server(app, limits=Limits(), pool=pool)
            bind(f"unix:{path}", reuse_port=False).close()
            await server.start([bind(f"unix:{path}", reuse_port=False)])
            with pytest.raises(OSError):
                bind(f"unix:{path}", reuse_port=False)
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"GET /u HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            received = await reader.read()
            writer.close()
            await server.stop(1)
            return received

    assert asyncio.run(main()).endswith(b"GET /u ")
    assert scopes == [(None, (str(path), None))]


@pytest.mark.parametrize("listen", ["localhost", "5000", "a:b", "127.0.0.1:"])
def test_a_malformed_address_is_refused(listen):
    with pytest.raises(ValueError, match="neither"):
        bind(listen, reuse_port=False)


def test_processes_may_share_a_port():
    with bind("127.0.0.1:0", reuse_port=True) as first:
        with bind(f"127.0.0.1:{first.getsockname()[1]}", reuse_port=True) as second:
            assert first.getsockname() == second.getsockname()
        with pytest.raises(OSError):
            bind(f"127.0.0.1:{first.getsockname()[1]}", reuse_port=False)


def test_stopping_finishes_requests_in_flight_and_closes_idle_connections(serve: Serve):
    entered = threading.Event()

    async def app(scope, receive, send):
        if scope["path"] == "/slow":
            entered.set()
            await asyncio.sleep(0.4)
        await echo(scope, receive, send)

    run = serve(app)
    with Reader(run.connect()) as idle, Reader(run.connect()) as busy:
        idle.sock.sendall(GET)
        idle.answer()
        busy.sock.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        entered.wait(5)
        stopping = asyncio.run_coroutine_threadsafe(run.server.stop(5), run.loop)
        assert idle.file.read() == b""
        with pytest.raises(OSError):
            run.connect()
        answer = busy.answer()
        assert busy.file.read() == b""

    assert answer.body == b"GET /slow "
    assert answer.headers["connection"] == "close"
    started = time.monotonic()
    stopping.result(5)
    assert time.monotonic() - started < 1


def test_what_outlasts_the_grace_is_cut(serve: Serve):
    cancelled = threading.Event()

    async def app(scope, receive, send):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    run = serve(app)
    with run.connect() as sock:
        sock.sendall(GET)
        time.sleep(0.05)
        started = time.monotonic()
        run.call(run.server.stop(0.1))
        assert time.monotonic() - started < 5
        assert read_all(sock) == b""
    assert cancelled.is_set()


def test_descriptors_do_not_leak(serve: Serve):
    run = serve(echo)
    run.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        run.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        run.exchange(b"bad\r\n\r\n")
        run.connect().close()
    time.sleep(0.1)

    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_a_mismatched_pair_is_refused(tmp_path):
    first, second = make_pair(tmp_path, "a"), make_pair(tmp_path, "b")

    with pytest.raises(ssl.SSLError):
        tls_context(first.certificate, second.key)


@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_reset_that_comes_together_with_bytes_is_noticed(serve: Serve, tls, loop_name):
    """uvloop tells of such a socket once: whoever takes only the bytes then never hears of the reset."""
    run = serve(echo, tls=tls, loop_name=loop_name)
    sock = run.connect()
    sock.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n")
    run.wait_until(lambda: run.server.requests_in_flight == 1, 10)
    held = threading.Event()
    run.loop.call_soon_threadsafe(held.wait, 10)  # both are there when the loop looks again
    sock.sendall(b"some")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    held.set()
    run.wait_until(lambda: run.server.requests_in_flight == 0, 10)


@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
def test_a_reset_within_a_handshake_is_noticed(serve: Serve, loop_name):
    """Likewise, long before the time that a handshake may take."""
    run = serve(echo, tls=True, loop_name=loop_name)
    sock = socket.create_connection(run.address, timeout=10)
    run.wait_until(lambda: run.server.connections == 1, 10)
    held = threading.Event()
    run.loop.call_soon_threadsafe(held.wait, 10)
    sock.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a greeting
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    held.set()
    run.wait_until(lambda: run.server.connections == 0, 10)
