"""The first start makes a deployment once."""

import asyncio
import multiprocessing
from dataclasses import replace

import sqlalchemy as sa
from msgspec.structs import replace as replace_settings

from entrepot.capabilities.access.secrets import key_context
from entrepot.capabilities.operations.first_start import first_start, shown
from entrepot.config import Secret
from entrepot.metadata import (
    access_keys,
    identities,
    instances,
    signing_keys,
    tenants,
    unshown,
)
from entrepot.metadata.schema import tenants as tenants_table
from entrepot.metadata.schema import users
from entrepot.model.access import Role
from entrepot.model.tenancy import InstanceKind


def preset(world, **root):
    settings = replace_settings(
        world.ctx.settings, root=replace_settings(world.ctx.settings.root, **root)
    )
    return replace(world.ctx, settings=settings)


def test_the_first_start_makes_region_instance_tenant_user_and_keys(empty_world):
    world = empty_world

    first = world.do(first_start(preset(world, password=None)))

    root = world.root
    assert (root.name, root.is_root) == ("root", True)
    assert (len(root.uin), len(root.app_id), len(root.public_id)) == (12, 10, 32)
    user = world.read(lambda conn: identities.find_user(conn, root.id, "root"))
    assert (user.role, user.uin, user.enabled) == (Role.OWNER, root.uin, True)
    stored, _ = world.read(lambda conn: identities.password_of(conn, user.id))
    assert world.do(world.ctx.access.passwords.verify(stored, first.password))
    (region,) = world.read(tenants.list_regions)
    assert (region.name, region.is_local, region.is_default) == ("here-1", True, True)
    assert (world.shared.kind, world.shared.tenant) == (InstanceKind.SHARED, None)
    (project,) = world.read(lambda conn: tenants.list_projects(conn, root.id))
    assert (project.name, project.region) == ("here-1", "here-1")
    (key,) = world.read(lambda conn: access_keys.list_keys(conn, user.id))
    assert (key.access_key_id, key.enabled) == (first.access_key, True)
    ((_, _, sealed),) = world.read(lambda c: access_keys.sealed_secrets(c, after=0, limit=9))
    opened = world.ctx.access.sealer.open(sealed, key_context(first.access_key))
    assert opened.decode() == first.secret_key
    assert len(world.read(signing_keys.list_verifying)) == 1


def test_later_starts_change_nothing_and_cost_one_read(empty_world):
    world = empty_world
    assert world.do(first_start(world.ctx)) is not None
    world.do(shown(world.ctx))
    before = world.ctx.db.statistics.counts()

    assert world.do(first_start(world.ctx)) is None

    spent = world.ctx.db.statistics.counts() - before
    assert (spent.reads, spent.writes) == (1, 0)


def test_presets_are_used_and_not_shown(empty_world):
    world = empty_world
    ctx = preset(
        world,
        user="boss",
        password=Secret("short"),
        access_key=Secret("AKIDpreset"),
        secret_key=Secret("preset-secret"),
    )

    first = world.do(first_start(ctx))

    assert (first.user, first.password, first.secret_key) == ("boss", None, None)
    assert first.access_key == "AKIDpreset"
    root = world.root
    user = world.read(lambda conn: identities.find_user(conn, root.id, "boss"))
    stored, _ = world.read(lambda conn: identities.password_of(conn, user.id))
    assert world.do(world.ctx.access.passwords.verify(stored, "short"))


def test_secrets_are_never_in_a_repr(empty_world):
    first = empty_world.do(first_start(preset(empty_world, password=None)))

    assert first.password not in repr(first)
    assert first.secret_key not in repr(first)


def _start(flags, gate, answers):
    """In a process of its own: everything opened anew."""
    from entrepot.bootstrap.context import open_context  # noqa: PLC0415  (the child alone needs it)
    from entrepot.config import Source, load  # noqa: PLC0415

    async def run():
        async with open_context(load(Source(None, flags, {}))) as (_, first):
            return None if first is None else first.password

    gate.wait(30)
    answers.put(asyncio.run(run()))


def test_processes_that_start_at_once_make_one_root(database_url, tmp_path):
    flags = {"data.folder": str(tmp_path / "data"), "metadata.url": database_url}
    spawn = multiprocessing.get_context("spawn")
    gate, answers = spawn.Barrier(3), spawn.Queue()
    processes = [spawn.Process(target=_start, args=(flags, gate, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    passwords = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(set(passwords)) == 1  # nobody has said yet that it was shown
    from entrepot.metadata.database import Database  # noqa: PLC0415

    db = Database.open(database_url)
    try:
        for table in (tenants_table, users):
            count = sa.select(sa.func.count()).select_from(table)
            assert db.read_sync(lambda c, count=count: c.execute(count).scalar_one()) == 1
        assert len(db.read_sync(instances.list_instances)) == 1
        assert len(db.read_sync(signing_keys.list_verifying)) == 1
    finally:
        db.close_sync()


def test_before_the_first_start_there_is_no_routing_table(empty_world):
    assert empty_world.read(instances.load_hosts) is None


def test_secrets_are_the_same_in_every_start_until_they_were_shown_and_kept_sealed(empty_world):
    ctx = preset(empty_world, password=None)
    first = empty_world.do(first_start(ctx))

    again = empty_world.do(first_start(ctx))

    assert (again.password, again.secret_key) == (first.password, first.secret_key)
    kept = empty_world.read(unshown.find)
    assert first.password.encode() not in kept
    empty_world.do(shown(ctx))
    assert empty_world.read(unshown.find) is None
