"""Hashers whose state can be kept and taken up by another process: libcrypto's own SHA-2, reached through ctypes.

hashlib cannot give its state away. The functions that can are old but exported by every libcrypto so far, and the same assembly runs
below them. What is kept is the standard's own state (FIPS 180-4: chaining value, length, the unfinished block), never memory of
another program, so it holds on any machine. Everything is tried against hashlib when first used; where it does not agree, or in FIPS
mode, there is no such hasher and stored bytes are read again instead.
"""

import _hashlib
import ctypes
import functools
import struct
from typing import Any, Final

from entrepot.oci.digest import Algorithm, Digest, Hasher, new_hasher

_VERSION: Final = b"\x01"
_SAMPLE: Final = bytes(range(251)) * 3


class _Context256(ctypes.Structure):
    _fields_ = (
        ("h", ctypes.c_uint32 * 8),
        ("low", ctypes.c_uint32),  # of the length in bits
        ("high", ctypes.c_uint32),
        ("data", ctypes.c_uint8 * 64),
        ("num", ctypes.c_uint),
        ("md_len", ctypes.c_uint),
    )


class _Context512(ctypes.Structure):
    _fields_ = (
        ("h", ctypes.c_uint64 * 8),
        ("low", ctypes.c_uint64),
        ("high", ctypes.c_uint64),
        ("data", ctypes.c_uint8 * 128),
        ("num", ctypes.c_uint),
        ("md_len", ctypes.c_uint),
    )


_SHAPES: Final[dict[Algorithm, tuple[type[Any], int, int, str]]] = {
    Algorithm.SHA256: (_Context256, 64, 32, ">8I"),
    Algorithm.SHA512: (_Context512, 128, 64, ">8Q"),
}


class ResumableHasher:
    """A `Hasher` that can `save`."""

    __slots__ = ("_algorithm", "context", "length")

    def __init__(self, algorithm: Algorithm) -> None:
        self._algorithm = algorithm
        self.context = _SHAPES[algorithm][0]()
        self.length = 0
        """Bytes taken."""
        _function(algorithm, "Init")(ctypes.byref(self.context))

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next bytes; the GIL is free meanwhile."""
        view = memoryview(data).cast("B")
        size = view.nbytes
        buffer = bytes(view) if view.readonly else (ctypes.c_char * size).from_buffer(view)
        _function(self._algorithm, "Update")(ctypes.byref(self.context), buffer, size)
        self.length += size

    def copy(self) -> "ResumableHasher":
        """An independent hasher in the same state."""
        other = ResumableHasher(self._algorithm)
        ctypes.memmove(
            ctypes.byref(other.context), ctypes.byref(self.context), ctypes.sizeof(self.context)
        )
        other.length = self.length
        return other

    def hexdigest(self) -> str:
        """The digest of what was taken so far."""
        out = ctypes.create_string_buffer(_SHAPES[self._algorithm][2])
        _function(self._algorithm, "Final")(out, ctypes.byref(self.copy().context))
        return out.raw.hex()

    def save(self) -> bytes:
        """The state, for `restore`: at most 201 bytes."""
        _, block, _, words = _SHAPES[self._algorithm]
        pending = bytes(self.context.data[: self.length % block])
        return (
            _VERSION
            + struct.pack(words, *self.context.h)
            + struct.pack(">Q", self.length)
            + pending
        )

    def load(self, state: bytes) -> None:
        """Go on from a state that `save` made. Raises ValueError for anything else."""
        context, (_, block, size, words) = self.context, _SHAPES[self._algorithm]
        head = 1 + size + 8
        length = int.from_bytes(state[1 + size : head], "big")
        if state[:1] != _VERSION or len(state) != head + length % block:
            raise ValueError("no state of this algorithm")
        context.h[:] = struct.unpack(words, state[1 : 1 + size])
        width, bits = (
            size,
            length * 8,
        )  # 32 bits a word of SHA-256, 64 of SHA-512: as many as its digest has bytes
        context.low, context.high = bits & ((1 << width) - 1), bits >> width
        context.num = length % block
        context.data[: context.num] = state[head:]
        self.length = length


def resumable_hasher(algorithm: Algorithm) -> Hasher:
    """A fresh hasher: one that can `save` where the platform lets it, else hashlib's."""
    return ResumableHasher(algorithm) if is_available() else new_hasher(algorithm)


def saved(hasher: Hasher, *, length: int) -> bytes:
    """Its state after so many bytes; empty where it cannot be kept."""
    if isinstance(hasher, ResumableHasher) and hasher.length == length:
        return hasher.save()
    return b""


def restored(algorithm: Algorithm, state: bytes, *, length: int) -> Hasher | None:
    """The hasher after so many bytes; None where the state is not of them, or cannot be taken up here."""
    if not state or not is_available():
        return None
    hasher = ResumableHasher(algorithm)
    try:
        hasher.load(state)
    except ValueError:
        return None
    return hasher if hasher.length == length else None


@functools.cache
def is_available() -> bool:
    """Whether this libcrypto does what is needed: tried once, on every kind of block border."""
    try:
        return not _hashlib.get_fips_mode() and all(_agrees(one) for one in _SHAPES)
    except (AttributeError, OSError, ValueError, ctypes.ArgumentError):
        return False


def _agrees(algorithm: Algorithm) -> bool:
    expected = Digest.of(_SAMPLE, algorithm).hex
    for cut in (0, 1, 63, 64, 65, 127, 128, 129, 300, len(_SAMPLE)):
        first = ResumableHasher(algorithm)
        first.update(_SAMPLE[:cut])
        second = ResumableHasher(algorithm)
        second.load(first.save())
        second.update(bytearray(_SAMPLE[cut:]))
        if second.hexdigest() != expected:
            return False
    return True


@functools.cache
def _function(algorithm: Algorithm, name: str) -> Any:
    """Of the libcrypto that hashlib itself is linked with. Raises AttributeError, OSError where it is not to be reached."""
    library = ctypes.CDLL(_hashlib.__file__)
    function = getattr(library, f"{algorithm.upper()}_{name}")
    function.restype = ctypes.c_int
    pointer = ctypes.c_void_p
    function.argtypes = {
        "Init": [pointer],
        "Update": [pointer, pointer, ctypes.c_size_t],
        "Final": [pointer, pointer],
    }[name]
    return function
