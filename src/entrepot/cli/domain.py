"""`entrepot domain`: hosts of instances that are served with certificates of their tenants."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.domains import (
    CreateDomain,
    DeleteDomain,
    create_domain,
    delete_domain,
    list_domains,
    renew_domain,
)
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.cli.local import run
from entrepot.cli.naming import instance_of
from entrepot.cli.output import Row, json_option, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.certificates import Domain

_COLUMNS = ("host", "status", "certificate")


@click.group()
def domain() -> None:
    """Let instances answer at hosts of your own, with certificates (see `entrepot certificate`)."""


@domain.command("list")
@click.argument("instance")
@json_option
@click.pass_obj
def list_(source: Source, instance: str, *, as_json: bool) -> None:
    """List the domains of INSTANCE."""

    async def work(ctx: Context, caller: Caller) -> list[Domain]:
        found = await instance_of(ctx, caller, instance)
        return await list_domains(ctx, caller, OfInstance(found.id))

    show_rows(_COLUMNS, [_row(one) for one in run(source, work)], as_json=as_json)


@domain.command()
@click.argument("instance")
@click.argument("host")
@click.option("--certificate", required=True, help="The certificate's id.")
@click.pass_obj
def create(source: Source, instance: str, host: str, certificate: str) -> None:
    """Let INSTANCE answer at HOST: a worker checks and does so within a moment."""

    async def work(ctx: Context, caller: Caller) -> Domain:
        found = await instance_of(ctx, caller, instance)
        return await create_domain(ctx, caller, CreateDomain(found.id, host, certificate))

    made = run(source, work)
    click.echo(f"the domain {made.host} is {made.status.value}")


@domain.command()
@click.argument("instance")
@click.argument("host")
@click.option("--certificate", required=True, help="The new certificate's id.")
@click.pass_obj
def renew(source: Source, instance: str, host: str, certificate: str) -> None:
    """Serve HOST with another certificate; nobody is cut off."""

    async def work(ctx: Context, caller: Caller) -> Domain:
        found = await instance_of(ctx, caller, instance)
        return await renew_domain(ctx, caller, CreateDomain(found.id, host, certificate))

    made = run(source, work)
    click.echo(f"the domain {made.host} is {made.status.value}, with {made.certificate}")


@domain.command()
@click.argument("instance")
@click.argument("host")
@click.pass_obj
def delete(source: Source, instance: str, host: str) -> None:
    """Let INSTANCE answer at HOST no more."""

    async def work(ctx: Context, caller: Caller) -> Domain:
        found = await instance_of(ctx, caller, instance)
        return await delete_domain(ctx, caller, DeleteDomain(found.id, host))

    gone = run(source, work)
    click.echo(f"the domain {gone.host} is {gone.status.value}")


def _row(one: Domain) -> Row:
    return {"host": one.host, "status": one.status.value, "certificate": one.certificate or None}
