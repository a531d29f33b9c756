"""How TCR requests are signed, without any I/O: from a request to a claim that a secret proves or not.

`read_claim`, then `require_fresh`, then the key (`capabilities.access.signed`), which asks the claim's `proves`. The order in which
faults are told is tcr-behaviour 3.4's.
"""

from collections.abc import Collection
from typing import Final

from entrepot.dialects.tcr.signing.claims import (
    SKEW_SECONDS,
    Claim,
    Scheme,
    SignedRequest,
    require_fresh,
)
from entrepot.dialects.tcr.signing.failures import AuthFailure, SigningError
from entrepot.dialects.tcr.signing.pairs import MAX_PAIRS, read_pairs
from entrepot.dialects.tcr.signing.tc3 import read_tc3
from entrepot.dialects.tcr.signing.v1 import SIGNATURE_PARAMETERS, read_v1

__all__ = [
    "MAX_PAIRS",
    "SERVICES",
    "SIGNATURE_PARAMETERS",
    "SKEW_SECONDS",
    "AuthFailure",
    "Claim",
    "Scheme",
    "SignedRequest",
    "SigningError",
    "read_claim",
    "read_pairs",
    "require_fresh",
]

SERVICES: Final = frozenset({"tcr", "tag"})  # that a TC3 credential may be for


def read_claim(request: SignedRequest, services: Collection[str] = SERVICES) -> Claim:
    """What the request's signature claims: TC3 where there is an Authorization header, else v1.

    Pure, and as dear as one SHA-256 over the body: call it in a thread for bodies above 64 KiB. Raises SigningError.
    """
    if "authorization" in request.headers:
        return read_tc3(request, services)
    return read_v1(request)
