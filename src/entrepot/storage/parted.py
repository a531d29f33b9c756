"""BlobStore over an object service with S3's limits. Finished objects are `blobs/<key>`, side objects `uploads/<key>/<random>`.

The store does not keep holders apart: the caller fences them by a lease, takes the lease before begin or resume, looks at it again
after they return, and links an object only in a transaction that checks it. docs/decisions/0005-blob-store.md, "Zombies".
"""

import heapq
from collections.abc import Iterator
from itertools import groupby
from types import TracebackType
from typing import Self

from entrepot.model.errors import ObjectMissing
from entrepot.ports.blobs import ObjectKey, StoredObject
from entrepot.storage.layout import checked, clipped, is_key
from entrepot.storage.objects import ObjectService
from entrepot.storage.parted_service import PatientService
from entrepot.storage.parted_state import (
    FINISHED,
    SIDES,
    PartSizes,
    State,
    decode_side,
    decode_state,
)
from entrepot.storage.parted_upload import PartedUpload, Taken, Whole, ranged
from entrepot.storage.patience import Patience
from entrepot.storage.probing import probe


class PartedStore:
    """Thread-safe if the service is. A handle keeps at most one part in memory: 8 MiB, more behind 8 GiB (PartSizes)."""

    exclusive = False

    def __init__(
        self,
        service: ObjectService,
        *,
        patience: Patience | None = None,
        sizes: PartSizes | None = None,
    ) -> None:
        self._service = PatientService(service, patience or Patience())
        self._sizes = sizes or PartSizes()

    def begin(self, key: ObjectKey) -> PartedUpload:
        """See BlobStore."""
        # The multipart is begun here and not by the first part: the caller looks at its lease after this, see the module docstring.
        return self._upload(checked(key), Taken(), clean=True)

    def resume(self, key: ObjectKey, *, state: bytes, offset: int) -> PartedUpload:
        """See BlobStore. Reaches the offset of the save and what lies in its tail or on a part's end; else ObjectMissing."""
        if not offset:
            return self._restart(checked(key), Taken())
        saved = decode_state(key, state)
        side = self._service.get_side(key, saved.side, size=saved.side_size) if saved.side else None
        if side is None or not self._service.is_open(key, saved.multipart):
            return self._take_up_whole(key, state, offset=offset)
        self._service.delete_sides(key, saved.superseded)
        taken = _cut_back(key, side, saved=saved, offset=offset)
        return PartedUpload(
            self._service,
            key,
            multipart=saved.multipart,
            sizes=self._sizes,
            taken=taken,
            begun=False,
        )

    def abandon(self, key: ObjectKey, *, state: bytes) -> None:
        """See BlobStore. A finished object stays."""
        if state:
            self._service.abort_multipart(key, decode_state(key, state).multipart)
        self._service.abort_multiparts(key)
        self._service.delete_all_sides(key)

    def open(self, key: ObjectKey, *, start: int = 0, length: int | None = None) -> "PartedReader":
        """See BlobStore."""
        found = self._service.existing(key)
        begin, end = clipped(found.size, start=start, length=length)
        return PartedReader(self._service, key, size=found.size, pieces=(found.etag, begin, end))

    def stat(self, key: ObjectKey) -> StoredObject | None:
        """See BlobStore."""
        found = self._service.head(key)
        return (
            None
            if found is None
            else StoredObject(key, size=found.size, modified_at=found.modified_at)
        )

    def delete(self, key: ObjectKey) -> None:
        """See BlobStore."""
        self._service.delete(key)

    def list(self, *, after: ObjectKey | None = None) -> Iterator[StoredObject]:
        """See BlobStore. A page of the service at a time."""
        for found in self._service.objects(FINISHED, after=FINISHED + (after or "")):
            key = found.name.removeprefix(FINISHED)
            if is_key(key):
                yield StoredObject(ObjectKey(key), size=found.size, modified_at=found.modified_at)

    def list_uploads(self) -> Iterator[StoredObject]:
        """See BlobStore. In key order; the size counts side objects only, as parts are not listed cheaply."""
        seen = heapq.merge(self._sides(), self._multiparts(), key=lambda found: found.key)
        for key, group in groupby(seen, key=lambda found: found.key):
            some = list(group)
            yield StoredObject(
                key,
                size=sum(one.size for one in some),
                modified_at=max(one.modified_at for one in some),
            )

    def probe(self) -> None:
        """See BlobStore."""
        probe(self)

    def _sides(self) -> Iterator[StoredObject]:
        for found in self._service.objects(SIDES, after=SIDES):
            key = found.name.removeprefix(SIDES).partition("/")[0]
            if is_key(key):
                yield StoredObject(ObjectKey(key), size=found.size, modified_at=found.modified_at)

    def _multiparts(self) -> Iterator[StoredObject]:
        for found in self._service.multiparts():
            key = found.name.removeprefix(FINISHED)
            if is_key(key):
                yield StoredObject(ObjectKey(key), size=0, modified_at=found.begun_at)

    def _upload(
        self, key: ObjectKey, taken: Taken, *, clean: bool = False, whole: Whole | None = None
    ) -> PartedUpload:
        multipart = self._service.begin_multipart(key)
        return PartedUpload(
            self._service,
            key,
            multipart=multipart,
            sizes=self._sizes,
            taken=taken,
            begun=True,
            clean=clean,
            whole=whole,
        )

    def _restart(self, key: ObjectKey, taken: Taken, *, whole: Whole | None = None) -> PartedUpload:
        """A new multipart; whoever still holds an older one can complete nothing any more."""
        self._service.abort_multiparts(key)
        return self._upload(key, taken, whole=whole)

    def _take_up_whole(self, key: ObjectKey, state: bytes, *, offset: int) -> PartedUpload:
        found = self._service.existing(key)
        if found.size < offset:
            raise ObjectMissing(key)
        whole = Whole(found.size, found.etag, offset=offset, state=state)
        return self._restart(key, Taken(), whole=whole)


class PartedReader:
    """See BlobReader. Holds nothing open: each range is asked for by the object's tag."""

    __slots__ = ("_key", "_pieces", "_service", "size")

    def __init__(
        self, service: PatientService, key: ObjectKey, *, size: int, pieces: tuple[str, int, int]
    ) -> None:
        self.size = size
        self._service = service
        self._key = key
        self._pieces = pieces

    def fileno(self) -> int | None:
        return None

    def chunks(self) -> Iterator[memoryview]:
        etag, start, end = self._pieces
        return ranged(self._service, self._key, etag=etag, start=start, end=end)

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return


def _cut_back(key: ObjectKey, side: bytes, *, saved: State, offset: int) -> Taken:
    """What was saved, up to the offset. Raises ObjectMissing where it lies inside a part: parts cannot be read back."""
    parts, tail = decode_side(side)
    end = sum(part.size for part in parts)
    rest = tail
    while end > offset:
        end -= parts.pop().size
        rest = memoryview(b"")
    if end + len(rest) < offset:
        raise ObjectMissing(key)
    return Taken(parts, bytearray(rest[: offset - end]), sides=(saved.side,))
