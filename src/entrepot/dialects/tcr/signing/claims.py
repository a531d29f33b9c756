"""A request as it was signed, and what its signature claims: which key, when, and a proof that a secret holds or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from entrepot.dialects.tcr.signing.failures import AuthFailure, SigningError

SKEW_SECONDS: Final = 300  # tcr-behaviour 3.3, both schemes, to either side
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999, behind which there is no date


class Scheme(StrEnum):
    """How a request is signed."""

    TC3 = "TC3-HMAC-SHA256"
    SHA1 = "HmacSHA1"
    SHA256 = "HmacSHA256"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came off the wire.

    `host` and the values of `headers` (names in lower case) are as received, one character for each octet (Latin-1), as ASGI hands
    them over; `host` may be no valid host at all. `raw_query` is what follows the question mark.
    """

    method: str
    host: str
    raw_query: bytes
    headers: Mapping[str, str]
    body: bytes


class Proof(Protocol):
    """What is left to be done with a secret."""

    @property
    def weight(self) -> int:
        """Bytes that `holds` hashes, at most."""

    def holds(self, secret: str) -> bool:
        """Whether the request was signed with that secret. Compares in constant time."""


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """What a request says of its signer; true only if `proves` says so for the key's secret. Never printed: it has the token.

    `action`, `version`, `region`: empty where the request does not say. `nonce` is v1's alone. `service` is of TC3's credential
    scope. `parameters`: the decoded parameters of a v1 request without those of signing, in the order they came.
    """

    scheme: Scheme
    access_key_id: str
    timestamp: int  # seconds since the epoch
    session_token: str | None
    nonce: int | None
    action: str
    version: str
    region: str
    service: str | None
    parameters: Sequence[tuple[str, str]] | None
    proof: Proof

    def proves(self, secret: str) -> bool:
        """Whether the request was signed with that secret. Hashes `weight` bytes."""
        return self.proof.holds(secret)

    @property
    def weight(self) -> int:
        """Bytes that `proves` hashes at most: a kilobyte for TC3, the parameters for v1."""
        return self.proof.weight


def require_fresh(claim: Claim, now: float) -> None:
    """`now`: seconds since the epoch. Raises SigningError (SKEW) for a request signed too long ago, or too far ahead."""
    if abs(now - claim.timestamp) > SKEW_SECONDS:
        raise SigningError(
            AuthFailure.SKEW, f"the timestamp is more than {SKEW_SECONDS} s from the server's"
        )


def timestamp_of(text: str, name: str) -> int:
    """Seconds since the epoch. `name`: where the text stood. Raises SigningError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise SigningError(AuthFailure.TIMESTAMP, f"{name} must be seconds since 1970")
    seconds = int(text)
    if seconds > _LAST_SECOND:
        raise SigningError(AuthFailure.TIMESTAMP, f"{name} must be seconds since 1970")
    return seconds


def utc_date(timestamp: int) -> str:
    """The date of that moment in UTC, `2019-02-25`."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")


def octets(text: str) -> bytes:
    """Of a header's value, as received."""
    return text.encode("latin-1")
