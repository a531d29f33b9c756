"""The counts of one process, kept as plain numbers on its event loop: counting costs a dict look-up and an addition.

Nothing here locks. `count` and `observe` belong to the loop's thread; `take` too.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from entrepot.telemetry.catalog import FAMILIES

Labels: TypeAlias = tuple[str, ...]
Key: TypeAlias = tuple[str, Labels]  # family, label values
Sampler: TypeAlias = "Callable[[], Iterable[Sample]]"


@dataclass(slots=True)
class Times:
    """A histogram: how many fell below each bound and above the one before (the last: above all), and their sum."""

    buckets: list[float]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A value read off some other part of the process. Counters are totals since the process began."""

    name: str
    value: float | Times
    labels: Labels = ()


@dataclass(slots=True)
class Totals:
    """Everything counted at a moment, by family and labels."""

    counters: dict[Key, float] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)
    histograms: dict[Key, Times] = field(default_factory=dict)

    def add(self, other: "Totals") -> None:
        """Add counters and histograms; gauges are side by side, as they name their process."""
        for key, value in other.counters.items():
            self.counters[key] = self.counters.get(key, 0.0) + value
        for key, times in other.histograms.items():
            self.add_times(key, times)
        self.gauges.update(other.gauges)

    def add_times(self, key: Key, times: Times) -> None:
        """Add a histogram; one with other bounds (of an older program) starts anew."""
        mine = self.histograms.get(key)
        if mine is None or len(mine.buckets) != len(times.buckets):
            self.histograms[key] = Times(list(times.buckets), times.seconds)
            return
        mine.buckets = [a + b for a, b in zip(mine.buckets, times.buckets, strict=True)]
        mine.seconds += times.seconds


class Metrics:
    """Counts of this process. Samplers are asked at each `take` for what others count."""

    def __init__(self) -> None:
        self._totals = Totals()
        self._samplers: list[Sampler] = []

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter of the catalog."""
        key = (name, labels)
        counters = self._totals.counters
        counters[key] = counters.get(key, 0.0) + by

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        """Add a duration to a histogram of the catalog."""
        key = (name, labels)
        bounds = FAMILIES[name].bounds
        times = self._totals.histograms.get(key)
        if times is None:
            times = self._totals.histograms[key] = Times([0.0] * (len(bounds) + 1))
        times.buckets[bisect_left(bounds, seconds)] += 1
        times.seconds += seconds

    def sample(self, sampler: Sampler) -> None:
        """Ask this at each `take`."""
        self._samplers.append(sampler)

    def take(self) -> Totals:
        """Everything as it is now."""
        totals = Totals()
        totals.add(self._totals)
        for sampler in self._samplers:
            for sample in sampler():
                key = (sample.name, sample.labels)
                if isinstance(sample.value, Times):
                    totals.add_times(key, sample.value)
                elif FAMILIES[sample.name].kind == "gauge":
                    totals.gauges[key] = sample.value
                else:
                    totals.counters[key] = totals.counters.get(key, 0.0) + sample.value
        return totals
