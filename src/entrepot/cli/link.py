"""`entrepot link`: private links of instances to networks."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.links import OneLink, create_link, delete_link, list_links
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.cli.local import run
from entrepot.cli.naming import instance_of
from entrepot.cli.output import Row, json_option, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.network_access import PrivateLink

_COLUMNS = ("network", "subnet", "status", "address", "names")
_subnet = click.option(
    "--subnet", default="", help="A name of a part of the network; kept as it is."
)


@click.group()
def link() -> None:
    """Let clients of a private network in, whatever the public entry says."""


@link.command("list")
@click.argument("instance")
@json_option
@click.pass_obj
def list_(source: Source, instance: str, *, as_json: bool) -> None:
    """List the links of INSTANCE."""

    async def work(ctx: Context, caller: Caller) -> list[PrivateLink]:
        found = await instance_of(ctx, caller, instance)
        return await list_links(ctx, caller, OfInstance(found.id))

    show_rows(_COLUMNS, [_row(one) for one in run(source, work)], as_json=as_json)


@link.command()
@click.argument("instance")
@click.argument("network")
@_subnet
@click.pass_obj
def create(source: Source, instance: str, network: str, subnet: str) -> None:
    """Link INSTANCE to NETWORK (see `entrepot network`): a worker does so within a moment."""

    async def work(ctx: Context, caller: Caller) -> PrivateLink:
        found = await instance_of(ctx, caller, instance)
        return await create_link(ctx, caller, OneLink(found.id, network, subnet))

    click.echo(f"the link of {instance} to {network} is {run(source, work).status.value}")


@link.command()
@click.argument("instance")
@click.argument("network")
@_subnet
@click.pass_obj
def delete(source: Source, instance: str, network: str, subnet: str) -> None:
    """End the link of INSTANCE to NETWORK."""

    async def work(ctx: Context, caller: Caller) -> PrivateLink:
        found = await instance_of(ctx, caller, instance)
        return await delete_link(ctx, caller, OneLink(found.id, network, subnet))

    click.echo(f"the link of {instance} to {network} is {run(source, work).status.value}")


def _row(one: PrivateLink) -> Row:
    return {
        "network": one.network,
        "subnet": one.subnet,
        "status": one.status.value,
        "address": one.address or None,
        "names": one.has_names,
    }
