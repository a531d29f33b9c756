"""Requests a second, by account, region and action, counted by all processes of a machine together.

The counts lie in memory that was mapped before the processes forked. Nobody locks: two processes that count in the same microsecond may
count one, and two of very many keys that meet in a slot share it for a second.
"""

import hashlib
import mmap
import struct
from typing import Final

_SLOT: Final = struct.Struct("<QII")  # key, second, count
_SLOTS: Final = 4096
_PROBES: Final = 8


class Rates:
    """Fixed windows of one second."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SLOTS * _SLOT.size)

    def admits(self, key: str, limit: int, second: int) -> bool:
        """Count one more of `key` in this second (any count of whole seconds); False above the limit."""
        tag = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
        second &= 0xFFFFFFFF
        place, count = self._find(tag, second)
        if count >= limit:
            return False
        _SLOT.pack_into(self._memory, place, tag, second, count + 1)
        return True

    def _find(self, tag: int, second: int) -> tuple[int, int]:
        """The key's slot and count; else one that is free by now, or in need the first."""
        free = None
        for probe in range(_PROBES):
            place = (tag + probe) % _SLOTS * _SLOT.size
            held, at, count = _SLOT.unpack_from(self._memory, place)
            if at != second:
                free = place if free is None else free
            elif held == tag:
                return place, count
        return (tag % _SLOTS * _SLOT.size if free is None else free), 0


SHARED: Final = Rates()
"""Made when the program is imported, which is before it forks."""
