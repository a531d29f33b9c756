"""Copies to a peer that take their time: what is older never wins, and who may not any more copies nothing more; on both engines."""

import asyncio

import pytest
import sqlalchemy as sa
from remote_in_memory import RemoteInMemory
from sync_world import SyncWorld, digest

from entrepot.capabilities.access.identities.users import NamedUser, delete_user
from entrepot.capabilities.content import copying
from entrepot.capabilities.policies import sync_runs
from entrepot.capabilities.policies.peers import CreatePeer, NewSecret, change_secret, create_peer
from entrepot.metadata import leases
from entrepot.metadata.leases import Offer
from entrepot.metadata.schema import sync_rules, tasks
from entrepot.model.errors import StorageUnavailable

pytestmark = pytest.mark.broad

PEER = "elsewhere"
THERE = "copies/app"


@pytest.fixture
def remote() -> RemoteInMemory:
    return RemoteInMemory()


@pytest.fixture
def sync(world, cast, remote) -> SyncWorld:
    made = SyncWorld(world, cast)
    made.handlers[sync_runs.COPY] = sync_runs.copy_handler(world.ctx, remote.open)
    peer = CreatePeer(cast.acme.id, PEER, "https://registry.example.test", "robot", "secret")
    world.run(create_peer, cast.owner, peer)
    return made


def copies(sync, caller=None, **options):
    return sync.sync(caller or sync.cast.owner, "v1", region=PEER, **options)


def set_there(remote, tag="v1") -> list[str]:
    return [digest for reference, digest in remote.set if reference == tag]


def change_tasks(sync, **values) -> None:
    only = tasks.update().where(tasks.c.kind == sync_runs.COPY).values(**values)
    sync.world.ctx.db.write_sync(lambda conn: conn.execute(only))


# -- the tag moves ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overrides", [True, False])
def test_a_tag_that_is_pushed_while_it_is_copied_is_copied_as_it_is_then(sync, remote, overrides):
    sync.push()
    copies(sync, overrides=overrides)
    pushed = []

    async def push_newer():
        pushed.append(await sync.registry.push_image("app", [b"newer"], "v1", note="newer"))

    remote.before["send_blob"] = push_newer
    sync.work()

    assert set_there(remote) == [digest(pushed[0])]
    assert sync.statuses() == [("v1", "success")]


def test_a_signature_that_is_set_anew_while_it_is_copied_is_copied_as_it_is_then(sync, remote):
    image = sync.push()
    name = digest(image).replace(":", "-") + ".sig"
    sync.world.do(sync.registry.push_image("app", [b"one"], name, note="one"))
    copies(sync)
    pushed = []

    async def sign_again():
        pushed.append(await sync.registry.push_image("app", [b"two"], name, note="two"))

    remote.before["put_manifest"] = sign_again
    sync.work()

    assert set_there(remote, name) == [digest(pushed[0])]


def test_a_tag_that_never_rests_is_tried_again_later(sync, remote):
    sync.push()
    copies(sync)

    async def push_newer():
        note = f"{len(remote.opened)}"
        await sync.registry.push_image("app", [note.encode()], "v1", note=note)
        remote.before["send_blob"] = push_newer

    remote.before["send_blob"] = push_newer
    sync.plan()
    assert sync.step()

    assert set_there(remote) == []
    (job,) = sync.jobs(sync.cast.owner).rows
    assert job.status.value == "waiting"
    assert "set to something else" in job.reason


def test_what_somebody_sets_at_the_peer_meanwhile_is_not_overridden(sync, remote):
    sync.push()
    copies(sync)

    async def set_other():
        remote.tags[THERE, "v1"] = f"sha256:{'ab' * 32}"

    remote.before["put_manifest"] = set_other
    sync.work()

    assert set_there(remote) == []
    assert sync.statuses() == [("v1", "existed")]


def test_one_copy_of_a_tag_to_a_place_goes_at_a_time(sync):
    sync.push()
    copies(sync, overrides=True)
    copies(sync, overrides=False)
    offer = Offer(sync_runs.COPY, 60, None, 1)

    claimed = sync.world.ctx.db.write_sync(lambda conn: leases.claim(conn, [offer], limit=5))

    assert len(claimed) == 1
    assert claimed[0].tenant == sync.cast.acme.id
    handler = sync.handlers[sync_runs.COPY]
    assert (handler.per_target, handler.is_long) == (1, True)


