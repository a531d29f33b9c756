"""The life of dedicated instances, on both engines: asked for, running, changed, at their end, deleted, kept, restored."""

import dataclasses

import pytest
import sqlalchemy as sa
from mortal_worker import Killed, MortalWorker, waiting
from working import work_until

from entrepot.capabilities.access.accounts import CreateToken, create_token
from entrepot.capabilities.access.identities.tenants import delete_tenant
from entrepot.capabilities.access.service_accounts import (
    CreateServiceAccount,
    create_service_account,
)
from entrepot.capabilities.instances import deploying, removing
from entrepot.capabilities.instances.buckets import (
    RestoreBucket,
    list_buckets,
    purge_bucket,
    restore_bucket,
)
from entrepot.capabilities.instances.changing import (
    DeleteInstance,
    ModifyInstance,
    RenewInstance,
    delete_instance,
    modify_instance,
    renew_instance,
)
from entrepot.capabilities.instances.creating import CreateInstance, create_instance
from entrepot.capabilities.instances.describing import get_instance
from entrepot.capabilities.instances.limits import SetQuota, Subject, set_quota
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    create_namespace,
)
from entrepot.config import Source, load
from entrepot.metadata import counters, instance_details, instances, namespaces, resource_tags
from entrepot.metadata.schema import (
    accounts,
    allow_list,
    events,
    instance_hosts,
    quotas,
    reviews,
    tasks,
)
from entrepot.metadata.schema import instances as instance_rows
from entrepot.metadata.schema import namespaces as namespace_rows
from entrepot.metadata.schema import repositories as repository_rows
from entrepot.model.access import AccountKind
from entrepot.model.errors import (
    InstanceUnknown,
    NameTaken,
    NotEmpty,
    Protected,
    QuotaExceeded,
    StorageUnavailable,
    ValueInvalid,
)
from entrepot.model.instances import (
    BucketUnknown,
    Content,
    EditionTooSmall,
    InstanceNotRunning,
)
from entrepot.model.network_access import EntryStatus
from entrepot.model.tenancy import InstanceStatus

pytestmark = pytest.mark.broad

DAY = 86_400 * 1_000_000
SMALL = "small namespaces=2 repositories=1 tokens=0 accounts=1"


@pytest.fixture
def settings(database_url, tmp_path):
    """Three editions, the first without limits, and steps that take no time."""
    return settings_of(database_url, tmp_path)


def settings_of(database_url, tmp_path, **more):
    flags = {
        "data.folder": str(tmp_path / "data"),
        "metadata.url": database_url,
        "region.name": "here-1",
        "instances.editions": f"wide,{SMALL},other namespaces=3 signatures",
        "instances.per_tenant": "3",
        "instances.step_time": "0s",
        **more,
    }
    return load(Source(None, flags, {"ENTREPOT_ROOT_PASSWORD": "a preset password"}))


@pytest.fixture
def worker(world):
    """Runs what is deferred."""
    return MortalWorker(world)


def make(world, cast, name="acme-own", **fields):
    return world.run(create_instance, cast.owner, CreateInstance(cast.acme.id, name, **fields))


def status(world, instance):
    return world.read(lambda conn: instance_details.status_of(conn, instance.id))


def show(world, cast, instance):
    return world.run(get_instance, cast.owner, OfInstance(instance.id))


def served(world):
    """Names under the suffix that answer."""
    return set(world.read(instances.load_hosts).by_name) - {world.shared.name}


def fill(world, cast, instance, count=2):
    """Namespaces with two repositories each; they count as pushed ones do."""
    for number in range(count):
        command = CreateNamespace(instance.id, cast.acme.id, f"team-{number}", is_public=True)
        made = world.run(create_namespace, cast.owner, command)

        def push(conn, made=made):
            for path in ("app", "web"):
                found = namespaces.insert_repository(conn, made, path, created_by=None)
                counters.add(conn, "namespace", made.id, "repositories", 1)
                counters.add(conn, "namespace", made.id, "bytes", 10)
                counters.add(conn, "repository", found.id, "bytes", 10)

        world.ctx.db.write_sync(push)


