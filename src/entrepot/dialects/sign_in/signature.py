"""SDK-HMAC-SHA256 (swr-behaviour 5.3), without any I/O: from a request to a claim that a secret proves or not.

Signed are the method, the path and the query as they mean (decoded, and encoded again in one way), exactly the headers that
Authorization lists, and the body, unless the client says that it left it unsigned.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from entrepot.model.errors import Unauthenticated

SCHEME: Final = "SDK-HMAC-SHA256"
WINDOW_SECONDS: Final = 900  # of X-Sdk-Date, to either side
MAX_AUTHORIZATION: Final = 4096  # characters
MAX_PATH: Final = 8192  # bytes
MAX_QUERY: Final = 32_768
MAX_PAIRS: Final = 1024
_DATE: Final = "x-sdk-date"
_CONTENT: Final = "x-sdk-content-sha256"
_TOKEN: Final = "x-security-token"  # noqa: S105  (a header's name)
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_PARTS: Final = ("Access", "SignedHeaders", "Signature")
_MAX_HEADERS: Final = 64
_MAX_KEY: Final = 128
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_STAMP: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_HEADER: Final = re.compile(r"[!#$%&'*+.^`|~0-9A-Za-z_-]{1,256}")


class SignatureUnreadable(Unauthenticated):
    """The request's signature cannot be checked, or was made too long ago. `reason` may be told to the client."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came off the wire: `path` and `query` raw, `headers` in order with names in lower case, values as received."""

    method: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """What a request says of its signer; true only if `proves` says so for the key's secret. Never printed: it has the token."""

    access_key_id: str
    session_token: str | None
    signed_at: int  # seconds since the epoch
    told: bytes  # the string to sign
    signature: str

    def proves(self, secret: str) -> bool:
        """Whether the request was signed with that secret. Hashes a few hundred bytes and compares in constant time."""
        made = hmac.digest(secret.encode(), self.told, "sha256").hex()
        return hmac.compare_digest(made, self.signature)


@dataclass(frozen=True, slots=True)
class _Authorization:
    access_key_id: str
    signed_headers: str  # as written
    signature: str


def is_signed(authorization: str) -> bool:
    """Whether that header is of this family, be it of a scheme that is not served."""
    return authorization.lstrip()[:4].upper() in ("SDK-", "V11-")


def read_claim(request: SignedRequest, now: float) -> Claim:
    """The claim of a request with an Authorization header. Hashes the whole body. `now`: seconds since the epoch.

    Raises SignatureUnreadable.
    """
    values = _header_values(request)
    told = _authorization(values)
    stamp, signed_at = _moment(values, now)
    names = _listed(told.signed_headers)
    if _DATE not in map(str.lower, names):
        raise SignatureUnreadable("SignedHeaders must have x-sdk-date")
    canonical = b"\n".join(
        (
            request.method.upper().encode("latin-1"),
            canonical_path(request.path),
            canonical_query(request.query),
            b"".join(b"%s:%s\n" % (n.encode(), _value(values, n.lower())) for n in names),
            told.signed_headers.encode(),
            _body_hash(request, values),
        )
    )
    digest = hashlib.sha256(canonical).hexdigest()
    return Claim(
        access_key_id=told.access_key_id,
        session_token=_one(values, _TOKEN) or None,
        signed_at=signed_at,
        told=f"{SCHEME}\n{stamp}\n{digest}".encode(),
        signature=told.signature,
    )


# -- what was signed --------------------------------------------------------------------------------------------------


def canonical_path(raw: bytes) -> bytes:
    """Decoded as a whole, split, each piece encoded anew, with a slash at the end. Raises SignatureUnreadable beyond 8 KiB."""
    if len(raw) > MAX_PATH:
        raise SignatureUnreadable("the path is too long")
    path = b"/".join(map(_encoded, unquote_to_bytes(raw).split(b"/")))
    return path if path.endswith(b"/") else path + b"/"


