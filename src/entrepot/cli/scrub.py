"""`entrepot scrub`: read every blob again and say which are not what they should be."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations import scrub as scrubbing
from entrepot.capabilities.operations.scrub import Scope, Scrubbed
from entrepot.cli.local import run
from entrepot.cli.naming import instance_of, instance_option
from entrepot.cli.output import json_option, show_one
from entrepot.cli.progress import Bar
from entrepot.config import Source
from entrepot.config.types import ByteSize
from entrepot.model.access import Caller
from entrepot.model.errors import RepositoryUnknown
from entrepot.model.ids import RepositoryId


def _rate(_ctx: click.Context, _option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return int(ByteSize.parse(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--repository", help="Only the blobs of this repository, `namespace/name`.")
@click.option(
    "--rate",
    callback=_rate,
    metavar="SIZE",
    help="Bytes a second, as 64MiB; 0: as fast as it goes. Default: gc.scrub_rate.",
)
@instance_option
@json_option
@click.pass_obj
def scrub(
    source: Source, repository: str | None, rate: int | None, instance_name: str, *, as_json: bool
) -> None:
    """Read and hash all blobs again, now. Exit code 1 if any is damaged, missing or unreadable."""
    with Bar("scrubbing", in_bytes=True) as bar:

        def report(seen: Scrubbed) -> None:
            bar.show(seen.bytes, seen.total_bytes)

        async def work(ctx: Context, caller: Caller) -> Scrubbed:
            pace = int(ctx.settings.gc.scrub_rate) if rate is None else rate
            number: RepositoryId | None = None
            if repository is not None:
                instance = await instance_of(ctx, caller, instance_name)
                found = await ctx.hot.repository(instance.id, repository)
                if found is None:
                    raise RepositoryUnknown(repository)
                number = found.id
            return await scrubbing.scrub(ctx, Scope(pace, repository=number), report=report)

        done = run(source, work)
    show_one({**done.summary(), "digests": done.digests}, as_json=as_json)
    if done.damaged or done.missing:
        click.echo(
            "these blobs are set aside: push images that have them again, or restore the objects and scrub once more",
            err=True,
        )
    if done.digests:
        raise click.exceptions.Exit(1)
