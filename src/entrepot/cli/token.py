"""`entrepot token`: what programs log in with: long-term tokens of users, and service accounts with rights of their own."""

import click

from entrepot.capabilities.access.accounts import (
    CreateToken,
    DeleteToken,
    ListTokens,
    MadeAccount,
    ModifyToken,
    create_token,
    delete_token,
    list_tokens,
    modify_token,
)
from entrepot.capabilities.access.identities.users import NamedUser, get_user
from entrepot.capabilities.context import Context
from entrepot.cli.local import run
from entrepot.cli.naming import (
    instance_of,
    instance_option,
    tenant_of,
    tenant_option,
)
from entrepot.cli.output import json_option, show_rows
from entrepot.cli.service_account import account_row, service, show_made
from entrepot.config import Source
from entrepot.metadata.accounts import Account
from entrepot.model.access import AccountKind, Caller

_TOKEN_COLUMNS = ("id", "kind", "login", "description", "enabled", "created", "expires")


@click.group()
def token() -> None:
    """Long-term tokens, which act with their user's rights; `token service` for robots with rights of their own."""


@token.command()
@click.argument("user")
@click.option("--temporary", is_flag=True, help="One that ends after an hour.")
@click.option("--description", default="", help="For people.")
@tenant_option
@instance_option
@json_option
@click.pass_obj
def create(
    source: Source,
    user: str,
    description: str,
    *,
    tenant_name: str,
    instance_name: str,
    temporary: bool,
    as_json: bool,
) -> None:
    """Make a token for USER and show it once."""
    kind = AccountKind.TEMPORARY if temporary else AccountKind.LONGTERM

    async def work(ctx: Context, caller: Caller) -> MadeAccount:
        tenant = await tenant_of(ctx, caller, tenant_name)
        instance = await instance_of(ctx, caller, instance_name)
        maker = await get_user(ctx, caller, NamedUser(tenant.id, user))
        return await create_token(
            ctx, caller, CreateToken(instance, kind, description, user=maker.id)
        )

    show_made(run(source, work), as_json=as_json)


@token.command("list")
@tenant_option
@instance_option
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str, instance_name: str, *, as_json: bool) -> None:
    """List the long-term tokens of a tenant and its logins for a day."""

    async def work(ctx: Context, caller: Caller) -> list[Account]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        instance = await instance_of(ctx, caller, instance_name)
        return await list_tokens(
            ctx, caller, ListTokens(instance, everybody=True, tenant=tenant.id, logins=True)
        )

    rows = [{"kind": found.kind.value, **account_row(found)} for found in run(source, work)]
    show_rows(_TOKEN_COLUMNS, rows, as_json=as_json)


@token.command()
@click.argument("token_id")
@instance_option
@click.pass_obj
def enable(source: Source, token_id: str, instance_name: str) -> None:
    """Accept the token of that id again."""
    _modify(source, token_id, instance_name, enabled=True)


@token.command()
@click.argument("token_id")
@instance_option
@click.pass_obj
def disable(source: Source, token_id: str, instance_name: str) -> None:
    """Refuse the token of that id within a second."""
    _modify(source, token_id, instance_name, enabled=False)


@token.command()
@click.argument("token_id")
@instance_option
@click.pass_obj
def delete(source: Source, token_id: str, instance_name: str) -> None:
    """Delete the token or login of that id."""

    async def work(ctx: Context, caller: Caller) -> None:
        instance = await instance_of(ctx, caller, instance_name)
        await delete_token(ctx, caller, DeleteToken(instance, token_id))

    run(source, work)
    click.echo(f"token {token_id} is deleted")


def _modify(source: Source, token_id: str, instance_name: str, *, enabled: bool) -> None:
    async def work(ctx: Context, caller: Caller) -> None:
        instance = await instance_of(ctx, caller, instance_name)
        await modify_token(ctx, caller, ModifyToken(instance, token_id, enabled=enabled))

    run(source, work)
    click.echo(f"token {token_id} is {'enabled' if enabled else 'disabled'}")


token.add_command(service)
