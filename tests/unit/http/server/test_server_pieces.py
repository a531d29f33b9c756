"""The small rules of the server: where the parser stops, who is too slow, which buffers live."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.http.bodies import BodyTooLarge, ClientDisconnected, body_to_sink
from entrepot.http.server.limits import Limits
from entrepot.http.server.pace import Pace
from entrepot.http.server.request import Cutter, RequestParser
from entrepot.http.server.response import ResponseHead, WrongResponse
from entrepot.http.server.upload import LARGE, SMALL, Buffers

LINES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\r\n\r\n"])).map(b"".join)


@given(data=LINES, sizes=st.lists(st.integers(1, 5), min_size=1))
def test_no_piece_reaches_beyond_an_empty_line(data, sizes):
    cutter, fed, position, turn = Cutter(), b"", 0, 0
    while position < len(data):
        read = data[position : position + sizes[turn % len(sizes)]]
        start = 0
        while start < len(read):
            end = cutter.cut(read, start)
            assert start < end <= len(read)
            inside = (fed[-3:] + read[start:end]).find(b"\r\n\r\n")
            assert inside < 0 or inside + 4 == len(fed[-3:]) + end - start
            fed += read[start:end]
            start = end
        position += len(read)
        turn += 1
    assert fed == data


def test_a_second_message_in_one_piece_would_be_refused():
    """Cutter prevents it; this is the belt to those braces."""
    parser = RequestParser(Limits())
    with pytest.raises(Exception, match="second message"):
        parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")


def test_only_time_spent_waiting_makes_a_client_slow():
    pace = Pace(Limits(body_seconds=10, minimum_rate=100, rate_grace_seconds=5))

    assert not any(pace.too_slow(0, 1.0, waits=False) for _ in range(100))
    assert not any(pace.too_slow(moved, 1.0, waits=True) for moved in range(150, 15000, 150))
    pace.reset()
    verdicts = [pace.too_slow(15000 + 50 * tick, 1.0, waits=True) for tick in range(1, 9)]
    assert verdicts == [False] * 5 + [True] * 3


def test_standing_still_is_judged_by_itself():
    pace = Pace(Limits(body_seconds=3, minimum_rate=0))

    assert [pace.too_slow(7, 1.0, waits=True) for _ in range(5)] == [False] * 3 + [True] * 2


def test_large_buffers_are_used_again_and_small_ones_serve_a_crowd():
    buffers = Buffers(budget=2 * LARGE, kept=1)
    first, second, third = buffers.take(), buffers.take(), buffers.take()

    assert [len(first), len(second), len(third)] == [LARGE, LARGE, SMALL]
    for buffer in (first, second, third):
        buffers.give_back(buffer, clean=True)
    assert buffers.take() is first
    assert buffers.take() is not second


def test_a_buffer_that_a_thread_may_still_read_is_not_used_again():
    buffers = Buffers()
    buffer = buffers.take()
    buffers.give_back(buffer, clean=False)

    assert buffers.take() is not buffer


@pytest.mark.parametrize("status", [100, 101, 199, 600, 0, -1])
def test_only_final_statuses_are_answers(status):
    with pytest.raises(WrongResponse):
        ResponseHead(status, [], b"", method="GET", version="1.1", keep_alive=True)


class List:
    def __init__(self):
        self.written = []

    def write(self, data):
        self.written.append(bytes(data))


def store(events, *, limit=None, headers=()):
    """`body_to_sink` on a server without the extension that delivers these events."""
    sink, queue = List(), iter(events)

    async def receive():
        return next(queue)

    async def main():
        with ThreadPoolExecutor(1) as pool:
            scope = {"type": "http", "headers": list(headers)}
            return await body_to_sink(scope, receive, sink, limit=limit, pool=pool)

    try:
        return asyncio.run(main()), b"".join(sink.written)
    except (BodyTooLarge, ClientDisconnected) as error:
        return type(error), b"".join(sink.written)


def request(body=b"", *, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


def test_the_fallback_writes_all_in_order():
    pieces = [b"a" * 200_000, b"", b"b" * 200_000, b"c"]
    events = [*map(request, pieces), {"type": "http.request"}]

    assert store(events, limit=400_001) == (400_001, b"".join(pieces))


def test_the_fallback_writes_what_came_before_a_disconnect():
    assert store([request(b"abc"), {"type": "http.disconnect"}]) == (ClientDisconnected, b"abc")


def test_the_fallback_refuses_more_than_the_limit():
    assert store([request(b"abc"), request(b"d")], limit=3)[0] is BodyTooLarge
    assert store([], limit=3, headers=[(b"content-length", b"4")]) == (BodyTooLarge, b"")
