"""`entrepot network`: address ranges that instances can be linked to privately."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.networks import (
    CreateNetwork,
    create_network,
    delete_network,
    list_networks,
)
from entrepot.cli.local import run
from entrepot.cli.naming import tenant_names, tenant_of
from entrepot.cli.output import Row, json_option, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.ids import TenantId
from entrepot.model.network_access import PrivateNetwork

_COLUMNS = ("name", "tenant", "cidrs")


@click.group()
def network() -> None:
    """Create, list and delete private networks (what a cloud calls VPC)."""


@network.command()
@click.argument("name")
@click.argument("cidrs", nargs=-1, required=True, metavar="CIDR...")
@click.option("--tenant", "tenant_name", help="Whose it is. Default: every tenant may name it.")
@json_option
@click.pass_obj
def create(
    source: Source, name: str, cidrs: tuple[str, ...], tenant_name: str | None, *, as_json: bool
) -> None:
    """Set down the network NAME, an id such as `vpc-factory`, with its address ranges."""

    async def work(ctx: Context, caller: Caller) -> PrivateNetwork:
        tenant = None if tenant_name is None else (await tenant_of(ctx, caller, tenant_name)).id
        return await create_network(ctx, caller, CreateNetwork(name, cidrs, tenant))

    made = run(source, work)
    show_one(_row(made, tenant_name), as_json=as_json)


@network.command("list")
@click.option("--tenant", "tenant_name", help="Only what this tenant may name.")
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str | None, *, as_json: bool) -> None:
    """List the private networks."""

    async def work(ctx: Context, caller: Caller) -> list[Row]:
        only = None if tenant_name is None else (await tenant_of(ctx, caller, tenant_name)).id
        names: dict[TenantId, str] = await tenant_names(ctx, caller)
        found = await list_networks(ctx, caller, only)
        return [_row(one, None if one.tenant is None else names.get(one.tenant)) for one in found]

    show_rows(_COLUMNS, run(source, work), as_json=as_json)


@network.command()
@click.argument("name")
@click.pass_obj
def delete(source: Source, name: str) -> None:
    """Forget the network NAME, which no instance may be linked to."""

    async def work(ctx: Context, caller: Caller) -> None:
        await delete_network(ctx, caller, name)

    run(source, work)
    click.echo(f"network {name} is deleted")


def _row(found: PrivateNetwork, tenant: str | None) -> Row:
    return {"name": found.public_id, "tenant": tenant, "cidrs": list(found.cidrs)}
