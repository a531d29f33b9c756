"""What an operator and a client do to a started registry, with nothing but sockets."""

import datetime as dt
import http.client
import ipaddress
import json
import socket
import ssl
import time
from contextlib import closing

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client.parser import text_string_to_metric_families
from started import Started


class _OverUnixSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("admin", timeout=10)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


def asked(connection, method, path, *, body=None, headers=None):
    """Status, headers and body of one request; closes the connection."""
    with closing(connection):
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def admin(registry, method, path, **rest):
    return asked(_OverUnixSocket(registry.data / "run" / "admin.sock"), method, path, **rest)


def client(registry, method, path, **rest):
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=20)
    return asked(connection, method, path, **rest)


def metrics(registry):
    """Sample name and labels -> value."""
    status, _, body = admin(registry, "GET", "/metrics")
    assert status == 200
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def processes(registry):
    status, _, body = admin(registry, "GET", "/processes")
    assert status == 200
    return {found["process"]: found for found in json.loads(body)}


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


class TlsStarted(Started):
    """One that speaks TLS."""

    def connect(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return context.wrap_socket(sock)

    def _is_ready(self):
        try:
            with self.connect() as sock:
                sock.sendall(
                    b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
                )
                return sock.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def write_pair(certificate, key, name):
    """A self-signed certificate for `name`."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(private, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    for path, content in (
        (certificate, signed.public_bytes(pem)),
        (key, private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)),
    ):
        scratch = path.with_suffix(".new")
        scratch.write_bytes(content)
        scratch.replace(path)


def served_name(sock):
    """The common name of the certificate that a TLS connection got."""
    certificate = x509.load_der_x509_certificate(sock.getpeercert(binary_form=True))
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return name.value
