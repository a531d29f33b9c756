"""Uploads by `entrepot.body_to_sink`, and the fallback on a server that does not offer it."""

import asyncio
import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from server_harness import Reader, Serve, echo

from entrepot.http.bodies import BodyTooLarge, ClientDisconnected, body_to_sink
from entrepot.http.server import Limits

BODY = random.Random(5).randbytes(7_340_033)


class Recorder:
    """A sink that checks that it is called on pool threads, one call at a time."""

    def __init__(self, delay: float = 0, fail_at: int | None = None) -> None:
        self.digest = hashlib.sha256()
        self.sizes: list[int] = []
        self.delay = delay
        self.fail_at = fail_at
        self.busy = threading.Lock()

    @property
    def total(self) -> int:
        return sum(self.sizes)

    def write(self, data: memoryview) -> None:
        assert threading.current_thread().name.startswith("ThreadPoolExecutor")
        assert self.busy.acquire(blocking=False)
        before = bytes(data[:64])
        if self.delay:
            time.sleep(self.delay)
        if self.fail_at is not None and self.total + len(data) > self.fail_at:
            self.busy.release()
            raise OSError(28, "disk full")
        self.digest.update(data)
        assert before == data[:64]  # nobody fills the buffer while it is written
        self.sizes.append(len(data))
        self.busy.release()


def storing(sink, outcomes, *, limit=None, extension=True, pool=None):
    """Stores the body; `outcomes` gets the length or the exception."""

    async def app(scope, receive, send):
        if not extension:
            scope = {**scope, "extensions": {}}
        try:
            size = await body_to_sink(scope, receive, sink, limit=limit, pool=pool)
        except BodyTooLarge as error:
            outcomes.append(error)
            status = 413
        except (ClientDisconnected, OSError) as error:
            outcomes.append(error)
            if isinstance(error, ClientDisconnected):
                raise
            status = 507
        else:
            outcomes.append(size)
            status = 201
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    return app


