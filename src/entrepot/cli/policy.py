"""`entrepot policy`: documents that allow and deny, attached to users and groups, or limiting a whole tenant."""

from typing import IO

import click

from entrepot.capabilities.access.identities.caps import Cap, cap_tenant, list_caps, uncap_tenant
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    ListPolicies,
    NamedPolicy,
    PolicyShown,
    WritePolicy,
    attach_policy,
    create_policy,
    delete_policy,
    detach_policy,
    get_policy,
    list_policies,
    update_policy,
)
from entrepot.capabilities.context import Context
from entrepot.cli.local import run
from entrepot.cli.naming import everything, tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.identities import Policy

_MAX_FILE = 256 * 1024
_dialect = click.option(
    "--dialect",
    default="entrepot",
    show_default=True,
    help="Whose words: entrepot, tcr for documents of Tencent Cloud's CAM, swr for identity policies of Huawei Cloud's IAM.",
)
_description = click.option("--description", default="", help="For people.")
_user = click.option("--user", help="Name of a user.")
_group = click.option("--group", help="Name of a group.")
_limited = click.option("--tenant", "limited", required=True, help="Name of the tenant it limits.")
_project = click.option("--project", help="Of a group's: it counts only in this project.")


@click.group()
def policy() -> None:
    """Create, update, show, list, attach, detach and delete policies."""


@policy.command()
@click.argument("name")
@click.argument("document", type=click.File("r", encoding="utf-8"))
@_dialect
@_description
@tenant_option
@click.pass_obj
def create(
    source: Source,
    name: str,
    document: IO[str],
    *,
    dialect: str,
    description: str,
    tenant_name: str,
) -> None:
    """Create policy NAME from the file DOCUMENT (`-`: standard input).

    In our own words: {"statements": [{"effect": "allow", "actions": ["repository:pull"], "resources": ["team/*"]}]}
    """
    text = document.read(_MAX_FILE)

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        command = WritePolicy(tenant.id, name, text, dialect, description)
        await create_policy(ctx, caller, command)

    run(source, work)
    click.echo(f"policy {name} is created")


@policy.command()
@click.argument("name")
@click.argument("document", type=click.File("r", encoding="utf-8"))
@_dialect
@_description
@tenant_option
@click.pass_obj
def update(
    source: Source,
    name: str,
    document: IO[str],
    *,
    dialect: str,
    description: str,
    tenant_name: str,
) -> None:
    """Replace what policy NAME says by the file DOCUMENT (`-`: standard input)."""
    text = document.read(_MAX_FILE)

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        command = WritePolicy(tenant.id, name, text, dialect, description)
        await update_policy(ctx, caller, command)

    run(source, work)
    click.echo(f"policy {name} is updated")


@policy.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str, *, as_json: bool) -> None:
    """List the policies of a tenant, and those that are built in."""

    async def work(ctx: Context, caller: Caller) -> list[Policy]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await everything(
            lambda after: list_policies(ctx, caller, ListPolicies(tenant.id, after)),
            lambda p: p.name,
        )

    rows = [_row(found) for found in run(source, work)]
    columns = ("name", "dialect", "built_in", "description", "id", "created")
    show_rows(columns, rows, as_json=as_json)


@policy.command()
@click.argument("name")
@tenant_option
@json_option
@click.pass_obj
def show(source: Source, name: str, tenant_name: str, *, as_json: bool) -> None:
    """Show policy NAME, its document and to whom it is attached."""

    async def work(ctx: Context, caller: Caller) -> PolicyShown:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await get_policy(ctx, caller, NamedPolicy(tenant.id, name))

    shown = run(source, work)
    attached = [
        f"{a.kind} {a.name}" + (f" in {a.project}" if a.project else "") for a in shown.attachments
    ]
    row = {**_row(shown.policy), "attached": attached, "document": shown.policy.document}
    show_one(row, as_json=as_json)


@policy.command()
@click.argument("name")
@click.confirmation_option(prompt="What it allows and what it denies ends. Delete?")
@tenant_option
@click.pass_obj
def delete(source: Source, name: str, tenant_name: str) -> None:
    """Delete policy NAME."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await delete_policy(ctx, caller, NamedPolicy(tenant.id, name))

    run(source, work)
    click.echo(f"policy {name} is deleted")


@policy.command()
@click.argument("name")
@_user
@_group
@_project
@tenant_option
@click.pass_obj
def attach(
    source: Source,
    name: str,
    *,
    user: str | None,
    group: str | None,
    project: str | None,
    tenant_name: str,
) -> None:
    """Attach policy NAME to a user or a group."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await attach_policy(ctx, caller, AttachPolicy(tenant.id, name, user, group, project))

    run(source, work)
    where = f" in {project}" if project else ""
    click.echo(f"policy {name} is attached to {user or group}{where}")


@policy.command()
@click.argument("name")
@_user
@_group
@_project
@tenant_option
@click.pass_obj
def detach(
    source: Source,
    name: str,
    *,
    user: str | None,
    group: str | None,
    project: str | None,
    tenant_name: str,
) -> None:
    """Detach policy NAME from a user or a group."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await detach_policy(ctx, caller, AttachPolicy(tenant.id, name, user, group, project))

    run(source, work)
    where = f" in {project}" if project else ""
    click.echo(f"policy {name} is detached from {user or group}{where}")


@policy.command()
@click.argument("name")
@_limited
@click.pass_obj
def cap(source: Source, name: str, limited: str) -> None:
    """Limit a whole tenant, its owner included, by policy NAME of the root tenant.

    Whatever none of a tenant's caps allows, nobody of it may do; a cap never gives anything.
    """

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, limited)
        await cap_tenant(ctx, caller, Cap(tenant.id, name))

    run(source, work)
    click.echo(f"policy {name} limits tenant {limited}")


@policy.command()
@click.argument("name")
@_limited
@click.pass_obj
def uncap(source: Source, name: str, limited: str) -> None:
    """Limit a tenant by policy NAME no more."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, limited)
        await uncap_tenant(ctx, caller, Cap(tenant.id, name))

    run(source, work)
    click.echo(f"policy {name} limits tenant {limited} no more")


@policy.command()
@_limited
@json_option
@click.pass_obj
def caps(source: Source, limited: str, *, as_json: bool) -> None:
    """List the policies that limit a tenant."""

    async def work(ctx: Context, caller: Caller) -> list[Policy]:
        tenant = await tenant_of(ctx, caller, limited)
        return await list_caps(ctx, caller, tenant.id)

    rows = [_row(found) for found in run(source, work)]
    show_rows(("name", "dialect", "description", "id"), rows, as_json=as_json)


def _row(found: Policy) -> Row:
    return {
        "name": found.name,
        "dialect": found.dialect,
        "built_in": found.is_preset,
        "description": found.description,
        "id": found.public_id or None,
        "created": moment(found.created_at) if found.created_at else None,
    }
