"""Everything that can go wrong, as values. No status codes, no wire's words: each wire maps these by one table.

An error carries the facts a wire needs for its message. `retryable` says that the same request may succeed later unchanged.
"""

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(eq=False)
class RegistryError(Exception):
    """Root of all errors the registry raises on purpose."""

    retryable: ClassVar[bool] = False

    def __str__(self) -> str:
        facts = ", ".join(f"{f.name}={getattr(self, f.name)!s}" for f in fields(self))
        meaning = (type(self).__doc__ or type(self).__name__).split("\n", 1)[0].rstrip(".")
        return f"{meaning} ({facts})" if facts else meaning


# -- the request is wrong ---------------------------------------------------------------------------------------------


class InvalidInput(RegistryError):
    """The request cannot be understood."""


@dataclass(eq=False)
class DigestInvalid(InvalidInput):
    """The text is no digest of a served algorithm."""

    text: str


@dataclass(eq=False)
class NameInvalid(InvalidInput):
    """The name breaks the instance's grammar."""

    name: str
    rule: str


@dataclass(eq=False)
class TagInvalid(InvalidInput):
    """The text is no tag."""

    text: str


@dataclass(eq=False)
class ManifestInvalid(InvalidInput):
    """The document is no valid manifest."""

    reason: str


@dataclass(eq=False)
class ManifestTooLarge(InvalidInput):
    """The manifest is larger than the limit."""

    limit: int


@dataclass(eq=False)
class MediaTypeUnsupported(InvalidInput):
    """The manifest's media type is not served."""

    media_type: str


@dataclass(eq=False)
class PageInvalid(InvalidInput):
    """A paging parameter is malformed."""

    parameter: str
    value: str


@dataclass(eq=False)
class RangeInvalid(InvalidInput):
    """A range or chunk header is malformed."""

    value: str


@dataclass(eq=False)
class SizeMismatch(InvalidInput):
    """The body's length is not the one declared."""

    declared: int
    received: int


@dataclass(eq=False)
class BlobTooLarge(InvalidInput):
    """The blob is larger than the limit."""

    limit: int


@dataclass(eq=False)
class ValueInvalid(InvalidInput):
    """A value is outside what it may be."""

    field: str
    reason: str


@dataclass(eq=False)
class TextTooLong(ValueInvalid):
    """A text is longer than it may be."""


# -- it is not there --------------------------------------------------------------------------------------------------


class Unknown(RegistryError):
    """What the request names is not there for this caller."""


@dataclass(eq=False)
class TenantUnknown(Unknown):
    """No such tenant."""

    name: str


@dataclass(eq=False)
class UserUnknown(Unknown):
    """No such user."""

    name: str


@dataclass(eq=False)
class GroupUnknown(Unknown):
    """No such group."""

    name: str


@dataclass(eq=False)
class KeyUnknown(Unknown):
    """No such access key."""

    name: str


@dataclass(eq=False)
class AccountUnknown(Unknown):
    """No such token or service account."""

    name: str


@dataclass(eq=False)
class InstanceUnknown(Unknown):
    """No such instance."""

    name: str


@dataclass(eq=False)
class NamespaceUnknown(Unknown):
    """No such namespace."""

    name: str


@dataclass(eq=False)
class RepositoryUnknown(Unknown):
    """No such repository."""

    name: str


@dataclass(eq=False)
class ManifestUnknown(Unknown):
    """No such manifest or tag in the repository."""

    reference: str


@dataclass(eq=False)
class BlobUnknown(Unknown):
    """No such blob in the repository."""

    digest: str


@dataclass(eq=False)
class UploadUnknown(Unknown):
    """No such upload session."""

    upload: str


@dataclass(eq=False)
class ReferencesUnknown(Unknown):
    """The manifest names blobs or manifests that the repository does not have."""

    digests: tuple[str, ...]


@dataclass(eq=False)
class TaskUnknown(Unknown):
    """No such execution or task."""

    name: str


# -- it cannot be done now --------------------------------------------------------------------------------------------


class Conflict(RegistryError):
    """The request does not fit the present state."""


@dataclass(eq=False)
class NameTaken(Conflict):
    """Something living has that name already."""

    name: str


@dataclass(eq=False)
class NotEmpty(Conflict):
    """It still contains something."""

    name: str


@dataclass(eq=False)
class DigestMismatch(Conflict):
    """The content does not have the digest the client stated."""

    stated: str
    actual: str


@dataclass(eq=False)
class OffsetMismatch(Conflict):
    """The chunk does not begin where the upload session ends."""

    offset: int


@dataclass(eq=False)
class UploadHeld(Conflict):
    """Another request is writing to this upload session."""

    upload: str


@dataclass(eq=False)
class ManifestIndexed(Conflict):
    """A tagged index still lists the manifest."""

    digest: str
    index: str


@dataclass(eq=False)
class BlobInUse(Conflict):
    """A manifest of the repository uses the blob."""

    digest: str


@dataclass(eq=False)
class Protected(Conflict):
    """It is built in, or protected, and cannot be changed or removed."""

    name: str


# -- the caller may not -----------------------------------------------------------------------------------------------


class Denied(RegistryError):
    """The caller is not who may do this."""

    noted = False  # whether the audit trail has it already
    action = ""  # what the trail calls the change that was refused


@dataclass(eq=False)
class Unauthenticated(Denied):
    """Credentials are missing, wrong, expired or revoked."""

    reason: str


@dataclass(eq=False)
class Forbidden(Denied):
    """The caller lacks the permission."""

    permission: str
    resource: str


# -- too much ---------------------------------------------------------------------------------------------------------


class Exhausted(RegistryError):
    """A limit is reached."""


@dataclass(eq=False)
class QuotaExceeded(Exhausted):
    """A quota would be exceeded."""

    resource: str
    limit: int


@dataclass(eq=False)
class RateLimited(Exhausted):
    """Too many attempts; try again later."""

    retryable: ClassVar[bool] = True
    retry_after_seconds: int


# -- something of ours is not there -----------------------------------------------------------------------------------


class Unavailable(RegistryError):
    """A part of the deployment does not answer."""

    retryable: ClassVar[bool] = True


@dataclass(eq=False)
class StorageUnavailable(Unavailable):
    """The database or the blob store does not answer."""

    detail: str


@dataclass(eq=False)
class StorageFull(Unavailable):
    """The database or the blob store has no room left."""

    detail: str


@dataclass(eq=False)
class SchemaTooNew(Unavailable):
    """The database was written by a newer program that this one cannot serve."""

    retryable: ClassVar[bool] = False
    required: str
    running: str


@dataclass(eq=False)
class RightsStale(Unavailable):
    """Revocations could not be read lately, so nothing is let in."""

    age_seconds: float


# -- the store's own --------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class ObjectMissing(RegistryError):
    """The blob store has no object under that key."""

    key: str


@dataclass(eq=False)
class LeaseLost(Conflict):
    """The lease under which this was done has passed to somebody else."""

    name: str


# -- not served -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class OperationUnsupported(RegistryError):
    """The operation is not served here."""

    operation: str
