"""Tasks measured: each handler's body is wrapped once, when the worker is put together."""

import asyncio
import dataclasses
import time
from collections.abc import Mapping
from typing import Final

import structlog

from entrepot.capabilities.operations.work import Handler, JobCancelled, JobContext, Summary
from entrepot.telemetry.metrics import Metrics
from entrepot.telemetry.tracing import Tracer

_MOST_RESULTS: Final = 32  # numbers of one summary that are counted


def measured(
    handlers: Mapping[str, Handler], metrics: Metrics, tracer: Tracer | None
) -> dict[str, Handler]:
    """The same handlers; counts, durations, the numbers of their summaries, spans, and the task's id on every log line."""
    return {kind: _measured(handler, metrics, tracer) for kind, handler in handlers.items()}


def _measured(handler: Handler, metrics: Metrics, tracer: Tracer | None) -> Handler:
    async def run(ctx: JobContext) -> Summary | None:
        structlog.contextvars.bind_contextvars(task=int(ctx.task.id), kind=handler.kind)
        began, outcome = time.perf_counter(), "failed"
        try:
            summary = await handler.run(ctx)
            outcome = "succeeded"
        except JobCancelled:
            outcome = "cancelled"
            raise
        except asyncio.CancelledError:
            outcome = "interrupted"
            raise
        else:
            _count_results(metrics, handler.kind, summary or ctx.progress)
            return summary
        finally:
            seconds = time.perf_counter() - began
            metrics.count("job_runs", handler.kind, outcome)
            metrics.observe("job_seconds", handler.kind, seconds=seconds)
            if tracer is not None:
                tracer.task(handler.kind, task=int(ctx.task.id), outcome=outcome, seconds=seconds)

    return dataclasses.replace(handler, run=run)


def _count_results(metrics: Metrics, kind: str, summary: Mapping[str, object]) -> None:
    for name, value in list(summary.items())[:_MOST_RESULTS]:
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            metrics.count("job_results", kind, name, by=value)