def living(world, table, instance):
    query = sa.select(sa.func.count()).where(
        table.c.instance_id == instance.id, table.c.deleted_at.is_(None)
    )
    return world.read(lambda conn: conn.execute(query).scalar_one())


def rows(world, table, *which):
    query = sa.select(sa.func.count()).select_from(table).where(*which)
    return world.read(lambda conn: conn.execute(query).scalar_one())


# -- creation ---------------------------------------------------------------------------------------------------------


def test_a_new_instance_passes_through_its_first_states(world, cast, worker):
    made = make(world, cast, tags={"team": "blue"}, facts={"flag": 1}, is_protected=True)

    shown = show(world, cast, made)
    assert shown.status is InstanceStatus.PENDING
    assert (shown.edition, shown.region_name, shown.is_protected) == ("wide", "here-1", True)
    assert (shown.tags, shown.facts) == ((("team", "blue"),), {"flag": 1})
    assert shown.public_entry is EntryStatus.CLOSED
    assert [one.status for one in shown.conditions] == [InstanceStatus.PENDING] * 2
    assert served(world) == set()

    worker.step()
    shown = show(world, cast, made)
    assert shown.status is InstanceStatus.DEPLOYING
    assert {one.step: one.status for one in shown.conditions} == {
        "storage": InstanceStatus.RUNNING,
        "names": InstanceStatus.DEPLOYING,
    }
    assert served(world) == set()

    worker.run_out()
    assert status(world, made) is InstanceStatus.RUNNING
    assert served(world) == {"acme-own"}


def test_the_worker_brings_it_up_by_itself(world, cast):
    made = make(world, cast)
    work_until(
        world,
        lambda conn: instance_details.status_of(conn, made.id) is InstanceStatus.RUNNING,
    )


def test_each_first_state_is_shown_for_the_time_that_is_set(database_url, tmp_path, world, cast):
    settings = settings_of(database_url, tmp_path, **{"instances.step_time": "90s"})
    ctx = dataclasses.replace(world.ctx, settings=settings)
    made = world.do(create_instance(ctx, cast.owner, CreateInstance(cast.acme.id, "acme-own")))

    delays = sa.select(tasks.c.run_after - tasks.c.created_at).where(
        tasks.c.target == f"instance:{made.id}"
    )
    assert world.read(lambda conn: list(conn.scalars(delays))) == [90_000_000]


def test_content_of_an_instance_that_does_not_run_is_refused(world, cast, worker):
    made = make(world, cast)
    command = CreateNamespace(made.id, cast.acme.id, "team")

    with pytest.raises(InstanceNotRunning) as refused:
        world.run(create_namespace, cast.owner, command)

    assert (refused.value.name, refused.value.status) == ("acme-own", InstanceStatus.PENDING)
    worker.run_out()
    world.run(create_namespace, cast.owner, command)


def test_a_store_that_takes_nothing_fails_the_creation_and_is_told(
    world, cast, worker, monkeypatch
):
    def refuse():
        raise StorageUnavailable("/secret/path")

    monkeypatch.setattr(world.ctx.blobs, "probe", refuse)
    made = make(world, cast)
    for attempt in range(deploying.ATTEMPTS):
        assert status(world, made) is InstanceStatus.PENDING, attempt
        worker.step()

    shown = show(world, cast, made)
    assert (shown.status, shown.reason) == (InstanceStatus.CREATE_FAILED, "StorageUnavailable")
    assert waiting(world) == []
    world.run(delete_instance, cast.owner, DeleteInstance(made.id))
    worker.run_out()
    assert status(world, made) is InstanceStatus.DELETED


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"edition": "none"}, ValueInvalid),
        ({"region": "nowhere-1"}, ValueInvalid),
        ({"tags": {"": "x"}}, ValueInvalid),
        ({"tags": {f"k{n}": "" for n in range(11)}}, ValueInvalid),
        ({"entry": EntryStatus.OPENING}, ValueInvalid),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(world, cast, fields, error):
    with pytest.raises(error):
        make(world, cast, **fields)
    assert rows(world, instance_rows, instance_rows.c.kind == "dedicated") == 0
    assert waiting(world) == []


