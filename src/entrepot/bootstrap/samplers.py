"""Where metrics read what the parts of a process count for themselves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.http.server import Server
from entrepot.jobs.worker import Worker
from entrepot.metadata.observing import Backlog
from entrepot.telemetry.metrics import Metrics, Sample, Times, Totals

_DATABASE = (
    *("statements", "reads", "writes", "commits"),
    *("rollbacks", "retries", "points"),
)


def sample_context(metrics: Metrics, process: str, ctx: Context) -> None:
    """Database, blob pool, epochs."""

    def samples() -> Iterator[Sample]:
        counts = ctx.db.statistics.counts()
        for name in _DATABASE:
            yield Sample(f"database_{name}", getattr(counts, name))
        yield Sample(
            "database_point_seconds", Times([float(n) for n in ctx.db.point_latency.buckets])
        )
        yield Sample("pool_waiting", _waiting(ctx.pool), (process,))
        yield Sample("epoch_age_seconds", ctx.access.epochs.age_seconds, (process,))

    metrics.sample(samples)


def sample_server(metrics: Metrics, process: str, server: Server, audit: AuditLog) -> None:
    """Connections and requests now, and the batched audit writer."""

    def samples() -> Iterator[Sample]:
        yield Sample("connections", server.connections, (process,))
        yield Sample("requests_in_flight", server.requests_in_flight, (process,))
        yield Sample("audit_waiting", audit.waiting, (process,))
        yield Sample("audit_entries", audit.written)
        yield Sample("audit_lost", audit.lost)
        for reason, count in audit.denials.items():
            yield Sample("denials", count, (reason,))

    metrics.sample(samples)


def sample_worker(metrics: Metrics, process: str, worker: Worker) -> None:
    """Tasks that run now."""
    metrics.sample(lambda: [Sample("jobs_running", worker.running, (process,))])


def add_backlog(totals: Totals, backlog: Backlog) -> None:
    """The deployment's own gauges, read when somebody asks."""
    for (kind, status), count in backlog.tasks.items():
        totals.gauges["tasks", (kind, status)] = count
    totals.gauges["oldest_due_task_seconds", ()] = backlog.oldest_due_seconds
    totals.gauges["reviews_waiting", ("later",)] = backlog.reviews_later
    totals.gauges["reviews_waiting", ("due",)] = backlog.reviews_due


def _waiting(pool: ThreadPoolExecutor) -> int:
    return pool._work_queue.qsize()  # noqa: SLF001  (the executor shows its queue in no other way)
