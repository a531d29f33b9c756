"""Content digests: `algorithm:hex` (OCI image-spec, "Digests"). sha256 and sha512 are registered and served."""

import hashlib
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class DigestSyntaxError(ValueError):
    """The text is no digest, or of an algorithm that is not served."""


class Algorithm(StrEnum):
    """A registered digest algorithm."""

    SHA256 = "sha256"
    SHA512 = "sha512"


_HEX_LENGTH = {Algorithm.SHA256: 64, Algorithm.SHA512: 128}
_HEX = frozenset("0123456789abcdef")


class Digest(Struct, frozen=True):
    """A verified-by-grammar digest; `hex` is lower case and of the algorithm's length."""

    algorithm: Algorithm
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """The digest that `text` spells. Raises DigestSyntaxError."""
        name, colon, rest = text.partition(":")
        algorithm = parse_algorithm(name) if colon else None
        if algorithm is None or len(rest) != _HEX_LENGTH[algorithm] or not _HEX.issuperset(rest):
            raise DigestSyntaxError(text[:200])
        return cls(algorithm, rest)

    @classmethod
    def of(cls, content: bytes, algorithm: Algorithm = Algorithm.SHA256) -> "Digest":
        """The digest of `content`."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())


class Hasher(Protocol):
    """What hashlib gives: fed in order, read at the end."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next bytes."""

    def hexdigest(self) -> str:
        """The digest of what was taken so far."""

    def copy(self) -> "Hasher":
        """An independent hasher in the same state."""


def parse_algorithm(name: str) -> Algorithm | None:
    """The algorithm of that name, or None if it is not served."""
    try:
        return Algorithm(name)
    except ValueError:
        return None


def new_hasher(algorithm: Algorithm) -> Hasher:
    """A fresh hasher; releases the GIL on large buffers."""
    return hashlib.new(algorithm, usedforsecurity=True)
