"""`entrepot group`: users who share policies."""

import click

from entrepot.capabilities.access.identities.groups import (
    ListGroups,
    Membership,
    NamedGroup,
    add_member,
    create_group,
    delete_group,
    list_groups,
    list_members,
    remove_member,
)
from entrepot.capabilities.context import Context
from entrepot.cli.local import run
from entrepot.cli.naming import everything, tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, moment, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller


@click.group()
def group() -> None:
    """Create, list and delete groups; add and remove members."""


@group.command()
@click.argument("name")
@tenant_option
@click.pass_obj
def create(source: Source, name: str, tenant_name: str) -> None:
    """Create group NAME."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await create_group(ctx, caller, NamedGroup(tenant.id, name))

    run(source, work)
    click.echo(f"group {name} is created")


@group.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str, *, as_json: bool) -> None:
    """List the groups of a tenant."""

    async def work(ctx: Context, caller: Caller) -> list[Row]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        found = await everything(
            lambda after: list_groups(ctx, caller, ListGroups(tenant.id, after)), lambda g: g.name
        )
        return [{"name": g.name, "id": g.public_id, "created": moment(g.created_at)} for g in found]

    show_rows(("name", "id", "created"), run(source, work), as_json=as_json)


@group.command()
@click.argument("name")
@tenant_option
@json_option
@click.pass_obj
def members(source: Source, name: str, tenant_name: str, *, as_json: bool) -> None:
    """List the members of group NAME."""

    async def work(ctx: Context, caller: Caller) -> list[Row]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        found = await list_members(ctx, caller, NamedGroup(tenant.id, name))
        return [{"name": u.name, "role": u.role.value, "enabled": u.enabled} for u in found]

    show_rows(("name", "role", "enabled"), run(source, work), as_json=as_json)


@group.command()
@click.argument("name")
@click.confirmation_option(prompt="Its members lose what its policies give. Delete?")
@tenant_option
@click.pass_obj
def delete(source: Source, name: str, tenant_name: str) -> None:
    """Delete group NAME."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await delete_group(ctx, caller, NamedGroup(tenant.id, name))

    run(source, work)
    click.echo(f"group {name} is deleted")


@group.command()
@click.argument("name")
@click.argument("user")
@tenant_option
@click.pass_obj
def add(source: Source, name: str, user: str, tenant_name: str) -> None:
    """Put USER into group NAME."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await add_member(ctx, caller, Membership(tenant.id, name, user))

    run(source, work)
    click.echo(f"{user} is in {name}")


@group.command()
@click.argument("name")
@click.argument("user")
@tenant_option
@click.pass_obj
def remove(source: Source, name: str, user: str, tenant_name: str) -> None:
    """Take USER out of group NAME."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await remove_member(ctx, caller, Membership(tenant.id, name, user))

    run(source, work)
    click.echo(f"{user} is no longer in {name}")
