"""The reference page of metrics, from the catalog that the program counts by."""

from collections.abc import Iterator

from entrepot.telemetry.catalog import FAMILIES, PREFIX, Family, Kind

_TITLES = {
    Kind.COUNTER: (
        "Counters",
        "Added up over all processes of this data folder, those that were replaced included. They begin at 0 with each `entrepot serve`.",
    ),
    Kind.HISTOGRAM: ("Histograms", "Added up like counters. Seconds."),
    Kind.GAUGE: (
        "Gauges",
        "As it is now. Those of a process have the label `process` and are shown while it lives.",
    ),
}


def metrics_page() -> str:
    """Every metric: name, labels, meaning."""
    return "\n".join([*_preface(), *(line for kind in _TITLES for line in _section(kind))])


def _preface() -> Iterator[str]:
    yield from ("# Metrics", "")
    yield "<!-- Generated from the code by `make docs`; edits here are lost. -->"
    yield ""
    yield (
        "`GET /metrics` on the admin listener, in Prometheus' text format: `curl --unix-socket <data folder>/run/admin.sock http://admin/metrics`,"
        " or on a loopback address with `Authorization: Bearer <admin.token>` (`admin.listen`, `admin.token`)."
        " Processes report once a second. `metrics.enabled = false` turns it off."
    )
    yield ""
    yield (
        "The same listener has `/healthz`, `/readyz`, `/processes` (states as JSON) and `/log-level`"
        " (`PUT` one of debug, info, warning, error for all processes until the next start; `DELETE` goes back to `log.level`)."
    )
    yield ""


def _section(kind: Kind) -> Iterator[str]:
    title, text = _TITLES[kind]
    yield from (f"## {title}", "", text, "", "| name | labels | meaning |", "|---|---|---|")
    for family in FAMILIES.values():
        if family.kind is kind:
            labels = ", ".join(f"`{label}`" for label in family.labels)
            yield f"| `{_name(family)}` | {labels} | {family.help} |"
    yield ""


def _name(family: Family) -> str:
    ending = "_total" if family.kind is Kind.COUNTER else ""
    return f"{PREFIX}{family.name}{ending}"
