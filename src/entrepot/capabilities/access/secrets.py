"""Secrets we make ourselves: at least 160 random bits, so that SHA-256 is enough to store them by."""

import hashlib
import hmac
import secrets
import string
from dataclasses import dataclass
from typing import Final

_SECRET_LENGTH: Final = 32
LASTING_PREFIX: Final = "AKID"  # of access keys without an end
TEMPORARY_PREFIX: Final = "TKID"
_ACCESS_KEY_ALPHABET: Final = string.ascii_uppercase + string.digits
_ALPHANUMERIC: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair that signs API requests. The secret is shown once and kept sealed."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"AccessKey({self.id}, ***)"


def new_secret() -> str:
    """32 letters and digits: 190 random bits."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(_SECRET_LENGTH))


def new_access_key(prefix: str = LASTING_PREFIX) -> AccessKey:
    """A key pair: the prefix and 32 capitals and digits; a secret of 40 letters and digits."""
    number = "".join(secrets.choice(_ACCESS_KEY_ALPHABET) for _ in range(32))
    alphabet = _ACCESS_KEY_ALPHABET + _ACCESS_KEY_ALPHABET[:26].lower()
    return AccessKey(f"{prefix}{number}", "".join(secrets.choice(alphabet) for _ in range(40)))


def fingerprint(secret: str) -> bytes:
    """What is stored of a generated secret: its SHA-256. Never for secrets people choose."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def same(left: str | bytes, right: str | bytes) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(_bytes(left), _bytes(right))


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def key_context(access_key_id: str) -> str:
    """The context under which the secret of an access key is sealed."""
    return f"access-key:{access_key_id}"


def derived_password(access_key_id: str, secret: str) -> str:
    """The long-term registry password of a key pair (DESIGN section 7): hex HMAC-SHA256, key the secret, message the key id."""
    return hmac.new(secret.encode(), access_key_id.encode(), hashlib.sha256).hexdigest()