def test_a_tenant_has_so_many_instances(world, cast):
    for number in range(3):
        make(world, cast, f"acme-{number}")
    with pytest.raises(QuotaExceeded) as refused:
        make(world, cast, "acme-more")
    assert (refused.value.resource, refused.value.limit) == ("instances", 3)
    world.run(set_quota, world.operator, SetQuota(Subject("tenant", "acme"), "instances", 4))
    make(world, cast, "acme-more")


# -- changes ----------------------------------------------------------------------------------------------------------


def running(world, cast, worker, **fields):
    made = make(world, cast, **fields)
    worker.run_out()
    return made


def test_a_new_edition_holds_at_once_and_serves_while_it_changes(world, cast, worker):
    made = running(world, cast, worker)

    shown = world.run(modify_instance, cast.owner, ModifyInstance(made.id, edition="small"))

    assert (shown.status, shown.edition) == (InstanceStatus.CHANGING, "small")
    assert served(world) == {"acme-own"}
    with pytest.raises(InstanceNotRunning):
        world.run(modify_instance, cast.owner, ModifyInstance(made.id, edition="wide"))
    worker.run_out()
    assert status(world, made) is InstanceStatus.RUNNING
    fill(world, cast, made)
    with pytest.raises(QuotaExceeded):
        world.run(create_namespace, cast.owner, CreateNamespace(made.id, cast.acme.id, "third"))


def test_an_edition_that_use_does_not_fit_is_refused(world, cast, worker):
    made = running(world, cast, worker)
    fill(world, cast, made, count=1)

    with pytest.raises(EditionTooSmall) as refused:
        world.run(modify_instance, cast.owner, ModifyInstance(made.id, edition="small"))

    error = refused.value
    assert (error.edition, error.resource, error.used, error.limit) == (
        "small",
        "repositories",
        2,
        1,
    )
    assert show(world, cast, made).edition == "wide"
    subject = Subject("instance", "acme-own")
    world.run(set_quota, world.operator, SetQuota(subject, "repositories", 2))
    shown = world.run(modify_instance, cast.owner, ModifyInstance(made.id, edition="small"))
    assert shown.edition == "small"


def token(world, cast, instance, kind=AccountKind.LONGTERM):
    return world.run(create_token, cast.owner, CreateToken(instance, kind))


def robot(world, cast, instance, name):
    return world.run(create_service_account, cast.owner, CreateServiceAccount(instance, name, {}))


def test_an_operators_limit_on_the_instance_comes_before_its_editions(world, cast, worker):
    made = running(world, cast, worker, edition="small")
    fill(world, cast, made)
    third = CreateNamespace(made.id, cast.acme.id, "third")
    with pytest.raises(QuotaExceeded):
        world.run(create_namespace, cast.owner, third)
    subject = Subject("instance", "acme-own")
    world.run(set_quota, world.operator, SetQuota(subject, "namespaces", 3))
    world.run(create_namespace, cast.owner, third)


def test_editions_limit_tokens_and_service_accounts(world, cast, worker):
    made = running(world, cast, worker, edition="small")
    token(world, cast, made, AccountKind.TEMPORARY)
    robot(world, cast, made, "one")
    for make_one, resource, limit in (
        (lambda: token(world, cast, made), "tokens", 0),
        (lambda: robot(world, cast, made, "two"), "accounts", 1),
    ):
        with pytest.raises(QuotaExceeded) as refused:
            make_one()
        assert (refused.value.resource, refused.value.limit) == (resource, limit)
        subject = Subject("instance", "acme-own")
        world.run(set_quota, world.operator, SetQuota(subject, resource, limit + 1))
        make_one()


