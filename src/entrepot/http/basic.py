"""The Basic scheme (RFC 7617, UTF-8): user name and password of an Authorization header's value."""

import base64
import binascii

from entrepot.model.errors import Unauthenticated


def read_pair(encoded: str) -> tuple[str, str]:
    """User name and password. Raises Unauthenticated."""
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise Unauthenticated("malformed credentials") from error
    if not colon:
        raise Unauthenticated("malformed credentials")
    return username, password
