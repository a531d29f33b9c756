"""`entrepot gc`: run the collector now, or see what it has before it. The worker runs it by itself, online."""

from functools import partial

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations import collector, expiry
from entrepot.capabilities.operations.collector import Tally
from entrepot.cli.local import run as run_local
from entrepot.cli.output import Row, json_option, show_one
from entrepot.cli.progress import Bar
from entrepot.config import Source
from entrepot.metadata import backlog
from entrepot.metadata.backlog import Backlog
from entrepot.model.access import Caller


@click.group()
def gc() -> None:
    """Delete what nothing refers to any more."""


@gc.command()
@click.option("--dry-run", is_flag=True, help="Say what would be given back now; change nothing.")
@json_option
@click.pass_obj
def run(source: Source, *, dry_run: bool, as_json: bool) -> None:
    """Do all that is due now: close expired uploads, purge history, delete objects. Pushes and pulls go on meanwhile."""
    if dry_run:
        found = run_local(source, _backlog)
        show_one(_would(found), as_json=as_json)
        return
    with Bar("collecting") as bar:

        def report(tally: Tally) -> None:
            bar.show(tally.reviewed, label=f"collecting, {tally.reclaimed_bytes} bytes given back")

        async def work(ctx: Context, _caller: Caller) -> Row:
            closed = await expiry.expire_sessions(ctx)
            tally = await collector.collect(ctx, report=report)
            return {"uploads_closed": closed, **tally.summary()}

        done = run_local(source, work)
    show_one(done, as_json=as_json)
    if done["failed"]:
        click.echo("some objects could not be deleted; they are tried again later", err=True)
        raise click.exceptions.Exit(1)


@gc.command()
@json_option
@click.pass_obj
def status(source: Source, *, as_json: bool) -> None:
    """Show what the collector has before it and what it has given back."""
    found = run_local(source, _backlog)
    show_one(
        {
            "waiting": found.waiting,
            "overdue": found.overdue,
            "oldest_overdue_seconds": round(found.oldest_overdue_seconds, 1),
            "failing": found.failing,
            "condemned_objects": found.condemned,
            "condemned_bytes": found.condemned_bytes,
            "quarantined_blobs": found.quarantined,
            **_would(found),
            "reclaimed_objects": found.reclaimed,
            "reclaimed_bytes": found.reclaimed_bytes,
        },
        as_json=as_json,
    )


async def _backlog(ctx: Context, _caller: Caller) -> Backlog:
    delay = int(ctx.settings.gc.delay.seconds * 1e6)
    return await ctx.db.read(partial(backlog.backlog, delay=delay))


def _would(found: Backlog) -> dict[str, int]:
    """What a run would give back now: blobs to be condemned, and those that are."""
    return {
        "reclaimable_objects": found.reclaimable + found.condemned,
        "reclaimable_bytes": found.reclaimable_bytes + found.condemned_bytes,
    }
