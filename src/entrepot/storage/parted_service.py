"""The object service as parted.py uses it: every call repeated with patience, every answer in our errors.

What each method does may be done twice: the same bytes under the same name or number, a removal, a question. Only beginning a
multipart is not like that; the ones whose answer was lost are found and aborted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from entrepot.model.errors import ObjectMissing, StorageUnavailable, UploadHeld
from entrepot.ports.blobs import ObjectKey
from entrepot.storage.objects import (
    DELETE_MANY_MAXIMUM,
    Multipart,
    MultipartId,
    NoSuchMultipart,
    NoSuchObject,
    ObjectChanged,
    ObjectService,
    Part,
    PartsRefused,
    ServiceObject,
)
from entrepot.storage.parted_state import FINISHED, finished_name, sides_prefix
from entrepot.storage.patience import Patience


@dataclass(frozen=True, slots=True)
class PatientService:
    """All methods raise StorageUnavailable and StorageFull besides what they name."""

    service: ObjectService
    patience: Patience

    # -- finished objects ---------------------------------------------------------------------------------------------

    def head(self, key: ObjectKey) -> ServiceObject | None:
        name = finished_name(key)
        return self.patience.call("looking for an object", lambda: self.service.head(name))

    def get(self, key: ObjectKey, *, etag: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes of the object with that tag; StorageUnavailable if it has gone or is another one."""
        name = finished_name(key)
        try:
            found = self.patience.call(
                "reading an object",
                lambda: self.service.get(name, start=start, length=length, etag=etag),
            )
        except (NoSuchObject, ObjectChanged) as error:
            raise StorageUnavailable("reading an object: it was deleted meanwhile") from error
        if len(found) != length:
            raise StorageUnavailable("reading an object: it is shorter than it was")
        return found

    def delete(self, key: ObjectKey) -> None:
        name = finished_name(key)
        self.patience.call("deleting an object", lambda: self.service.delete(name))

    def objects(self, prefix: str, *, after: str) -> Iterator[ServiceObject]:
        """All objects of the prefix behind a name, in order, a page at a time."""
        while page := self._page(prefix, after):
            yield from page
            after = page[-1].name

    def _page(self, prefix: str, after: str) -> list[ServiceObject]:
        return self.patience.call(
            "listing objects", lambda: list(self.service.list(prefix, after=after))
        )

    # -- side objects -------------------------------------------------------------------------------------------------

    def put_side(self, key: ObjectKey, side: str, *, data: bytearray) -> None:
        name = sides_prefix(key) + side
        with memoryview(data) as view:
            self.patience.call("saving an upload", lambda: self.service.put(name, view))

    def get_side(self, key: ObjectKey, side: str, *, size: int) -> bytes | None:
        name = sides_prefix(key) + side
        try:
            return self.patience.call(
                "resuming an upload", lambda: self.service.get(name, start=0, length=size)
            )
        except NoSuchObject:
            return None

    def delete_sides(self, key: ObjectKey, sides: tuple[str, ...]) -> None:
        self._delete_many([sides_prefix(key) + side for side in sides])

    def delete_all_sides(self, key: ObjectKey) -> None:
        self._delete_many([found.name for found in self.objects(sides_prefix(key), after="")])

    def _delete_many(self, names: list[str]) -> None:
        for first in range(0, len(names), DELETE_MANY_MAXIMUM):
            some = names[first : first + DELETE_MANY_MAXIMUM]
            self.patience.call("tidying an upload", self._deletion(some))

    def _deletion(self, names: list[str]) -> Callable[[], None]:
        return lambda: self.service.delete_many(names)

    # -- multiparts ---------------------------------------------------------------------------------------------------

    def begin_multipart(self, key: ObjectKey) -> MultipartId:
        name = finished_name(key)
        begun, calls = self.patience.counted(
            "starting an upload", lambda: self.service.create_multipart(name)
        )
        if calls > 1:  # one whose answer was lost may lie there
            self.abort_multiparts(key, keep=begun)
        return begun

    def abort_multiparts(self, key: ObjectKey, *, keep: MultipartId | None = None) -> None:
        """Drop every multipart of the key but one. Whoever holds a dropped one can complete nothing any more."""
        name = finished_name(key)
        for found in list(self.multiparts(name)):
            if found.name == name and found.multipart != keep:
                self.abort_multipart(key, found.multipart)

    def abort_multipart(self, key: ObjectKey, multipart: MultipartId) -> None:
        name = finished_name(key)
        try:
            self.patience.call(
                "abandoning an upload", lambda: self.service.abort_multipart(name, multipart)
            )
        except NoSuchMultipart:
            return

    def upload_part(
        self, key: ObjectKey, multipart: MultipartId, *, number: int, data: bytearray
    ) -> Part:
        """Raises UploadHeld if the multipart has gone: another holder has completed or dropped it."""
        name = finished_name(key)
        try:
            with memoryview(data) as view:
                etag = self.patience.call(
                    "writing an upload",
                    lambda: self.service.upload_part(name, multipart, number=number, data=view),
                )
        except NoSuchMultipart as error:
            raise UploadHeld(key) from error
        return Part(number, len(data), etag)

    def complete(self, key: ObjectKey, multipart: MultipartId, *, parts: list[Part]) -> None:
        """Make the object whole. Raises UploadHeld if another holder's parts are in the way.

        A multipart that has gone was completed by an earlier call of ours whose answer was lost, or by an earlier holder of
        the same one. Both are right if the size is: see "Zombies" in docs/decisions/0005-blob-store.md.
        """
        name = finished_name(key)
        try:
            self.patience.call(
                "finishing an upload",
                lambda: self.service.complete_multipart(name, multipart, parts=parts),
            )
        except PartsRefused as error:
            raise UploadHeld(key) from error
        except NoSuchMultipart as error:
            found = self.head(key)
            if found is None or found.size != sum(part.size for part in parts):
                raise UploadHeld(key) from error

    def is_open(self, key: ObjectKey, multipart: MultipartId) -> bool:
        name = finished_name(key)
        try:
            self.patience.call(
                "resuming an upload", lambda: self.service.list_parts(name, multipart, after=0)
            )
        except NoSuchMultipart:
            return False
        return True

    def multiparts(self, prefix: str = FINISHED) -> Iterator[Multipart]:
        """All multiparts of the prefix, a page at a time."""
        last: Multipart | None = None
        while page := self._multiparts_page(prefix, last):
            yield from page
            last = page[-1]

    def _multiparts_page(self, prefix: str, after: Multipart | None) -> list[Multipart]:
        return self.patience.call(
            "listing uploads", lambda: list(self.service.list_multiparts(prefix, after=after))
        )

    def existing(self, key: ObjectKey) -> ServiceObject:
        """Like head. Raises ObjectMissing."""
        found = self.head(key)
        if found is None:
            raise ObjectMissing(key)
        return found
