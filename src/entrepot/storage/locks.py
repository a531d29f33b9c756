"""Exclusive locks on upload files, and the race between a lock and a rename.

flock locks an open file, not a name. Between looking a name up and locking what was found, the holder before us may have
moved or removed the file; so the name is looked up again under the lock. The kernel frees the lock when the holder dies.
"""

import fcntl
import os

from entrepot.model.errors import UploadHeld
from entrepot.ports.blobs import ObjectKey

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


def take(key: ObjectKey, path: str) -> int | None:
    """Open and lock the file of that name; None if there is none (or it has just gone). Raises UploadHeld, OSError."""
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        return None
    return _locked(key, path, descriptor=descriptor)


def create(key: ObjectKey, path: str) -> int | None:
    """Make the file of that name and lock it; None if there is one. Raises UploadHeld, OSError."""
    try:
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    return _locked(key, path, descriptor=descriptor)


def release(descriptor: int) -> None:
    """Unlock and close. Unlocking by name frees the lock even where a forked child still has the file open."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _locked(key: ObjectKey, path: str, *, descriptor: int) -> int | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        named = _is_named(descriptor, path)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UploadHeld(key) from error
    except BaseException:
        os.close(descriptor)
        raise
    if not named:
        release(descriptor)
        return None
    return descriptor


def _is_named(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False
