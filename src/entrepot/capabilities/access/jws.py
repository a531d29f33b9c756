"""Signed tokens of ours (RFC 7515, RFC 8037): one key ring for all kinds, and in each header which kind it is (RFC 8725, 3.11).

The key is looked up among ours by `kid`; nothing else in a header counts, and a header with anything else in it is refused.
"""

from collections.abc import Mapping
from typing import Any, Final

import jwt
from jwt.types import Options

from entrepot.capabilities.access.signing import ALGORITHM, KeyRing
from entrepot.model.errors import Unauthenticated
from entrepot.model.ids import Micros

MAX_TOKEN: Final = 8 * 1024  # characters
_HEADER: Final = frozenset({"alg", "typ", "kid"})
# Claims are their readers' to check, against the moment and place they are given; the library checks the signature.
_SIGNATURE_ONLY: Final[Options] = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class KeyNotHere(Unauthenticated):
    """The token names a signing key this process has not read; it may be newer than our last reading."""


def sign(ring: KeyRing, claims: Mapping[str, Any], *, kind: str) -> str:
    """A token of that kind with these claims."""
    headers = {"kid": ring.signing.id, "typ": kind}
    return jwt.encode(dict(claims), ring.signing.private, algorithm=ALGORITHM, headers=headers)


def claims_of(ring: KeyRing, token: str, now: Micros, *, kind: str) -> dict[str, Any]:
    """The claims of a token of that kind, as they were signed. Raises Unauthenticated, KeyNotHere."""
    if len(token) > MAX_TOKEN or not token.isascii():
        raise Unauthenticated("no token of ours")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError) as error:
        raise Unauthenticated("no token of ours") from error
    kid = header.get("kid")
    if (
        header.get("alg") != ALGORITHM
        or header.get("typ") != kind
        or not _HEADER.issuperset(header)
        or type(kid) is not str
    ):
        raise Unauthenticated("no token of ours")
    key = ring.public(kid, now)
    if key is None:
        raise KeyNotHere("signed with a key that is not here")
    try:
        return jwt.decode(token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
    except (jwt.PyJWTError, RecursionError) as error:
        raise Unauthenticated("no token of ours") from error
