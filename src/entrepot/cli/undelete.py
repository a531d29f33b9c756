"""`entrepot undelete`: bring back tags, manifests and repositories that the collector has not taken yet."""

import time
from datetime import UTC, datetime

import click

from entrepot.capabilities.content.place import Place
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations import undelete as restoring
from entrepot.capabilities.operations.undelete import Restorable, Restored
from entrepot.cli.local import run
from entrepot.cli.naming import instance_of, instance_option
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows
from entrepot.config import Source
from entrepot.config.types import Duration
from entrepot.model.access import Caller
from entrepot.model.ids import Micros
from entrepot.oci.digest import Digest
from entrepot.oci.reference import RepositoryName

_COLUMNS = ("what", "name", "digest", "from", "until")


def _at(_ctx: click.Context, _option: click.Parameter, value: str | None) -> Micros | None:
    if value is None:
        return None
    try:
        return Micros(time.time_ns() // 1000 - int(Duration.parse(value).seconds * 1e6))
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            "expected 2026-05-01T12:00 (UTC), or 2h for two hours ago"
        ) from error
    return Micros(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6))


@click.command()
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
@click.option(
    "--at",
    callback=_at,
    metavar="TIME",
    help="As it was then: 2026-05-01T12:00 (UTC), or 2h ago as 2h.",
)
@click.option("--list", "is_listing", is_flag=True, help="Only list what can be brought back.")
@instance_option
@json_option
@click.pass_obj
def undelete(
    source: Source,
    name: str,
    at: Micros | None,
    instance_name: str,
    *,
    is_listing: bool,
    as_json: bool,
) -> None:
    """Bring back NAME:TAG, NAME@DIGEST, or all of NAME.

    A deleted repository comes back whole; of a living one all that was deleted from it. Exit code 1 if something could not be.
    """
    repository, tag, digest = _parse(name)

    async def work(ctx: Context, caller: Caller) -> Restored | Restorable:
        place = Place(await instance_of(ctx, caller, instance_name), repository)
        if is_listing:
            return await restoring.list_restorable(ctx, caller, place)
        if tag is not None:
            return await restoring.restore_tag(ctx, caller, place, tag, at=at)
        if digest is not None:
            return await restoring.restore_manifest(ctx, caller, place, digest)
        if await ctx.hot.repository(place.instance.id, str(place.name)) is None:
            await restoring.restore_repository(ctx, caller, place, at=at)
            return Restored(repository=True)
        return await restoring.restore_content(ctx, caller, place, at=at)

    done = run(source, work)
    if isinstance(done, Restorable):
        show_rows(_COLUMNS, _rows(name, done), as_json=as_json)
        return
    show_one(_row(done), as_json=as_json)
    if done.failed:
        raise click.exceptions.Exit(1)


def _parse(name: str) -> tuple[RepositoryName, str | None, Digest | None]:
    path, at_sign, digest = name.partition("@")
    path, _, tag = path.partition(":")
    try:
        return RepositoryName.parse(path), tag or None, Digest.parse(digest) if at_sign else None
    except ValueError as error:
        raise click.BadParameter(
            f"{name!r} is no namespace/name, namespace/name:tag or namespace/name@sha256:…",
            param_hint="NAME",
        ) from error


def _row(done: Restored) -> Row:
    return {
        "repository": done.repository,
        "tags": list(done.tags),
        "manifests": list(done.manifests),
        "taken": list(done.taken),
        "failed": [f"{name}: {why}" for name, why in done.failed],
    }


def _rows(name: str, found: Restorable) -> list[Row]:
    rows: list[Row] = [
        {
            "what": "repository",
            "name": name,
            "digest": None,
            "from": moment(one.created_at),
            "until": moment(one.deleted_at),
        }
        for one in found.repositories
    ]
    rows += [
        {
            "what": "manifest",
            "name": name,
            "digest": one.digest,
            "from": moment(one.pushed_at),
            "until": moment(one.deleted_at),
        }
        for one in found.manifests
    ]
    rows += [
        {
            "what": "tag",
            "name": one.name,
            "digest": one.digest,
            "from": moment(one.valid_from),
            "until": moment(one.valid_until),
        }
        for one in found.tags
    ]
    return rows
