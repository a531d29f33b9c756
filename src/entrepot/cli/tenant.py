"""`entrepot tenant`: accounts of this deployment, each with users, namespaces and rights of its own."""

import click

from entrepot.capabilities.access.identities.tenants import (
    CreateTenant,
    ListTenants,
    TenantMade,
    create_tenant,
    delete_tenant,
    list_projects,
    list_tenants,
)
from entrepot.capabilities.context import Context
from entrepot.cli.local import run
from entrepot.cli.naming import everything, tenant_of
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows, warn_of_secret
from entrepot.cli.passwords import password_options
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.tenancy import Tenant

_COLUMNS = ("name", "uin", "app_id", "domain_id", "root", "created")


@click.group()
def tenant() -> None:
    """Create, list and delete tenants."""


@tenant.command()
@click.argument("name")
@click.option("--owner", default="owner", show_default=True, help="Name of its first user.")
@password_options
@json_option
@click.pass_obj
def create(source: Source, name: str, owner: str, password: str | None, *, as_json: bool) -> None:
    """Create tenant NAME with an owner, who logs in as NAME/OWNER."""

    async def work(ctx: Context, caller: Caller) -> TenantMade:
        return await create_tenant(ctx, caller, CreateTenant(name, owner, password))

    made = run(source, work)
    login = {"login": f"{made.tenant.name}/{made.owner.name}"}
    secret = {} if made.password is None else {"password": made.password}
    show_one({**_row(made.tenant), **login, **secret}, as_json=as_json)
    if made.password is not None:
        warn_of_secret()


@tenant.command("list")
@json_option
@click.pass_obj
def list_(source: Source, *, as_json: bool) -> None:
    """List all tenants."""

    async def work(ctx: Context, caller: Caller) -> list[Tenant]:
        return await everything(
            lambda after: list_tenants(ctx, caller, ListTenants(after)), lambda t: t.name
        )

    show_rows(_COLUMNS, [_row(found) for found in run(source, work)], as_json=as_json)


@tenant.command()
@click.argument("name")
@json_option
@click.pass_obj
def projects(source: Source, name: str, *, as_json: bool) -> None:
    """List the projects of tenant NAME, one in each region."""

    async def work(ctx: Context, caller: Caller) -> list[Row]:
        found = await list_projects(ctx, caller, (await tenant_of(ctx, caller, name)).id)
        return [{"name": p.name, "region": p.region, "id": p.public_id} for p in found]

    show_rows(("name", "region", "id"), run(source, work), as_json=as_json)


@tenant.command()
@click.argument("name")
@click.confirmation_option(prompt="Its users, keys, tokens and instances end for good. Delete?")
@click.pass_obj
def delete(source: Source, name: str) -> None:
    """Delete tenant NAME, if none of its namespaces holds a repository."""

    async def work(ctx: Context, caller: Caller) -> None:
        await delete_tenant(ctx, caller, (await tenant_of(ctx, caller, name)).id)

    run(source, work)
    click.echo(f"tenant {name} is deleted")


def _row(found: Tenant) -> Row:
    return {
        "name": found.name,
        "uin": found.uin,
        "app_id": found.app_id,
        "domain_id": found.public_id,
        "root": found.is_root,
        "created": moment(found.created_at),
    }
