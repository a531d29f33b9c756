"""System calls on files, with the store's errors instead of the system's.

Only what local.py needs: the mapping of OSError, folder fsync, early write-back, whole reads into a buffer.
"""

# Plain strings and os calls: Path objects would cost more than the calls themselves on the hot path.
# ruff: noqa: PTH102

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from entrepot.model.errors import StorageFull, StorageUnavailable
from entrepot.storage.layout import PIECE_BYTES

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h: start writing dirty pages, do not wait for them


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn OSError into StorageFull (no space, quota, file size limit) or StorageUnavailable (all else)."""
    try:
        yield
    except OSError as error:
        raise as_storage_error(error, doing) from error


def as_storage_error(error: OSError, doing: str) -> StorageFull | StorageUnavailable:
    """What the error means to the store's caller. Says what was being done and why it failed; names no path."""
    detail = f"{doing}: {error.strerror or type(error).__name__}"
    return StorageFull(detail) if error.errno in _FULL else StorageUnavailable(detail)


def make_folder(path: str) -> None:
    """Make a folder that only we may enter, if it is not there."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return


def sync_folder(path: str) -> None:
    """Make the names in a folder survive power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _find_write_back() -> Callable[[int, int, int], None]:
    try:
        call = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):  # not Linux: the final fsync does all the work
        return lambda _descriptor, _start, _length: None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    call.restype = ctypes.c_int

    def write_back(descriptor: int, start: int, length: int) -> None:
        # A hint. Its failure is no news: whatever does not reach the platter, fsync reports (waiting here would eat the report).
        call(descriptor, start, length, _SYNC_FILE_RANGE_WRITE)

    return write_back


write_back = _find_write_back()
"""`write_back(descriptor, start, length)`: start writing that range to the platter without waiting for it."""


def pieces(descriptor: int, *, start: int, end: int) -> Iterator[memoryview]:
    """The bytes [start, end) through one buffer of at most 1 MiB. Raises StorageUnavailable if the file is shorter."""
    buffer = memoryview(bytearray(min(PIECE_BYTES, end - start)))
    while start < end:
        with storage_errors("reading an object"):
            taken = os.preadv(descriptor, [buffer[: end - start]], start)
        if not taken:
            raise StorageUnavailable("reading an object: the file is shorter than it was")
        start += taken
        yield buffer[:taken]
