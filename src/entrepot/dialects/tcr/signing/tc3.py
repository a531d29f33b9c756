"""TC3-HMAC-SHA256 (tcr-behaviour 3.1): Authorization names a key, a date, a service and the headers that are signed.

Clients do not agree on the case of signed header values: the vendor's text says lower, its SDKs sign them as they are, its samples
lower the action alone. Each reading is tried, in that order; names, order and everything else are the same in all.
"""

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from entrepot.dialects.tcr.signing.claims import (
    Claim,
    Scheme,
    SignedRequest,
    octets,
    timestamp_of,
    utc_date,
)
from entrepot.dialects.tcr.signing.failures import AuthFailure, SigningError

_END: Final = "tc3_request"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_REQUIRED: Final = ("content-type", "host")
_PARTS: Final = frozenset({"Credential", "SignedHeaders", "Signature"})
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_MAX_HEADERS: Final = 64


@dataclass(frozen=True, slots=True)
class _Authorization:
    access_key_id: str
    date: str
    service: str
    signed_headers: str  # as written
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.service}/{_END}"


@dataclass(frozen=True, slots=True, repr=False)
class _Proof:
    scope: _Authorization
    readings: tuple[bytes, ...]  # strings to sign, any of which may be the client's

    @property
    def weight(self) -> int:
        return sum(map(len, self.readings))

    def holds(self, secret: str) -> bool:
        key = f"TC3{secret}".encode()
        for step in (self.scope.date, self.scope.service, _END):
            key = _hmac(key, step.encode())
        signature = self.scope.signature
        return any(
            hmac.compare_digest(_hmac(key, reading).hex(), signature) for reading in self.readings
        )


def read_tc3(request: SignedRequest, services: Collection[str]) -> Claim:
    """The claim of a request with an Authorization header. Hashes the whole body. Raises SigningError."""
    headers = request.headers
    told = _authorization(headers.get("authorization", ""))
    if told.service not in services:
        raise SigningError(AuthFailure.SERVICE, "the credential's service is not served here")
    stamp = headers.get("x-tc-timestamp", "").strip()
    if not stamp:
        raise SigningError(AuthFailure.MISSING, "X-TC-Timestamp")
    timestamp = timestamp_of(stamp, "X-TC-Timestamp")
    names = _listed(told.signed_headers)
    canonical = _canonical_requests(request, names, told.signed_headers)
    if told.date != utc_date(timestamp):
        raise SigningError(
            AuthFailure.DATE, "the credential's date is not the UTC date of X-TC-Timestamp"
        )
    before = f"{Scheme.TC3}\n{stamp}\n{told.scope}\n".encode()
    readings = [before + hashlib.sha256(one).hexdigest().encode() for one in canonical]
    return Claim(
        scheme=Scheme.TC3,
        access_key_id=told.access_key_id,
        timestamp=timestamp,
        session_token=headers.get("x-tc-token", "").strip() or None,
        nonce=None,
        action=headers.get("x-tc-action", "").strip(),
        version=headers.get("x-tc-version", "").strip(),
        region=headers.get("x-tc-region", "").strip(),
        service=told.service,
        parameters=None,
        proof=_Proof(told, tuple(readings)),
    )


# -- Authorization ----------------------------------------------------------------------------------------------------


def _authorization(text: str) -> _Authorization:
    """Its parts, in any order, with or without blanks after the commas."""
    scheme, _, rest = text.strip().partition(" ")
    if scheme == "SKIP":
        raise SigningError(AuthFailure.UNSIGNED, "the request is not signed")
    if scheme != Scheme.TC3:
        raise _unparsable(f"the scheme must be {Scheme.TC3}")
    parts: dict[str, str] = {}
    for piece in rest.split(","):
        name, equals, value = piece.strip().partition("=")
        if not equals or name not in _PARTS or name in parts:
            raise _unparsable("its parts must be Credential, SignedHeaders and Signature")
        parts[name] = value.strip()
    for name in sorted(_PARTS):
        if not parts.get(name):
            raise SigningError(AuthFailure.MISSING, f"{name} of Authorization")
    return _of_parts(parts)


def _of_parts(parts: Mapping[str, str]) -> _Authorization:
    key, *scope = parts["Credential"].rsplit("/", 3)
    if not key or len(scope) != 3 or not _DATE.fullmatch(scope[0]) or scope[2] != _END:
        raise _unparsable(f"Credential must be SecretId/date/service/{_END}")
    if not _SIGNATURE.fullmatch(parts["Signature"]):
        raise _unparsable("Signature must be 64 hex digits in lower case")
    date, service, _ = scope
    return _Authorization(key, date, service, parts["SignedHeaders"], parts["Signature"])


def _listed(signed_headers: str) -> list[str]:
    """Names of the signed headers, in lower case."""
    names = signed_headers.lower().split(";")
    distinct = len(set(names)) == len(names) <= _MAX_HEADERS
    if not distinct or not all(map(_HEADER.fullmatch, names)):
        raise _unparsable("SignedHeaders must be header names with semicolons between")
    for name in _REQUIRED:
        if name not in names:
            raise SigningError(AuthFailure.UNSIGNED_HEADER, f"SignedHeaders must have {name}")
    return names


def _unparsable(rule: str) -> SigningError:
    return SigningError(AuthFailure.UNPARSABLE, f"Authorization: {rule}")


# -- what was signed --------------------------------------------------------------------------------------------------


def _canonical_requests(
    request: SignedRequest, names: list[str], signed_headers: str
) -> list[bytes]:
    """The canonical request in each reading of header values, without repetitions."""
    values = {name: _value(request, name) for name in sorted(names)}
    lower = {name: value.lower() for name, value in values.items()}
    action = {n: lower[n] if n == "x-tc-action" else v for n, v in values.items()}
    # A query string is no part of what POST signs; such a one must not be read either.
    query = request.raw_query if request.method == "GET" else b""
    start = b"%s\n/\n%s\n" % (octets(request.method), query)
    end = b"\n%s\n%s" % (octets(signed_headers), _body_hash(request).encode())
    readings = (lower, values, action)
    return list(dict.fromkeys(start + _canonical_headers(reading) + end for reading in readings))


def _canonical_headers(values: Mapping[str, bytes]) -> bytes:
    return b"".join(b"%s:%s\n" % (name.encode(), value) for name, value in values.items())


def _value(request: SignedRequest, name: str) -> bytes:
    value = request.host if name == "host" else request.headers.get(name)
    if value is None:
        raise SigningError(AuthFailure.MISSING, f"header {name}, which is listed as signed")
    return octets(value).strip()


def _body_hash(request: SignedRequest) -> str:
    """A client may leave its body unsigned, and then signs that it did."""
    is_unsigned = request.headers.get("x-tc-content-sha256", "").strip() == _UNSIGNED
    return hashlib.sha256(_UNSIGNED.encode() if is_unsigned else request.body).hexdigest()


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
