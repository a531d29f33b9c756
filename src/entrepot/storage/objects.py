"""The narrow door to an object service with S3's limits, and what may go wrong behind it.

A service keeps named objects and unfinished multiparts. It cannot append and cannot rename; a part has at least 5 MiB unless it is
the last, a multipart has at most 10 000 parts, numbered from 1. A multipart is invisible until it is completed, and is then gone.
Implementations make one attempt a call, with deadlines; waiting and trying again is patience.py's. They are thread-safe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType, Protocol

MultipartId = NewType("MultipartId", str)

PART_MINIMUM_BYTES = 5 << 20
PARTS_MAXIMUM = 10_000
OBJECT_MAXIMUM_BYTES = 5 << 40
DELETE_MANY_MAXIMUM = 1000


class ServiceError(Exception):
    """Root of what a service answers instead of a result."""


class ServiceBusy(ServiceError):
    """No usable answer: slow down, 5xx, time-out, lost connection. The call may have been carried out."""


class ServiceRefused(ServiceError):
    """A definite no that repetition will not change: rights, bucket, malformed request."""


class ServiceFull(ServiceError):
    """No room, or a quota is used up."""


class NoSuchObject(ServiceError):
    """No object of that name."""


class ObjectChanged(ServiceError):
    """The object of that name is not the one asked for (its tag differs)."""


class NoSuchMultipart(ServiceError):
    """Never begun, completed or aborted."""


class PartsRefused(ServiceError):
    """The listed parts are not the ones that were uploaded last under their numbers."""


@dataclass(frozen=True, slots=True)
class ServiceObject:
    """An object as the service lists it. `etag` changes whenever the bytes do; `modified_at` in microseconds."""

    name: str
    size: int
    etag: str
    modified_at: int


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part. `etag` is a strong tag of its bytes."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Multipart:
    """A multipart that is neither completed nor aborted."""

    name: str
    multipart: MultipartId
    begun_at: int


class ObjectService(Protocol):
    """See the module docstring. Every method may raise ServiceBusy, ServiceRefused; those that write, ServiceFull."""

    def put(self, name: str, data: memoryview) -> None:
        """Store a small object at once, in place of any other of that name."""

    def get(self, name: str, *, start: int, length: int, etag: str | None = None) -> bytes:
        """At most `length` bytes from `start` (fewer at the end). Raises NoSuchObject; ObjectChanged if `etag` is not its tag."""

    def head(self, name: str) -> ServiceObject | None:
        """The object, or None."""

    def delete(self, name: str) -> None:
        """Remove the object if it is there."""

    def delete_many(self, names: Sequence[str]) -> None:
        """Remove up to 1000 objects, as far as they are there."""

    def list(self, prefix: str, *, after: str) -> Sequence[ServiceObject]:
        """The next objects, in order of their names' bytes, behind the name `after`; none at the end."""

    def create_multipart(self, name: str) -> MultipartId:
        """Begin a multipart under that name. Each call begins another."""

    def upload_part(
        self, name: str, multipart: MultipartId, *, number: int, data: memoryview
    ) -> str:
        """Upload a part in place of any other of that number; returns its etag. Raises NoSuchMultipart."""

    def complete_multipart(
        self, name: str, multipart: MultipartId, *, parts: Sequence[Part]
    ) -> None:
        """Make the object of exactly these parts, in place of any other of that name. Raises NoSuchMultipart, PartsRefused."""

    def abort_multipart(self, name: str, multipart: MultipartId) -> None:
        """Drop the multipart and its parts. Raises NoSuchMultipart."""

    def list_parts(self, name: str, multipart: MultipartId, *, after: int) -> Sequence[Part]:
        """The next parts behind number `after`; none at the end. Raises NoSuchMultipart."""

    def list_multiparts(self, prefix: str, *, after: Multipart | None) -> Sequence[Multipart]:
        """The next multiparts, by name and then id, behind `after`; none at the end."""
