"""`entrepot entry`: the public entry of an instance, and the networks it lets in."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.allow_list import (
    AddAllowed,
    NewAllowed,
    RemoveAllowed,
    Which,
    add_allowed,
    get_allow_list,
    remove_allowed,
)
from entrepot.capabilities.instances.entries import SetEntry, get_entry, set_entry
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.cli.local import run
from entrepot.cli.naming import instance_of
from entrepot.cli.output import Row, json_option, show_one
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.network_access import AllowList, EntryStatus


@click.group()
def entry() -> None:
    """Open and close the public entry of an instance; say whom it lets in."""


@entry.command()
@click.argument("instance")
@json_option
@click.pass_obj
def show(source: Source, instance: str, *, as_json: bool) -> None:
    """Show the entry of INSTANCE and the networks it lets in."""

    async def work(ctx: Context, caller: Caller) -> Row:
        of = OfInstance((await instance_of(ctx, caller, instance)).id)
        allowed = await get_allow_list(ctx, caller, of)
        return {
            "entry": (await get_entry(ctx, caller, of)).value,
            "networks": [one.cidr.entered for one in allowed.entries],
            "version": allowed.version,
        }

    show_one(run(source, work), as_json=as_json)


@entry.command("open")
@click.argument("instance")
@click.pass_obj
def open_(source: Source, instance: str) -> None:
    """Open the entry: a worker does so within a moment."""
    _set(source, instance, opened=True)


@entry.command()
@click.argument("instance")
@click.pass_obj
def close(source: Source, instance: str) -> None:
    """Close the entry: only private links let clients in."""
    _set(source, instance, opened=False)


@entry.command()
@click.argument("instance")
@click.argument("cidrs", nargs=-1, required=True, metavar="CIDR...")
@click.option("--description", default="", help="What these networks are.")
@click.pass_obj
def allow(source: Source, instance: str, cidrs: tuple[str, ...], description: str) -> None:
    """Let clients from these networks or addresses in; 0.0.0.0/0 is everybody."""

    async def work(ctx: Context, caller: Caller) -> AllowList:
        found = await instance_of(ctx, caller, instance)
        new = [NewAllowed(cidr, description) for cidr in cidrs]
        return await add_allowed(ctx, caller, AddAllowed(found.id, new))

    _listed(run(source, work))


@entry.command()
@click.argument("instance")
@click.argument("cidrs", nargs=-1, required=True, metavar="CIDR...")
@click.pass_obj
def remove(source: Source, instance: str, cidrs: tuple[str, ...]) -> None:
    """Take networks off the list."""

    async def work(ctx: Context, caller: Caller) -> AllowList:
        found = await instance_of(ctx, caller, instance)
        which = [Which(cidr=cidr) for cidr in cidrs]
        return await remove_allowed(ctx, caller, RemoveAllowed(found.id, which))

    _listed(run(source, work))


def _set(source: Source, instance: str, *, opened: bool) -> None:
    async def work(ctx: Context, caller: Caller) -> EntryStatus:
        found = await instance_of(ctx, caller, instance)
        return await set_entry(ctx, caller, SetEntry(found.id, opened))

    click.echo(f"the public entry of {instance} is {run(source, work).value}")


def _listed(allowed: AllowList) -> None:
    names = ", ".join(one.cidr.entered for one in allowed.entries)
    click.echo(f"let in: {names or 'nobody'}")
