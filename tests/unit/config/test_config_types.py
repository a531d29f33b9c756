"""Sizes, durations, secrets, addresses, names and URLs: what is read, what is refused, what is printed."""

import copy
import json
import pickle
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.config import ByteSize, Duration, HostName, Secret, TcpAddress, UnixAddress, Url
from entrepot.config.types import parse_listen, parse_network


@given(st.integers(0, 2**63 - 1))
def test_every_size_survives_being_printed_and_read(number):
    assert ByteSize.parse(str(ByteSize(number))) == number


@given(st.integers(0, 2**63 - 1))
def test_every_duration_survives_being_printed_and_read(micros):
    assert Duration.parse(str(Duration(micros))) == Duration(micros)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4MiB", 4 * 2**20),
        ("10 GB", 10**10),
        ("512", 512),
        ("512B", 512),
        ("0", 0),
        ("1.5GiB", 3 * 2**29),
        ("4mib", 4 * 2**20),
        (" 7 kB ", 7000),
        ("3PiB", 3 * 2**50),
    ],
)
def test_sizes_are_read(text, number):
    assert ByteSize.parse(text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "MiB", "4 M", "4x", "0.3B", "1e3", "1_000", "9223372036854775808", "٤MiB"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        ByteSize.parse(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0B"), (1000, "1kB"), (1024, "1KiB"), (1025, "1025B"), (10**10, "10GB")],
)
def test_sizes_print_in_the_unit_with_the_smallest_number(number, text):
    assert str(ByteSize(number)) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24h", 86400),
        ("7d", 7 * 86400),
        ("90s", 90),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("2W", 14 * 86400),
        ("0", 0),
        ("25us", 0.000025),
    ],
)
def test_durations_are_read(text, seconds):
    assert Duration.parse(text).seconds == seconds


@pytest.mark.parametrize("text", ["", "90", "-1s", "s", "1y", "1h30", "0.5us", "1s;", "never"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        Duration.parse(text)


@given(st.text("abcXYZ0189!$%&/{}é", min_size=4))
def test_a_secret_shows_in_no_rendering(text):
    secret = Secret(text)
    shown = f"{secret} {secret!r} {[secret]} {secret:}"

    assert shown == "*** Secret(***) [Secret(***)] ***"
    assert secret.reveal() == text


def test_no_encoder_gets_into_a_secret():
    for encode in (msgspec.json.encode, msgspec.to_builtins, json.dumps):
        with pytest.raises(TypeError) as caught:
            encode(Secret("hunter2-hunter2"))
        assert "hunter2" not in str(caught.value)


def test_a_secret_reaches_another_process_and_stays_equal():
    secret = Secret("hunter2-hunter2")

    assert pickle.loads(pickle.dumps(secret)) == secret
    assert copy.deepcopy(secret) == secret
    assert len({secret, Secret("hunter2-hunter2"), Secret("other")}) == 2
    assert secret != "hunter2-hunter2"


@pytest.mark.parametrize("text", ["", "***", "pass\n", "a\0b"])
def test_what_cannot_be_a_secret_is_refused(text):
    with pytest.raises(ValueError):
        Secret.parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("postgresql://me:hunter2:x@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("postgresql://:hunter2@db/x", "postgresql://:***@db/x"),
        ("postgresql://me:hun@ter2@db/x", "postgresql://me:***@db/x"),
        (
            "postgresql://db/x?password=hunter2&sslmode=require",
            "postgresql://db/x?password=***&sslmode=require",
        ),
        ("sqlite:////var/lib/entrepot.db", "sqlite:////var/lib/entrepot.db"),
        ("https://[fd00::1]:5000", "https://[fd00::1]:5000"),
    ],
)
def test_a_url_prints_without_its_password_and_reveals_it(text, shown):
    url = Url.parse(text)

    assert str(url) == shown
    assert "hunter2" not in repr(url)
    assert url.reveal() == text
    assert url.has_secret == (text != shown)


@pytest.mark.parametrize(
    "text", ["", "registry.local", "http:x", "http://a b", "http://a:99999", "http://u:***@h"]
)
def test_what_is_no_url_is_refused_without_being_repeated(text):
    with pytest.raises(ValueError) as caught:
        Url.parse(text)
    assert not text or text not in str(caught.value)


def test_the_scheme_of_a_url_leaves_the_driver_out():
    assert Url.parse("postgresql+psycopg://db/x").scheme == "postgresql"


@given(st.ip_addresses(), st.integers(0, 65535))
def test_every_address_survives_being_printed_and_read(ip, port):
    if isinstance(ip, IPv6Address) and ip.scope_id:
        return
    address = TcpAddress(str(ip), port)

    assert parse_listen(str(address)) == address
    assert address.is_loopback == ip.is_loopback


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5000", TcpAddress("127.0.0.1", 5000)),
        ("[::1]:5000", TcpAddress("::1", 5000)),
        ("LocalHost:0", TcpAddress("localhost", 0)),
        ("unix:/run/e.sock", UnixAddress(Path("/run/e.sock"))),
    ],
)
def test_listen_addresses_are_read(text, address):
    assert parse_listen(text) == address
    assert parse_listen(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5000",
        ":5000",
        "::1:5000",
        "127.0.0.1",
        "1.2.3.4:65536",
        "unix:",
        "http://a:1",
        "[x]:1",
        "1.2.3.999:1",
    ],
)
def test_what_is_no_listen_address_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_listen(text)


def test_only_loopback_addresses_and_sockets_count_as_local():
    local = [parse_listen(t) for t in ("127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/x")]
    reachable = [
        parse_listen(t) for t in ("0.0.0.0:1", "[::]:1", "10.0.0.1:1", "registry.example:1")
    ]

    assert all(address.is_loopback for address in local)
    assert not any(address.is_loopback for address in reachable)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "example", ""])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match="expected a network"):
        parse_network(text)


def test_one_address_is_a_network_of_one():
    assert IPv4Address("10.0.0.1") in parse_network("10.0.0.1")
    assert parse_network("fd00::1").num_addresses == 1


def test_host_names_are_lowered_and_lose_the_final_dot():
    assert HostName.parse(" Registry.Example. ") == "registry.example"


@pytest.mark.parametrize(
    "text", ["", "a..b", "-a.b", "a_b", "127.0.0.1", "::1", "a:5000", "a" * 64, "é.example", "*.a"]
)
def test_what_is_no_host_name_is_refused(text):
    with pytest.raises(ValueError, match="expected a host name"):
        HostName.parse(text)
