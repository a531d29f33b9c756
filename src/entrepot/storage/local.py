"""BlobStore on local files. docs/decisions/0005-blob-store.md says why the fsyncs and locks are as they are.

Whoever writes, moves or drops an unfinished file holds its lock (locks.py). Finished files are never written to.
"""

# Plain strings and os calls: Path objects would cost more than the calls themselves on the hot path.
# ruff: noqa: PTH108, PTH208

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from entrepot.model.errors import NameTaken, ObjectMissing
from entrepot.ports.blobs import ObjectKey, StoredObject
from entrepot.storage import files, locks
from entrepot.storage.layout import Folders, clipped, is_key
from entrepot.storage.local_reader import LocalReader
from entrepot.storage.local_upload import LocalUpload, Place
from entrepot.storage.probing import probe

_RACES = 8  # how often a file may move between two look-ups before we believe that it is not there


class LocalStore:
    """Finished objects as plain files of mode 0600 in folders of mode 0700. Any number of processes may share a root."""

    exclusive = True

    def __init__(self, root: Path) -> None:
        """Make the folders where they are missing. Raises StorageUnavailable, StorageFull."""
        self._folders = Folders(root)
        self._shelves: set[str] = set()
        self._shelving = threading.Lock()
        with files.storage_errors("making the store's folders"):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.make_folder(self._folders.uploads)
            files.make_folder(self._folders.blobs)
            files.sync_folder(str(root))

    def begin(self, key: ObjectKey) -> LocalUpload:
        """See BlobStore. Raises NameTaken if the key is in use after all."""
        with files.storage_errors("starting an upload"):
            upload = self._create(key)
            if upload is None:
                raise NameTaken(key)
            if os.path.lexists(self._folders.blob(key)):
                upload.drop()
                raise NameTaken(key)
            return upload

    def resume(self, key: ObjectKey, *, state: bytes, offset: int) -> LocalUpload:  # noqa: ARG002  the file is the state
        """See BlobStore."""
        with files.storage_errors("resuming an upload"):
            upload = self._find(key) if offset else self._find_or_create(key)
            if upload is None:
                raise ObjectMissing(key)
            try:
                upload.rewind(offset)
            except BaseException:
                upload.close()
                raise
            return upload

    def abandon(self, key: ObjectKey, *, state: bytes) -> None:  # noqa: ARG002  the file is the state
        """See BlobStore. A finished object stays."""
        path = self._folders.upload(key)
        with files.storage_errors("abandoning an upload"):
            for _ in range(_RACES):
                descriptor = locks.take(key, path)
                if descriptor is not None:
                    self._held(key, descriptor, finished=False).drop()
                    return
                if not os.path.lexists(path):
                    return

    def open(self, key: ObjectKey, *, start: int = 0, length: int | None = None) -> LocalReader:
        """See BlobStore."""
        with files.storage_errors("opening an object"):
            try:
                descriptor = os.open(
                    self._folders.blob(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
                )
            except FileNotFoundError as error:
                raise ObjectMissing(key) from error
            try:
                size = os.fstat(descriptor).st_size
                begin, end = clipped(size, start=start, length=length)
            except BaseException:
                os.close(descriptor)
                raise
            return LocalReader(descriptor, size, start=begin, end=end)

    def stat(self, key: ObjectKey) -> StoredObject | None:
        """See BlobStore."""
        with files.storage_errors("looking for an object"):
            return _stored(key, self._folders.blob(key))

    def delete(self, key: ObjectKey) -> None:
        """See BlobStore. Not fsynced: a deletion that power loss takes back is found again by `list`."""
        with files.storage_errors("deleting an object"):
            try:
                os.unlink(self._folders.blob(key))
            except FileNotFoundError:
                return

    def list(self, *, after: ObjectKey | None = None) -> Iterator[StoredObject]:
        """See BlobStore. Holds the names of one of up to 1296 folders at a time."""
        first = "" if after is None else after[:2]
        for shelf in self._names(self._folders.blobs):
            if shelf < first:
                continue
            for name in self._names(f"{self._folders.blobs}/{shelf}"):
                if name[:2] == shelf and is_key(name) and (after is None or name > after):
                    yield from self._seen(ObjectKey(name), f"{self._folders.blobs}/{shelf}/{name}")

    def list_uploads(self) -> Iterator[StoredObject]:
        """See BlobStore. In key order."""
        for name in self._names(self._folders.uploads):
            if is_key(name):
                yield from self._seen(ObjectKey(name), f"{self._folders.uploads}/{name}")

    def probe(self) -> None:
        """See BlobStore."""
        probe(self)

    def _create(self, key: ObjectKey) -> LocalUpload | None:
        descriptor = locks.create(key, self._folders.upload(key))
        return None if descriptor is None else self._held(key, descriptor, finished=False)

    def _find(self, key: ObjectKey) -> LocalUpload | None:
        for _ in range(_RACES):
            for path, finished in (
                (self._folders.upload(key), False),
                (self._folders.blob(key), True),
            ):
                descriptor = locks.take(key, path)
                if descriptor is not None:
                    return self._held(key, descriptor, finished=finished)
        return None

    def _find_or_create(self, key: ObjectKey) -> LocalUpload | None:
        """Whoever makes it between our look and our making holds it, and is found by the next look."""
        for _ in range(_RACES):
            upload = self._find(key) or self._create(key)
            if upload is not None:
                return upload
        return None

    def _held(self, key: ObjectKey, descriptor: int, *, finished: bool) -> LocalUpload:
        place = Place(
            key=key,
            upload=self._folders.upload(key),
            blob=self._folders.blob(key),
            shelf=self._folders.shelf(key),
        )
        return LocalUpload(place, descriptor, finished=finished, make_shelf=self._make_shelf)

    def _make_shelf(self, shelf: str) -> None:
        """Make the folder and see that its name survives power loss, once a process (an earlier one may have died between)."""
        if shelf in self._shelves:
            return
        with self._shelving:
            files.make_folder(shelf)
            files.sync_folder(self._folders.blobs)
            self._shelves.add(shelf)

    def _names(self, folder: str) -> Sequence[str]:
        with files.storage_errors("listing a folder"):
            try:
                return sorted(os.listdir(folder))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def _seen(self, key: ObjectKey, path: str) -> Iterator[StoredObject]:
        with files.storage_errors("listing a folder"):
            found = _stored(key, path)
        if found is not None:
            yield found


def _stored(key: ObjectKey, path: str) -> StoredObject | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return StoredObject(key, size=status.st_size, modified_at=status.st_mtime_ns // 1000)
