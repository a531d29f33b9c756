"""Paths under /v2/ (distribution-spec, "Endpoints"). Read from the right, since names contain slashes.

The raw path is split before it is decoded, so an encoded slash never makes or hides a component.
"""

import re
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from entrepot.model.errors import NameInvalid
from entrepot.oci.reference import NameSyntaxError, RepositoryName

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_USUAL = 512  # bytes: what is longer is not remembered
NAME_WORDS = (
    "<namespace>/<repository>: lower-case letters and digits with separators . _ __ - inside, at least two"
    " components, at most 255 characters"
)


class Kind(StrEnum):
    """What a path names."""

    BASE = "base"  # /v2/
    CATALOG = "catalog"
    TAGS = "tags"
    REFERRERS = "referrers"
    MANIFEST = "manifest"
    BLOB = "blob"
    UPLOADS = "uploads"
    UPLOAD = "upload"


class Path(Struct, frozen=True):
    """A parsed path. `argument`: tag or digest, upload id; as text, not checked further."""

    kind: Kind
    name: RepositoryName | None = None
    argument: str = ""


def parse_path(raw: bytes) -> Path | None:
    """What the path names; None: nothing that the specification has. Raises NameInvalid."""
    return _known(raw) if len(raw) <= _USUAL else _parse(raw)


def _parse(raw: bytes) -> Path | None:  # noqa: PLR0911  (a table: one return a kind)
    if raw in (b"/v2/", b"/v2"):
        return Path(Kind.BASE)
    if raw == b"/v2/_catalog":
        return Path(Kind.CATALOG)
    segments = [_decode(segment) for segment in raw.split(b"/")[2:]]
    match segments:
        case [*name, "tags", "list"]:
            return Path(Kind.TAGS, _name(name))
        case [*name, "blobs", "uploads", ""] | [*name, "blobs", "uploads"]:
            return Path(Kind.UPLOADS, _name(name))
        case [*name, "blobs", "uploads", upload]:
            return Path(Kind.UPLOAD, _name(name), upload if _UPLOAD_ID.fullmatch(upload) else "")
        case [*name, "referrers", digest] if digest:
            return Path(Kind.REFERRERS, _name(name), digest)
        case [*name, "blobs", digest] if digest:
            return Path(Kind.BLOB, _name(name), digest)
        case [*name, "manifests", reference] if reference:
            return Path(Kind.MANIFEST, _name(name), reference)
    return None


# Clients ask for the same few paths again and again, and a path means the same for everybody.
_known = lru_cache(maxsize=4096)(_parse)


def _name(components: list[str]) -> RepositoryName:
    text = "/".join(components)
    if any("/" in component for component in components):
        raise NameInvalid(text[:300], NAME_WORDS)
    try:
        return RepositoryName.parse(text)
    except NameSyntaxError as error:
        raise NameInvalid(text[:300], NAME_WORDS) from error


def _decode(segment: bytes) -> str:
    if b"%" not in segment:
        return segment.decode("latin-1")
    return unquote_to_bytes(segment).decode("utf-8", "replace")
