"""Triggers: who makes them, and what they may say."""

import pytest
import sqlalchemy as sa
from trigger_stage import aim, repository, trigger

from entrepot.capabilities.content import place
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.capabilities.policies import triggers
from entrepot.capabilities.policies.triggers import (
    EnableTrigger,
    NamedTrigger,
    create_trigger,
    delete_trigger,
    enable_trigger,
    get_trigger,
    list_triggers,
)
from entrepot.metadata import namespaces, policies, purging
from entrepot.metadata import triggers as rows
from entrepot.metadata.schema import trigger_runs as runs
from entrepot.model.access import ANONYMOUS, SYSTEM, Level
from entrepot.model.errors import (
    Forbidden,
    NameTaken,
    QuotaExceeded,
    RepositoryUnknown,
    Unauthenticated,
    ValueInvalid,
)
from entrepot.model.patterns import PatternInvalid
from entrepot.model.triggers import Condition, ConditionKind, TriggerUnknown
from entrepot.oci.reference import RepositoryName

pytestmark = pytest.mark.broad

WRONG = [
    ("name", {"name": ""}),
    ("name", {"name": "a/b"}),
    ("name", {"name": ".."}),
    ("name", {"name": "x" * 65}),
    ("name", {"name": "two words"}),
    ("condition", {"condition": Condition(ConditionKind.ALL, "v1")}),
    ("condition", {"condition": Condition(ConditionKind.TAGS, "")}),
    ("condition", {"condition": Condition(ConditionKind.TAGS, "v1;;v2")}),
    ("condition", {"condition": Condition(ConditionKind.TAGS, "no tag at all")}),
    ("condition", {"condition": Condition(ConditionKind.TAGS, ";".join(["v"] * 101))}),
    ("condition", {"condition": Condition(ConditionKind.PATTERN, "x" * 5000)}),
    ("workload", {"aimed": aim(workload="Web")}),
    ("workload", {"aimed": aim(workload="../x")}),
    ("namespace", {"aimed": aim(namespace="")}),
    ("namespace", {"aimed": aim(namespace="a/b")}),
    ("container", {"aimed": aim(container="a b")}),
    ("cluster", {"aimed": aim("")}),
    ("cluster", {"aimed": aim("x" * 129)}),
    ("cluster_name", {"aimed": aim("c", cluster_name="x" * 129)}),
]


def test_triggers_are_made_shown_switched_and_deleted(world, cast, app):
    given = trigger(app, aimed=aim("some-cluster", cluster_name="c1", container="app"))

    made = world.run(create_trigger, cast.owner, given)
    world.run(create_trigger, cast.owner, trigger(app, "t2", enabled=False))

    shown = world.run(list_triggers, cast.owner, app)
    assert [(one.trigger.name, one.trigger.is_enabled) for one in shown] == [
        ("t1", True),
        ("t2", False),
    ]
    assert shown[0].trigger == made
    assert (made.condition, made.aim, made.creator_name) == (given.condition, given.aim, "owner")
    assert made.tenant == cast.acme.id
    assert world.run(get_trigger, cast.owner, NamedTrigger(app, "t1")).runs == ()
    world.run(enable_trigger, cast.owner, EnableTrigger(NamedTrigger(app, "t2"), enabled=True))
    assert world.run(get_trigger, cast.owner, NamedTrigger(app, "t2")).trigger.is_enabled
    world.run(delete_trigger, cast.owner, NamedTrigger(app, "t1"))
    assert len(world.run(list_triggers, cast.owner, app)) == 1
    for use_case, asked in (
        (get_trigger, NamedTrigger(app, "t1")),
        (delete_trigger, NamedTrigger(app, "t1")),
        (enable_trigger, EnableTrigger(NamedTrigger(app, "t1"), enabled=True)),
    ):
        with pytest.raises(TriggerUnknown):
            world.run(use_case, cast.owner, asked)
    done = [
        action for action in ("create", "enable", "delete") if world.audited(f"trigger.{action}")
    ]
    assert done == ["create", "enable", "delete"]


