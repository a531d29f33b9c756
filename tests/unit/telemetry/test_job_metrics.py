"""Tasks measured by the handler that the worker is given."""

import asyncio

import pytest

from entrepot.capabilities.operations.work import Handler, JobCancelled, JobContext
from entrepot.model.ids import Micros, TaskId
from entrepot.model.work import Task
from entrepot.telemetry.jobs import measured
from entrepot.telemetry.metrics import Metrics

TASK = Task(TaskId(7), "gc", "", {}, None, 1, 8, "lease", Micros(0))


def run(body):
    """Run a body under measure: what was counted, and what it raised."""
    metrics = Metrics()
    handler = measured({"gc": Handler(kind="gc", run=body, concurrency=3)}, metrics, None)["gc"]
    assert handler.concurrency == 3
    raised = None
    try:
        asyncio.run(handler.run(JobContext(None, TASK)))
    except BaseException as error:
        raised = type(error)
    return metrics.take(), raised


def test_a_task_that_succeeds_is_counted_with_the_numbers_of_its_summary():
    async def body(_ctx):
        return {"removed": 3, "bytes": 4096, "note": "text", "flag": True, "none": 0}

    totals, raised = run(body)
    assert raised is None
    assert totals.counters == {
        ("job_runs", ("gc", "succeeded")): 1,
        ("job_results", ("gc", "removed")): 3,
        ("job_results", ("gc", "bytes")): 4096,
    }
    assert sum(totals.histograms["job_seconds", ("gc",)].buckets) == 1


def test_a_task_that_finishes_by_itself_is_counted_by_its_progress():
    async def body(ctx):
        ctx.report(folded=5)

    totals, _ = run(body)
    assert totals.counters["job_results", ("gc", "folded")] == 5


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError, "failed"),
        (JobCancelled, "cancelled"),
        (asyncio.CancelledError, "interrupted"),
    ],
)
def test_a_task_that_ends_otherwise_is_counted_as_that_and_the_error_goes_on(error, outcome):
    async def body(_ctx):
        raise error

    totals, raised = run(body)
    assert raised is error
    assert totals.counters == {("job_runs", ("gc", outcome)): 1}
