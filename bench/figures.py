"""The arithmetic: readings of single turns, their medians over rounds, ratios to a peer, latency histograms."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Reading:
    """What one turn (one line, one server, one round) measured.

    `values` maps a measure's name (`rate`, `cpu`, `p50_ms` …) to its number; `failure` says in words why
    there are none (starting with `skipped:` where nothing was tried).
    """

    line: str
    server: str
    round: int
    values: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line for one server over all rounds: the median of every measure, and what failed."""

    line: str
    server: str
    values: Mapping[str, float]
    failures: tuple[str, ...]


def medians(readings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each measure over the turns that have it; measures keep the order of first sight."""
    names = dict.fromkeys(name for values in readings for name in values)
    return {
        name: statistics.median(values[name] for values in readings if name in values)
        for name in names
    }


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """`ours / theirs`, or None where either is missing or theirs is not positive."""
    if ours is None or theirs is None or theirs <= 0:
        return None
    return ours / theirs


def rows(readings: Iterable[Reading]) -> list[Row]:
    """One row per (line, server), in the order of first sight; failed turns give no numbers."""
    grouped: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        grouped.setdefault((reading.line, reading.server), []).append(reading)
    return [
        Row(
            line,
            server,
            medians([turn.values for turn in turns if turn.failure is None]),
            tuple(turn.failure for turn in turns if turn.failure is not None),
        )
        for (line, server), turns in grouped.items()
    ]


def quantile(histogram: Mapping[int, int], share: float) -> int | None:
    """The smallest bucket at or below which `share` (0 to 1) of all counted samples lie; None when empty."""
    total = sum(histogram.values())
    if total == 0:
        return None
    wanted = share * total
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= wanted:
            return bucket
    return max(histogram)


def merged(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """One histogram out of several with the same bucket width."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total
