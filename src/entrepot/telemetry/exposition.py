"""Reports of all processes as Prometheus text."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from entrepot.telemetry.catalog import FAMILIES, PREFIX, Family, Kind
from entrepot.telemetry.metrics import Key, Times, Totals
from entrepot.telemetry.reports import Report

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


def added_up(reports: Iterable[Report]) -> Totals:
    """All reports as one; each process says whether it is up."""
    totals = Totals()
    for report in reports:
        totals.add(report.totals())
        totals.gauges["up", (report.process,)] = 1.0 if report.is_alive else 0.0
    return totals


def exposition(totals: Totals) -> bytes:
    """Prometheus' text format, families in the catalog's order, each family always named."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything(totals))
    return generate_latest(registry)


class _Everything(Collector):
    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES.values():
            yield _metric(family, self._totals)


def _metric(family: Family, totals: Totals) -> Metric:
    name = PREFIX + family.name
    match family.kind:
        case Kind.COUNTER:
            counter = CounterMetricFamily(name, family.help, labels=family.labels)
            for labels, value in _of(family, totals.counters):
                counter.add_metric(labels, value)
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(name, family.help, labels=family.labels)
            for labels, value in _of(family, totals.gauges):
                gauge.add_metric(labels, value)
            return gauge
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(name, family.help, labels=family.labels)
            for (known, labels), times in sorted(totals.histograms.items()):
                if known == family.name and len(times.buckets) == len(family.bounds) + 1:
                    _add_times(histogram, family, labels=labels, times=times)
            return histogram


def _of(family: Family, values: dict[Key, float]) -> Iterator[tuple[tuple[str, ...], float]]:
    """The family's values; one without labels is there from the beginning, as 0 for a counter."""
    found = sorted(
        (labels, value) for (name, labels), value in values.items() if name == family.name
    )
    if not found and not family.labels and family.kind is Kind.COUNTER:
        found = [((), 0.0)]
    yield from found


def _add_times(
    histogram: HistogramMetricFamily, family: Family, *, labels: tuple[str, ...], times: Times
) -> None:
    bounds = [*(f"{bound:.10g}" for bound in family.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(times.buckets), strict=True))
    # A histogram that nobody summed up shows no sum rather than a wrong one.
    total = times.seconds if times.seconds or not any(times.buckets) else None
    histogram.add_metric(labels, buckets=buckets, sum_value=total)
