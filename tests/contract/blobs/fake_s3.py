"""An object service in memory with S3's limits, and a seeded schedule of 503s and lost replies."""

import hashlib
import itertools
import random
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from entrepot.storage.objects import (
    DELETE_MANY_MAXIMUM,
    PART_MINIMUM_BYTES,
    PARTS_MAXIMUM,
    Multipart,
    MultipartId,
    NoSuchMultipart,
    NoSuchObject,
    ObjectChanged,
    Part,
    PartsRefused,
    ServiceBusy,
    ServiceFull,
    ServiceObject,
    ServiceRefused,
)

T = TypeVar("T")
PAGE = 7  # small, so that every listing of the suite pages


class Faults:
    """Before or after a call, now and then, never more than `in_a_row` times: a 503, or an answer that gets lost."""

    def __init__(self, seed: int, *, rate: float = 0.3, in_a_row: int = 4) -> None:
        self.random = random.Random(seed)
        self.rate = rate
        self.in_a_row = in_a_row
        self.run = 0
        self.busy = 0
        self.lost = 0

    def strike(self) -> str:
        if self.run >= self.in_a_row or self.random.random() >= self.rate:
            self.run = 0
            return ""
        self.run += 1
        if self.random.random() < 0.5:
            self.busy += 1
            return "busy"
        self.lost += 1
        return "lost"


class FakeS3:
    def __init__(
        self,
        *,
        part_minimum: int = PART_MINIMUM_BYTES,
        room: int | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.part_minimum = part_minimum
        self.room = room
        self.faults = faults
        self.down = False
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.multiparts: dict[MultipartId, tuple[str, dict[int, tuple[bytes, str]]]] = {}
        self.bytes_in = 0
        self.calls: list[str] = []
        self._lock = threading.RLock()
        self._ids = itertools.count(1)

    # -- the service ---------------------------------------------------------------------------------------------------

    def put(self, name: str, data: memoryview) -> None:
        self._answer("put", lambda: self._put(name, bytes(data)))

    def get(self, name: str, *, start: int, length: int, etag: str | None = None) -> bytes:
        return self._answer("get", lambda: self._get(name, start, length, etag))

    def head(self, name: str) -> ServiceObject | None:
        return self._answer("head", lambda: self._seen(name) if name in self.objects else None)

    def delete(self, name: str) -> None:
        self._answer("delete", lambda: self.objects.pop(name, None))

    def delete_many(self, names: Sequence[str]) -> None:
        if len(names) > DELETE_MANY_MAXIMUM or not names:
            raise ServiceRefused("MalformedXML")
        self._answer("delete_many", lambda: [self.objects.pop(name, None) for name in names])

    def list(self, prefix: str, *, after: str) -> Sequence[ServiceObject]:
        return self._answer(
            "list",
            lambda: [
                self._seen(n) for n in sorted(self.objects) if n.startswith(prefix) and n > after
            ][:PAGE],
        )

    def create_multipart(self, name: str) -> MultipartId:
        return self._answer("create_multipart", lambda: self._create(name))

    def upload_part(
        self, name: str, multipart: MultipartId, *, number: int, data: memoryview
    ) -> str:
        return self._answer("upload_part", lambda: self._part(name, multipart, number, bytes(data)))

    def complete_multipart(
        self, name: str, multipart: MultipartId, *, parts: Sequence[Part]
    ) -> None:
        self._answer("complete_multipart", lambda: self._complete(name, multipart, parts))

    def abort_multipart(self, name: str, multipart: MultipartId) -> None:
        def abort() -> None:
            self._of(name, multipart)
            del self.multiparts[multipart]

        self._answer("abort_multipart", abort)

    def list_parts(self, name: str, multipart: MultipartId, *, after: int) -> Sequence[Part]:
        return self._answer(
            "list_parts",
            lambda: [
                Part(n, len(d), e)
                for n, (d, e) in sorted(self._of(name, multipart).items())
                if n > after
            ][:PAGE],
        )

    def list_multiparts(self, prefix: str, *, after: Multipart | None) -> Sequence[Multipart]:
        last = (after.name, after.multipart) if after else ("", "")
        return self._answer(
            "list_multiparts",
            lambda: [
                Multipart(n, i, 1)
                for n, i in sorted((n, i) for i, (n, _) in self.multiparts.items())
                if n.startswith(prefix) and (n, i) > last
            ][:PAGE],
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    def _answer(self, call: str, act: Callable[[], T]) -> T:
        with self._lock:
            self.calls.append(call)
            if self.down:
                raise ServiceBusy("connection refused")
            strike = self.faults.strike() if self.faults else ""
            if strike == "busy":
                raise ServiceBusy("SlowDown")
            result = act()
            if strike == "lost":
                raise ServiceBusy("connection lost before the answer")
            return result

    def _put(self, name: str, data: bytes) -> None:
        self._charge(len(data))
        self.objects[name] = (data, hashlib.md5(data).hexdigest())

    def _get(self, name: str, start: int, length: int, etag: str | None) -> bytes:
        if name not in self.objects:
            raise NoSuchObject
        data, found = self.objects[name]
        if etag is not None and etag != found:
            raise ObjectChanged
        return data[start : start + length]

    def _seen(self, name: str) -> ServiceObject:
        data, etag = self.objects[name]
        return ServiceObject(name, len(data), etag, 1)

    def _create(self, name: str) -> MultipartId:
        multipart = MultipartId(f"{next(self._ids):06d}")
        self.multiparts[multipart] = (name, {})
        return multipart

    def _of(self, name: str, multipart: MultipartId) -> dict[int, tuple[bytes, str]]:
        found = self.multiparts.get(multipart)
        if found is None or found[0] != name:
            raise NoSuchMultipart
        return found[1]

    def _part(self, name: str, multipart: MultipartId, number: int, data: bytes) -> str:
        if not 1 <= number <= PARTS_MAXIMUM:
            raise ServiceRefused("InvalidArgument")
        self._charge(len(data))
        etag = hashlib.md5(data).hexdigest()
        self._of(name, multipart)[number] = (data, etag)
        return etag

    def _complete(self, name: str, multipart: MultipartId, parts: Sequence[Part]) -> None:
        there = self._of(name, multipart)
        numbers = [part.number for part in parts]
        if not parts or numbers != sorted(set(numbers)):
            raise ServiceRefused("MalformedXML")
        if any(p.number not in there or there[p.number][1] != p.etag for p in parts):
            raise PartsRefused
        if any(len(there[number][0]) < self.part_minimum for number in numbers[:-1]):
            raise ServiceRefused("EntityTooSmall")
        data = b"".join(there[number][0] for number in numbers)
        etags = b"".join(bytes.fromhex(part.etag) for part in parts)
        self.objects[name] = (data, f"{hashlib.md5(etags).hexdigest()}-{len(parts)}")
        del self.multiparts[multipart]

    def _charge(self, size: int) -> None:
        if self.room is not None and self.bytes_in + size > self.room:
            raise ServiceFull("QuotaExceeded")
        self.bytes_in += size
