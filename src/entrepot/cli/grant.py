"""`entrepot grant`: what users may do in a namespace or in one repository."""

import click

from entrepot.capabilities.access.identities.grants import (
    RemoveGrant,
    SetGrant,
    list_grants,
    remove_grant,
    set_grant,
)
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.context import Context
from entrepot.cli.local import run
from entrepot.cli.naming import instance_of, instance_option
from entrepot.cli.output import json_option, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller, Level
from entrepot.model.identities import Grant

_LEVELS = {"read": Level.READ, "edit": Level.EDIT, "manage": Level.MANAGE}
_NAMES = {level: name for name, level in _LEVELS.items()}


@click.group()
def grant() -> None:
    """Give, list and take back rights: TARGET is NAMESPACE or NAMESPACE/REPOSITORY.

    USER is a user of the tenant that owns the namespace.
    """


@grant.command("set")
@click.argument("target")
@click.argument("user")
@click.argument("level", type=click.Choice([*_LEVELS, "1", "3", "7"]))
@instance_option
@click.pass_obj
def set_(source: Source, target: str, user: str, level: str, instance_name: str) -> None:
    """Give USER a level: read (pull), edit (push, delete too) or manage (grant and change, too)."""
    given = _LEVELS[level] if level in _LEVELS else Level(int(level))

    async def work(ctx: Context, caller: Caller) -> None:
        where = await _target(ctx, caller, target, instance_name)
        await set_grant(ctx, caller, SetGrant(where, user, given))

    run(source, work)
    click.echo(f"{user} may {_NAMES[given]} {target}")


@grant.command("list")
@click.argument("target")
@instance_option
@json_option
@click.pass_obj
def list_(source: Source, target: str, instance_name: str, *, as_json: bool) -> None:
    """List grants on a namespace and its repositories, or on one repository."""

    async def work(ctx: Context, caller: Caller) -> list[Grant]:
        return await list_grants(ctx, caller, await _target(ctx, caller, target, instance_name))

    rows = [
        {
            "target": f"{g.namespace_name}/{g.path}" if g.path else g.namespace_name,
            "user": g.user_name,
            "level": _NAMES[g.level],
        }
        for g in run(source, work)
    ]
    show_rows(("target", "user", "level"), rows, as_json=as_json)


@grant.command()
@click.argument("target")
@click.argument("user")
@instance_option
@click.pass_obj
def remove(source: Source, target: str, user: str, instance_name: str) -> None:
    """Take back what USER was given."""

    async def work(ctx: Context, caller: Caller) -> None:
        where = await _target(ctx, caller, target, instance_name)
        await remove_grant(ctx, caller, RemoveGrant(where, user))

    run(source, work)
    click.echo(f"{user} has no grant on {target} any more")


async def _target(ctx: Context, caller: Caller, text: str, instance_name: str) -> Target:
    instance = await instance_of(ctx, caller, instance_name)
    namespace, slash, path = text.partition("/")
    return Target(instance.id, namespace, path if slash else None)
