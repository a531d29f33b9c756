"""`entrepot user`: people and robots of a tenant."""

import click

from entrepot.capabilities.access.identities.users import (
    CreateUser,
    EnableUser,
    ListUsers,
    NamedUser,
    SetPassword,
    SetRole,
    UserMade,
    create_user,
    delete_user,
    enable_user,
    list_users,
    set_password,
    set_role,
)
from entrepot.capabilities.context import Context
from entrepot.cli.local import run
from entrepot.cli.naming import everything, tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows, warn_of_secret
from entrepot.cli.passwords import password_options
from entrepot.config import Source
from entrepot.model.access import Caller, Role
from entrepot.model.identities import User

_COLUMNS = ("name", "role", "enabled", "password", "uin", "id", "created")
_ROLES = click.Choice([Role.ADMINISTRATOR.value, Role.MEMBER.value])


@click.group()
def user() -> None:
    """Create, list, enable, disable and delete users; set passwords and roles."""


@user.command()
@click.argument("name")
@click.option("--role", type=_ROLES, default=Role.MEMBER.value, show_default=True)
@tenant_option
@password_options
@json_option
@click.pass_obj
def create(
    source: Source,
    name: str,
    role: str,
    tenant_name: str,
    password: str | None,
    *,
    as_json: bool,
) -> None:
    """Create user NAME. A member has no rights until somebody gives some (`grant`, `policy`)."""

    async def work(ctx: Context, caller: Caller) -> UserMade:
        tenant = await tenant_of(ctx, caller, tenant_name)
        command = CreateUser(tenant.id, name, Role(role), password, generate=password is None)
        return await create_user(ctx, caller, command)

    made = run(source, work)
    secret = {} if made.password is None else {"generated_password": made.password}
    show_one({**_row(made.user), **secret}, as_json=as_json)
    if made.password is not None:
        warn_of_secret()


@user.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str, *, as_json: bool) -> None:
    """List the users of a tenant."""

    async def work(ctx: Context, caller: Caller) -> list[User]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await everything(
            lambda after: list_users(ctx, caller, ListUsers(tenant.id, after)), lambda u: u.name
        )

    show_rows(_COLUMNS, [_row(found) for found in run(source, work)], as_json=as_json)


@user.command()
@click.argument("name")
@tenant_option
@click.pass_obj
def enable(source: Source, name: str, tenant_name: str) -> None:
    """Let user NAME in again."""
    _enable(source, name, tenant_name, enabled=True)


@user.command()
@click.argument("name")
@tenant_option
@click.pass_obj
def disable(source: Source, name: str, tenant_name: str) -> None:
    """Refuse user NAME, their keys and their tokens, within a second."""
    _enable(source, name, tenant_name, enabled=False)


@user.command()
@click.argument("name")
@click.confirmation_option(prompt="Their keys, tokens and grants end for good. Delete?")
@tenant_option
@click.pass_obj
def delete(source: Source, name: str, tenant_name: str) -> None:
    """Delete user NAME. What they pushed stays, and so do service accounts they made."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await delete_user(ctx, caller, NamedUser(tenant.id, name))

    run(source, work)
    click.echo(f"user {name} is deleted")


@user.command()
@click.argument("name")
@tenant_option
@password_options
@json_option
@click.pass_obj
def password(
    source: Source, name: str, tenant_name: str, password: str | None, *, as_json: bool
) -> None:
    """Set the password of user NAME; logins with the former one end."""

    async def work(ctx: Context, caller: Caller) -> str | None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await set_password(ctx, caller, SetPassword(tenant.id, name, password))

    made = run(source, work)
    if made is None:
        click.echo(f"the password of {name} is set")
        return
    show_one({"name": name, "generated_password": made}, as_json=as_json)
    warn_of_secret()


@user.command()
@click.argument("name")
@click.argument("role", type=_ROLES)
@tenant_option
@click.pass_obj
def role(source: Source, name: str, role: str, tenant_name: str) -> None:
    """Make user NAME an administrator, who may do everything in the tenant, or a member."""

    async def work(ctx: Context, caller: Caller) -> User:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await set_role(ctx, caller, SetRole(tenant.id, name, Role(role)))

    click.echo(f"user {name} is now {run(source, work).role.value}")


def _enable(source: Source, name: str, tenant_name: str, *, enabled: bool) -> None:
    async def work(ctx: Context, caller: Caller) -> User:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await enable_user(ctx, caller, EnableUser(tenant.id, name, enabled))

    run(source, work)
    click.echo(f"user {name} is {'enabled' if enabled else 'disabled'}")


def _row(found: User) -> Row:
    return {
        "name": found.name,
        "role": found.role.value,
        "enabled": found.enabled,
        "password": found.has_password,
        "uin": found.uin,
        "id": found.public_id,
        "created": moment(found.created_at),
    }
