"""TLS: old versions are refused, and a new certificate ends nothing that has begun."""

import asyncio
import hashlib
import random
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from server_harness import Pair, Reader, Running, Serve, echo, make_pair, read_all

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SIZE = 24_000_001


def hello(version: bytes) -> bytes:
    """A ClientHello that knows no later version than this."""
    body = (
        version + bytes(range(32)) + b"\0"
        + b"\0\x0c\xc0\x2b\xc0\x2f\xc0\x09\xc0\x0a\xc0\x13\xc0\x14"  # suites of 1.2 and before
        + b"\1\0"
        + b"\0\x18"  # extensions: secp256r1; uncompressed points; ECDSA and RSA with SHA-256
        + b"\0\x0a\0\4\0\2\0\x17" + b"\0\x0b\0\2\1\0" + b"\0\x0d\0\6\0\4\4\3\4\1"
    )  # fmt: skip
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize(
    ("version", "refused"),
    [(b"\3\0", True), (b"\3\1", True), (b"\3\2", True), (b"\3\3", False)],
    ids=["SSL 3", "TLS 1.0", "TLS 1.1", "TLS 1.2"],
)
def test_versions_before_1_2_are_refused(serve: Serve, version, refused):
    run = serve(echo, tls=True)

    with socket.create_connection(run.address, timeout=30) as sock:
        sock.sendall(hello(version))
        record = sock.recv(5, socket.MSG_WAITALL)
        if refused:
            assert record[0] == 0x15  # an alert
            level, reason = sock.recv(2, socket.MSG_WAITALL)
            assert level == 2
            assert reason in {40, 70}  # handshake_failure, protocol_version
            assert read_all(sock) == b""
        else:
            assert record[:3] == b"\x16\3\3"
    run.wait_until(lambda: run.server.connections == 0, 30)


def presented(run: Running) -> str:
    """The common name of the certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(run.address, timeout=30) as sock,
        context.wrap_socket(sock) as client,
    ):
        shown = client.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).subject.rfc4514_string()


@pytest.fixture(scope="module")
def content() -> bytes:
    return random.Random(9).randbytes(SIZE)


@pytest.fixture
def second(tmp_path: Path) -> Pair:
    return make_pair(tmp_path, "second")


@pytest.mark.parametrize("target", [b"/file", b"/bytes"])
@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
def test_downloads_and_uploads_run_through_a_new_certificate(
    serve: Serve, tmp_path: Path, content, pair, second, target, loop_name
):
    path = tmp_path / "blob"
    path.write_bytes(content)
    digests = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "PUT":
            digest = hashlib.sha256()
            more = True
            while more:
                event = await receive()
                digest.update(event["body"])
                more = event["more_body"]
            digests.append(digest.digest())
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body"})
            return
        headers = [(b"content-length", b"%d" % SIZE)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == "/file":
            with path.open("rb") as file:
                await send({"type": "http.response.zerocopysend", "file": file, "count": SIZE})
        else:
            for start in range(0, SIZE, 1 << 20):
                piece, more = content[start : start + (1 << 20)], start + (1 << 20) < SIZE
                await send({"type": "http.response.body", "body": piece, "more_body": more})

    run = serve(app, tls=True, loop_name=loop_name)
    with (
        Reader(run.connect(timeout=60)) as down,
        Reader(run.connect(timeout=60)) as up,
        Reader(run.connect(timeout=60)) as idle,
    ):
        down.sock.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target)
        first = down.sock.recv(1000)
        up.sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)
        up.sock.sendall(content[: SIZE // 2])
        run.wait_until(lambda: run.server.requests_in_flight == 2, 30)

        assert presented(run) == "CN=first"
        for new in (second, pair, second):
            run.loop.call_soon_threadsafe(run.tls.reload, new.certificate, new.key)
            run.call(asyncio.sleep(0))
        assert presented(run) == "CN=second"
        assert run.server.requests_in_flight == 2

        up.sock.sendall(content[SIZE // 2 :])
        assert up.answer().status == 201
        received = hashlib.sha256(first.partition(b"\r\n\r\n")[2])
        size = len(first.partition(b"\r\n\r\n")[2])
        while size < SIZE:
            data = down.sock.recv(1 << 18)
            assert data
            received.update(data)
            size += len(data)
        for reader in (down, up, idle):
            reader.sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            assert reader.answer().status == 201

    expected = hashlib.sha256(content).digest()
    assert received.digest() == expected
    assert digests[0] == expected
    assert run.errors == []


def test_a_handshake_that_has_begun_ends_well_after_a_new_certificate(serve: Serve, second):
    run = serve(echo, tls=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(inward, outward)

    with socket.create_connection(run.address, timeout=30) as sock:
        reloaded = False
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                flight = outward.read()
                sock.sendall(flight[:50])
                if not reloaded:
                    run.wait_until(lambda: run.server.connections == 1, 30)
                    run.tls.reload(second.certificate, second.key)
                    reloaded = True
                sock.sendall(flight[50:])
                inward.write(sock.recv(65536))
        client.write(GET)
        sock.sendall(outward.read())
        answer = b""
        while b"GET / " not in answer:
            inward.write(sock.recv(65536))
            try:
                answer += client.read(65536)
            except ssl.SSLWantReadError:
                continue  # tickets of the session

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_session_of_the_old_certificate_may_be_taken_up(serve: Serve, second):
    run = serve(echo, tls=True)
    context = run.client_tls
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # there the session is known at once
    with run.connect(timeout=30) as sock:
        session = sock.session
    run.tls.reload(second.certificate, second.key)

    with (
        socket.create_connection(run.address, timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as sock,
    ):
        sock.sendall(GET)
        assert Reader(sock).answer().status == 200


def test_certificates_may_change_while_clients_come_and_go(serve: Serve, pair, second):
    """Some see the one, some the other, and none a handshake that fails."""
    run = serve(echo, tls=True)
    run.client_tls.load_verify_locations(str(second.certificate))
    over = threading.Event()

    async def change() -> int:
        count = 0
        while not over.is_set():
            new = (second, pair)[count % 2]
            run.tls.reload(new.certificate, new.key)
            count += 1
            await asyncio.sleep(0.01)
        return count

    changing = asyncio.run_coroutine_threadsafe(change(), run.loop)
    try:
        for _ in range(30):
            with Reader(run.connect(timeout=30)) as reader:
                reader.sock.sendall(GET)
                assert reader.answer().body == b"GET / "
    finally:
        over.set()
    assert changing.result(30) > 1
    assert run.errors == []


@pytest.mark.parametrize("wrong", ["missing", "not PEM", "another's key", "empty", "a folder"])
def test_a_pair_that_cannot_be_used_changes_nothing(serve: Serve, tmp_path, second, wrong):
    run = serve(echo, tls=True)
    certificate, key = second.certificate, tmp_path / "other.key"
    if wrong == "not PEM":
        key.write_text("no key")
    elif wrong == "another's key":
        key = make_pair(tmp_path, "third").key
    elif wrong == "empty":
        key.write_bytes(b"")
    elif wrong == "a folder":
        key.mkdir()

    with pytest.raises(OSError):  # ssl.SSLError is one
        run.tls.reload(certificate, key)

    assert presented(run) == "CN=first"
    with Reader(run.connect(timeout=30)) as reader:
        reader.sock.sendall(GET)
        assert reader.answer().status == 200
