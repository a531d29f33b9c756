"""HmacSHA1 and HmacSHA256, the older scheme (tcr-behaviour 3.2): parameters of a query or a form, the signature among them."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from entrepot.dialects.tcr.signing.claims import (
    Claim,
    Scheme,
    SignedRequest,
    octets,
    timestamp_of,
)
from entrepot.dialects.tcr.signing.failures import AuthFailure, SigningError
from entrepot.dialects.tcr.signing.pairs import read_pairs

# Parameters of the request itself, which are none of the action's.
SIGNATURE_PARAMETERS: Final = frozenset({
    "Action", "Version", "Region", "Timestamp", "Nonce", "SecretId", "Signature", "SignatureMethod",
    "Token", "Language", "RequestClient",
})  # fmt: skip
_REQUIRED: Final = ("SecretId", "Signature", "Timestamp", "Nonce")
_HASHES: Final[Mapping[Scheme, str]] = {Scheme.SHA1: "sha1", Scheme.SHA256: "sha256"}
_MAX_NONCE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, repr=False)
class _Proof:
    scheme: Scheme
    signed: bytes
    signature: bytes

    @property
    def weight(self) -> int:
        return len(self.signed)

    def holds(self, secret: str) -> bool:
        digest = hmac.digest(secret.encode(), self.signed, _HASHES[self.scheme])
        return hmac.compare_digest(base64.b64encode(digest), self.signature)


def read_v1(request: SignedRequest) -> Claim:
    """The claim of a request whose parameters are signed: of GET the query's, of POST the form's. Raises SigningError."""
    pairs = read_pairs(request.raw_query if request.method == "GET" else request.body)
    given = dict(pairs)
    if not given.get("SecretId") and not given.get("Signature"):
        raise SigningError(AuthFailure.UNSIGNED, "the request is not signed")
    if len(given) != len(pairs):
        raise SigningError(AuthFailure.AMBIGUOUS, "a parameter is given twice")
    for name in _REQUIRED:
        if not given.get(name):
            raise SigningError(AuthFailure.MISSING, name)
    is_sha256 = given.get("SignatureMethod") == Scheme.SHA256
    scheme = Scheme.SHA256 if is_sha256 else Scheme.SHA1
    proof = _Proof(scheme, _signed(request, given), given["Signature"].encode())
    return Claim(
        scheme=scheme,
        access_key_id=given["SecretId"],
        timestamp=timestamp_of(given["Timestamp"], "Timestamp"),
        session_token=given.get("Token") or None,
        nonce=_nonce(given["Nonce"]),
        action=given.get("Action", ""),
        version=given.get("Version", ""),
        region=given.get("Region", ""),
        service=None,
        parameters=[pair for pair in pairs if pair[0] not in SIGNATURE_PARAMETERS],
        proof=proof,
    )


def _signed(request: SignedRequest, given: Mapping[str, str]) -> bytes:
    """Decoded values, sorted by the bytes of their names: UTF-8 sorts as its code points do."""
    text = "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "Signature")
    return b"%s%s/?%s" % (octets(request.method), octets(request.host), text.encode())


def _nonce(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 19 and 0 < int(text) <= _MAX_NONCE:
        return int(text)
    raise SigningError(AuthFailure.NONCE, "Nonce must be a positive integer of at most 63 bits")
