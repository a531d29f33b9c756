"""`entrepot token service`: robots with rights of their own, by namespace."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import click

from entrepot.capabilities.access.accounts import MadeAccount
from entrepot.capabilities.access.service_accounts import (
    CreateServiceAccount,
    ListServiceAccounts,
    ModifyServiceAccount,
    NamedServiceAccount,
    create_service_account,
    delete_service_account,
    list_service_accounts,
    modify_service_account,
    renew_service_account,
)
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.namespaces import ListNamespaces, list_namespaces
from entrepot.cli.local import run
from entrepot.cli.naming import (
    everything,
    instance_of,
    instance_option,
    tenant_of,
    tenant_option,
)
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows, warn_of_secret
from entrepot.config import Duration, Source
from entrepot.metadata.accounts import Account
from entrepot.model.access import Caller, Permission
from entrepot.model.ids import Micros, NamespaceId, TenantId
from entrepot.model.tenancy import Instance

T = TypeVar("T")

_SERVICE_COLUMNS = ("login", "permissions", "description", "enabled", "created", "expires")
_ACTIONS = {
    "pull": (Permission.PULL,),
    "push": (Permission.PUSH,),
    "create": (Permission.REPOSITORY_CREATE,),
}
_allow = click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="NAMESPACE=ACTION[,ACTION]",
    help="What it may do in a namespace: pull, push, create (repositories by a push). May be repeated.",
)
_expires = click.option(
    "--expires", metavar="DURATION", help="When it ends, such as 90d. Default: never."
)


@click.group()
def service() -> None:
    """Service accounts: robots with rights of their own, by namespace."""


@service.command("create")
@click.argument("name")
@_allow
@_expires
@click.option("--description", default="", help="For people.")
@tenant_option
@instance_option
@json_option
@click.pass_obj
def create_service(
    source: Source,
    name: str,
    allowed: Sequence[str],
    expires: str | None,
    description: str,
    *,
    tenant_name: str,
    instance_name: str,
    as_json: bool,
) -> None:
    """Make the service account tcr$NAME and show its password once."""
    permissions, ends_at = _permissions(allowed), _moment_in(expires)

    async def work(ctx: Context, caller: Caller) -> MadeAccount:
        tenant = await tenant_of(ctx, caller, tenant_name)
        instance = await instance_of(ctx, caller, instance_name)
        command = CreateServiceAccount(
            instance, name, permissions, ends_at, description, tenant=tenant.id
        )
        return await create_service_account(ctx, caller, command)

    show_made(run(source, work), as_json=as_json)


@service.command("list")
@tenant_option
@instance_option
@json_option
@click.pass_obj
def list_services(source: Source, tenant_name: str, instance_name: str, *, as_json: bool) -> None:
    """List the service accounts of a tenant."""

    async def work(ctx: Context, caller: Caller) -> list[Row]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        instance = await instance_of(ctx, caller, instance_name)
        command = ListServiceAccounts(instance, tenant=tenant.id)
        found = await list_service_accounts(ctx, caller, command)
        namespaces = await everything(
            lambda after: list_namespaces(
                ctx, caller, ListNamespaces(instance.id, tenant.id, after)
            ),
            lambda n: n.name,
        )
        names = {n.id: n.name for n in namespaces}
        return [{**account_row(a), "permissions": _given(a, names)} for a in found]

    show_rows(_SERVICE_COLUMNS, run(source, work), as_json=as_json)


@service.command()
@click.argument("name")
@_allow
@click.option("--enable/--disable", "enabled", default=None, help="Let it in, or not.")
@click.option("--expires", metavar="DURATION", help="When it ends from now, or `never`.")
@click.option("--description", help="For people.")
@tenant_option
@instance_option
@click.pass_obj
def modify(
    source: Source,
    name: str,
    allowed: Sequence[str],
    expires: str | None,
    description: str | None,
    *,
    enabled: bool | None,
    tenant_name: str,
    instance_name: str,
) -> None:
    """Change the service account tcr$NAME; --allow replaces all it may do."""
    permissions = _permissions(allowed) if allowed else None
    ends_at = Micros(0) if expires == "never" else _moment_in(expires)

    async def work(ctx: Context, caller: Caller, tenant: TenantId, instance: Instance) -> None:
        command = ModifyServiceAccount(
            instance, name, permissions, ends_at, description, enabled=enabled, tenant=tenant
        )
        await modify_service_account(ctx, caller, command)

    _in_place(source, tenant_name, instance_name, work)
    click.echo(f"service account tcr${name} is changed")


@service.command()
@click.argument("name")
@tenant_option
@instance_option
@json_option
@click.pass_obj
def renew(
    source: Source, name: str, tenant_name: str, instance_name: str, *, as_json: bool
) -> None:
    """Give tcr$NAME a new password and show it once; the old one ends."""

    async def work(
        ctx: Context, caller: Caller, tenant: TenantId, instance: Instance
    ) -> MadeAccount:
        command = NamedServiceAccount(instance, name, tenant)
        return await renew_service_account(ctx, caller, command)

    show_made(_in_place(source, tenant_name, instance_name, work), as_json=as_json)


@service.command("delete")
@click.argument("name")
@tenant_option
@instance_option
@click.pass_obj
def delete_service(source: Source, name: str, tenant_name: str, instance_name: str) -> None:
    """Delete the service account tcr$NAME."""

    async def work(ctx: Context, caller: Caller, tenant: TenantId, instance: Instance) -> None:
        await delete_service_account(ctx, caller, NamedServiceAccount(instance, name, tenant))

    _in_place(source, tenant_name, instance_name, work)
    click.echo(f"service account tcr${name} is deleted")


# -- shared with tokens -----------------------------------------------------------------------------------------------


def show_made(made: MadeAccount, *, as_json: bool) -> None:
    """A new account with its secret, and the line that warns of it."""
    show_one({**account_row(made.account), "password": made.secret}, as_json=as_json)
    warn_of_secret()


def account_row(found: Account) -> Row:
    """An account without its secret."""
    return {
        "id": found.public_id,
        "login": found.username,
        "description": found.description,
        "enabled": found.enabled,
        "created": moment(found.created_at),
        "expires": moment(found.expires_at),
    }


# -- its own ------------------------------------------------------------------------------------------------------------


def _in_place(
    source: Source,
    tenant_name: str,
    instance_name: str,
    work: Callable[[Context, Caller, TenantId, Instance], Awaitable[T]],
) -> T:
    """Run `work` with the tenant and the instance of those names."""

    async def inside(ctx: Context, caller: Caller) -> T:
        tenant = await tenant_of(ctx, caller, tenant_name)
        instance = await instance_of(ctx, caller, instance_name)
        return await work(ctx, caller, tenant.id, instance)

    return run(source, inside)


def _permissions(allowed: Sequence[str]) -> Mapping[str, tuple[Permission, ...]]:
    found: dict[str, tuple[Permission, ...]] = {}
    for text in allowed:
        namespace, equals, actions = text.partition("=")
        try:
            given = tuple(p for name in actions.split(",") for p in _ACTIONS[name])
        except KeyError:
            given = ()
        if not namespace or not equals or not given:
            raise click.BadParameter(
                f"{text}: expected NAMESPACE=pull,push,create", param_hint="--allow"
            )
        found[namespace] = (*found.get(namespace, ()), *given)
    return found


def _moment_in(text: str | None) -> Micros | None:
    if text is None:
        return None
    try:
        seconds = Duration.parse(text).seconds
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from error
    return Micros(time.time_ns() // 1000 + int(seconds * 1_000_000))


def _given(account: Account, names: Mapping[NamespaceId, str]) -> dict[str, list[str]]:
    words = {permission: word for word, given in _ACTIONS.items() for permission in given}
    return {
        names.get(namespace, str(namespace)): [words.get(p, p.value) for p in given]
        for namespace, given in account.permissions.items()
    }