# -- who may not any more ---------------------------------------------------------------------------------------------


def test_whoever_is_gone_by_then_sets_no_manifest(sync, remote):
    sync.push()
    caller = sync.editor()
    copies(sync, caller)

    async def be_deleted():
        command = NamedUser(sync.cast.acme.id, caller.name.partition("/")[2] or caller.name)
        await delete_user(sync.world.ctx, sync.cast.owner, command)

    remote.before["send_blob"] = be_deleted
    sync.work()

    assert remote.set == []
    assert sync.statuses() == [("v1", "failed")]


def test_a_copy_under_way_is_ended_when_its_rule_goes(sync, remote, monkeypatch):
    monkeypatch.setattr(sync_runs, "RECHECK_SECONDS", 0.02)
    sync.push("v0", layer=b"0")
    sync.put_rule(sync.cast.owner, region=PEER)
    sync.push()
    sync.plan()

    async def hang():
        await sync.world.ctx.db.write(lambda conn: conn.execute(sa.delete(sync_rules)))
        await asyncio.wait_for(asyncio.Event().wait(), 20)

    remote.before["send_blob"] = hang
    assert sync.step()

    assert remote.set == []


def test_another_secret_is_taken_at_once(sync, remote):
    sync.push()
    copies(sync)

    async def change():
        command = NewSecret(sync.cast.acme.id, PEER, "newer")
        await change_secret(sync.world.ctx, sync.cast.owner, command)

    remote.before["send_blob"] = change
    sync.work()

    assert [one.password for one in remote.opened] == ["secret", "newer"]
    assert sync.statuses() == [("v1", "success")]


def test_a_worker_that_lost_its_lease_sets_nothing_there(sync, remote):
    sync.push()
    copies(sync)

    async def be_overtaken():
        await sync.world.ctx.db.write(
            lambda conn: conn.execute(tasks.update().values(lease_token="another"))
        )

    remote.before["send_blob"] = be_overtaken
    sync.plan()
    with pytest.raises(Exception, match="task"):
        sync.step()

    assert remote.set == []


def test_what_was_copied_before_something_broke_is_in_the_audit_trail(sync, monkeypatch):
    sync.push()
    sync.push("v2", layer=b"2", note="2")
    real, left = copying.copy_tag, [1]

    def breaking(*more):
        if not left:
            raise StorageUnavailable("no route")
        left.pop()
        return real(*more)

    monkeypatch.setattr(copying, "copy_tag", breaking)
    with pytest.raises(StorageUnavailable):
        sync.sync(sync.cast.owner, "v1", "v2")

    assert sync.digest_there("v1") is not None
    assert [one[1:] for one in sync.world.audited("sync.start")] == [("team/app", "done")]


# -- attempts ---------------------------------------------------------------------------------------------------------


def test_a_push_gives_a_copy_that_waits_all_its_attempts_again(sync):
    sync.push()
    sync.put_rule(sync.cast.owner, region=PEER)
    sync.push("v1", layer=b"1", note="1")
    sync.plan()
    change_tasks(sync, attempts=31, run_after=10**17)

    sync.push("v1", layer=b"2", note="2")
    sync.plan()

    query = sa.select(tasks.c.attempts).where(tasks.c.kind == sync_runs.COPY)
    assert sync.world.read(lambda conn: list(conn.scalars(query))) == [0]
    assert sync.statuses() == [("v1", "waiting")]


def test_a_copy_that_was_asked_for_outlives_the_rule_it_waited_with(sync, remote):
    pushed = sync.push()
    sync.put_rule(sync.cast.owner, region=PEER)
    pushed = sync.push("v1", layer=b"1", note="1")
    sync.plan()
    copies(sync)
    sync.drop_rule(sync.cast.owner, region=PEER)

    sync.work()

    assert sorted(sync.statuses()) == [("v1", "cancel"), ("v1", "success")]
    assert set_there(remote) == [digest(pushed)]
