"""The log as its reader sees it."""

import json
import logging
import os
import re
import threading
import time
import warnings

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.http.messages import CURRENT_REQUEST, Request
from entrepot.model.access import Caller
from entrepot.telemetry.logs import LOG
from entrepot.telemetry.rendering import AccessLine, render_console, render_json, render_lines
from entrepot.telemetry.writer import LineWriter


def request_of(path=b"/v2/", **headers):
    pairs = [(name.encode(), value) for name, value in headers.items()]
    scope = {"method": "GET", "raw_path": path, "path": "", "headers": pairs, "client": ("::1", 1)}
    return Request(scope, None, request_id="0123")


def test_a_line_is_json_with_time_level_event_and_process(captured):
    log = captured()
    structlog.get_logger().info("hello", number=1, name="x")

    (line,) = log.lines()
    assert line["event"] == "hello"
    assert (line["level"], line["process"], line["number"], line["name"]) == (
        "info",
        "test",
        1,
        "x",
    )
    assert line["at"].endswith("Z")


def test_lines_below_the_level_are_not_written_and_the_level_can_change(captured):
    log = captured("warning")
    logger = structlog.get_logger()
    logger.info("quiet")
    logging.getLogger("entrepot.http.server").info("quiet too")
    LOG.set_level("debug")
    logger.debug("loud")
    logging.getLogger("entrepot.http.server").debug("loud too")

    assert [line["event"] for line in log.lines()] == ["loud", "loud too"]


def test_libraries_write_to_the_same_log_from_warnings_up(captured):
    log = captured()
    logging.getLogger("alembic.runtime").info("how it works")
    logging.getLogger("asyncio").error("broken %s", "pipe")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)

    first, second = log.lines()
    assert (first["event"], first["logger"], first["level"]) == ("broken pipe", "asyncio", "error")
    assert "old" in second["event"]


def test_lines_of_a_request_carry_its_id_and_its_caller(captured):
    log = captured()
    request = request_of()
    request.caller = Caller("user:5", "alice")
    before = CURRENT_REQUEST.set(request)
    structlog.get_logger().info("inside")
    CURRENT_REQUEST.reset(before)
    structlog.get_logger().info("outside")

    inside, outside = log.lines()
    assert (inside["request_id"], inside["caller"]) == ("0123", "alice")
    assert "request_id" not in outside


def test_an_exception_is_data_with_its_causes_and_without_its_variables(captured):
    log = captured()

    def fail():
        password = "s3cr3tValue-0123456789"  # noqa: F841
        raise ValueError("inner password=s3cr3tValue-0123456789")

    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        structlog.get_logger().exception("failed")

    raw = log.raw()
    assert b"s3cr3t" not in raw
    (line,) = [json.loads(text) for text in raw.splitlines()]
    assert line["level"] == "error"
    assert [error["type"] for error in line["exception"]] == [
        "builtins.RuntimeError",
        "builtins.ValueError",
    ]
    assert line["exception"][1]["frames"][-1]["name"].endswith("fail")


@pytest.mark.parametrize("console", [False, True])
def test_no_value_can_make_a_second_line_or_steer_a_terminal(captured, console):
    log = captured(console=console)
    nasty = 'x\n{"level":"error","event":"forged"}\r\x1b[2J\x9b31m\x7f\u2028end'
    structlog.get_logger().info(nasty, value=nasty, **{"na\nme": nasty})

    raw = log.raw()
    assert raw.count(b"\n") == 1
    text = raw.decode()
    assert len(text.splitlines()) == 1
    assert not set(text[:-1]) & set(map(chr, [*range(32), *range(127, 160), 0x2028]))


def test_a_console_line_shows_an_exception_on_lines_that_begin_with_a_blank(captured):
    log = captured(console=True)
    try:
        raise ValueError("first\nINFO forged")
    except ValueError:
        structlog.get_logger().exception("failed")

    first, *rest = log.raw().decode().splitlines()
    assert " ERROR " in first
    assert all(line.startswith(" ") for line in rest)
    assert "ValueError: first\\x0aINFO forged" in rest[0]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.binary()))
def test_any_fields_become_one_line(fields):
    for render in (render_json, render_console):
        line = render(fields)

        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1


def test_a_lone_surrogate_does_not_lose_the_line():
    assert json.loads(render_json({"event": "\udc80"}))["event"] == "\udc80"


def test_a_pipe_that_nobody_reads_stops_nobody_and_the_loss_is_told():
    reading, writing = os.pipe()
    writer = LineWriter(writing, lambda count: b"lost %d\n" % count, most_bytes=200_000)
    line = b"x" * 999 + b"\n"
    began = time.monotonic()
    for _ in range(2000):
        writer.put(line)
    assert time.monotonic() - began < 1.0
    assert writer.lost > 1000

    lost = writer.lost
    got = bytearray()
    os.set_blocking(reading, False)
    deadline = time.monotonic() + 10
    while b"lost " not in got and time.monotonic() < deadline:
        try:
            got += os.read(reading, 1 << 16)
        except BlockingIOError:
            writer.put(line)
            time.sleep(0.001)
    *_, told = [text for text in bytes(got).splitlines() if text.startswith(b"lost")]
    assert lost <= int(told.split()[1]) <= writer.lost
    writer.close()
    os.close(reading)
    os.close(writing)


def test_lines_keep_their_order_and_closing_writes_what_waits():
    reading, writing = os.pipe()
    writer = LineWriter(writing, lambda count: b"lost %d\n" % count)
    for number in range(1000):
        writer.put(b"%d\n" % number)
    writer.close()
    os.close(writing)

    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().split() == [b"%d" % number for number in range(1000)]


def test_a_reader_that_is_gone_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    writer = LineWriter(writing, lambda count: b"lost %d\n" % count)
    writer.put(b"into nothing\n")
    writer.close()
    os.close(writing)

    assert writer.lost == 0


def access_line(path, agent="curl"):
    words = ("2026-01-01T00:00:00.000Z", "info", "request", "GET")
    numbers = (200, 5, 0, 0.25)
    rest = ("::1", "registry.example", "somebody", agent, "0123", "test")
    return AccessLine(*words, path, *numbers, *rest)


@given(st.lists(st.text(), max_size=5))
def test_lines_of_requests_encoded_together_are_those_encoded_alone(paths):
    lines = [access_line(path) for path in paths]
    assert render_lines(lines) == b"".join(map(render_json, lines))


@pytest.mark.parametrize("console", [False, True])
def test_lines_of_requests_keep_their_place_among_others(captured, console):
    log = captured(console=console)
    for number in range(6):
        LOG.put(access_line(f"/a{number}\x7f\x85"))
        if number % 3 == 0:
            structlog.get_logger().info("between", path=f"/b{number}")

    shown = re.findall(rb"/([ab]\d)", log.raw())
    assert shown == [b"a0", b"b0", b"a1", b"a2", b"a3", b"b3", b"a4", b"a5"]


def test_lines_of_requests_count_for_what_they_may_take():
    reading, writing = os.pipe()
    os.set_blocking(writing, True)
    writer = LineWriter(writing, lambda count: b"lost %d\n" % count, most_bytes=10_000)
    for number in range(200_000):
        writer.put(access_line(f"/{number}"))
        if writer.lost > 100:
            break
    assert writer.lost > 100
    with os.fdopen(reading, "rb") as pipe:
        draining = threading.Thread(target=pipe.read)
        draining.start()
        writer.close()
        os.close(writing)
        draining.join()
