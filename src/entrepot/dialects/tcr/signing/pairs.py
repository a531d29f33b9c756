"""Names and values of a query string or a form body, decoded once: what v1 signs, and what a flat request says."""

from typing import Final
from urllib.parse import unquote_to_bytes

from entrepot.dialects.tcr.signing.failures import AuthFailure, SigningError

MAX_PAIRS: Final = 4096  # bounds what a request costs before anybody is known


def read_pairs(raw: bytes) -> list[tuple[str, str]]:
    """In the order they came; `+` is a blank, a piece without `=` has an empty value, empty pieces are nothing.

    Raises SigningError: TOO_MANY above `MAX_PAIRS`, ENCODING for what is not UTF-8.
    """
    pieces = raw.split(b"&", MAX_PAIRS)
    if len(pieces) > MAX_PAIRS:
        raise SigningError(AuthFailure.TOO_MANY, f"more than {MAX_PAIRS} parameters")
    pairs = []
    for piece in pieces:
        if piece:
            name, _, value = piece.partition(b"=")
            pairs.append((_decoded(name), _decoded(value)))
    return pairs


def _decoded(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise SigningError(AuthFailure.ENCODING, "parameters must be UTF-8") from error
