"""What the database did, counted: for tests that bound the SQL of a request, and for metrics."""

import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from resource import RUSAGE_THREAD, getrusage
from typing import Final

_BOUNDS: Final = tuple(2.0**power / 1e6 for power in range(23))  # seconds


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals since the start of this process. Differences of two of them bound a request."""

    statements: int = (
        0  # SQL of functions and point reads; BEGIN, COMMIT and our SAVEPOINT are not counted
    )
    reads: int = 0  # read transactions
    writes: int = 0  # functions given to write, each once however often it is retried
    commits: int = 0  # COMMITs made durable; with SQLite one may carry many writes
    rollbacks: int = 0
    retries: int = 0  # functions run again after a conflict or a lost connection
    thread_hops: int = 0  # calls that left the event loop or their thread
    points: int = 0  # point reads, in a thread or not

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(
            *(getattr(self, name) - getattr(other, name) for name in Counts.__slots__),
        )


class Statistics:
    """Counters any thread may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = dict.fromkeys(Counts.__slots__, 0)
        self.points_on_loop = 0  # the event loop's own, without a lock; each is one statement

    def add(self, *names: str) -> None:
        """Count one of each, by the field names of `Counts`."""
        with self._lock:
            for name in names:
                self._totals[name] += 1

    def counts(self) -> Counts:
        """The totals now."""
        with self._lock:
            totals = dict(self._totals)
        totals["points"] += self.points_on_loop
        totals["statements"] += self.points_on_loop
        return Counts(**totals)


class DiskReads(threading.local):
    """Whether this thread had to read from the disk."""

    _blocks = 0

    def are_new(self) -> bool:
        """Since this was asked last."""
        before, self._blocks = self._blocks, getrusage(RUSAGE_THREAD).ru_inblock
        return self._blocks != before


class Latency:
    """A histogram of durations in powers of two of microseconds, and a verdict on the last few hundred.

    Used by one thread at a time; a lost count between threads only blurs it.
    """

    WINDOW = 512  # verdicts look at so many calls
    SLOW_SECONDS = 0.001

    def __init__(self, waited: Callable[[], bool] = lambda: True) -> None:
        """`waited`: whether the long call just made waited for the disk."""
        self.waited = waited
        self.buckets = [0] * 24  # bucket i: at most 2**i microseconds; the last: all longer ones
        self._seen = 0
        self._slow = 0
        self.is_slow = False

    def observe(self, seconds: float) -> None:
        """Add one call. `is_slow` turns true once over 1 % of a window took over 1 ms, false after a window that did not.

        What `waited` denies waited for a processor, which no thread would help.
        """
        self.buckets[bisect_right(_BOUNDS, seconds)] += 1
        self._seen += 1
        if seconds > self.SLOW_SECONDS and self.waited():
            self._slow += 1
            if self._slow * 100 > self.WINDOW:
                self.is_slow = True
        if self._seen >= self.WINDOW:
            self.is_slow = self._slow * 100 > self.WINDOW
            self._seen = self._slow = 0

    def quantile(self, share: float) -> float:
        """An upper bound, in seconds, of the given share (0..1) of all calls seen; 0.0 before the first."""
        left = share * sum(self.buckets)
        for power, count in enumerate(self.buckets):
            left -= count
            if left <= 0:
                return float(2**power) / 1e6 if count or power else 0.0
        return float(2**23) / 1e6
