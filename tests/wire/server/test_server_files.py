"""File bodies by `http.response.zerocopysend`: byte for byte, plain and TLS, with back-pressure."""

import os
import random
import threading
import time

import pytest
from server_harness import Reader, Serve, read_all

from entrepot.http.server import Limits, sendfile

SIZE = 9_000_001


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(7).randbytes(SIZE)


@pytest.fixture
def path(tmp_path, content):
    file = tmp_path / "blob"
    file.write_bytes(content)
    return file


def sending(path, *, declared=True, as_fd=True):
    """Serves `GET /offset/count`; the application keeps and closes its own file."""

    async def app(scope, receive, send):
        offset, count = (int(part) for part in scope["path"][1:].split("/"))
        with path.open("rb") as file:
            headers = [(b"content-length", b"%d" % count)] if declared else []
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send(
                {"type": "http.response.zerocopysend", "file": file.fileno() if as_fd else file,
                 "offset": offset, "count": count}
            )  # fmt: skip
            os.fstat(file.fileno())  # still open

    return app


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("declared", [False, True])
def test_ranges_of_a_file_arrive_byte_for_byte(serve: Serve, path, content, tls, declared):
    run = serve(sending(path, declared=declared, as_fd=declared), tls=tls)
    choose = random.Random(3)
    ranges = [(0, SIZE), (0, 0), (0, 1), (SIZE - 1, 1), (SIZE, 0), (4095, 65537)]
    for _ in range(15):
        offset = choose.randrange(SIZE)
        ranges.append((offset, choose.randrange(SIZE - offset)))

    with Reader(run.connect()) as reader:
        for offset, count in ranges:
            reader.sock.sendall(b"GET /%d/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (offset, count))
            answer = reader.answer()
            assert answer.body == content[offset : offset + count]

    run.wait_until(lambda: len(run.responses) == len(ranges))
    assert run.errors == []
    assert [size for _, _, size, _ in run.responses] == [count for _, count in ranges]


def test_a_file_may_be_mixed_with_bytes_and_defaults_to_its_rest(serve: Serve, path, content):
    async def app(scope, receive, send):
        with path.open("rb") as file:
            file.seek(SIZE - 10)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"<", "more_body": True})
            await send({"type": "http.response.zerocopysend", "file": file, "count": 4,
                        "more_body": True})  # fmt: skip
            await send({"type": "http.response.zerocopysend", "file": file, "more_body": True})
            await send({"type": "http.response.body", "body": b">"})

    run = serve(app)
    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reader.answer().body == b"<" + content[-10:] + b">"


def test_head_of_a_file_sends_no_byte_of_it(serve: Serve, path):
    run = serve(sending(path))

    with Reader(run.connect()) as reader:
        for _ in range(2):
            reader.sock.sendall(b"HEAD /0/5000 HTTP/1.1\r\nHost: a\r\n\r\n")
            started = time.monotonic()
            assert reader.answer(head_only=True).headers["content-length"] == "5000"
            assert time.monotonic() - started < 0.15  # not held back for a file that never comes


@pytest.mark.parametrize("tls", [False, True])
def test_a_file_shorter_than_announced_is_cut(serve: Serve, path, tls):
    run = serve(sending(path), tls=tls)

    with run.connect() as sock:
        sock.sendall(b"GET /0/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (SIZE + 1))
        received = read_all(sock)

    run.wait_until(lambda: run.errors)
    assert len(received.partition(b"\r\n\r\n")[2]) <= SIZE
    assert [type(error) for error in run.errors] == [sendfile.FileTruncated]


def test_a_file_that_is_not_in_memory_is_read_by_the_pool(serve, path, content, monkeypatch):
    """The page cache cannot be emptied reliably in a test, so the probe's answer is replaced."""
    monkeypatch.setattr(sendfile, "in_page_cache", lambda *_: False)
    threads = set()
    real = os.sendfile

    def watched(*arguments):
        threads.add(threading.current_thread().name)
        return real(*arguments)

    monkeypatch.setattr(os, "sendfile", watched)
    run = serve(sending(path))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(b"GET /5/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (SIZE - 5))
        assert reader.answer().body == content[5:]

    assert all(name.startswith("ThreadPoolExecutor") for name in threads)


@pytest.mark.parametrize("tls", [False, True])
def test_clients_that_stop_reading_hold_no_thread(serve: Serve, path, content, tls):
    """Forty stalled downloads, two pool threads, and the next client is served at once."""
    run = serve(sending(path), tls=tls, pool_size=2)
    stalled = [run.connect() for _ in range(40)]
    try:
        for sock in stalled:
            sock.sendall(b"GET /0/%d HTTP/1.1\r\nHost: a\r\n\r\n" % SIZE)
        time.sleep(0.3)
        with Reader(run.connect()) as reader:
            reader.sock.sendall(b"GET /1/100000 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert reader.answer().body == content[1:100001]
        assert run.server.requests_in_flight >= 30
    finally:
        for sock in stalled:
            sock.close()


@pytest.mark.parametrize("tls", [False, True])
def test_a_client_that_leaves_a_download_is_noticed(serve: Serve, path, tls):
    run = serve(sending(path), tls=tls, limits=Limits(body_seconds=5))
    for _ in range(10):
        with run.connect() as sock:
            sock.sendall(b"GET /0/%d HTTP/1.1\r\nHost: a\r\n\r\n" % SIZE)
            sock.recv(1000)
    run.wait_until(lambda: not run.server.requests_in_flight)

    assert run.server.requests_in_flight == 0
    assert run.errors == []
