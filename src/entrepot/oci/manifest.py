"""Manifests and indexes: what a pushed document says it needs, and what it is.

`parse` reads the four served media types. It checks what the rest of the registry relies on (shape, digests, sizes, that the
document and its media type agree) and lets everything else through untouched: the bytes, not the record, are what is stored.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from entrepot.oci import descriptor as types
from entrepot.oci.descriptor import Descriptor
from entrepot.oci.digest import Digest, DigestSyntaxError

MAX_REFERENCES = 10_000
MAX_SIZE = 1 << 62


class ManifestSyntaxError(ValueError):
    """The document is no manifest of that media type; the text says where."""


class Role(StrEnum):
    """How a manifest refers to something."""

    CONFIG = "config"
    LAYER = "layer"
    MANIFEST = "manifest"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing a manifest needs, or (subject) belongs to."""

    role: Role
    descriptor: Descriptor


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest or index.

    `artifact_type` is what the referrers API reports: the field, else an image's config media type
    (distribution-spec 1.1, "Listing Referrers").
    """

    media_type: str
    references: tuple[Reference, ...]
    artifact_type: str | None
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests rather than blobs."""
        return self.media_type in types.INDEX_TYPES

    @property
    def subject(self) -> Descriptor | None:
        """The manifest it refers to, if any."""
        return next((r.descriptor for r in self.references if r.role is Role.SUBJECT), None)

    @property
    def blobs(self) -> tuple[Reference, ...]:
        """Config and layers, in order."""
        return tuple(r for r in self.references if r.role in (Role.CONFIG, Role.LAYER))

    @property
    def config(self) -> Descriptor | None:
        """An image's config; an index has none."""
        return next((r.descriptor for r in self.references if r.role is Role.CONFIG), None)

    @property
    def manifests(self) -> tuple[Reference, ...]:
        """An index's children, in order."""
        return tuple(r for r in self.references if r.role is Role.MANIFEST)

    @property
    def layers_size(self) -> int:
        """Bytes of config and layers as stated, without those that may stay elsewhere: nobody looks at their sizes."""
        return sum(r.descriptor.size for r in self.blobs if not r.descriptor.foreign)


class _Descriptor(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None
    platform: dict[str, Any] | None = None
    urls: list[str] | None = None


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int
    media_type: str | None = None
    artifact_type: str | None = None
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None
    subject: _Descriptor | None = None
    annotations: dict[str, str] | None = None


_DECODER = msgspec.json.Decoder(_Document)


def parse(media_type: str, payload: bytes) -> Manifest:
    """The manifest that `payload` is under `media_type` (one of MANIFEST_TYPES). Raises ManifestSyntaxError."""
    try:
        document = _DECODER.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestSyntaxError(str(error)) from error
    _check(media_type, document)
    references = _references(document)
    if len(references) > MAX_REFERENCES:
        raise ManifestSyntaxError(f"more than {MAX_REFERENCES} references")
    config = document.config
    artifact_type = document.artifact_type or (config.media_type if config else None)
    return Manifest(media_type, references, artifact_type, document.annotations or {})


def _check(media_type: str, document: _Document) -> None:
    if document.schema_version != 2:
        raise ManifestSyntaxError(f"schemaVersion is {document.schema_version}, not 2")
    if document.media_type is not None and document.media_type != media_type:
        raise ManifestSyntaxError(f"mediaType is {document.media_type!r}, pushed as {media_type!r}")
    if media_type in types.INDEX_TYPES:
        # An index that also carries image fields can be read as either (CVE-2021-41190).
        if document.config is not None or document.layers is not None:
            raise ManifestSyntaxError("an index has neither config nor layers")
        if document.manifests is None:
            raise ManifestSyntaxError("an index needs manifests")
    else:
        if document.manifests is not None:
            raise ManifestSyntaxError("an image manifest has no manifests")
        if document.config is None or document.layers is None:
            raise ManifestSyntaxError("an image manifest needs config and layers")
    if media_type.startswith("application/vnd.docker.") and document.subject is not None:
        raise ManifestSyntaxError("a Docker schema 2 document has no subject")


def _references(document: _Document) -> tuple[Reference, ...]:
    found: list[Reference] = []
    if document.config is not None:
        found.append(_reference(Role.CONFIG, "config", document.config))
    for position, layer in enumerate(document.layers or ()):
        found.append(_reference(Role.LAYER, f"layers[{position}]", layer))
    for position, child in enumerate(document.manifests or ()):
        found.append(_reference(Role.MANIFEST, f"manifests[{position}]", child))
    if document.subject is not None:
        found.append(_reference(Role.SUBJECT, "subject", document.subject))
    return tuple(found)


def _reference(role: Role, path: str, raw: _Descriptor) -> Reference:
    if not 0 <= raw.size <= MAX_SIZE:
        raise ManifestSyntaxError(f"{path}.size is out of range")
    try:
        digest = Digest.parse(raw.digest)
    except DigestSyntaxError as error:
        raise ManifestSyntaxError(f"{path}.digest is no sha256 or sha512 digest") from error
    return Reference(
        role,
        Descriptor(
            media_type=raw.media_type,
            digest=digest,
            size=raw.size,
            artifact_type=raw.artifact_type,
            annotations=raw.annotations or {},
            platform=raw.platform,
            urls=tuple(raw.urls or ()),
        ),
    )
