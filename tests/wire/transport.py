"""How the tests reach their started registries: plain HTTP, or TLS for all of them (`ENTREPOT_TEST_TLS=1`, a part of `make test-all`)."""

import atexit
import datetime as dt
import functools
import http.client
import ipaddress
import os
import shutil
import socket
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

TLS = os.environ.get("ENTREPOT_TEST_TLS", "") not in ("", "0")
SCHEME = "https" if TLS else "http"


def dial(port: int, *, seconds: float = 20) -> socket.socket:
    """A socket for those who write their requests themselves. Over TLS it cannot be closed in one direction."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=seconds)
    return trust().wrap_socket(plain, server_hostname="127.0.0.1") if TLS else plain


def connect(port: int, *, seconds: float = 20, tls: bool = TLS) -> http.client.HTTPConnection:
    """A connection of its own to a started registry, opened by the first request."""
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=seconds, context=trust())


def settings() -> dict[str, str]:
    """What a registry must be told to be reached so."""
    if not TLS:
        return {}
    certificate, key = _pair()
    return {"ENTREPOT_HTTP_TLS_CERTIFICATE": certificate, "ENTREPOT_HTTP_TLS_KEY": key}


@functools.cache
def trust() -> ssl.SSLContext:
    """Trusts the registries of this test process and nobody else."""
    return ssl.create_default_context(cafile=_pair()[0])


@functools.cache
def _pair() -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1 and its key, gone with this process."""
    folder = tempfile.mkdtemp(prefix="entrepot-tls-")
    atexit.register(shutil.rmtree, folder)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "entrepot tests")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    shown, hidden = Path(folder, "tls.crt"), Path(folder, "tls.key")
    shown.write_bytes(certificate.public_bytes(pem))
    hidden.touch(mode=0o600)
    hidden.write_bytes(key.private_bytes(pem, form, plain))
    return str(shown), str(hidden)