def test_editions_that_the_settings_change_are_applied(database_url, tmp_path, world, cast, worker):
    made = running(world, cast, worker, edition="small")
    editions = {"instances.editions": "wide,small namespaces=1"}
    settings = settings_of(database_url, tmp_path, **editions)
    world.ctx = dataclasses.replace(world.ctx, settings=settings)
    later = MortalWorker(world)

    later.watch()
    later.run_out()

    fill(world, cast, made, count=1)
    with pytest.raises(QuotaExceeded):
        world.run(create_namespace, cast.owner, CreateNamespace(made.id, cast.acme.id, "second"))
    token(world, cast, made)
    later.watch()
    assert waiting(world) == []


def test_tags_replace_all_and_facts_are_put_over_those_there(world, cast, worker):
    made = running(world, cast, worker, tags={"a": "1", "b": "2"}, facts={"x": 1, "y": 2})

    command = ModifyInstance(made.id, tags={"c": "3"}, facts={"x": None, "z": [3]})
    shown = world.run(modify_instance, cast.owner, command)

    assert shown.tags == (("c", "3"),)
    assert shown.facts == {"y": 2, "z": [3]}
    assert world.run(modify_instance, cast.owner, ModifyInstance(made.id)).tags == (("c", "3"),)


def test_the_shared_instance_is_shown_but_never_changed(world, cast):
    shared = world.shared
    assert show(world, cast, shared).status is InstanceStatus.RUNNING
    for use_case, command in (
        (modify_instance, ModifyInstance(shared.id, is_protected=True)),
        (renew_instance, RenewInstance(shared.id, None)),
        (delete_instance, DeleteInstance(shared.id, content=Content.DELETE)),
    ):
        for caller in (cast.owner, cast.root, world.operator):
            with pytest.raises(Protected):
                world.run(use_case, caller, command)


def test_others_instances_do_not_exist(world, cast, worker):
    made = running(world, cast, worker)
    for use_case, command in (
        (get_instance, OfInstance(made.id)),
        (modify_instance, ModifyInstance(made.id, is_protected=True)),
        (renew_instance, RenewInstance(made.id, None)),
        (delete_instance, DeleteInstance(made.id)),
    ):
        with pytest.raises(InstanceUnknown):
            world.run(use_case, cast.stranger, command)


# -- expiry -----------------------------------------------------------------------------------------------------------


def test_an_end_is_only_remembered_unless_it_is_enforced(
    database_url, tmp_path, world, cast, worker
):
    made = running(world, cast, worker, expires_at=1)
    worker.watch()
    assert waiting(world) == []

    enforced = settings_of(database_url, tmp_path, **{"instances.enforce_expiry": "true"})
    before, world.ctx = world.ctx, dataclasses.replace(world.ctx, settings=enforced)
    strict = MortalWorker(world)
    strict.watch()
    strict.run_out()
    assert status(world, made) is InstanceStatus.ISOLATED
    assert served(world) == set()
    strict.watch()
    assert waiting(world) == []

    with pytest.raises(ValueInvalid):
        world.run(renew_instance, cast.owner, RenewInstance(made.id, 1))
    later = 4_000_000_000 * 1_000_000
    shown = world.run(renew_instance, cast.owner, RenewInstance(made.id, later, facts={"n": 1}))
    assert (shown.status, shown.expires_at) == (InstanceStatus.RUNNING, later)
    assert shown.facts == {"n": 1}
    assert served(world) == {"acme-own"}

    world.ctx.db.write_sync(
        lambda conn: instance_details.update_instance(conn, made.id, expires_at=1)
    )
    strict.watch()
    strict.run_out()
    world.ctx = before  # enforced no longer
    worker.watch()
    worker.run_out()
    assert status(world, made) is InstanceStatus.RUNNING


# -- deletion ---------------------------------------------------------------------------------------------------------


