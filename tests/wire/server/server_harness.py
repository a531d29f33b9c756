"""A started server on 127.0.0.1, in a thread of its own, and a client that sends raw bytes."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from entrepot.http.bodies import ASGIApp
from entrepot.http.server import Limits, Server, ServerContext, bind


@dataclass
class Running:
    """A server in a thread. `errors` and `responses` are what its hooks were told."""

    address: tuple[str, int]
    server: Server
    loop: asyncio.AbstractEventLoop
    pool: ThreadPoolExecutor
    client_tls: ssl.SSLContext | None = None
    tls: ServerContext | None = None
    errors: list[BaseException] = field(default_factory=list)
    responses: list[tuple[Any, int, int, float]] = field(default_factory=list)

    def connect(self, timeout: float = 10) -> socket.socket:
        sock = socket.create_connection(self.address, timeout=timeout)
        if self.client_tls is not None:
            return self.client_tls.wrap_socket(sock, server_hostname="localhost")
        return sock

    def exchange(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Send, then everything the server sends until it closes."""
        with self.connect() as sock:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def wait_until(self, condition: Callable[[], object], seconds: float = 5) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def call(self, coroutine: Any, timeout: float = 20) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)


def read_all(sock: socket.socket) -> bytes:
    received = bytearray()
    while True:
        try:
            data = sock.recv(1 << 18)
        except ConnectionError:
            return bytes(received)
        if not data:
            return bytes(received)
        received += data


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Reader:
    """Reads one answer after the other from a kept connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def answer(self, *, head_only: bool = False) -> Answer:
        line = self.file.readline()
        if not line:
            raise EOFError
        status = int(line.split()[1])
        headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            assert name not in headers
            headers[name] = value.strip()
        body = b""
        if head_only or status in (100, 204, 304):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            chunks = []
            while size := int(self.file.readline(), 16):
                chunks.append(self.file.read(size))
                assert self.file.readline() == b"\r\n"
            body = b"".join(chunks)
            assert self.file.readline() == b"\r\n"
        elif "content-length" in headers:
            body = self.file.read(int(headers["content-length"]))
        else:
            body = self.file.read()
        return Answer(status, headers, body)

    def close(self) -> None:
        self.file.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Serve = Callable[..., Running]
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@contextmanager
def running(
    app: ASGIApp,
    *,
    limits: Limits,
    tls: ServerContext | None,
    client_tls: ssl.SSLContext | None,
    loop_name: str,
    pool_size: int,
) -> Iterator[Running]:
    loop = LOOPS[loop_name]()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(context))
    errors: list[BaseException] = []
    responses: list[tuple[Any, int, int, float]] = []
    with ThreadPoolExecutor(pool_size) as pool:
        server = Server(
            app,
            limits=limits,
            pool=pool,
            on_error=lambda error, _scope: errors.append(error),
            on_response=lambda *arguments: responses.append(arguments),
        )
        sock = bind("127.0.0.1:0", reuse_port=False)
        address = sock.getsockname()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        run = Running(address, server, loop, pool, client_tls, tls, errors, responses)
        run.call(server.start([sock], tls=tls))
        try:
            yield run
        finally:
            run.call(server.stop(0.2))
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
    assert failures == []
    assert server.connections == 0
    assert server.requests_in_flight == 0


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path


def make_pair(folder: Path, name: str) -> Pair:
    """A self-signed certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pair


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with method, path and the whole body."""
    body = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event["body"]
        if not event["more_body"]:
            break
    text = f"{scope['method']} {scope['raw_path'].decode()} ".encode() + body
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})
