"""The load generator against the trivial responder, through real processes and sockets."""

import subprocess
import sys

import pytest
from bench.driver import DriverFailed, drive
from bench.groups.small import listens
from bench.load.jobs import Pull, Requests, Target
from bench.servers import free_port


@pytest.fixture
def responder():
    port = free_port()
    command = [sys.executable, "-m", "bench.load.responder", str(port), "100"]
    process = subprocess.Popen(command)
    while not listens(port):
        assert process.poll() is None
    yield Target("127.0.0.1", port)
    process.kill()
    process.wait()


def _request(target):
    return f"GET / HTTP/1.1\r\nHost: {target.netloc}\r\n\r\n"


def test_every_answered_request_is_counted_once_with_its_latency(responder):
    job = Requests(responder, _request(responder), 100, connections=4, seconds=0.2)
    total, _, _ = drive([job, job], limit_seconds=20, measured=lambda: None)
    assert total.errors == 0
    assert total.units == sum(total.histogram.values()) > 0
    assert 0.2 <= total.seconds < 5


def test_an_answer_of_another_length_than_expected_is_an_error(responder):
    job = Requests(responder, _request(responder), 99, connections=1, seconds=0.2)
    with pytest.raises(DriverFailed, match="unexpected answer"):
        drive([job], limit_seconds=20, measured=lambda: None)


def test_bodies_are_counted_by_the_byte(responder):
    job = Pull(responder, _request(responder), 100, connections=2, seconds=0.2)
    total, _, _ = drive([job], limit_seconds=20, measured=lambda: None)
    assert (total.errors, total.units % 100) == (0, 0)
    assert total.units > 0
