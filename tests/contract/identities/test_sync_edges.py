"""Sync within the deployment, what the tests of its wire show in part: targets, rules and jobs at their edges."""

import pytest
from sync_world import REGION, SyncWorld

from entrepot.metadata.schema import tasks
from entrepot.model.access import Level
from entrepot.model.errors import (
    Forbidden,
    NamespaceUnknown,
    ValueInvalid,
)
from entrepot.model.syncing import RegionUnserved, SyncRuleUnknown

pytestmark = pytest.mark.broad


@pytest.fixture
def sync(world, cast) -> SyncWorld:
    return SyncWorld(world, cast)


def test_targets_that_are_none_are_refused(sync):
    sync.push()
    editor = sync.editor()
    for where, error in (
        ({"region": "nowhere-1"}, RegionUnserved),
        ({"namespace": "absent"}, NamespaceUnknown),
        ({"namespace": "team"}, ValueInvalid),  # the repository itself
        ({"namespace": "UPPER"}, ValueInvalid),
        ({"namespace": "a/b"}, ValueInvalid),
        ({"namespace": ""}, ValueInvalid),
    ):
        with pytest.raises(error):
            sync.sync(editor, "v1", **where)
        with pytest.raises(error):
            sync.put_rule(editor, **where)
    assert sync.rules(sync.cast.owner) == []


def test_no_tags_are_no_request(sync):
    sync.push()
    with pytest.raises(ValueInvalid):
        sync.sync(sync.editor())


def test_a_rule_goes_by_its_target(sync):
    sync.push()
    sync.put_rule(sync.editor())
    with pytest.raises(SyncRuleUnknown):
        sync.drop_rule(sync.cast.member, namespace="other")

    sync.drop_rule(sync.cast.member)

    assert sync.rules(sync.cast.owner) == []
    with pytest.raises(SyncRuleUnknown):
        sync.drop_rule(sync.cast.member)


def test_jobs_come_in_pages_the_newest_first(sync):
    for number in range(5):
        sync.push(f"v{number}", layer=bytes([number]))
        sync.sync(sync.cast.owner, f"v{number}")

    page = sync.jobs(sync.cast.owner, offset=1, limit=2)
    assert (page.total, [job.tag for job in page.rows]) == (5, ["v3", "v2"])
    rising = sync.jobs(sync.cast.owner, limit=2, is_rising=True)
    assert [job.tag for job in rising.rows] == ["v0", "v1"]
    assert len({job.id for job in sync.jobs(sync.cast.owner).rows}) == 5


def test_who_may_only_read_the_source_is_denied(sync):
    sync.push()
    sync.grant(sync.cast.member, "team", Level.READ)
    sync.grant(sync.cast.member, "copies", Level.EDIT)

    with pytest.raises(Forbidden):
        sync.sync(sync.cast.member, "v1")
    with pytest.raises(Forbidden):
        sync.put_rule(sync.cast.member)


def test_what_is_there_already_is_left_as_it_is(sync):
    sync.push()
    sync.sync(sync.editor(), "v1")
    pushes = sync.pushes()

    assert sync.sync(sync.cast.member, "v1") == []

    assert sync.pushes() == pushes
    assert [status for _, status in sync.statuses()] == ["success", "success"]


def test_a_rule_for_the_same_target_is_changed_not_doubled(sync):
    sync.push()
    sync.put_rule(sync.editor(), is_automatic=False)
    sync.put_rule(sync.cast.owner, is_automatic=True, overrides=True)

    (rule,) = sync.rules(sync.cast.member)
    assert (rule.is_automatic, rule.overrides) == (True, True)
    assert rule.user == sync.cast.owner.user
    assert (rule.target.region, rule.target.namespace) == (REGION, "copies")
    assert sync.world.audited("sync.rule")[-1][1:] == ("team/app", "done")


def test_a_job_that_used_up_its_attempts_says_how(sync):
    sync.push()
    sync.put_rule(sync.editor())
    sync.push("v2", layer=b"2")
    sync.plan()
    copies = tasks.update().where(tasks.c.kind == "sync.copy")
    for error, status in (
        ("not done within 60 s", "timeout"),
        ("Somebody does not answer", "failed"),
    ):
        ended = copies.values(status="failed", error=error)
        sync.world.ctx.db.write_sync(lambda conn, ended=ended: conn.execute(ended))

        (job,) = sync.jobs(sync.cast.member).rows
        assert (job.status, job.reason) == (status, error)


def test_tags_that_are_not_there_are_told_and_the_others_copied(sync):
    sync.push("v1")

    assert sync.sync(sync.editor(), "v0", "v1", "v0") == ["v0"]
    assert sync.statuses() == [("v1", "success")]
