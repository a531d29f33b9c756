"""BlobStore: where bytes live under opaque keys. The one port with truly different implementations from the first day.

All methods block and are called on the blob pool, never on the event loop. Keys are opaque, used once and never re-used:
`[a-z0-9]{16,64}`, made by the caller. The store knows nothing of digests, repositories or rights.
Errors: StorageUnavailable (does not answer; may be retried), StorageFull, ObjectMissing, UploadHeld. Any method may raise the first
two; ValueError for what is no key or no range is a bug of the caller.

A caller that fences holders by a lease (`exclusive` is False) takes the lease first, calls begin or resume, looks at the lease again,
and records `save` and links the finished object only in a transaction that checks it (docs/decisions/0005-blob-store.md, "Zombies").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import NewType, Protocol, Self

ObjectKey = NewType("ObjectKey", str)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A finished object or an unfinished upload as the store sees it. `modified_at` in microseconds since the epoch.

    The size of an unfinished upload is what the store can tell cheaply: over an object service only what lies in side objects.
    """

    key: ObjectKey
    size: int
    modified_at: int


class Upload(Protocol):
    """The one open handle on an unfinished object. Not thread-safe: one call at a time, from any thread."""

    @property
    def offset(self) -> int:
        """Bytes taken so far: the position of the next byte."""

    def write(self, data: memoryview) -> None:
        """Append. The buffer may be reused as soon as this returns. On an error `offset` tells how much was taken.

        Raises UploadHeld where another holder has taken the upload over, BlobTooLarge beyond what the store can hold.
        """

    def read(self) -> Iterator[memoryview]:
        """All bytes taken so far, from the start, in pieces of at most 1 MiB; each piece is valid until the next.

        For hashing again just before `finish`: a store may have to make the object whole to read it, and then the handle takes no
        more bytes. Who gives up after it calls `abandon` and `delete`.
        """

    def save(self) -> bytes:
        """Make everything taken so far resumable by another process; returns the state `resume` needs (≤ 64 KiB).

        Survives the process being killed. Written data need not have reached the platter.
        """

    def finish(self) -> int:
        """Make the object whole and durable under its key (survives power loss); returns its size. Idempotent.

        After it, `open`, `stat` and `list` see the object, and the handle takes no more bytes (StorageUnavailable). After a failure
        it may be called again, or the upload resumed; ObjectMissing then says that the bytes are lost and must be sent again.
        """

    def close(self) -> None:
        """Let go of the handle, finished or not. Never raises; may be called twice."""


class BlobReader(Protocol):
    """An open object, positioned at the range asked for."""

    size: int  # of the whole object

    def fileno(self) -> int | None:
        """A descriptor of the plain file that holds the object from its offset 0, for zero copy; None if there is none."""

    def chunks(self) -> Iterator[memoryview]:
        """The bytes of the range, in pieces of at most 1 MiB; each piece is valid until the next."""

    def close(self) -> None:
        """Let go. Never raises."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class BlobStore(Protocol):
    """Bytes under opaque keys. See the module docstring for what holds of every method."""

    exclusive: bool
    """Whether the store itself lets one holder at a time have an upload (raising UploadHeld to the second), also among
    processes, and frees it when the holder dies. Where it does not, the caller fences holders by a lease."""

    def begin(self, key: ObjectKey) -> Upload:
        """Start an object. The key must never have been used (a store that notices raises NameTaken)."""

    def resume(self, key: ObjectKey, *, state: bytes, offset: int) -> Upload:
        """Take up an upload at `offset`. What lies behind it (an earlier holder died in mid-write) is dropped by the first
        write or finish, not before: whoever held it last may have recorded more than the caller knew before this call.

        `state` is what the last recorded `save` gave and `offset` the handle's offset then; b"" and 0 if there was none, and an
        upload that was never begun is begun. Some stores can go back further; one that cannot raises ObjectMissing.
        If the object was already finished (the answer got lost) it can be finished again at that offset.
        Raises ObjectMissing if less than `offset` bytes are there, UploadHeld if somebody has it open.
        """

    def abandon(self, key: ObjectKey, *, state: bytes) -> None:
        """Drop an unfinished upload and all its parts, whatever `state` is known (b"" if none). Idempotent; a finished object stays.

        Raises UploadHeld if somebody has it open.
        """

    def open(self, key: ObjectKey, *, start: int = 0, length: int | None = None) -> BlobReader:
        """Open a finished object for reading [start, start + length), as far as it reaches. Raises ObjectMissing.

        The reader goes on reading the same bytes even if the object is deleted meanwhile, or fails with
        StorageUnavailable; it never gives other bytes.
        """

    def stat(self, key: ObjectKey) -> StoredObject | None:
        """The finished object, or None."""

    def delete(self, key: ObjectKey) -> None:
        """Remove a finished object. Idempotent."""

    def list(self, *, after: ObjectKey | None = None) -> Iterator[StoredObject]:
        """Finished objects in key order, behind `after`."""

    def list_uploads(self) -> Iterator[StoredObject]:
        """Unfinished uploads, in any order (with leftovers of attempts that nobody recorded)."""

    def probe(self) -> None:
        """Write, read back and remove a small object: is the store there and writable?"""
