"""Sync within the deployment, on both engines: rows only, with the rights of whoever asked, and never round for ever."""

import pytest
import sqlalchemy as sa
from sync_world import SyncWorld, digest

from entrepot.capabilities.access.identities.users import NamedUser, delete_user
from entrepot.capabilities.content import deleting
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.policies import sync_now, syncing
from entrepot.capabilities.policies.peers import CreatePeer, create_peer
from entrepot.capabilities.policies.sync_now import CancelJob
from entrepot.capabilities.policies.sync_runs import PURGE
from entrepot.metadata import purging, sync_jobs
from entrepot.metadata import syncing as syncing_rows
from entrepot.metadata.schema import sync_jobs as job_rows
from entrepot.metadata.schema import sync_rules
from entrepot.model.access import Level
from entrepot.model.content import Repository
from entrepot.model.errors import (
    QuotaExceeded,
    RepositoryUnknown,
)
from entrepot.model.ids import Micros
from entrepot.model.syncing import RegionUnserved, SyncJobUnknown
from entrepot.oci.reference import RepositoryName

pytestmark = pytest.mark.broad


@pytest.fixture
def sync(world, cast) -> SyncWorld:
    return SyncWorld(world, cast)


# -- copying now ------------------------------------------------------------------------------------------------------


def test_an_index_comes_whole_with_its_signatures_and_no_byte_moves(sync):
    pushed = sync.push_signed_index()
    before = sync.blob_rows()

    assert sync.sync(sync.editor(), "v1") == []

    assert sync.digest_there("v1") == digest(pushed["index"])
    assert sync.documents_there() == {digest(one) for one in pushed.values()}
    name = digest(pushed["index"]).replace(":", "-") + ".sig"
    assert sync.digest_there(name) == digest(pushed["cosign"])
    assert sync.blob_rows() == before
    assert sync.statuses() == [("v1", "success")]


def test_a_tag_that_means_something_else_there_stays_unless_it_is_to_be_overridden(sync):
    first = sync.push(layer=b"one")
    sync.sync(sync.editor(), "v1")
    second = sync.push(layer=b"two")

    assert sync.sync(sync.cast.member, "v1") == ["v1"]
    assert sync.digest_there() == digest(first)
    assert sync.statuses()[-1] == ("v1", "existed")

    assert sync.sync(sync.cast.member, "v1", overrides=True) == []
    assert sync.digest_there() == digest(second)


def test_a_signature_that_came_later_is_brought_to_the_same_image(sync):
    image = sync.push()
    sync.sync(sync.editor(), "v1")
    signature = sync.world.do(sync.registry.push_image("app", [b"signature"], subject=image))

    assert sync.sync(sync.cast.member, "v1") == []
    assert digest(signature) in sync.documents_there()


def test_who_may_not_push_to_the_target_copies_nothing(sync):
    sync.push()
    sync.grant(sync.cast.member, "team", Level.EDIT)
    sync.grant(sync.cast.member, "copies", Level.READ)

    assert sync.sync(sync.cast.member, "v1") == ["v1"]
    assert sync.digest_there() is None
    assert sync.statuses() == []


def test_a_quota_at_the_target_fails_the_tag_and_leaves_nothing_half(sync):
    sync.push()
    editor = sync.editor()
    sync.limit_bytes("copies", 1)

    assert sync.sync(editor, "v1") == ["v1"]
    assert sync.documents_there() == set()
    (job,) = sync.jobs(editor).rows
    assert job.status == "failed"
    assert "quota" in job.reason


def test_a_peers_name_of_another_tenant_is_no_region(sync):
    stranger = sync.cast.stranger
    command = CreatePeer(stranger.tenant, "theirs", "https://registry.example.test")
    sync.world.run(create_peer, stranger, command)
    sync.push()

    with pytest.raises(RegionUnserved):
        sync.put_rule(sync.editor(), region="theirs")


# -- rules ------------------------------------------------------------------------------------------------------------


def test_rules_are_seen_by_those_who_were_given_a_right_only(sync):
    sync.push()
    sync.put_rule(sync.editor())

    for caller in (sync.cast.stranger, sync.cast.disabled):
        with pytest.raises(Exception, match=r"lacks|Credentials"):
            sync.rules(caller)
        with pytest.raises(Exception, match=r"lacks|Credentials"):
            sync.jobs(caller)


def test_a_repository_has_only_so_many_rules(sync, monkeypatch):
    monkeypatch.setattr(syncing, "MOST_RULES", 1)
    sync.namespace("more")
    sync.push()
    sync.put_rule(sync.cast.owner)

    with pytest.raises(QuotaExceeded):
        sync.put_rule(sync.cast.owner, namespace="more")
    assert len(sync.rules(sync.cast.owner)) == 1


# -- after a push -----------------------------------------------------------------------------------------------------


def test_every_later_push_is_copied_and_no_earlier_one(sync):
    sync.push("old")
    sync.put_rule(sync.editor())
    image = sync.push("new", layer=b"new")

    sync.work()

    assert sync.digest_there("new") == digest(image)
    assert sync.digest_there("old") is None
    (job,) = sync.jobs(sync.cast.member).rows
    assert (job.tag, job.status, job.user_name) == ("new", "success", "member")
    assert len(job.user_id) == 32


