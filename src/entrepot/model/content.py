"""What a registry holds: repositories, manifests, tags, blobs, upload sessions.

What each pull makes anew is a `Struct`: made in a tenth of a dataclass's time.
"""

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from entrepot.model.ids import (
    BlobId,
    InstanceId,
    ManifestId,
    Micros,
    NamespaceId,
    RepositoryId,
    TenantId,
    UploadId,
)
from entrepot.oci.digest import Algorithm

MAX_TAGS_TOLD: Final = 1000
"""Names of tags that a repository's summary has at most."""


class Repository(Struct, frozen=True):
    """A repository with the facts of its namespace that every request needs."""

    id: RepositoryId
    instance: InstanceId
    namespace: NamespaceId
    tenant: TenantId
    namespace_name: str
    path: str
    is_public: bool  # effective: its own word, else the namespace's

    @property
    def full_name(self) -> str:
        """`<namespace>/<path>`."""
        return f"{self.namespace_name}/{self.path}"


class StoredManifest(Struct, frozen=True):
    """A manifest as stored."""

    id: ManifestId
    digest: str
    media_type: str
    size: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReferrerRow:
    """One descriptor of the referrers list."""

    digest: str
    media_type: str
    size: int
    artifact_type: str | None
    annotations: dict[str, str]


class Blob(Struct, frozen=True):
    """A living blob row."""

    id: BlobId
    digest: str
    size: int
    object_key: str


class LinkedBlob(Struct, frozen=True):
    """A blob as one repository has it: since when, and when the collector will look at it (None: no review waits)."""

    blob: Blob
    linked_at: Micros
    review_after: Micros | None


@dataclass(frozen=True, slots=True)
class UploadSession:
    """An upload session as recorded. `version` is the fence of its compare-and-set."""

    id: UploadId
    repository: RepositoryId
    subject: str
    object_key: str
    algorithm: Algorithm
    offset: int
    store_state: bytes
    hash_state: bytes
    version: int
    started_at: Micros


@dataclass(frozen=True, slots=True)
class RepositoryDetails:
    """A repository as lists show it. `brief`: one line about it; `category`: in a dialect's words."""

    repository: Repository
    brief: str
    description: str
    created_at: Micros
    updated_at: Micros
    category: str = ""


@dataclass(frozen=True, slots=True)
class RepositorySummary:
    """A repository with what is counted about it.

    `size`: of its tags' images together, in bytes; `pulls`: of manifests; `tags`: names, the newest first, at most `MAX_TAGS_TOLD`.
    """

    details: RepositoryDetails
    namespace_number: int
    tenant_name: str
    tenant_public_id: str
    creator_public_id: str
    creator_name: str
    tag_count: int
    size: int
    pulls: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TagRow:
    """A present tag with the document it means.

    `config_digest`: of the image's config, empty where there is none; `size`: of config and layers, in bytes; `set_at`: since when it
    means that; `pushed_at`: when that was last pushed under it.
    """

    id: int
    name: str
    digest: str
    media_type: str
    size: int
    config_digest: str
    payload: bytes
    set_at: Micros
    pushed_at: Micros


@dataclass(frozen=True, slots=True)
class TagDetails:
    """A present tag and the manifest it means. `size`: of config and layers, in bytes; `set_at`: when that was last pushed under it."""

    name: str
    digest: str
    media_type: str
    size: int
    set_at: Micros
