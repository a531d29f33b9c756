"""An unfinished object as parts of one multipart, with the bytes too few for a part kept in memory until there are enough.

The finished object becomes visible only by completing a multipart, never by a plain put: that is what keeps a holder that has lost
its lease from replacing what the next one finished (docs/decisions/0005-blob-store.md, "Zombies").
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from entrepot.model.errors import BlobTooLarge, StorageFull, StorageUnavailable
from entrepot.ports.blobs import ObjectKey
from entrepot.storage.layout import PIECE_BYTES
from entrepot.storage.objects import OBJECT_MAXIMUM_BYTES, PARTS_MAXIMUM, MultipartId, Part
from entrepot.storage.parted_service import PatientService
from entrepot.storage.parted_state import (
    SUPERSEDED_MAXIMUM,
    PartSizes,
    State,
    encode_side,
    encode_state,
    new_side,
)

_GET_BYTES = 8 << 20


@dataclass(slots=True)
class Taken:
    """What an upload has: whole parts, the tail behind them, and the side objects that earlier saves left."""

    parts: list[Part] = field(default_factory=list)
    tail: bytearray = field(default_factory=bytearray)
    sides: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts) + len(self.tail)


@dataclass(frozen=True, slots=True)
class Whole:
    """An object that an earlier holder finished, of which `offset` bytes are to be kept, and the state that led to it."""

    size: int
    etag: str
    offset: int
    state: bytes


class PartedUpload:
    """See Upload. `begun` says that nobody else knows the multipart yet; `clean` that there can be no side objects."""

    def __init__(
        self,
        service: PatientService,
        key: ObjectKey,
        *,
        multipart: MultipartId,
        sizes: PartSizes,
        taken: Taken,
        begun: bool,
        clean: bool = False,
        whole: Whole | None = None,
    ) -> None:
        self._service = service
        self._key = key
        self._multipart = multipart
        self._sizes = sizes
        self._parts = taken.parts
        self._tail = taken.tail
        self._sides = taken.sides
        self._settled = sum(part.size for part in taken.parts)
        self._begun = begun
        self._clean = clean
        self._whole = whole
        self._sealed = False
        self._closed = False

    @property
    def offset(self) -> int:
        return self._whole.offset if self._whole else self._settled + len(self._tail)

    def write(self, data: memoryview) -> None:
        self._open()
        if self._sealed:
            raise StorageUnavailable("writing an upload: it is finished")
        self._take_back()
        self._append(data.cast("B"))

    def read(self) -> Iterator[memoryview]:
        """See Upload. Parts cannot be read before the multipart is completed, so this does it."""
        self._open()
        if self._whole is None and not self._parts and not self._sealed:
            return _cut(bytes(self._tail))
        if self._whole is None:
            self.finish()
        return self._read_finished(self.offset)

    def save(self) -> bytes:
        self._open()
        if self._whole is not None:  # untouched, so what led here leads here again
            return self._whole.state
        if (
            len(self._tail) >= self._sizes.minimum_bytes
            and len(self._parts) < self._sizes.short_parts
        ):
            self._send()
        side, size = "", 0
        if self.offset and not self._sealed:
            data = encode_side(self._parts, self._tail)
            side, size = new_side(), len(data)
            self._clean = False
            self._service.put_side(self._key, side, data=data)
        superseded = self._sides[-SUPERSEDED_MAXIMUM:]
        state = encode_state(State(self._multipart, side, size, self.offset, superseded))
        self._sides = (*self._sides, side) if side else self._sides
        self._begun = False
        return state

    def finish(self) -> int:
        self._open()
        if not self._sealed:
            self._finish()
            self._sealed = True
            self._tidy()
        return self.offset

    def close(self) -> None:
        if not self._closed and self._begun and not self._sealed:
            with contextlib.suppress(StorageUnavailable, StorageFull):
                self._service.abort_multipart(self._key, self._multipart)
        self._closed = True

    def _open(self) -> None:
        if self._closed:
            raise StorageUnavailable("using an upload: the handle is closed")

    def _append(self, view: memoryview) -> None:
        while view or len(self._tail) >= self._wanted():
            if len(self._tail) >= self._wanted():
                self._send()
            taken = min(self._wanted() - len(self._tail), len(view))
            self._tail += view[:taken]
            view = view[taken:]

    def _wanted(self) -> int:
        return self._sizes.of(len(self._parts) + 1)

    def _send(self) -> None:
        """Upload the tail as the next part. What fails stays in the tail and goes with the next call."""
        self._parts.append(self._upload_tail())
        self._settled += len(self._tail)
        self._tail.clear()

    def _upload_tail(self) -> Part:
        number = len(self._parts) + 1
        if number > PARTS_MAXIMUM or self.offset > OBJECT_MAXIMUM_BYTES:
            raise BlobTooLarge(OBJECT_MAXIMUM_BYTES)
        return self._service.upload_part(self._key, self._multipart, number=number, data=self._tail)

    def _finish(self) -> None:
        if self._whole is not None and self._whole.offset == self._whole.size:
            self._service.existing(self._key)  # deleted while we held it?
            self._service.abort_multipart(self._key, self._multipart)
            return
        self._take_back()
        # The last part may be short, so it joins the others only when nothing can follow any more.
        last = [self._upload_tail()] if self._tail or not self._parts else []
        self._service.complete(self._key, self._multipart, parts=self._parts + last)

    def _take_back(self) -> None:
        """Bring what is kept of an object finished earlier into the new multipart: the one case in which bytes pass twice."""
        whole = self._whole
        if whole is None:
            return
        self._parts.clear()
        self._tail.clear()
        self._settled = 0
        for piece in self._read_finished(whole.offset):
            self._append(piece)
        self._whole = None

    def _read_finished(self, end: int) -> Iterator[memoryview]:
        whole = self._whole
        etag = whole.etag if whole else self._service.existing(self._key).etag
        return ranged(self._service, self._key, etag=etag, start=0, end=end)

    def _tidy(self) -> None:
        """The object is whole, whatever happens here. What stays is seen by `list_uploads` and taken by `abandon`."""
        if not self._clean:
            with contextlib.suppress(StorageUnavailable, StorageFull):
                self._service.delete_all_sides(self._key)


def ranged(
    service: PatientService, key: ObjectKey, *, etag: str, start: int, end: int
) -> Iterator[memoryview]:
    """The bytes [start, end) of a finished object, fetched 8 MiB at a time, in pieces of at most 1 MiB."""
    for position in range(start, end, _GET_BYTES):
        length = min(_GET_BYTES, end - position)
        yield from _cut(service.get(key, etag=etag, start=position, length=length))


def _cut(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    for position in range(0, len(data), PIECE_BYTES):
        yield view[position : position + PIECE_BYTES]
