"""`entrepot doctor`: is the deployment sound, what is wrong, and what to do about it."""

from collections import Counter

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations import doctor as medicine
from entrepot.capabilities.operations.doctor import Finding, Report
from entrepot.cli.local import run
from entrepot.cli.output import json_option, show_one
from entrepot.cli.progress import Bar
from entrepot.config import Source
from entrepot.model.access import Caller


@click.command()
@click.option(
    "--repair", "is_repairing", is_flag=True, help="Mend what can be mended, then look again."
)
@click.option("--quick", is_flag=True, help="Do not look at each object and each count.")
@click.option(
    "--force",
    is_flag=True,
    help="Repair even where most of the store is unknown to the database: it is deleted.",
)
@json_option
@click.pass_obj
def doctor(source: Source, *, is_repairing: bool, quick: bool, force: bool, as_json: bool) -> None:
    """Look at settings, database and blob store, both ways. Exit code 0: sound; 1: something is wrong."""
    with Bar("looking") as bar:

        def report(what: str, count: int) -> None:
            bar.show(count, label=what)

        async def work(ctx: Context, _caller: Caller) -> tuple[Report, Counter[str]]:
            found = await medicine.examine(ctx, quick=quick, report=report)
            if not is_repairing:
                return found, Counter()
            done = await medicine.repair(ctx, found, force=force)
            return await medicine.examine(ctx, quick=quick, report=report), done

        found, done = run(source, work)
    _show(found, done, as_json=as_json)
    if not found.is_clean:
        raise click.exceptions.Exit(1)


def _show(found: Report, done: Counter[str], *, as_json: bool) -> None:
    if as_json:
        rows = [_row(finding) for finding in found.findings]
        show_one({"sound": found.is_clean, "repaired": dict(done), "findings": rows}, as_json=True)
        return
    for what, count in done.items():
        click.echo(f"repaired: {what.replace('_', ' ')}: {count}")
    for finding in found.findings:
        click.echo(f"{finding.level}: {finding.message}")
        click.echo(f"  to do: {finding.remedy}")
        for subject in finding.subjects:
            click.echo(f"    {subject}")
    if found.is_clean:
        seen = found.differences
        looked = "" if seen is None else f": {seen.rows} blobs, {seen.objects} objects"
        click.echo(f"sound{looked}")


def _row(finding: Finding) -> dict[str, str | bool | list[str]]:
    return {
        "code": finding.code,
        "level": str(finding.level),
        "message": finding.message,
        "remedy": finding.remedy,
        "repairable": finding.repairable,
        "subjects": list(finding.subjects),
    }
