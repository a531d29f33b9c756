"""What a parted upload leaves behind so that another process can go on: a small state for the caller, the rest in a side object.

The state names one multipart and one side object; the side object lists the parts and carries the tail that is too short for one.
A side object's name is random and used once: nobody can overwrite what a recorded state names.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from entrepot.model.errors import ObjectMissing, StorageUnavailable
from entrepot.ports.blobs import ObjectKey
from entrepot.storage.layout import checked
from entrepot.storage.objects import PART_MINIMUM_BYTES, MultipartId, Part

_VERSION = 1

FINISHED = "blobs/"
SIDES = "uploads/"
SUPERSEDED_MAXIMUM = 1000
"""How many outdated side objects a state lists, so that it stays within 64 KiB; `finish` finds the others by their prefix."""


@dataclass(frozen=True, slots=True)
class PartSizes:
    """How bytes are cut into parts: `first_bytes`, doubling every `parts_per_size` parts.

    By default 8 GiB take parts of 8 MiB, 24 GiB of up to 16 MiB, 5 TiB 9282 parts. A handle keeps one part in memory. `save`
    uploads a tail of `minimum_bytes` as a short part, but only while there are fewer than `short_parts`: 5 TiB fit nevertheless.
    """

    minimum_bytes: int = PART_MINIMUM_BYTES
    first_bytes: int = 8 << 20
    parts_per_size: int = 1000
    short_parts: int = 5000

    def of(self, number: int) -> int:
        """The size of part `number`, counted from 1."""
        return self.first_bytes << ((number - 1) // self.parts_per_size)


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `save` returns: `{"v":1,...}`. `superseded` are side objects that nobody needs once this state is recorded."""

    multipart: MultipartId
    side: str
    side_size: int
    offset: int
    superseded: tuple[str, ...] = ()
    v: int = _VERSION


def encode_state(state: State) -> bytes:
    """JSON, at most 64 KiB."""
    return msgspec.json.encode(state)


def decode_state(key: ObjectKey, state: bytes) -> State:
    """Raises StorageUnavailable if a newer program wrote it, ObjectMissing if nobody did."""
    try:
        return msgspec.json.decode(state, type=State)
    except msgspec.DecodeError as error:
        if _is_of_another_version(state):
            raise StorageUnavailable(
                "resuming an upload: a newer program saved its state"
            ) from error
        raise ObjectMissing(key) from error


def _is_of_another_version(state: bytes) -> bool:
    try:
        found = msgspec.json.decode(state, type=dict[str, object])
    except msgspec.DecodeError:
        return False
    version = found.get("v")
    return isinstance(version, int) and version > _VERSION


def encode_side(parts: Sequence[Part], tail: bytearray) -> bytearray:
    """The side object's bytes: the parts as JSON, a line feed, the tail."""
    side = bytearray(msgspec.json.encode([(part.size, part.etag) for part in parts]))
    side += b"\n"
    side += tail
    return side


def decode_side(side: bytes) -> tuple[list[Part], memoryview]:
    """The parts and the tail of a side object."""
    end = side.index(b"\n")
    sizes = msgspec.json.decode(memoryview(side)[:end], type=list[tuple[int, str]])
    parts = [Part(number, size, etag) for number, (size, etag) in enumerate(sizes, start=1)]
    return parts, memoryview(side)[end + 1 :]


def finished_name(key: ObjectKey) -> str:
    """The name of a finished object."""
    return FINISHED + checked(key)


def sides_prefix(key: ObjectKey) -> str:
    """What the names of an upload's side objects begin with."""
    return f"{SIDES}{checked(key)}/"


def new_side() -> str:
    """A name for a side object, used once."""
    return secrets.token_urlsafe(12)