def test_who_may_edit_the_repository_makes_triggers_and_who_may_read_it_sees_them(world, cast, app):
    found = repository(world, app)

    def give(level):
        def write(conn):
            policies.set_grant(
                conn, cast.member.user, found.namespace, repository=found.id, level=level
            )

        world.ctx.db.write_sync(write)

    asked = (
        (create_trigger, trigger(app, "own")),
        (enable_trigger, EnableTrigger(NamedTrigger(app, "own"), enabled=False)),
        (delete_trigger, NamedTrigger(app, "own")),
    )
    world.run(create_trigger, cast.owner, trigger(app))
    for use_case, command in (*asked, (list_triggers, app), (get_trigger, NamedTrigger(app, "t1"))):
        for caller in (cast.member, cast.stranger):
            with pytest.raises(Forbidden):
                world.run(use_case, caller, command)
        with pytest.raises(Unauthenticated):
            world.run(use_case, ANONYMOUS, command)
    give(Level.READ)
    assert len(world.run(list_triggers, cast.member, app)) == 1
    for use_case, command in asked:
        with pytest.raises(Forbidden):
            world.run(use_case, cast.member, command)
    give(Level.EDIT)
    for use_case, command in asked:
        world.run(use_case, cast.member, command)


def test_that_a_repository_is_public_shows_nobody_its_triggers(world, cast):
    public = CreateNamespace(world.shared.id, cast.acme.id, "open", is_public=True)
    world.run(create_namespace, cast.owner, public)
    here = Place(world.shared, RepositoryName("open", "app"))

    def write(conn):
        namespace = namespaces.find_namespace(conn, here.instance.id, "open")
        place.create(conn, namespace, "app", caller=SYSTEM)

    world.ctx.db.write_sync(write)
    world.run(create_trigger, cast.owner, trigger(here))

    for caller, error in ((cast.stranger, Forbidden), (ANONYMOUS, Unauthenticated)):
        with pytest.raises(error):
            world.run(list_triggers, caller, here)
        with pytest.raises(error):
            world.run(get_trigger, caller, NamedTrigger(here, "t1"))


def test_values_out_of_bounds_are_refused(world, cast, app):
    for field, values in WRONG:
        with pytest.raises(ValueInvalid) as refused:
            world.run(create_trigger, cast.owner, trigger(app, **values))
        assert refused.value.field == field
    for text in ("(", "(?=x)", "", "a" * 300):
        bad = Condition(ConditionKind.PATTERN, text)
        with pytest.raises(PatternInvalid):
            world.run(create_trigger, cast.owner, trigger(app, condition=bad))
    assert world.run(list_triggers, cast.owner, app) == []


def test_names_are_unique_in_a_repository_and_triggers_bounded(world, cast, app, monkeypatch):
    monkeypatch.setattr(triggers, "MOST_TRIGGERS", 2)
    world.run(create_trigger, cast.owner, trigger(app))

    with pytest.raises(NameTaken):
        world.run(create_trigger, cast.owner, trigger(app))
    world.run(create_trigger, cast.owner, trigger(app, "t2"))
    with pytest.raises(QuotaExceeded):
        world.run(create_trigger, cast.owner, trigger(app, "t3"))


def test_triggers_go_with_their_repository(world, cast, app):
    made = world.run(create_trigger, cast.owner, trigger(app))
    found = repository(world, app)

    def write(conn):
        rows.record_run(conn, made.id, "v1", succeeded=True, detail="", pushed_at=1, keep=5)
        namespaces.tombstone_repository(conn, found.id, 1)
        before = rows.get_trigger(conn, made.id)
        purging.remove_repository(conn, found.id)
        return before, conn.execute(sa.select(runs)).all()

    assert world.ctx.db.write_sync(write) == (None, [])
    with pytest.raises(RepositoryUnknown):
        world.run(list_triggers, cast.owner, app)


def test_the_history_keeps_the_latest_runs(world, cast, app):
    made = world.run(create_trigger, cast.owner, trigger(app))

    def write(conn):
        for number in range(7):
            rows.record_run(
                conn, made.id, f"v{number}", succeeded=True, detail="", pushed_at=number, keep=5
            )
        return rows.list_runs(conn, made.id, limit=100)

    assert [run.tag for run in world.ctx.db.write_sync(write)] == ["v6", "v5", "v4", "v3", "v2"]