def test_deleting_takes_everything_in_batches(world, cast, worker, monkeypatch):
    monkeypatch.setattr(removing, "BATCH", 1)
    made = running(world, cast, worker, entry=EntryStatus.OPENED, tags={"a": "1"})
    fill(world, cast, made)
    tagged = f"{made.public_id}#team-0"
    world.ctx.db.write_sync(
        lambda conn: resource_tags.set_tags(
            conn, "namespace", tagged, {"b": "2"}, tenant=cast.acme.id
        )
    )

    world.run(delete_instance, cast.owner, DeleteInstance(made.id, content=Content.DELETE))

    assert status(world, made) is InstanceStatus.DELETING
    assert served(world) == set()
    with pytest.raises(InstanceNotRunning):
        world.run(create_namespace, cast.owner, CreateNamespace(made.id, cast.acme.id, "late"))
    with pytest.raises(InstanceNotRunning):
        world.run(modify_instance, cast.owner, ModifyInstance(made.id, is_protected=True))
    with pytest.raises(NameTaken):
        make(world, cast)
    world.run(delete_instance, cast.owner, DeleteInstance(made.id, content=Content.DELETE))
    worker.run_out()
    assert_gone(world, cast, made)
    assert make(world, cast).id != made.id


def assert_gone(world, cast, made):
    assert status(world, made) is InstanceStatus.DELETED
    with pytest.raises(InstanceUnknown):
        show(world, cast, made)
    assert living(world, namespace_rows, made) == 0
    assert living(world, repository_rows, made) == 0
    assert rows(world, reviews, reviews.c.kind == "repository") == 4
    assert rows(world, events, events.c.kind == "repository.deleted") == 4
    assert rows(world, events, events.c.kind == "namespace.deleted") == 2
    assert rows(world, allow_list, allow_list.c.instance_id == made.id) == 0
    assert rows(world, instance_hosts, instance_hosts.c.instance_id == made.id) == 0
    assert living(world, accounts, made) == 0
    assert rows(world, quotas, quotas.c.subject_kind == "edition") == 0
    for kind, name in (("instance", made.public_id), ("namespace", f"{made.public_id}#team-0")):
        assert world.read(lambda conn, k=kind, n=name: resource_tags.tags_of(conn, k, n)) == {}
    held = sa.select(namespace_rows.c.id).where(namespace_rows.c.instance_id == made.id)
    for number in world.read(lambda conn: list(conn.scalars(held))):
        for name in ("repositories", "bytes"):
            count = world.read(
                lambda conn, i=number, n=name: counters.value(conn, "namespace", i, n)
            )
            assert count == 0
    assert waiting(world) == []


def test_protection_content_and_dry_runs(world, cast, worker):
    made = running(world, cast, worker, is_protected=True)
    fill(world, cast, made, count=1)
    with pytest.raises(Protected):
        world.run(delete_instance, cast.owner, DeleteInstance(made.id, content=Content.DELETE))
    world.run(modify_instance, cast.owner, ModifyInstance(made.id, is_protected=False))
    with pytest.raises(NotEmpty):
        world.run(delete_instance, cast.owner, DeleteInstance(made.id))
    command = DeleteInstance(made.id, content=Content.DELETE, dry_run=True)
    world.run(delete_instance, cast.owner, command)
    assert status(world, made) is InstanceStatus.RUNNING
    assert waiting(world) == []


def test_a_deletion_that_fails_may_be_asked_for_again(world, cast, worker, monkeypatch):
    made = running(world, cast, worker)
    fill(world, cast, made)

    def refuse(*_):
        raise KeyError("secret")

    with monkeypatch.context() as broken:
        broken.setattr(removing, "take_limits", refuse)
        world.run(delete_instance, cast.owner, DeleteInstance(made.id, content=Content.DELETE))
        worker.run_out()
    shown = show(world, cast, made)
    assert (shown.status, shown.reason) == (InstanceStatus.DELETE_FAILED, "KeyError")
    assert waiting(world) == []

    world.run(delete_instance, cast.owner, DeleteInstance(made.id, content=Content.DELETE))
    worker.run_out()
    assert_gone(world, cast, made)


