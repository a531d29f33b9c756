"""Failed logins, counted by source and account: never by account alone, or anybody could lock anybody out."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from entrepot.model.errors import RateLimited

_MAX_ENTRIES: Final = 65_536  # some 15 MiB at the very worst; the oldest are forgotten


@dataclass(slots=True)
class _Count:
    failures: int
    until: float  # monotonic seconds


class Throttle:
    """Counts of this process. `failures` within `window_seconds` of the first are let through, then 429 until it is over."""

    def __init__(
        self,
        failures: int,
        window_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_entries: int = _MAX_ENTRIES,
    ) -> None:
        self._failures = failures
        self._window = window_seconds
        self._clock = clock
        self._max = max_entries
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def check(self, source: str, account: str) -> None:
        """Before credentials are looked at. Raises RateLimited."""
        count = self._counts.get(_key(source, account))
        if count is None or count.failures < self._failures:
            return
        left = count.until - self._clock()
        if left > 0:
            raise RateLimited(int(left) + 1)

    def failed(self, source: str, account: str) -> None:
        """Count one failure."""
        key, now = _key(source, account), self._clock()
        count = self._counts.get(key)
        if count is None or count.until <= now:
            self._counts[key] = _Count(1, now + self._window)
            self._counts.move_to_end(key)
        else:
            count.failures += 1
        while len(self._counts) > self._max:
            self._counts.popitem(last=False)

    def succeeded(self, source: str, account: str) -> None:
        """Forget the failures."""
        self._counts.pop(_key(source, account), None)

    def __len__(self) -> int:
        return len(self._counts)


def _key(source: str, account: str) -> tuple[str, str]:
    """Whoever has one IPv6 address has the 2**64 beside it too."""
    try:
        address = ip_address(source)
    except ValueError:
        return source[:64], account[:256]
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        source = str(mapped or ip_network((address.packed[:8] + bytes(8), 64)))
    return source, account[:256]
