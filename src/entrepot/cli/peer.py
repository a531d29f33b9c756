"""`entrepot peer`: other deployments that a tenant copies images to."""

from pathlib import Path

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.policies.peers import (
    CreatePeer,
    NamedPeer,
    NewSecret,
    change_secret,
    create_peer,
    delete_peer,
    list_peers,
)
from entrepot.cli.local import run
from entrepot.cli.naming import tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows
from entrepot.cli.passwords import read_password
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.syncing import Peer

_COLUMNS = ("name", "url", "user")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_secret_option = click.option(
    "--secret-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Read the user's password there from the first line of this file; `-` for standard input. Default: ask.",
)


@click.group()
def peer() -> None:
    """Create, list and delete peers; their secrets are sealed and never shown."""


@peer.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--user",
    "username",
    default="",
    help="Who logs in there, such as `acme/robot`. Default: nobody.",
)
@_secret_option
@click.option(
    "--authorities",
    type=_FILE,
    help="PEM file of who vouches for its certificate. Default: those this machine trusts.",
)
@tenant_option
@json_option
@click.pass_obj
def create(
    source: Source,
    name: str,
    url: str,
    *,
    username: str,
    secret_file: Path | None,
    authorities: Path | None,
    tenant_name: str,
    as_json: bool,
) -> None:
    """Keep the registry at URL (https://host[:port]) under NAME, which sync rules use as a region's."""
    secret = read_password(secret_file) if username or secret_file is not None else ""
    pem = "" if authorities is None else authorities.read_text("ascii", "replace")

    async def work(ctx: Context, caller: Caller) -> Peer:
        tenant = await tenant_of(ctx, caller, tenant_name)
        command = CreatePeer(tenant.id, name, url, username, secret, pem)
        return await create_peer(ctx, caller, command)

    show_one(_row(run(source, work)), as_json=as_json)


@peer.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str, *, as_json: bool) -> None:
    """List the tenant's peers."""

    async def work(ctx: Context, caller: Caller) -> list[Peer]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await list_peers(ctx, caller, tenant.id)

    show_rows(_COLUMNS, [_row(found) for found in run(source, work)], as_json=as_json)


@peer.command()
@click.argument("name")
@_secret_option
@tenant_option
@click.pass_obj
def secret(source: Source, name: str, *, secret_file: Path | None, tenant_name: str) -> None:
    """Log in to the peer NAME with another password from now on."""
    text = read_password(secret_file)

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await change_secret(ctx, caller, NewSecret(tenant.id, name, text))

    run(source, work)
    click.echo(f"peer {name} has another secret")


@peer.command()
@click.argument("name")
@tenant_option
@click.pass_obj
def delete(source: Source, name: str, tenant_name: str) -> None:
    """Forget the peer NAME, which no sync rule may name."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await delete_peer(ctx, caller, NamedPeer(tenant.id, name))

    run(source, work)
    click.echo(f"peer {name} is deleted")


def _row(found: Peer) -> Row:
    return {
        "name": found.name,
        "url": found.url,
        "user": found.username,
        "own_authorities": bool(found.authorities),
        "created": moment(found.created_at),
    }
