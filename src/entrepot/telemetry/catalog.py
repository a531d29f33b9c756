"""Every metric there is: name, kind, labels, meaning. The program counts by these rows, `/metrics` and the reference page show them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """As Prometheus has them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. Counters and histograms are added up over processes; gauges of a process have the label `process`."""

    name: str  # without prefix and, for counters, without `_total`
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()  # of a histogram, in seconds


PREFIX: Final = "entrepot_"
SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
JOB_SECONDS: Final = (0.01, 0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)
POINT_SECONDS: Final = tuple(2.0**power / 1e6 for power in range(23))

_COUNTERS: Final = (
    (
        "requests",
        "Requests answered. `status` is the class (2xx …); 499: the client left first.",
        ("wire", "endpoint", "method", "status"),
    ),
    ("received_bytes", "Bytes of request bodies that were read.", ("endpoint",)),
    ("sent_bytes", "Bytes of response bodies.", ("endpoint",)),
    ("manifests_pulled", "Manifests given out (GET).", ()),
    ("manifests_pushed", "Manifests taken in.", ()),
    ("blobs_pulled", "Blobs given out, whole or in ranges (GET).", ()),
    (
        "blobs_pushed",
        "Blobs finished or mounted, however many requests they took.",
        (),
    ),
    ("throttled", "Requests refused with 429.", ("endpoint",)),
    (
        "logins",
        "User name and password looked at, remembered answers included: good, refused, throttled.",
        ("outcome",),
    ),
    (
        "denials",
        "Refusals to callers that showed credentials: unauthenticated, forbidden.",
        ("reason",),
    ),
    (
        "api_calls",
        "Operations of the management APIs. `outcome`: done, or the error's code; `operation`: `unknown` for what is not served.",
        ("api", "operation", "outcome"),
    ),
    ("database_statements", "SQL statements of transactions and point reads.", ()),
    ("database_reads", "Read transactions.", ()),
    ("database_writes", "Functions given to a writing transaction.", ()),
    ("database_commits", "Commits made durable; with SQLite one may carry many writes.", ()),
    ("database_rollbacks", "Transactions undone.", ()),
    ("database_retries", "Functions run again after a conflict or a lost connection.", ()),
    ("database_points", "Reads of one row by its key, outside transactions.", ()),
    ("job_runs", "Tasks run: succeeded, failed, cancelled, interrupted.", ("kind", "outcome")),
    (
        "job_results",
        "What tasks say they did, added up: each number of their summaries (the collector's blobs and bytes are here).",
        ("kind", "result"),
    ),
    ("audit_entries", "Entries of the batched audit writer that were written.", ()),
    ("audit_lost", "Entries dropped because too many waited, or the database did not answer.", ()),
    ("log_lines_lost", "Log lines dropped because standard error was not read.", ()),
    ("cpu_seconds", "Processor time, user and system.", ()),
)
_GAUGES: Final = (
    ("up", "1 while the process lives and reports.", ("process",)),
    ("process_start_time_seconds", "When the process began, Unix time.", ("process",)),
    ("resident_memory_bytes", "Resident memory.", ("process",)),
    ("open_files", "Open file descriptors.", ("process",)),
    ("connections", "Open connections, idle ones included.", ("process",)),
    ("requests_in_flight", "Requests whose answer is not complete.", ("process",)),
    (
        "loop_delay_seconds",
        "How much later than asked the event loop last woke: its backlog.",
        ("process",),
    ),
    ("pool_waiting", "Calls waiting for a thread of the blob pool.", ("process",)),
    (
        "epoch_age_seconds",
        "Since revocations were last read; above 5 nothing is let in.",
        ("process",),
    ),
    ("jobs_running", "Tasks that run now.", ("process",)),
    ("audit_waiting", "Entries the batched audit writer holds.", ("process",)),
    (
        "tasks",
        "Tasks of the whole deployment by kind: pending, running.",
        ("kind", "status"),
    ),
    (
        "oldest_due_task_seconds",
        "How long the task that waits longest could have begun already.",
        (),
    ),
    ("reviews_waiting", "Collector reviews of the whole deployment: later, due.", ("state",)),
    ("build_info", "1; the labels are what runs.", ("version", "python", "database")),
)
_HISTOGRAMS: Final = (
    (
        "request_seconds",
        "From the head of a request to the end of its answer.",
        ("wire", "endpoint", "method"),
        SECONDS,
    ),
    ("database_point_seconds", "Durations of point reads; without a sum.", (), POINT_SECONDS),
    ("job_seconds", "Durations of tasks.", ("kind",), JOB_SECONDS),
)

FAMILIES: Final = {
    family.name: family
    for family in (
        *(Family(name, Kind.COUNTER, text, labels) for name, text, labels in _COUNTERS),
        *(Family(name, Kind.HISTOGRAM, text, labels, at) for name, text, labels, at in _HISTOGRAMS),
        *(Family(name, Kind.GAUGE, text, labels) for name, text, labels in _GAUGES),
    )
}