def test_kept_content_is_out_of_reach_until_it_is_restored(world, cast, worker):
    made = running(world, cast, worker, entry=EntryStatus.OPENED, edition="other")
    fill(world, cast, made)

    world.run(delete_instance, cast.owner, DeleteInstance(made.id, content=Content.KEEP))
    worker.run_out()

    with pytest.raises(InstanceUnknown):
        show(world, cast, made)
    (kept,) = world.run(list_buckets, world.operator)
    assert (kept.public_id, kept.tenant, kept.namespaces) == (made.public_id, cast.acme.id, 2)
    assert kept.size == 40
    with pytest.raises(NotEmpty):
        world.run(delete_tenant, world.operator, cast.acme.id)
    other = make(world, cast)  # the name is free
    with pytest.raises(NameTaken):
        world.run(restore_bucket, world.operator, RestoreBucket(made.public_id))

    back = world.run(restore_bucket, world.operator, RestoreBucket(made.public_id, "acme-back"))

    assert (back.id, back.public_id, back.name) == (made.id, made.public_id, "acme-back")
    shown = show(world, cast, made)
    assert (shown.status, shown.edition) == (InstanceStatus.RUNNING, "other")
    assert shown.public_entry is EntryStatus.CLOSED
    assert shown.has_public_namespace
    assert served(world) == {"acme-back"}
    assert living(world, repository_rows, made) == 4
    assert world.run(list_buckets, world.operator) == []
    assert status(world, other) is InstanceStatus.PENDING
    with pytest.raises(BucketUnknown):
        world.run(purge_bucket, world.operator, made.public_id)


def test_kept_content_is_purged(world, cast, worker):
    made = running(world, cast, worker)
    fill(world, cast, made)
    command = DeleteInstance(made.id, content=Content.KEEP, at_once=True)
    world.run(delete_instance, cast.owner, command)

    world.run(purge_bucket, world.operator, made.public_id)

    assert world.run(list_buckets, world.operator) == []
    worker.run_out()
    assert_gone(world, cast, made)


# -- kills ------------------------------------------------------------------------------------------------------------


def survive(worker, is_before):
    """Run to the end, being killed around the first transaction, later around the second, and so on."""
    die_at, kills = 1, 0
    while True:
        try:
            if not worker.step(die_at=die_at, is_before=is_before):
                return kills
        except Killed:
            kills += 1
            die_at += 1


@pytest.mark.parametrize("is_before", [True, False])
def test_killed_anywhere_a_creation_goes_on(world, cast, worker, is_before):
    made = make(world, cast)
    assert survive(worker, is_before) > 0
    assert status(world, made) is InstanceStatus.RUNNING
    assert served(world) == {"acme-own"}
    assert waiting(world) == []


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("content", [Content.DELETE, Content.KEEP])
def test_killed_anywhere_a_deletion_goes_on(world, cast, worker, content, is_before, monkeypatch):
    monkeypatch.setattr(removing, "BATCH", 2)
    monkeypatch.setattr(removing, "ATTEMPTS", 50)
    made = running(world, cast, worker)
    fill(world, cast, made)
    world.run(delete_instance, cast.owner, DeleteInstance(made.id, content=content))

    assert survive(worker, is_before) > (0 if content is Content.KEEP else 1)

    if content is Content.DELETE:
        assert_gone(world, cast, made)
    else:
        (kept,) = world.run(list_buckets, world.operator)
        assert kept.namespaces == 2


def test_a_task_that_was_given_up_with_its_workers_is_started_again(world, cast, worker):
    made = make(world, cast)
    for _ in range(deploying.ATTEMPTS):
        with pytest.raises(Killed):
            worker.step(die_at=1, is_before=True)
    assert waiting(world) == []
    assert status(world, made) is InstanceStatus.PENDING

    worker.watch()
    worker.run_out()

    assert status(world, made) is InstanceStatus.RUNNING
    worker.watch()
    assert waiting(world) == []


def test_a_deleted_tenants_instances_leave_no_limits_and_tags(world, cast, worker):
    made = running(world, cast, worker, edition="small", tags={"a": "1"})

    world.run(delete_tenant, world.operator, cast.acme.id)

    assert status(world, made) is InstanceStatus.DELETED
    assert rows(world, quotas, quotas.c.subject_kind == "edition") == 0
    assert world.read(lambda c: resource_tags.tags_of(c, "instance", made.public_id)) == {}
    assert served(world) == set()
