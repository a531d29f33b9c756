"""`entrepot region`: the regions that APIs speak of."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.regions import (
    CreateRegion,
    ListRegions,
    create_region,
    list_regions,
)
from entrepot.cli.local import run
from entrepot.cli.output import Row, json_option, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.identities import Region

_COLUMNS = ("name", "id", "display_name", "kind", "default")


@click.group()
def region() -> None:
    """Create and list regions; each served here has a shared registry of its own."""


@region.command()
@click.argument("name")
@click.option("--id", "number", type=int, required=True, help="Numeric id.")
@click.option("--display-name", default="", help="Name for people. Default: NAME.")
@click.option("--peer", is_flag=True, help="Another deployment serves it.")
@json_option
@click.pass_obj
def create(
    source: Source, name: str, number: int, display_name: str, *, peer: bool, as_json: bool
) -> None:
    """Set down the region NAME."""

    async def work(ctx: Context, caller: Caller) -> Region:
        command = CreateRegion(name, number, display_name, is_local=not peer)
        return await create_region(ctx, caller, command)

    show_one(_row(run(source, work)), as_json=as_json)


@region.command("list")
@json_option
@click.pass_obj
def list_(source: Source, *, as_json: bool) -> None:
    """List the regions, the default one first."""

    async def work(ctx: Context, caller: Caller) -> list[Region]:
        return await list_regions(ctx, caller, ListRegions())

    show_rows(_COLUMNS, [_row(one) for one in run(source, work)], as_json=as_json)


def _row(one: Region) -> Row:
    return {
        "name": one.name,
        "id": one.number,
        "display_name": one.display_name,
        "kind": "local" if one.is_local else "peer",
        "default": one.is_default,
    }
