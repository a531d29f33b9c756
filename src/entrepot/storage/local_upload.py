"""An unfinished local file under its lock.

Taking an upload up changes nothing by itself: a file that an earlier holder finished is moved back, and what lies behind the
offset is cut off, by the first write or finish. So a caller can look at its record once more after it has the lock.
"""

# Plain strings and os calls: Path objects would cost more than the calls themselves on the hot path.
# ruff: noqa: PTH104, PTH108

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from entrepot.model.errors import ObjectMissing, StorageUnavailable
from entrepot.ports.blobs import ObjectKey
from entrepot.storage import files, locks

_WRITE_BACK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Both names of an object, and the folder of the finished one."""

    key: ObjectKey
    upload: str
    blob: str
    shelf: str


class LocalUpload:
    """See Upload. Owns the descriptor and with it the lock; a handle that is dropped lets go of both."""

    __slots__ = (
        "_descriptor",
        "_finished",
        "_make_shelf",
        "_offset",
        "_place",
        "_sealed",
        "_size",
        "_started",
    )

    def __init__(
        self, place: Place, descriptor: int, *, finished: bool, make_shelf: Callable[[str], None]
    ) -> None:
        self._place = place
        self._descriptor: int | None = descriptor
        self._finished = finished  # the file lies under its finished name
        self._make_shelf = make_shelf
        self._sealed = False  # finish() has succeeded on this handle
        self._offset = 0
        self._size = 0  # bytes in the file, of which `_offset` count
        self._started = 0  # bytes whose way to the platter has begun

    @property
    def offset(self) -> int:
        return self._offset

    def rewind(self, offset: int) -> None:
        """Stand at `offset` of what is there. Raises ObjectMissing if there is less, OSError."""
        self._size = os.fstat(self._open()).st_size
        if self._size < offset:
            raise ObjectMissing(self._place.key)
        self._offset = self._started = offset

    def write(self, data: memoryview) -> None:
        descriptor = self._open()
        if self._sealed:
            raise StorageUnavailable("writing an upload: it is finished")
        with files.storage_errors("writing an upload"):
            self._settle(descriptor)
            view = data.cast("B")
            while view:
                taken = os.pwrite(descriptor, view, self._offset)
                self._offset += taken
                self._size = self._offset
                view = view[taken:]
        if self._offset - self._started >= _WRITE_BACK_BYTES:
            files.write_back(descriptor, self._started, self._offset - self._started)
            self._started = self._offset

    def read(self) -> Iterator[memoryview]:
        return files.pieces(self._open(), start=0, end=self._offset)

    def save(self) -> bytes:
        self._open()
        return b""  # the file is there already, and outlives the process

    def finish(self) -> int:
        descriptor = self._open()
        if not self._sealed:
            with files.storage_errors("finishing an upload"):
                self._place_finished(descriptor)
                self._sync(descriptor)
                files.sync_folder(self._place.shelf)
            self._sealed = True
        return self._offset

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                locks.release(descriptor)

    def drop(self) -> None:
        """Remove the file, wherever it lies, and let go. Raises OSError."""
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._place.blob if self._finished else self._place.upload)
        finally:
            self.close()

    def __del__(self) -> None:
        self.close()

    def _open(self) -> int:
        if self._descriptor is None:
            raise StorageUnavailable("using an upload: the handle is closed")
        return self._descriptor

    def _settle(self, descriptor: int) -> None:
        """Make the file what the handle says: unfinished, and no longer than the offset."""
        if self._finished:
            self._move(self._place.blob, self._place.upload)
            self._finished = False
        if self._size > self._offset:
            os.ftruncate(descriptor, self._offset)
            self._size = self._offset

    def _place_finished(self, descriptor: int) -> None:
        if self._finished and self._size == self._offset:
            if not os.fstat(descriptor).st_nlink:  # deleted while we held it
                raise ObjectMissing(self._place.key)
            return
        self._settle(descriptor)
        self._make_shelf(self._place.shelf)
        self._move(self._place.upload, self._place.blob)
        self._finished = True

    def _move(self, source: str, target: str) -> None:
        try:
            os.rename(source, target)
        except FileNotFoundError as error:
            raise ObjectMissing(self._place.key) from error

    def _sync(self, descriptor: int) -> None:
        """The file's one fsync. After a failed one the kernel forgets which pages were lost and a second would succeed
        falsely, so the object is dropped: the client has to send it again."""
        try:
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                self.drop()
            raise