def chunks(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def framed(body: bytes, framing: str, extra: bytes = b"") -> bytes:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\n" + extra
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(body, int(framing))


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("framing", ["length", "32768", "4999999"])
@pytest.mark.parametrize("extension", [True, False])
def test_a_body_reaches_the_sink_whole_and_in_order(serve, pool, tls, framing, extension):
    sink, outcomes = Recorder(), []
    run = serve(storing(sink, outcomes, extension=extension, pool=pool), tls=tls)

    with Reader(run.connect()) as reader:
        reader.sock.sendall(framed(BODY, framing))
        assert reader.answer().status == 201
        reader.sock.sendall(framed(b"", "length"))
        assert reader.answer().status == 201

    assert outcomes == [len(BODY), 0]
    assert sink.digest.hexdigest() == hashlib.sha256(BODY).hexdigest()
    if extension:
        assert all(size >= 256 * 1024 for size in sink.sizes[:-1])


@pytest.mark.parametrize("framing", ["length", "7"])
def test_a_small_body_and_the_next_request_in_one_packet(serve: Serve, framing):
    sink, outcomes = Recorder(), []
    run = serve(storing(sink, outcomes))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(framed(b"hello\r\n\r\nworld", framing) * 3)
        assert [reader.answer().status for _ in range(3)] == [201] * 3

    assert outcomes == [14] * 3


def test_continue_precedes_an_upload(serve: Serve):
    sink, outcomes = Recorder(), []
    run = serve(storing(sink, outcomes))
    request = framed(b"ab", "length", b"Expect: 100-continue\r\n")

    with run.connect() as sock:
        sock.sendall(request[:-2])
        assert sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(request[-2:])
        assert Reader(sock).answer().status == 201


@pytest.mark.parametrize("framing", ["length", "65536"])
@pytest.mark.parametrize("extension", [True, False])
def test_what_arrived_before_a_disconnect_is_written(serve: Serve, pool, framing, extension):
    sink, outcomes = Recorder(), []
    run = serve(storing(sink, outcomes, extension=extension, pool=pool))
    data = framed(BODY, framing)
    cut = data.index(b"\r\n\r\n") + 4 + 3_000_000

    received = run.exchange(data[:cut], half_close=True)

    assert received == b""
    assert [type(outcome) for outcome in outcomes] == [ClientDisconnected]
    assert 2_900_000 < sink.total <= 3_000_000
    assert sink.digest.digest() == hashlib.sha256(BODY[: sink.total]).digest()
    assert run.errors == []


@pytest.mark.parametrize("framing", ["length", "65536"])
@pytest.mark.parametrize("extension", [True, False])
def test_a_body_over_the_limit_is_refused_early(serve: Serve, pool, framing, extension):
    sink, outcomes = Recorder(), []
    run = serve(storing(sink, outcomes, limit=1_000_000, extension=extension, pool=pool))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(framed(BODY, framing))
        answer = reader.answer()

    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert [type(outcome) for outcome in outcomes] == [BodyTooLarge]
    assert sink.total <= 1_000_000


@pytest.mark.parametrize("framing", ["length", "1000"])
def test_a_body_of_exactly_the_limit_passes(serve: Serve, framing):
    sink, outcomes = Recorder(), []
    run = serve(storing(sink, outcomes, limit=5000))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(framed(BODY[:5000], framing))
        assert reader.answer().status == 201


def test_what_the_sink_raises_reaches_the_application(serve: Serve):
    sink, outcomes = Recorder(fail_at=2_000_000), []
    run = serve(storing(sink, outcomes))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(framed(BODY, "length"))
        assert reader.answer().status == 507

    assert [str(outcome) for outcome in outcomes] == ["[Errno 28] disk full"]


@pytest.mark.parametrize("framing", ["length", "65536"])
def test_a_slow_sink_slows_the_client_and_bounds_the_memory(serve: Serve, framing):
    sink, outcomes = Recorder(delay=0.05), []
    run = serve(storing(sink, outcomes))
    body = BODY * 3
    ahead = []

    def watch():
        while not outcomes:
            for connection in list(run.server._serving.connections):
                cycle = connection.cycle
                if cycle is not None and cycle.body is not None:
                    ahead.append(cycle.body.received - sink.total)
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Reader(run.connect()) as reader:
        reader.sock.sendall(framed(body, framing))
        assert reader.answer().status == 201
    watcher.join()

    assert outcomes == [len(body)]
    assert 1 << 20 < max(ahead) <= (2 << 20) + (1 << 19)


def test_slow_uploads_hold_no_thread(serve: Serve):
    sink, outcomes = Recorder(), []

    async def app(scope, receive, send):
        if scope["method"] == "GET":
            await echo(scope, receive, send)
        else:
            await storing(sink, outcomes)(scope, receive, send)

    run = serve(app, pool_size=1)
    slow = [run.connect() for _ in range(50)]
    for sock in slow:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
    with Reader(run.connect()) as reader:
        reader.sock.sendall(framed(BODY, "length"))
        assert reader.answer().status == 201
    for sock in slow:
        sock.close()

    assert outcomes[0] == len(BODY)


def test_buffers_come_back(serve: Serve):
    sink, outcomes = Recorder(), []
    run = serve(storing(sink, outcomes, limit=2_000_000))

    for size in (1, 1_500_000, 3_000_000):
        for framing in ("length", "99999"):
            run.exchange(framed(BODY[:size], framing, b"Connection: close\r\n"))
            run.exchange(framed(BODY[:size], framing)[:-1], half_close=True)

    assert run.server._serving.buffers._out == 0
    assert len(outcomes) == 12


def test_a_stalled_upload_is_ended_after_what_arrived_was_written(serve: Serve):
    sink, outcomes = Recorder(), []
    run = serve(storing(sink, outcomes), limits=Limits(body_seconds=0.3))

    with Reader(run.connect()) as reader:
        reader.sock.sendall(framed(BODY, "length")[:50_000])
        assert reader.answer().status == 408
    run.wait_until(lambda: outcomes)

    assert [type(outcome) for outcome in outcomes] == [ClientDisconnected]
    assert 49_000 < sink.total < 50_000


def test_a_cancelled_upload_leaves_no_buffer_in_use(serve: Serve):
    sink, outcomes = Recorder(delay=0.2), []
    run = serve(storing(sink, outcomes))
    with run.connect() as sock:
        sock.sendall(framed(BODY, "length")[:3_000_000])
        time.sleep(0.1)

        async def cancel():
            for task in list(run.server._serving.tasks):
                task.cancel()
            await asyncio.sleep(0.1)

        run.call(cancel())

    assert run.server._serving.buffers._out == 0
