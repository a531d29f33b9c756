"""What a forked process does in the first start of a deployment, and in the start after it."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from crash_child import Teller
from crash_steps import Steps
from crash_world import open_world, settings_for

from entrepot.bootstrap.banner import first_start_lines, show_first_start
from entrepot.bootstrap.context import open_context
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.access.secrets import key_context
from entrepot.capabilities.context import Context
from entrepot.metadata import access_keys, instances
from entrepot.metadata.schema import SCHEMA

MADE_ONCE = (
    "access_keys", "audit", "instances", "projects", "regions", "signing_keys", "tenants", "users",
)  # fmt: skip
EXPECTED = {"data", "data.key", "told"}


async def start(folder: Path, url: str, *, deadly: int | None) -> None:
    """Start as a server does and show what is shown; die at the step. With none to die at, tell the steps."""
    teller = Teller(folder)
    steps = Steps(deadly)
    steps.install()
    steps.arm()
    settings = settings_for(folder, url)
    async with open_context(settings) as (ctx, first):
        steps.reach("not shown")
        teller.tell(shown=first_start_lines(first, settings))
        await show_first_start(ctx, first, sys.stderr)
        steps.reach("shown")
        if deadly is None:
            teller.tell(steps=steps.names)


async def start_again(folder: Path, url: str) -> None:
    """Start, log in with what was shown the last time that anything was, push, pull; then start once more."""
    told = [json.loads(line) for line in (folder / "told").read_text().splitlines()]
    earlier = [line["shown"] for line in told if line.get("shown")]
    teller = Teller(folder)
    settings = settings_for(folder, url)
    async with open_context(settings) as (ctx, first):
        lines = first_start_lines(first, settings)
        teller.tell(shown=lines, made=await ctx.db.read(_made))
        await show_first_start(ctx, first, sys.stderr)
        shown = [one for one in (*earlier, lines) if one]
        await _log_in(ctx, shown[0])
        assert list(shown[0]) == list(shown[-1])  # where it is shown twice
    async with open_context(settings) as (_, first):
        teller.tell(shown=first_start_lines(first, settings))
    async with open_world(folder, url) as world:
        await world.push_image("app", [b"the first layer"], "latest")
        await world.pull_everything()
        teller.tell(faults=await world.faults(), strays=_strays(folder))


def _made(conn: sa.Connection) -> dict[str, int]:
    counts = {}
    for name in MADE_ONCE:
        table = SCHEMA.tables[name]
        counts[name] = conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    return counts


async def _log_in(ctx: Context, lines: Sequence[str]) -> None:
    shown = _by_name(lines)
    instance = (await ctx.db.read(instances.load_hosts)).default
    caller = await authenticate_basic(
        ctx.access, instance, shown["user"], shown["password"], source="127.0.0.1"
    )
    assert caller.name
    if "access key" not in shown:
        return

    sealed = await ctx.db.read(lambda conn: access_keys.sealed_secrets(conn, after=0, limit=9))
    (secret,) = [one for _, name, one in sealed if name == shown["access key"]]
    opened = ctx.access.sealer.open(secret, key_context(shown["access key"]))
    assert opened.decode() == shown["secret key"]


def _by_name(lines: Sequence[str]) -> dict[str, str]:
    """`    access key   AKID` and the like."""
    words = [line.strip().rpartition("  ") for line in lines]
    return {name.strip(): value for name, _, value in words if name}


def _strays(folder: Path) -> list[str]:
    """What lies beside the data folder and its key."""
    return sorted(found.name for found in folder.iterdir() if found.name not in EXPECTED)
