"""`entrepot quota`: limits of tenants, instances and namespaces."""

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.limits import (
    QuotaShown,
    SetQuota,
    Subject,
    set_quota,
    show_quota,
)
from entrepot.capabilities.instances.quotas import RESOURCES, SUBJECTS
from entrepot.cli.local import run
from entrepot.cli.naming import instance_option
from entrepot.cli.output import Row, json_option, show_rows
from entrepot.config import ByteSize, Source
from entrepot.model.access import Caller

_KIND = click.Choice(list(SUBJECTS))


@click.group()
def quota() -> None:
    """Show and set limits: KIND is tenant, instance or namespace."""


@quota.command()
@click.argument("kind", type=_KIND)
@click.argument("name")
@instance_option
@json_option
@click.pass_obj
def show(source: Source, kind: str, name: str, instance_name: str, *, as_json: bool) -> None:
    """Show the limits of NAME and what is used of them."""

    async def work(ctx: Context, caller: Caller) -> list[QuotaShown]:
        return await show_quota(ctx, caller, Subject(kind, name, instance_name))

    rows = [_row(found, as_json=as_json) for found in run(source, work)]
    show_rows(("resource", "limit", "used", "set"), rows, as_json=as_json)


@quota.command("set")
@click.argument("kind", type=_KIND)
@click.argument("name")
@click.argument("resource", type=click.Choice(list(RESOURCES)))
@click.argument("limit")
@instance_option
@click.pass_obj
def set_(
    source: Source, kind: str, name: str, resource: str, limit: str, *, instance_name: str
) -> None:
    """Limit RESOURCE of NAME: a number, a size such as 20GiB, or `default`."""
    value = None if limit == "default" else _number(resource, limit)

    async def work(ctx: Context, caller: Caller) -> None:
        command = SetQuota(Subject(kind, name, instance_name), resource, value)
        await set_quota(ctx, caller, command)

    run(source, work)
    click.echo(f"{resource} of {kind} {name}: {limit}")


def _number(resource: str, text: str) -> int:
    try:
        return int(ByteSize.parse(text)) if resource == "bytes" else int(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text} is neither a number nor `default`", param_hint="LIMIT"
        ) from error


def _row(found: QuotaShown, *, as_json: bool) -> Row:
    return {
        "resource": found.resource,
        "limit": "unlimited" if found.limit is None and not as_json else found.limit,
        "used": found.used,
        "set": not found.is_default,
    }
