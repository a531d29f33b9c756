"""`entrepot instance`: registries with host names of their own."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.changing import (
    DeleteInstance,
    ModifyInstance,
    delete_instance,
    modify_instance,
)
from entrepot.capabilities.instances.creating import CreateInstance, create_instance
from entrepot.capabilities.instances.describing import get_instance
from entrepot.capabilities.instances.instances import (
    InstanceHost,
    InstanceShown,
    add_host,
    list_instances,
    remove_host,
)
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.cli.config import settings_of
from entrepot.cli.local import run
from entrepot.cli.naming import instance_of, tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.instances import Content, InstanceDetails
from entrepot.model.network_access import EntryStatus
from entrepot.model.tenancy import Instance

_COLUMNS = ("name", "id", "kind", "tenant", "status", "default", "hosts")


@click.group()
def instance() -> None:
    """Create, change and delete instances; give them further host names."""


@instance.command()
@click.argument("name")
@tenant_option
@click.option("--edition", default="", help="Of `instances.editions`. Default: the first.")
@click.option("--closed", is_flag=True, help="Nobody reaches it until its entry is opened.")
@json_option
@click.pass_obj
def create(
    source: Source, name: str, tenant_name: str, edition: str, *, closed: bool, as_json: bool
) -> None:
    """Create a dedicated instance, which answers at NAME under the suffix of `http.suffix`."""
    entry = EntryStatus.CLOSED if closed else EntryStatus.OPENED

    async def work(ctx: Context, caller: Caller) -> Instance:
        tenant = await tenant_of(ctx, caller, tenant_name)
        command = CreateInstance(tenant.id, name, edition=edition, entry=entry, at_once=True)
        return await create_instance(ctx, caller, command)

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
@json_option
@click.pass_obj
def show(source: Source, name: str, *, as_json: bool) -> None:
    """Show the instance NAME (or its id) in full."""

    async def work(ctx: Context, caller: Caller) -> InstanceDetails:
        found = await instance_of(ctx, caller, name)
        return await get_instance(ctx, caller, OfInstance(found.id))

    show_one(_details(run(source, work)), as_json=as_json)


@instance.command()
@click.argument("name")
@click.option("--edition", help="Of `instances.editions`; refused where use does not fit it.")
@click.option("--protect/--unprotect", "is_protected", default=None, help="Against deletion.")
@json_option
@click.pass_obj
def modify(
    source: Source, name: str, edition: str | None, *, is_protected: bool | None, as_json: bool
) -> None:
    """Change the dedicated instance NAME (or its id)."""

    async def work(ctx: Context, caller: Caller) -> InstanceDetails:
        found = await instance_of(ctx, caller, name)
        command = ModifyInstance(found.id, edition=edition, is_protected=is_protected, at_once=True)
        return await modify_instance(ctx, caller, command)

    show_one(_details(run(source, work)), as_json=as_json)


@instance.command()
@click.argument("name")
@click.option(
    "--content",
    type=click.Choice([content.value for content in Content]),
    default=Content.REFUSE.value,
    show_default=True,
    help="Of its namespaces: refuse to delete an instance that has some, keep them as a bucket, or delete them.",
)
@click.confirmation_option(prompt="Its tokens and service accounts end for good. Delete?")
@click.pass_obj
def delete(source: Source, name: str, content: str) -> None:
    """Delete the dedicated instance NAME (or its id). Content that is deleted goes in the background."""

    async def work(ctx: Context, caller: Caller) -> None:
        found = await instance_of(ctx, caller, name)
        command = DeleteInstance(found.id, content=Content(content), at_once=True)
        await delete_instance(ctx, caller, command)

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
        "status": found.instance.status.value,
        "default": found.instance.is_default,
        "hosts": list(found.hosts),
    }


def _details(found: InstanceDetails) -> Row:
    return {
        "name": found.instance.name,
        "id": found.instance.public_id,
        "kind": found.instance.kind.value,
        "status": found.status.value,
        "reason": found.reason or None,
        "region": found.region_name,
        "edition": found.edition or None,
        "protected": found.is_protected,
        "entry": found.public_entry.value,
        "created": moment(found.created_at),
        "expires": None if found.expires_at is None else moment(found.expires_at),
        "tags": [f"{key}={value}" for key, value in found.tags],
    }
