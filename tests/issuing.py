"""Certificates for tests: an authority of the moment, and what it issues."""

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_DAY = dt.timedelta(days=1)


def pem_of(key, password=None):
    """A private key as text."""
    form = serialization.PrivateFormat.PKCS8
    hidden = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    return key.private_bytes(serialization.Encoding.PEM, form, hidden).decode()


@dataclass
class Authority:
    """Signs certificates; its own is `pem`."""

    name: str
    key: object
    pem: str

    @classmethod
    def new(cls, name="tests"):
        key = ec.generate_private_key(ec.SECP256R1())
        pem = _signed(name, key.public_key(), issuer=name, by=key, authority=True, days=2)
        return cls(name, key, pem)

    def issue(self, *hosts, days=1, key=None, with_issuer=True):
        """Chain and key for these hosts, `days` from yesterday on."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        leaf = _signed("leaf", public, issuer=self.name, by=self.key, hosts=hosts, days=days)
        return leaf + (self.pem if with_issuer else ""), pem_of(key)


def _signed(name, public, *, issuer, by, hosts=(), authority=False, days):
    def named(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * _DAY)
        .not_valid_after(now + days * _DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
