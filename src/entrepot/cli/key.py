"""`entrepot key`: access keys of users, and the keys of the deployment itself."""

import click

from entrepot.capabilities.access.identities.keys import (
    CreateTemporaryKey,
    EnableKey,
    KeyMade,
    KeysOf,
    NamedKey,
    create_key,
    create_temporary_key,
    delete_key,
    enable_key,
    list_keys,
    reseal_secrets,
    rotate_signing_key,
)
from entrepot.capabilities.access.sealing import MasterKeyUnusable, rotate_master_key
from entrepot.capabilities.context import Context
from entrepot.cli.config import settings_of
from entrepot.cli.local import run, stop
from entrepot.cli.naming import tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows, warn_of_secret
from entrepot.config import ConfigError, Duration, Source
from entrepot.model.access import Caller
from entrepot.model.identities import UserKey

_COLUMNS = ("access_key_id", "enabled", "created", "expires")


@click.group()
def key() -> None:
    """Create, list, enable, disable and delete access keys; rotate signing and master keys."""


@key.command()
@click.argument("user")
@click.option(
    "--temporary",
    metavar="DURATION",
    help="A key with a session token that ends after 15m to 36h; it does not count among the two.",
)
@tenant_option
@json_option
@click.pass_obj
def create(
    source: Source, user: str, tenant_name: str, *, temporary: str | None, as_json: bool
) -> None:
    """Make an access key for USER, who may have two, and show its secret once."""
    lifetime = None if temporary is None else _seconds(temporary, "--temporary")

    async def work(ctx: Context, caller: Caller) -> KeyMade:
        tenant = await tenant_of(ctx, caller, tenant_name)
        if lifetime is None:
            return await create_key(ctx, caller, KeysOf(tenant.id, user))
        return await create_temporary_key(
            ctx, caller, CreateTemporaryKey(tenant.id, user, lifetime)
        )

    made = run(source, work)
    row: Row = {"access_key_id": made.key.access_key_id, "secret_access_key": made.secret}
    if made.session_token is not None:
        row = {**row, "session_token": made.session_token, "expires": moment(made.key.expires_at)}
    show_one({"user": user, **row}, as_json=as_json)
    warn_of_secret()


@key.command("list")
@click.argument("user")
@tenant_option
@json_option
@click.pass_obj
def list_(source: Source, user: str, tenant_name: str, *, as_json: bool) -> None:
    """List the access keys of USER."""

    async def work(ctx: Context, caller: Caller) -> list[UserKey]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await list_keys(ctx, caller, KeysOf(tenant.id, user))

    show_rows(_COLUMNS, [_row(found) for found in run(source, work)], as_json=as_json)


@key.command()
@click.argument("access_key_id")
@tenant_option
@click.pass_obj
def enable(source: Source, access_key_id: str, tenant_name: str) -> None:
    """Accept ACCESS_KEY_ID again."""
    _enable(source, access_key_id, tenant_name, enabled=True)


@key.command()
@click.argument("access_key_id")
@tenant_option
@click.pass_obj
def disable(source: Source, access_key_id: str, tenant_name: str) -> None:
    """Refuse ACCESS_KEY_ID within a second."""
    _enable(source, access_key_id, tenant_name, enabled=False)


@key.command()
@click.argument("access_key_id")
@click.confirmation_option(prompt="The key cannot be brought back. Delete?")
@tenant_option
@click.pass_obj
def delete(source: Source, access_key_id: str, tenant_name: str) -> None:
    """Delete ACCESS_KEY_ID."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await delete_key(ctx, caller, NamedKey(tenant.id, access_key_id))

    run(source, work)
    click.echo(f"key {access_key_id} is deleted")


@key.command("rotate-signing")
@click.option(
    "--keep",
    metavar="DURATION",
    default="25h",
    show_default=True,
    help="How long tokens of the former keys stay valid (the identity service's last a day); 0s ends them now.",
)
@click.pass_obj
def rotate_signing(source: Source, keep: str) -> None:
    """Sign bearer tokens with a new key from now on."""
    seconds = _seconds(keep, "--keep")

    async def work(ctx: Context, caller: Caller) -> str:
        return await rotate_signing_key(ctx, caller, keep_seconds=seconds)

    click.echo(f"signing key {run(source, work)} is in use")


@key.command("rotate-master")
@click.option("--reseal", is_flag=True, help="Second step: seal every secret with the newest key.")
@click.pass_obj
def rotate_master(source: Source, *, reseal: bool) -> None:
    """Change the master key, in two steps: add a key; restart every process; run again with --reseal."""
    settings = settings_of(source)
    if not reseal:
        if settings.data.key_command:
            stop(
                "the master key comes from data.key_command: put a new key before the others there"
            )
        try:
            keys = rotate_master_key(settings.key_file)
        except MasterKeyUnusable as error:
            stop(str(error))
        click.echo(f"{settings.key_file} now has {len(keys.keys)} keys, the newest first.")
        click.echo("Restart every process, then run: entrepot key rotate-master --reseal")
        return

    async def work(ctx: Context, caller: Caller) -> int:
        return await reseal_secrets(ctx, caller)

    click.echo(f"{run(source, work)} secrets were sealed with the newest master key.")
    click.echo(
        "Once no backup needs them, older keys may be removed from where the master key is kept."
    )


def _seconds(text: str, option: str) -> float:
    try:
        return Duration.parse(text).seconds
    except (ValueError, ConfigError) as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _enable(source: Source, access_key_id: str, tenant_name: str, *, enabled: bool) -> None:
    async def work(ctx: Context, caller: Caller) -> UserKey:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await enable_key(ctx, caller, EnableKey(tenant.id, access_key_id, enabled))

    run(source, work)
    click.echo(f"key {access_key_id} is {'enabled' if enabled else 'disabled'}")


def _row(found: UserKey) -> Row:
    return {
        "access_key_id": found.access_key_id,
        "enabled": found.enabled,
        "created": moment(found.created_at),
        "expires": moment(found.expires_at),
    }
