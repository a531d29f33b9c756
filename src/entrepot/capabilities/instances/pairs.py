"""Certificates as people bring them: PEM texts that must be read, must fit together and must not have ended."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from entrepot.config import HostName
from entrepot.model.certificates import CertificateInvalid, Pair
from entrepot.model.ids import Micros

MAX_CHAIN: Final = 64 * 1024  # characters
MAX_KEY: Final = 4 * 1024
MAX_LENGTH: Final = 10  # certificates of a chain
MAX_HOSTS: Final = 200
_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_BITS: Final = 4096  # beyond, a handshake is a burden for all
_KEYS = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)


@dataclass(frozen=True, slots=True)
class CheckedPair:
    """A pair in the one usual spelling, what it is for, and when it ends."""

    pair: Pair
    hosts: tuple[str, ...]
    ends_at: Micros


def check_pair(chain: str, key: str) -> CheckedPair:
    """Read and check both; some milliseconds of computing. Raises CertificateInvalid, saying nothing of the key's content."""
    pair, leaf = _check(chain, key)
    ends_at = Micros(int(leaf.not_valid_after_utc.timestamp()) * 1_000_000)
    return CheckedPair(pair, _hosts(leaf), ends_at)


def check_client_pair(chain: str, key: str) -> Pair:
    """Likewise of a pair that a client shows, which is for no host. Raises CertificateInvalid."""
    return _check(chain, key)[0]


def _check(chain: str, key: str) -> tuple[Pair, x509.Certificate]:
    certificates = _read_chain(chain)
    secret = _read_key(key)
    leaf = certificates[0]
    if _public(leaf.public_key()) != _public(secret.public_key()):
        raise CertificateInvalid("the key is not the certificate's (the chain begins with its own)")
    if leaf.not_valid_after_utc <= dt.datetime.now(dt.UTC):
        raise CertificateInvalid(f"it ended at {leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pair = Pair(
        "".join(one.public_bytes(pem).decode() for one in certificates),
        secret.private_bytes(pem, form, plain).decode(),
    )
    return pair, leaf


def _read_chain(text: str) -> Sequence[x509.Certificate]:
    """The certificates, each issued by the next. The last one's issuer may be missing, as roots usually are."""
    if len(text) > MAX_CHAIN:
        raise CertificateInvalid(f"a chain has at most {MAX_CHAIN} characters")
    try:
        chain = x509.load_pem_x509_certificates(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateInvalid("the chain is no PEM text of certificates") from None
    if text.count("-----BEGIN CERTIFICATE-----") != len(chain):  # what is cut off is passed over
        raise CertificateInvalid("the chain is no PEM text of certificates, from beginning to end")
    if len(chain) > MAX_LENGTH:
        raise CertificateInvalid(f"a chain has at most {MAX_LENGTH} certificates")
    for number, (one, issuer) in enumerate(pairwise(chain), 1):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            reason = f"certificate {number} of the chain is not issued by the next one"
            raise CertificateInvalid(reason) from None
    return chain


def _read_key(
    text: str,
) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    if len(text) > MAX_KEY:
        raise CertificateInvalid(f"a key has at most {MAX_KEY} characters")
    try:
        # OpenSSL's own look at an RSA key takes seconds for large ones and holds up every thread; the trial below says as much.
        key: PrivateKeyTypes = serialization.load_pem_private_key(
            text.encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except TypeError:
        raise CertificateInvalid("the key has a passphrase: take that off first") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateInvalid("the key is no PEM text of a private key") from None
    if not isinstance(key, _KEYS):
        raise CertificateInvalid("the key is neither RSA, ECDSA nor Ed25519")
    if isinstance(key, rsa.RSAPrivateKey):
        if not _LEAST_RSA_BITS <= key.key_size <= _MOST_RSA_BITS:
            raise CertificateInvalid(f"an RSA key has {_LEAST_RSA_BITS} to {_MOST_RSA_BITS} bits")
        _try(key)
    return key


def _try(key: rsa.RSAPrivateKey) -> None:
    """Raises CertificateInvalid for numbers that are no key: what they sign does not verify."""
    scheme, hashed = padding.PKCS1v15(), hashes.SHA256()
    try:
        key.public_key().verify(key.sign(b"trial", scheme, hashed), b"trial", scheme, hashed)
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        raise CertificateInvalid("the key is no RSA key: it signs nothing that verifies") from None


def _public(key: object) -> bytes:
    """For comparing. Keys of kinds that no certificate for TLS has compare unlike all."""
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return b""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)


def _hosts(leaf: x509.Certificate) -> tuple[str, ...]:
    """Names of the extension alone: clients have not looked at the common name for years (RFC 6125)."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        told = names.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        told = []
    hosts = dict.fromkeys(host for name in told if (host := _host(name)) is not None)
    if not 1 <= len(hosts) <= MAX_HOSTS:
        raise CertificateInvalid(f"it is for 1 to {MAX_HOSTS} host names (subjectAltName)")
    return tuple(hosts)


def _host(name: str) -> str | None:
    """A name in lower case, perhaps with `*.` before it; None for what is no host name."""
    star = "*." if name.startswith("*.") else ""
    try:
        return star + HostName.parse(name.removeprefix("*."))
    except ValueError:
        return None
