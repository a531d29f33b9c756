"""Contents of small blobs, kept in memory: configurations and signatures, which every pull reads.

Content by digest never changes, so what is here is right for as long as it is asked for. Whether a blob may be had at all is not
decided here: the caller has looked it up in its repository for this very request.
"""

from collections import OrderedDict
from typing import Final

MOST_BYTES: Final = 16 * 1024
"""Larger blobs are not kept."""
TOTAL_BYTES: Final = 8 * 1024 * 1024
_ENTRY_BYTES: Final = 512


class SmallBlobs:
    """By object key, at most `total_bytes` in all; what was not asked for longest goes first. Belongs to one event loop."""

    def __init__(self, total_bytes: int = TOTAL_BYTES) -> None:
        self._total_bytes = total_bytes
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> bytes | None:
        """The content, if it is kept."""
        content = self._contents.get(key)
        if content is not None:
            self._contents.move_to_end(key)
        return content

    def keep(self, key: str, content: bytes) -> None:
        """Keep it, in place of others if need be."""
        before = self._contents.pop(key, None)
        self._size += _cost(content) - (0 if before is None else _cost(before))
        self._contents[key] = content
        while self._size > self._total_bytes:
            self._size -= _cost(self._contents.popitem(last=False)[1])


def _cost(content: bytes) -> int:
    """What an entry takes, about: many tiny ones are mostly keys and headers."""
    return len(content) + _ENTRY_BYTES
