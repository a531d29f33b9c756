"""Where keys live: their grammar, their folders, and the names of both halves of a store.

A key is the only thing a caller gives that becomes a path or an object name, so its grammar is checked here, at the last door.
"""

import re
from pathlib import Path

from entrepot.ports.blobs import ObjectKey

PIECE_BYTES = 1 << 20
"""The largest piece a reader hands out."""

_KEY = re.compile(r"[a-z0-9]{16,64}")


def is_key(text: str) -> bool:
    """Whether the text is a key: 16 to 64 of `a-z0-9`."""
    return _KEY.fullmatch(text) is not None


def checked(key: ObjectKey) -> ObjectKey:
    """The key itself. Raises ValueError for anything else: a caller's bug, never a client's mistake."""
    if not is_key(key):
        raise ValueError(f"no object key: {key!r}")
    return key


def clipped(size: int, *, start: int, length: int | None) -> tuple[int, int]:
    """The part of [start, start + length) that an object of this size has, as (start, end)."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"no range: start {start}, length {length}")
    begin = min(start, size)
    return begin, size if length is None else min(begin + length, size)


class Folders:
    """The paths of a local store: `uploads/<key>` while unfinished, `blobs/<first two>/<key>` when finished."""

    __slots__ = ("blobs", "uploads")

    def __init__(self, root: Path) -> None:
        self.uploads = str(root / "uploads")
        self.blobs = str(root / "blobs")

    def upload(self, key: ObjectKey) -> str:
        return f"{self.uploads}/{checked(key)}"

    def shelf(self, key: ObjectKey) -> str:
        """The folder of the finished object."""
        return f"{self.blobs}/{checked(key)[:2]}"

    def blob(self, key: ObjectKey) -> str:
        return f"{self.blobs}/{checked(key)[:2]}/{key}"
