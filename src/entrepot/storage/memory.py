"""BlobStore in memory, for tests of everything above the store. Same contract, same exclusive holders, gone with the process."""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from entrepot.model.errors import NameTaken, ObjectMissing, StorageUnavailable, UploadHeld
from entrepot.ports.blobs import ObjectKey, StoredObject
from entrepot.storage.layout import PIECE_BYTES, checked, clipped
from entrepot.storage.probing import probe


class _Bytes:
    """One object: its bytes so far, and who holds it."""

    __slots__ = ("data", "finished", "holder", "modified_at")

    def __init__(self) -> None:
        self.data = bytearray()
        self.finished = False
        self.holder: object | None = None
        self.modified_at = _now()

    def replace(self, data: bytearray) -> None:
        """Other bytes in another buffer: open readers keep theirs."""
        self.data = data
        self.modified_at = _now()


class MemoryStore:
    """Thread-safe; holders are handles, freed when closed or dropped."""

    exclusive = True

    def __init__(self) -> None:
        # Re-entrant, because a dropped handle may be collected, and so closed, while its thread is inside.
        self.lock = threading.RLock()
        self.objects: dict[ObjectKey, _Bytes] = {}

    def begin(self, key: ObjectKey) -> "MemoryUpload":
        """See BlobStore. Raises NameTaken if the key is in use after all."""
        with self.lock:
            if checked(key) in self.objects:
                raise NameTaken(key)
            return MemoryUpload(self, key, offset=0)

    def resume(self, key: ObjectKey, *, state: bytes, offset: int) -> "MemoryUpload":  # noqa: ARG002  no state is needed
        """See BlobStore."""
        with self.lock:
            found = self.objects.get(checked(key))
            if found is not None and found.holder is not None:
                raise UploadHeld(key)
            if offset and (found is None or len(found.data) < offset):
                raise ObjectMissing(key)
            return MemoryUpload(self, key, offset=offset)

    def abandon(self, key: ObjectKey, *, state: bytes) -> None:  # noqa: ARG002  no state is needed
        """See BlobStore. A finished object stays."""
        with self.lock:
            found = self.objects.get(checked(key))
            if found is None or found.finished:
                return
            if found.holder is not None:
                raise UploadHeld(key)
            del self.objects[key]

    def open(self, key: ObjectKey, *, start: int = 0, length: int | None = None) -> "MemoryReader":
        """See BlobStore."""
        with self.lock:
            found = self.objects.get(checked(key))
            if found is None or not found.finished:
                raise ObjectMissing(key)
            begin, end = clipped(len(found.data), start=start, length=length)
            return MemoryReader(memoryview(found.data).toreadonly(), start=begin, end=end)

    def stat(self, key: ObjectKey) -> StoredObject | None:
        """See BlobStore."""
        with self.lock:
            found = self.objects.get(checked(key))
            return _stored(key, found) if found is not None and found.finished else None

    def delete(self, key: ObjectKey) -> None:
        """See BlobStore."""
        with self.lock:
            found = self.objects.get(checked(key))
            if found is not None and found.finished:
                del self.objects[key]

    def list(self, *, after: ObjectKey | None = None) -> Iterator[StoredObject]:
        """See BlobStore."""
        return iter(
            [seen for seen in self._all(finished=True) if after is None or seen.key > after]
        )

    def list_uploads(self) -> Iterator[StoredObject]:
        """See BlobStore."""
        return iter(self._all(finished=False))

    def probe(self) -> None:
        """See BlobStore."""
        probe(self)

    def _all(self, *, finished: bool) -> tuple[StoredObject, ...]:
        with self.lock:
            return tuple(
                _stored(key, found)
                for key, found in sorted(self.objects.items())
                if found.finished is finished
            )


class MemoryUpload:
    """See Upload."""

    __slots__ = ("_closed", "_key", "_offset", "_sealed", "_store", "_target", "_token")

    def __init__(self, store: MemoryStore, key: ObjectKey, *, offset: int) -> None:
        self._store = store
        self._key = key
        self._offset = offset
        self._sealed = False
        self._closed = False
        self._token = object()  # not the handle itself: a dropped one must be collectable
        self._target = store.objects.setdefault(key, _Bytes())
        self._target.holder = self._token

    @property
    def offset(self) -> int:
        return self._offset

    def write(self, data: memoryview) -> None:
        with self._store.lock:
            self._open()
            if self._sealed:
                raise StorageUnavailable("writing an upload: it is finished")
            self._settle()
            self._target.data += data
            self._offset = len(self._target.data)

    def read(self) -> Iterator[memoryview]:
        self._open()
        with self._store.lock:
            taken = bytes(self._target.data[: self._offset])
        return _pieces(memoryview(taken), start=0, end=len(taken))

    def save(self) -> bytes:
        self._open()
        return b""

    def finish(self) -> int:
        with self._store.lock:
            self._open()
            if self._store.objects.get(self._key) is not self._target:  # deleted while we held it
                raise ObjectMissing(self._key)
            if not (self._target.finished and len(self._target.data) == self._offset):
                self._settle()
                self._target.replace(self._target.data)
                self._target.finished = True
            self._sealed = True
            return self._offset

    def close(self) -> None:
        self._closed = True
        with self._store.lock:
            if self._target.holder is self._token:
                self._target.holder = None

    def __del__(self) -> None:
        self.close()

    def _open(self) -> None:
        if self._closed:
            raise StorageUnavailable("using an upload: the handle is closed")

    def _settle(self) -> None:
        """Make the object what the handle says: unfinished, and no longer than the offset."""
        if self._store.objects.get(self._key) is not self._target:
            raise ObjectMissing(self._key)
        if self._target.finished or len(self._target.data) > self._offset:
            self._target.replace(self._target.data[: self._offset])
            self._target.finished = False


class MemoryReader:
    """See BlobReader."""

    __slots__ = ("_bytes", "_end", "_start", "size")

    def __init__(self, data: memoryview, *, start: int, end: int) -> None:
        self.size = len(data)
        self._bytes = data
        self._start = start
        self._end = end

    def fileno(self) -> int | None:
        return None

    def chunks(self) -> Iterator[memoryview]:
        return _pieces(self._bytes, start=self._start, end=self._end)

    def close(self) -> None:
        self._bytes = memoryview(b"")
        self._end = self._start

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _pieces(data: memoryview, *, start: int, end: int) -> Iterator[memoryview]:
    for position in range(start, end, PIECE_BYTES):
        yield data[position : min(position + PIECE_BYTES, end)]


def _stored(key: ObjectKey, found: _Bytes) -> StoredObject:
    return StoredObject(key, size=len(found.data), modified_at=found.modified_at)


def _now() -> int:
    return time.time_ns() // 1000
