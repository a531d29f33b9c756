"""`entrepot bucket`: content of deleted instances that was kept."""

import click

from entrepot.capabilities.access.identities.tenants import get_tenant
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.buckets import (
    RestoreBucket,
    list_buckets,
    purge_bucket,
    restore_bucket,
)
from entrepot.cli.local import run
from entrepot.cli.naming import tenant_names
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.ids import TenantId
from entrepot.model.instances import KeptBucket
from entrepot.model.tenancy import Instance

_COLUMNS = ("id", "name", "tenant", "kept", "namespaces", "bytes")


@click.group()
def bucket() -> None:
    """List, restore and purge the kept content of deleted instances."""


@bucket.command("list")
@click.option("--tenant", "tenant_name", help="Only this tenant's.")
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str | None, *, as_json: bool) -> None:
    """List kept buckets, the oldest first."""

    async def work(ctx: Context, caller: Caller) -> list[Row]:
        only = None if tenant_name is None else (await get_tenant(ctx, caller, tenant_name)).id
        names = await tenant_names(ctx, caller)
        return [_row(found, names) for found in await list_buckets(ctx, caller, only)]

    show_rows(_COLUMNS, run(source, work), as_json=as_json)


@bucket.command()
@click.argument("id_", metavar="ID")
@click.option("--name", default="", help="Another name for the instance. Default: the one it had.")
@json_option
@click.pass_obj
def restore(source: Source, id_: str, name: str, *, as_json: bool) -> None:
    """Let the instance ID run again with its namespaces. Its public entry is closed, its tokens and service accounts stay ended."""

    async def work(ctx: Context, caller: Caller) -> Instance:
        return await restore_bucket(ctx, caller, RestoreBucket(id_, name))

    made = run(source, work)
    show_one({"name": made.name, "id": made.public_id}, as_json=as_json)


@bucket.command()
@click.argument("id_", metavar="ID")
@click.confirmation_option(prompt="Its images go for good. Purge?")
@click.pass_obj
def purge(source: Source, id_: str) -> None:
    """Delete the kept content of the instance ID, in the background."""

    async def work(ctx: Context, caller: Caller) -> None:
        await purge_bucket(ctx, caller, id_)

    run(source, work)
    click.echo(f"bucket {id_} is being purged")


def _row(found: KeptBucket, names: dict[TenantId, str]) -> Row:
    return {
        "id": found.public_id,
        "name": found.name,
        "tenant": names.get(found.tenant),
        "kept": moment(found.kept_at),
        "namespaces": found.namespaces,
        "bytes": found.size,
    }
