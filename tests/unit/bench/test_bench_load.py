"""The load generator against the trivial responder, through real processes and sockets."""

import socket
import subprocess
import sys

import pytest
from bench.driver import DriverFailed, drive
from bench.groups.small import listens
from bench.load.jobs import Crowd, Pull, Requests, Target
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
    total, _, _ = drive([job], limit_seconds=20, measured=lambda: None)
    assert total.units == 0
    assert 0 < total.errors <= 1000
    assert "unexpected answer" in total.first_error


def test_bodies_are_counted_by_the_byte(responder):
    job = Pull(responder, _request(responder), 100, connections=2, seconds=0.2)
    total, _, _ = drive([job], limit_seconds=20, measured=lambda: None)
    assert (total.errors, total.units % 100) == (0, 0)
    assert total.units > 0


def test_a_crowd_counts_every_client_once_as_done_or_as_an_error(responder):
    good = Crowd(responder, _request(responder), 100, clients=30, limit_seconds=10)
    bad = Crowd(responder, _request(responder), 99, clients=20, limit_seconds=10)
    total, _, _ = drive([good, bad], limit_seconds=30, measured=lambda: None)
    assert (total.units, sum(total.histogram.values())) == (3000, 30)
    assert total.errors == 20
    assert "answer 200" in total.first_error


def test_a_client_that_is_never_answered_is_an_error_when_the_time_is_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = Target("127.0.0.1", silent.getsockname()[1])
        job = Crowd(target, _request(target), 100, clients=3, limit_seconds=0.2)
        total, _, _ = drive([job], limit_seconds=30, measured=lambda: None)
    assert (total.units, total.errors) == (0, 3)
    assert total.first_error == "not done after 0.2 s, waiting for the answer"


def test_a_generator_that_cannot_connect_says_so():
    target = Target("127.0.0.1", free_port())
    job = Requests(target, _request(target), 100, connections=1, seconds=0.2)
    with pytest.raises(DriverFailed, match="ConnectionRefusedError"):
        drive([job], limit_seconds=20, measured=lambda: None)
