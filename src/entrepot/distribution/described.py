"""The header fields that tell of content by digest, made once for each: a digest always means the same.

Nothing here says whether anybody may have the content, or what a tag means.
"""

from functools import lru_cache
from typing import Final

from entrepot.http.fields import Shared

_EVERYWHERE: Final = (
    (b"docker-distribution-api-version", b"registry/2.0"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
COMMON: Final = Shared(_EVERYWHERE)
"""Of every answer under /v2/."""


@lru_cache(maxsize=2048)
def of_manifest(digest: str, media_type: str) -> Shared:
    """Of a manifest, besides what every answer has."""
    content_type = (b"content-type", media_type.encode("latin-1", "replace"))
    return Shared((*_digest(digest), content_type, *_EVERYWHERE))


@lru_cache(maxsize=2048)
def of_unchanged_manifest(digest: str) -> Shared:
    """Of a manifest that the client has (304)."""
    return Shared((*_digest(digest), *_EVERYWHERE))


@lru_cache(maxsize=2048)
def of_blob(digest: str) -> Shared:
    """Of a blob, whole or in part."""
    content_type = (b"content-type", b"application/octet-stream")
    return Shared((*_blob(digest), content_type, *_EVERYWHERE))


@lru_cache(maxsize=2048)
def of_unchanged_blob(digest: str) -> Shared:
    """Of a blob that the client has (304)."""
    return Shared((*_blob(digest), *_EVERYWHERE))


def _digest(digest: str) -> tuple[tuple[bytes, bytes], ...]:
    text = digest.encode()
    return (b"docker-content-digest", text), (b"etag", b'"%b"' % text)


def _blob(digest: str) -> tuple[tuple[bytes, bytes], ...]:
    return (
        *_digest(digest),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"private, max-age=31536000, immutable"),
    )
