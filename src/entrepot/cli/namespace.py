"""`entrepot namespace`: where repositories live. A push needs the namespace to be there."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    ListNamespaces,
    ModifyNamespace,
    NamedNamespace,
    create_namespace,
    delete_namespace,
    get_namespace,
    list_namespaces,
    modify_namespace,
)
from entrepot.cli.local import run
from entrepot.cli.naming import (
    everything,
    instance_of,
    instance_option,
    tenant_names,
    tenant_of,
    tenant_option,
)
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.tenancy import Namespace

_COLUMNS = ("name", "tenant", "public", "created")


@click.group()
def namespace() -> None:
    """Create, list, show, publish and delete namespaces."""


@namespace.command()
@click.argument("name")
@click.option("--public", "is_public", is_flag=True, help="Anybody may pull.")
@tenant_option
@instance_option
@json_option
@click.pass_obj
def create(
    source: Source,
    name: str,
    tenant_name: str,
    instance_name: str,
    *,
    is_public: bool,
    as_json: bool,
) -> None:
    """Create namespace NAME."""

    async def work(ctx: Context, caller: Caller) -> Namespace:
        tenant = await tenant_of(ctx, caller, tenant_name)
        instance = await instance_of(ctx, caller, instance_name)
        command = CreateNamespace(instance.id, tenant.id, name, is_public)
        return await create_namespace(ctx, caller, command)

    found = run(source, work)
    if as_json:
        show_one(_row(found, tenant_name), as_json=True)
    else:
        click.echo(f"namespace {name} is created: push to <registry>/{name}/<repository>:<tag>")


@namespace.command("list")
@click.option("--tenant", "tenant_name", help="Only this tenant's.")
@instance_option
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str | None, instance_name: str, *, as_json: bool) -> None:
    """List the namespaces of an instance."""

    async def work(ctx: Context, caller: Caller) -> list[Row]:
        instance = await instance_of(ctx, caller, instance_name)
        only = None if tenant_name is None else (await tenant_of(ctx, caller, tenant_name)).id
        found = await everything(
            lambda after: list_namespaces(ctx, caller, ListNamespaces(instance.id, only, after)),
            lambda n: n.name,
        )
        names = await tenant_names(ctx, caller)
        return [_row(n, names.get(n.tenant, "")) for n in found]

    show_rows(_COLUMNS, run(source, work), as_json=as_json)


@namespace.command()
@click.argument("name")
@instance_option
@json_option
@click.pass_obj
def show(source: Source, name: str, instance_name: str, *, as_json: bool) -> None:
    """Show namespace NAME."""

    async def work(ctx: Context, caller: Caller) -> Row:
        instance = await instance_of(ctx, caller, instance_name)
        found = await get_namespace(ctx, caller, NamedNamespace(instance.id, name))
        names = await tenant_names(ctx, caller)
        return _row(found, names.get(found.tenant, ""))

    show_one(run(source, work), as_json=as_json)


@namespace.command()
@click.argument("name")
@click.option("--public/--private", "is_public", required=True, help="Whether anybody may pull.")
@instance_option
@click.pass_obj
def modify(source: Source, name: str, instance_name: str, *, is_public: bool) -> None:
    """Make namespace NAME public or private."""

    async def work(ctx: Context, caller: Caller) -> None:
        instance = await instance_of(ctx, caller, instance_name)
        command = ModifyNamespace(NamedNamespace(instance.id, name), is_public)
        await modify_namespace(ctx, caller, command)

    run(source, work)
    click.echo(f"namespace {name} is {'public' if is_public else 'private'}")


@namespace.command()
@click.argument("name")
@instance_option
@click.pass_obj
def delete(source: Source, name: str, instance_name: str) -> None:
    """Delete namespace NAME, which must be empty."""

    async def work(ctx: Context, caller: Caller) -> None:
        instance = await instance_of(ctx, caller, instance_name)
        await delete_namespace(ctx, caller, NamedNamespace(instance.id, name))

    run(source, work)
    click.echo(f"namespace {name} is deleted")


def _row(found: Namespace, tenant: str) -> Row:
    return {
        "name": found.name,
        "tenant": tenant,
        "public": found.is_public,
        "created": moment(found.created_at),
    }