def canonical_query(raw: bytes) -> bytes:
    """Pairs in the order of their decoded names and values, each encoded anew; a plus sign is one. Raises SignatureUnreadable beyond bounds."""
    if len(raw) > MAX_QUERY:
        raise SignatureUnreadable("the query is too long")
    pieces = [piece.partition(b"=") for piece in raw.split(b"&") if piece]
    if len(pieces) > MAX_PAIRS:
        raise SignatureUnreadable("too many parameters")
    pairs = sorted((unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pieces)
    return b"&".join(b"%s=%s" % (_encoded(name), _encoded(value)) for name, value in pairs)


def _encoded(octets: bytes) -> bytes:
    return quote_from_bytes(octets, safe="~").encode()


def _body_hash(request: SignedRequest, values: "_Values") -> bytes:
    """Of what the client signed in the body's place; a hash it tells must be the body's."""
    actual = hashlib.sha256(request.body).hexdigest()
    stated = _one(values, _CONTENT)
    if not request.body or not stated:
        return actual.encode()
    if stated != _UNSIGNED and stated.lower() != actual:
        raise SignatureUnreadable("X-Sdk-Content-Sha256 is not the body's")
    return stated.encode("latin-1")


# -- headers ----------------------------------------------------------------------------------------------------------

_Values = dict[str, list[bytes]]


def _header_values(request: SignedRequest) -> _Values:
    values: _Values = {}
    for name, value in request.headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.strip())
    return values


def _value(values: _Values, name: str) -> bytes:
    """Of a header that counts: twice there would be two readings of it. Raises SignatureUnreadable."""
    found = values.get(name, [])
    if len(found) != 1:
        raise SignatureUnreadable(f"a signed request has one header {name}")
    return found[0]


def _one(values: _Values, name: str) -> str:
    """Likewise, or empty where it is not there."""
    return _value(values, name).decode("latin-1") if name in values else ""


def _moment(values: _Values, now: float) -> tuple[str, int]:
    """X-Sdk-Date as it was written, and in seconds since the epoch."""
    stamp = _one(values, _DATE)
    if not _STAMP.fullmatch(stamp):
        raise SignatureUnreadable("X-Sdk-Date must be such as 20240102T030405Z")
    try:
        moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise SignatureUnreadable("X-Sdk-Date is no date") from error
    signed_at = int(moment.timestamp())
    if abs(now - signed_at) > WINDOW_SECONDS:
        raise SignatureUnreadable(f"X-Sdk-Date is more than {WINDOW_SECONDS} s from the server's")
    return stamp, signed_at


def _authorization(values: _Values) -> _Authorization:
    """Its parts, in any order, with or without blanks after the commas."""
    text = _one(values, "authorization")
    scheme, _, rest = text.partition(" ")
    if len(text) > MAX_AUTHORIZATION or scheme != SCHEME:
        raise SignatureUnreadable(f"only {SCHEME} is served")
    parts: dict[str, str] = {}
    for piece in rest.split(","):
        name, equals, value = piece.strip().partition("=")
        if not equals or not value or name not in _PARTS or name in parts:
            raise SignatureUnreadable("Authorization must have Access, SignedHeaders and Signature")
        parts[name] = value
    if len(parts) != len(_PARTS):
        raise SignatureUnreadable("Authorization must have Access, SignedHeaders and Signature")
    if len(parts["Access"]) > _MAX_KEY or not _SIGNATURE.fullmatch(parts["Signature"]):
        raise SignatureUnreadable("Signature must be 64 hex digits in lower case")
    return _Authorization(*(parts[name] for name in _PARTS))


def _listed(signed_headers: str) -> list[str]:
    """Names of the signed headers, as written."""
    names = signed_headers.split(";")
    distinct = len({name.lower() for name in names}) == len(names) <= _MAX_HEADERS
    if not distinct or not all(map(_HEADER.fullmatch, names)):
        raise SignatureUnreadable("SignedHeaders must be header names with semicolons between")
    return names