def test_a_rule_by_hand_copies_nothing_by_itself(sync):
    sync.push()
    sync.put_rule(sync.editor(), is_automatic=False)
    sync.push("v2", layer=b"2")

    sync.work()
    assert sync.statuses() == []


def test_a_signature_without_a_tag_follows_its_image_and_that_of_a_child_its_index(sync):
    sync.push()
    sync.put_rule(sync.editor())
    pushed = sync.push_signed_index("v2")

    sync.work()

    assert sync.documents_there() >= {digest(one) for one in pushed.values()}


def test_rules_in_a_circle_come_to_rest(sync):
    sync.push()
    sync.sync(sync.editor(), "v1")
    back = Place(sync.shared, RepositoryName("copies", "app"))
    sync.put_rule(sync.cast.member, overrides=True)
    sync.put_rule(sync.cast.member, place=back, namespace="team", overrides=True)
    image = sync.push("v1", layer=b"another")

    sync.work()

    assert sync.digest_there("v1") == sync.digest_there("v1", "team") == digest(image)
    assert sync.pushes() == 4  # one by hand each time, one copy each


def test_pushes_of_one_moment_are_one_job(sync):
    sync.push()
    sync.put_rule(sync.editor(), overrides=True)
    for layer in (b"1", b"2", b"3"):
        image = sync.push("v1", layer=layer)
    sync.plan()

    assert sync.statuses() == [("v1", "waiting")]
    sync.work()
    assert sync.digest_there() == digest(image)


def test_whoever_lost_the_right_at_the_target_copies_no_more(sync):
    sync.push()
    sync.put_rule(sync.editor())
    sync.grant(sync.cast.member, "copies", Level.READ)
    sync.push("v2", layer=b"2")

    sync.work()

    assert sync.digest_there("v2") is None
    (job,) = sync.jobs(sync.cast.owner).rows
    assert job.status == "failed"
    assert "permission" in job.reason


def test_whoever_is_gone_copies_no_more(sync):
    sync.push()
    sync.put_rule(sync.editor())
    member = sync.cast.member
    sync.world.run(delete_user, sync.cast.owner, NamedUser(member.tenant, member.name))
    sync.push("v2", layer=b"2")

    sync.work()
    assert sync.statuses() == [("v2", "failed")]
    assert sync.digest_there("v2") is None


def test_a_rule_that_went_meanwhile_copies_no_more(sync):
    sync.push()
    sync.put_rule(sync.editor())
    sync.push("v2", layer=b"2")
    sync.plan()
    sync.drop_rule(sync.cast.member)

    sync.work()
    assert sync.statuses() == [("v2", "cancel")]
    assert sync.digest_there("v2") is None


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_a_job_that_waits_is_cancelled(sync):
    sync.push()
    sync.put_rule(sync.editor())
    sync.push("v2", layer=b"2")
    sync.plan()
    (job,) = sync.jobs(sync.cast.member).rows

    sync.world.run(sync_now.cancel_job, sync.cast.member, CancelJob(sync.place, job.id))
    with pytest.raises(SyncJobUnknown):
        sync.world.run(sync_now.cancel_job, sync.cast.member, CancelJob(sync.place, job.id + 9))

    sync.work()
    assert sync.statuses() == [("v2", "cancel")]
    assert sync.digest_there("v2") is None


def test_past_jobs_are_forgotten_and_those_that_wait_are_not(sync):
    sync.push()
    sync.sync(sync.editor(), "v1")
    sync.put_rule(sync.cast.member)
    sync.push("v2", layer=b"2")
    sync.plan()
    sync.world.ctx.db.write_sync(
        lambda conn: conn.execute(job_rows.update().values(created_at=Micros(1)))
    )
    assert sync.world.read(lambda conn: sync_jobs.is_purge_wanted(conn, Micros(2)))

    sync.start(PURGE)
    assert sync.statuses() == [("v2", "waiting")]


# -- what goes with what ----------------------------------------------------------------------------------------------


def test_rules_and_jobs_go_with_their_repository(sync):
    sync.push()
    sync.put_rule(sync.editor())
    sync.sync(sync.cast.member, "v1")
    repository = sync.world.do(sync.world.ctx.hot.repository(sync.shared.id, "team/app"))
    assert isinstance(repository, Repository)
    sync.world.run(deleting.delete_repository, sync.cast.owner, sync.place)
    with pytest.raises(RepositoryUnknown):
        sync.rules(sync.cast.owner)

    def purge(conn):
        purging.remove_manifests(conn, purging.some_manifests(conn, repository.id, limit=100))
        purging.unlink_some(conn, repository.id, limit=100)
        while syncing_rows.forget_some(conn, repository.id, limit=1):
            pass
        purging.remove_repository(conn, repository.id)

    sync.world.ctx.db.write_sync(purge)
    for table in (sync_rules, job_rows):
        assert sync.world.read(lambda conn, t=table: conn.execute(sa.select(t)).all()) == []
