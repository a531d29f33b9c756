"""What can be wrong with a signature before any key is looked at, as values; the wire has the codes."""

from dataclasses import dataclass
from enum import StrEnum


class AuthFailure(StrEnum):
    """Why a request cannot be taken for a signed one. That a digest is wrong is told by `Claim.proves`."""

    UNSIGNED = "unsigned"  # no signature at all, or `Authorization: SKIP`
    UNPARSABLE = "unparsable"  # Authorization is not what the scheme says
    MISSING = "missing"  # a part that signing needs, or a header that is listed as signed
    UNSIGNED_HEADER = "unsigned-header"  # SignedHeaders must list it
    SERVICE = "service"  # the credential is for a service that is not served
    TIMESTAMP = "timestamp"  # no number of seconds
    NONCE = "nonce"  # no positive number of at most 63 bits
    DATE = "date"  # the credential's date is not the UTC date of the timestamp
    SKEW = "skew"  # the timestamp is too far from now
    AMBIGUOUS = "ambiguous"  # a parameter is there twice
    TOO_MANY = "too-many"  # parameters
    ENCODING = "encoding"  # not UTF-8


@dataclass(eq=False)
class SigningError(Exception):
    """The request's signature cannot be checked. `what` names the header or parameter, as a client may be told."""

    reason: AuthFailure
    what: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.what}"
