"""`entrepot instance`: registries with host names of their own."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.instances import (
    CreateInstance,
    InstanceHost,
    InstanceShown,
    NamedInstance,
    add_host,
    create_instance,
    delete_instance,
    list_instances,
    remove_host,
)
from entrepot.cli.config import settings_of
from entrepot.cli.local import run
from entrepot.cli.naming import tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.tenancy import Instance

_COLUMNS = ("name", "id", "kind", "tenant", "default", "hosts")


@click.group()
def instance() -> None:
    """Create, list and delete instances; give them further host names."""


@instance.command()
@click.argument("name")
@tenant_option
@json_option
@click.pass_obj
def create(source: Source, name: str, tenant_name: str, *, as_json: bool) -> None:
    """Create a dedicated instance, which answers at NAME under the suffix of `http.suffix`."""

    async def work(ctx: Context, caller: Caller) -> Instance:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await create_instance(ctx, caller, CreateInstance(tenant.id, name))

    made = run(source, work)
    host = f"{made.name}.{settings_of(source).http.suffix}"
    row: Row = {"name": made.name, "id": made.public_id, "tenant": tenant_name, "host": host}
    show_one(row, as_json=as_json)


@instance.command("list")
@click.option("--tenant", "tenant_name", help="Only what this tenant sees.")
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str | None, *, as_json: bool) -> None:
    """List the instances."""

    async def work(ctx: Context, caller: Caller) -> list[InstanceShown]:
        only = None if tenant_name is None else (await tenant_of(ctx, caller, tenant_name)).id
        return await list_instances(ctx, caller, only)

    show_rows(_COLUMNS, [_row(found) for found in run(source, work)], as_json=as_json)


@instance.command()
@click.argument("name")
@click.confirmation_option(prompt="Its tokens and service accounts end for good. Delete?")
@click.pass_obj
def delete(source: Source, name: str) -> None:
    """Delete the dedicated instance NAME (or its id), which must be empty."""

    async def work(ctx: Context, caller: Caller) -> None:
        await delete_instance(ctx, caller, NamedInstance(name))

    run(source, work)
    click.echo(f"instance {name} is deleted")


@instance.group()
def host() -> None:
    """Further host names of an instance."""


@host.command()
@click.argument("name")
@click.argument("host")
@click.pass_obj
def add(source: Source, name: str, host: str) -> None:
    """Let the instance NAME answer at HOST, too."""

    async def work(ctx: Context, caller: Caller) -> str:
        return await add_host(ctx, caller, InstanceHost(name, host))

    click.echo(f"{name} answers at {run(source, work)}")


@host.command()
@click.argument("name")
@click.argument("host")
@click.pass_obj
def remove(source: Source, name: str, host: str) -> None:
    """Take HOST away from the instance NAME."""

    async def work(ctx: Context, caller: Caller) -> None:
        await remove_host(ctx, caller, InstanceHost(name, host))

    run(source, work)
    click.echo(f"{name} no longer answers at {host}")


def _row(found: InstanceShown) -> Row:
    return {
        "name": found.instance.name,
        "id": found.instance.public_id,
        "kind": found.instance.kind.value,
        "tenant": found.tenant_name or None,
        "default": found.instance.is_default,
        "hosts": list(found.hosts),
    }
