"""Streams of requests, whole and damaged, in any segments: the server reads what others read.

The server may accept nothing that h11 refuses or reads otherwise, and must accept everything
that is beyond doubt by the letter of RFC 9112. Every answer belongs to its request.
"""

import asyncio
import random
import ssl
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from server_harness import Pair
from server_reading import OneLoop, Outcome, echoed, one_loop
from server_reference import UNCLEAN, Message, alike, by_h11, by_the_letter, cut

from entrepot.http.server import tls_context

EVIL = b"GET /evil HTTP/1.1\r\nHost: e\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SEEDS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-Y: b c\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: a:1\r\nContent-Length: 13\r\n\r\nabc\r\n\r\n0\r\n\r\nz",
    (b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;q=v\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\ntrailer-a: u\r\n\r\n"),
    b"POST /d HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nz",
    (b"PUT /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\na\r\n0\r\n\r\n"),
]  # fmt: skip
SPECIAL = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x01", b"\x0b", b"\x7f", b"\xff",
    b":", b";", b",", b"=", b'"', b"#", b"?", b"/", b"-", b"+", b"0", b"1", b"5", b"f", b"x",
]  # fmt: skip
QUICK = settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
LONG = settings(QUICK, max_examples=5000, derandomize=False)


def judge(data: bytes, outcome: Outcome) -> None:
    """Fails where the server's reading of `data`, or its answers, are wrong."""
    read, (expected, spans) = outcome.read, by_h11(data)
    assert len(read) <= len(expected), "accepted what h11 refuses"
    for got, wanted, span in zip(read, expected, spans, strict=False):
        assert alike(got, wanted)
        assert not UNCLEAN.search(span.partition(b"\r\n\r\n")[0])
    for got, wanted in zip_longest(read, by_the_letter(data)):
        assert got is not None, "refused what is beyond doubt"
        if wanted is None:
            break
        assert alike(got, wanted)
    _judge_replies(outcome, more_expected=len(expected) > len(read))


def _judge_replies(outcome: Outcome, *, more_expected: bool) -> None:
    """One answer for each request in order, then at most one refusal; silence only at the end."""
    read, replies = outcome.read, outcome.replies()
    assert outcome.seen[: len(read)] == read
    assert len(outcome.seen) <= len(read) + 1
    assert len(read) <= len(replies) <= len(read) + 1
    for message, reply in zip(read, replies, strict=False):
        text = echoed(message)
        assert reply.status == 200
        assert reply.headers[b"content-length"] == b"%d" % len(text)
        assert reply.body == (b"" if message.method == b"HEAD" else text)
        assert reply.interim <= (b"expect" in dict(message.headers))
        assert not reply.closes or reply is replies[-1]
    for refusal in replies[len(read) :]:
        assert refusal.status in {400, 405, 414, 417, 431, 501, 505}
        assert refusal.closes
        assert refusal.body == b""
    if more_expected:
        assert replies
        assert replies[-1].closes, "waits for more than there is"


# Generated streams

BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([EVIL, b"\r\n\r\n", b"0\r\n\r\n" + EVIL, b"\r\n0\r\n\r\n", b"5\r\n" + EVIL]),
)
NOISE = st.sampled_from(
    [b"", b"X-Pad: a \t b\t\r\n", b"X:\r\n", b"x-obs: \xe9\xff\r\n", b"CONNECTION: Keep-Alive\r\n",
     b"Expect: 100-continue\r\n", b"TE: trailers\r\n", b"Content_Length: 5\r\n", b"A:" * 9 + b"\r\n"]
)  # fmt: skip
EXTENSIONS = st.sampled_from([b"", b";a", b";a=b;c", b';q="x;y"'])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS"]))
    target = draw(st.sampled_from([b"/", b"/a/%2F?b=?/", b"//x", b"/a:b@c", b"/v2/r/blobs/s:1"]))
    before, after = draw(NOISE), draw(NOISE)
    if before.lower() == after.lower():
        after = b""
    body = draw(BODIES)
    framing = draw(st.sampled_from(["length", "chunked", "none", "old"]))
    version = b"1.0" if framing == "old" else b"1.1"
    if framing == "old" and b"KEEP-ALIVE" not in (before + after).upper():
        before += b"Connection: keep-alive\r\n"
    head = b"%s %s HTTP/%s\r\n%sHost: a\r\n%s" % (method, target, version, before, after)
    if framing == "none":
        return head + b"\r\n"
    if framing != "chunked":
        return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    size = draw(st.integers(1, 15))
    form = draw(st.sampled_from([b"%x%s\r\n%s\r\n", b"0%X%s\r\n%s\r\n"]))
    chunks = [
        form % (len(piece), draw(EXTENSIONS), piece)
        for piece in cut(body, range(size, len(body), size))
    ]
    trailer = draw(st.sampled_from([b"", b"trailer-a: b\r\n"]))
    return (
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n%s\r\n" % trailer
    )


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A pipeline with up to three bytes or line ends changed, or a piece moved or repeated."""
    data = b"".join(draw(st.lists(requests(), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(
            st.sampled_from(["delete", "insert", "replace", "flip", "ends", "digits", "copy"])
        )
        if kind in ("ends", "digits"):
            wanted = b"\r\n" if kind == "ends" else b"0123456789"
            places = [place for place, byte in enumerate(data) if byte in wanted]
        else:
            places = list(range(len(data)))
        if not places:
            break
        at = draw(st.sampled_from(places))
        new = {
            "delete": b"", "ends": draw(st.sampled_from([b"", data[at : at + 1] * 2, b"\n", b"\r"])),
            "insert": draw(st.sampled_from(SPECIAL)) + data[at : at + 1],
            "replace": draw(st.sampled_from(SPECIAL)),
            "flip": bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]),
            "digits": b"%d" % draw(st.sampled_from([0, 1, 2, 7, 10, 99])),
            "copy": data[at : at + draw(st.integers(1, 60))] * 2,
        }[kind]  # fmt: skip
        data = data[:at] + new + data[at + 1 :]
    return data


CUTS = st.one_of(st.just([]), st.lists(st.integers(0, 2000), max_size=12), st.just(range(3000)))


@given(data=damaged(), cuts=CUTS)
@settings(QUICK)
def test_the_server_reads_what_others_read(one: OneLoop, data, cuts):
    judge(data, one.exchange(cut(data, cuts)))


@given(data=st.lists(requests(), max_size=6).map(b"".join), cuts=CUTS)
@settings(QUICK, max_examples=100)
@example(data=b"".join(SEEDS), cuts=range(3000))
def test_whole_requests_are_all_answered_however_they_are_cut(one: OneLoop, data, cuts):
    expected = by_the_letter(data)
    assert [m.target for m in expected] == [m.target for m in by_h11(data)[0]]

    outcome = one.exchange(cut(data, cuts))

    judge(data, outcome)
    assert len(outcome.read) == len(expected)


@pytest.mark.soak
@given(data=damaged(), cuts=CUTS)
@settings(LONG)
def test_the_server_reads_what_others_read_for_long(quick: OneLoop, data, cuts):
    judge(data, quick.exchange(cut(data, cuts)))


# Every damage of one place, every cut

DAMAGES = [
    seed[:at] + new + seed[at + removed :] + EVIL
    for seed in SEEDS
    for at in range(len(seed))
    for removed, new in [(1, b""), *((removed, new) for new in SPECIAL for removed in (0, 1))]
]  # fmt: skip


def test_one_changed_byte_is_refused_or_read_alike(quick: OneLoop):
    for data in random.Random(7).sample(DAMAGES, 1500):
        judge(data, quick.exchange([data]))


@pytest.mark.soak
def test_every_changed_byte_is_refused_or_read_alike(one: OneLoop):
    for data in DAMAGES:
        judge(data, one.exchange([data]))


def test_a_pipeline_may_be_cut_at_any_place(quick: OneLoop):
    data = b"".join(SEEDS)
    whole = quick.exchange([data]).read
    assert len(whole) == len(SEEDS)

    for at in range(1, len(data)):
        outcome = quick.exchange([data[:at], data[at:]])
        assert all(map(alike, outcome.read, whole))
        assert len(outcome.replies()) == len(whole)


def test_a_stream_that_ends_anywhere_leaves_its_whole_requests_answered(quick: OneLoop):
    data = b"".join(SEEDS)
    for end in range(len(data)):
        judge(data[:end], quick.exchange([data[:end]]))


# TLS


@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
def test_records_and_packets_of_any_size_carry_the_same_requests(
    tmp_path: Path, pair: Pair, loop_name
):
    context = ssl.create_default_context(cafile=str(pair.certificate))
    dice = random.Random(3)
    with one_loop(tmp_path, loop_name, tls=tls_context(pair.certificate, pair.key)) as one:
        for _ in range(25):
            parts = [dice.choice(SEEDS) for _ in range(dice.randrange(6))]
            data = b"".join(parts) + LAST
            cuts = [dice.randrange(len(data)) for _ in range(dice.choice([0, 3, 40]))]
            outcome = one.exchange(cut(data, cuts), tls=context)
            judge(data, outcome)
            assert len(outcome.read) == len(parts) + 1


# Many at once


def test_clients_at_the_same_time_get_their_own_answers(quick: OneLoop):
    """Thirty pipelines, a few of them broken, segment by segment in turn."""
    dice = random.Random(11)
    streams = [_stream(number, dice) for number in range(30)]

    async def one_client(number: int) -> bytes:
        loop, received = asyncio.get_running_loop(), b""
        with await quick.connect() as sock:
            data = streams[number]
            try:
                for piece in cut(data, [dice.randrange(len(data)) for _ in range(8)]):
                    await loop.sock_sendall(sock, piece)
                    for _ in range(dice.randrange(6)):
                        await asyncio.sleep(0)
                sock.shutdown(1)
            except ConnectionError:
                assert number % 5 == 0
            while more := await loop.sock_recv(sock, 65536):
                received += more
        return received

    async def crowd() -> list[bytes]:
        return await asyncio.gather(*map(one_client, range(30)))

    quick.seen = []
    everything = quick.run(crowd())

    for number, received in enumerate(everything):
        own = [m for m in quick.seen if m and m.target.startswith(b"/%d/" % number)]
        broken = number % 5 == 0
        assert len(own) == (7 if broken else 8)
        assert _texts(received, own) == [echoed(message) for message in own]
        assert (b"HTTP/1.1 400 " in received) == broken


def _stream(number: int, dice: random.Random) -> bytes:
    parts = []
    for place in range(8):
        body = b"body %d.%d" % (number, place)
        if number % 5 == 0 and place == 7:
            parts.append(b"PUT /%d/ HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n" % number)
        elif dice.random() < 0.5:
            parts.append(
                b"PUT /%d/%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"
                % (number, place, len(body), body)
            )
        else:
            parts.append(
                b"PUT /%d/%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%s\r\n0\r\n\r\n" % (number, place, len(body), body)
            )
    return b"".join(parts)


def _texts(received: bytes, own: list[Message | None]) -> list[bytes]:
    return [reply.body for reply in Outcome(received, own).replies() if reply.status == 200]
