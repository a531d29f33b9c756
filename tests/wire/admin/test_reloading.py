"""A registry with TLS and an operator's address with a token: who is let in, and what a hangup signal does."""

import http.client
import os
import signal

import pytest
from operator_client import TlsStarted, asked, served_name, wait_for, write_pair
from started import free_port

TOKEN = "operator-token-0123456789"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    certificate, key = folder / "server.crt", folder / "server.key"
    write_pair(certificate, key, "first")
    settings = {
        "ENTREPOT_HTTP_TLS_CERTIFICATE": str(certificate),
        "ENTREPOT_HTTP_TLS_KEY": str(key),
        "ENTREPOT_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
        "ENTREPOT_ADMIN_TOKEN": TOKEN,
        "ENTREPOT_JOBS_EMBEDDED": "false",
    }
    registry = TlsStarted(folder, settings)
    try:
        registry.start()
        yield registry
        assert registry.stop() == 0
    finally:
        registry.kill()


def admin(registry, path, authorization=None):
    host, _, port = registry.settings["ENTREPOT_ADMIN_LISTEN"].partition(":")
    headers = {} if authorization is None else {"authorization": authorization}
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    return asked(connection, "GET", path, headers=headers)


@pytest.mark.parametrize(
    "authorization",
    [
        *(None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}"),
        *(f"Bearer {TOKEN.upper()}", TOKEN, "Bearer \xff"),
    ],
)
def test_without_the_token_every_path_looks_the_same(guarded, authorization):
    answers = {
        (status, body)
        for path in ("/metrics", "/healthz", "/nothing")
        for status, _, body in [admin(guarded, path, authorization)]
    }

    assert answers == {(401, b"a bearer token is needed\n")}


def test_with_the_token_the_operator_is_served(guarded):
    assert admin(guarded, "/metrics", f"Bearer {TOKEN}")[0] == 200
    assert admin(guarded, "/nothing", f"bearer {TOKEN}")[0] == 404
    assert TOKEN not in guarded.log.read_text()


def answered(sock):
    sock.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    received = b""
    while not received.endswith(b"ok\n"):
        piece = sock.recv(4096)
        assert piece, received
        received += piece
    return received.startswith(b"HTTP/1.1 200")


def new_name(registry):
    with registry.connect() as sock:
        return served_name(sock)


def hang_up(registry, certificate_name):
    folder = registry.folder
    write_pair(folder / "server.crt", folder / "server.key", certificate_name)
    os.kill(registry.process.pid, signal.SIGHUP)


def test_a_hangup_brings_the_new_certificate_and_ends_no_connection(guarded):
    with guarded.connect() as kept:
        before = served_name(kept)
        assert answered(kept)
        hang_up(guarded, "second")
        wait_for(lambda: new_name(guarded) == "second", 10)
        assert before != "second"
        assert answered(kept)
    assert "certificate_reloaded" in guarded.log.read_text()


def test_a_pair_that_does_not_match_is_refused_and_the_old_one_serves_on(guarded):
    hang_up(guarded, "third")
    wait_for(lambda: new_name(guarded) == "third", 10)
    (guarded.folder / "server.key").write_text("no key\n")
    os.kill(guarded.process.pid, signal.SIGHUP)

    wait_for(lambda: "certificate_not_reloaded" in guarded.log.read_text(), 10)
    assert new_name(guarded) == "third"
