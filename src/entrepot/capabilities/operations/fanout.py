"""Fan-out: each event is handed once to every consumer that wants its kind. The code that pushes knows none of them.

A consumer answers with tasks, deferred in the transaction that finishes the fan-out: after a crash at any point each consumer's
tasks exist exactly once. Where one consumer fails, each gets a fan-out task of its own, so that the others are not held up.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from entrepot.capabilities.operations.work import Handler, JobCancelled, JobContext, Summary
from entrepot.metadata import events, work
from entrepot.metadata.database import Connection
from entrepot.model.errors import LeaseLost, Unavailable
from entrepot.model.events import Event, EventKind
from entrepot.model.work import NewTask


@dataclass(frozen=True, slots=True)
class Consumer:
    """Somebody who wants events of these kinds. `tasks` runs in the fan-out's transaction: it reads, decides, and answers with
    what is to be done; it may be run again and has no other effect."""

    name: str
    kinds: frozenset[EventKind]
    tasks: Callable[[Connection, Event], Iterable[NewTask]]


def fanout_handler(consumers: Sequence[Consumer]) -> Handler:
    """The handler of fan-out tasks for these consumers. Names are unique, kinds are `events.FANNED_OUT`'s; ValueError."""
    by_name = {consumer.name: consumer for consumer in consumers}
    if len(by_name) != len(consumers):
        raise ValueError("two consumers of events have the same name")
    untold = {kind for consumer in consumers for kind in consumer.kinds} - events.FANNED_OUT
    if untold:
        raise ValueError(f"no task tells of events of these kinds: {', '.join(sorted(untold))}")

    async def run(ctx: JobContext) -> None:
        await _fan_out(ctx, by_name)

    return Handler(kind=events.FANOUT, run=run)


async def _fan_out(ctx: JobContext, consumers: dict[str, Consumer]) -> None:
    only = ctx.task.arguments.get("consumer")
    chosen = [c for c in consumers.values() if only in (None, c.name)]
    try:
        await ctx.finish(lambda conn: _hand_over(conn, ctx, chosen))
    except (LeaseLost, JobCancelled, Unavailable):
        raise
    except Exception:
        if len(chosen) < 2:
            raise
        await ctx.finish(lambda conn: _split(conn, ctx, chosen))


def _event(conn: Connection, ctx: JobContext) -> Event | None:
    return events.get(conn, int(ctx.task.arguments["event"]))


def _hand_over(conn: Connection, ctx: JobContext, consumers: Iterable[Consumer]) -> Summary:
    event = _event(conn, ctx)
    if event is None:  # retried by hand after the event was purged
        return {"purged": True}
    deferred = 0
    for consumer in consumers:
        if event.kind in consumer.kinds:
            for task in consumer.tasks(conn, event):
                deferred += work.defer(conn, task) is not None
    return {"deferred": deferred}


def _split(conn: Connection, ctx: JobContext, consumers: Iterable[Consumer]) -> Summary:
    """One fan-out task for each consumer that wants the event."""
    event = _event(conn, ctx)
    wanting = [c.name for c in consumers if event is not None and event.kind in c.kinds]
    for name in wanting:
        arguments = {**ctx.task.arguments, "consumer": name}
        work.defer(conn, NewTask(events.FANOUT, arguments=arguments))
    return {"split": len(wanting)}
