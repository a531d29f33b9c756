"""Grants of many users at once, all or none; and caps and policies of one project in the database; on both engines."""

import json
from dataclasses import dataclass

import pytest

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.access.identities.caps import Cap, cap_tenant, list_caps, uncap_tenant
from entrepot.capabilities.access.identities.granting import (
    RevokeGrants,
    UserLevel,
    WriteGrants,
    change_grants,
    give_grants,
    revoke_grants,
    show_grants,
)
from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.identities.groups import (
    Membership,
    NamedGroup,
    add_member,
    create_group,
)
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    NamedPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
    delete_policy,
    detach_policy,
    get_policy,
    update_policy,
)
from entrepot.capabilities.access.identities.tenants import delete_tenant
from entrepot.capabilities.access.issuing import Asked, Scope, issue_token
from entrepot.capabilities.access.rights import of_namespace, of_repository
from entrepot.capabilities.access.targets import Target
from entrepot.metadata import namespaces, tenants
from entrepot.model.access import ANONYMOUS, Level, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import (
    Denied,
    Forbidden,
    NamespaceUnknown,
    Protected,
    RepositoryUnknown,
    UserUnknown,
    ValueInvalid,
)
from entrepot.model.identities import (
    Attachment,
    GrantTaken,
    GrantUnknown,
    LevelInvalid,
    OwnGrant,
    PolicyUnknown,
    ProjectUnknown,
    User,
    UserMisnamed,
)
from entrepot.model.tenancy import Namespace

P = Permission


@dataclass
class Stage:
    """A namespace of acme with a repository, and four plain users of acme."""

    world: object
    cast: object
    space: Namespace
    app: Repository
    users: dict[str, User]

    def caller(self, name: str) -> LoggedIn:
        return self.world.caller(self.users[name])

    def target(self, path: str | None = None) -> Target:
        return Target(self.app.instance, "team", path)

    def levels(self, *wanted: tuple[str, int]) -> tuple[UserLevel, ...]:
        return tuple(UserLevel(self.users[n].public_id, n, Level(level)) for n, level in wanted)

    def give(self, *wanted, by=None, path=None) -> None:
        command = WriteGrants(self.target(path), self.levels(*wanted))
        self.world.run(give_grants, by or self.cast.owner, command)

    def change(self, *wanted, by=None, path=None) -> None:
        command = WriteGrants(self.target(path), self.levels(*wanted))
        self.world.run(change_grants, by or self.cast.owner, command)

    def revoke(self, *names, by=None, path=None) -> None:
        ids = tuple(self.users[n].public_id if n in self.users else n for n in names)
        self.world.run(revoke_grants, by or self.cast.owner, RevokeGrants(self.target(path), ids))

    def shown(self, by=None, path=None):
        found = self.world.run(show_grants, by or self.cast.owner, self.target(path))
        return found.own.level, {one.user_name: int(one.level) for one in found.others}

    def may(self, caller, permission, on=None) -> bool:
        judge = self.world.ctx.access.judge
        resource = of_repository(self.app) if on is None else on
        return self.world.read(lambda conn: judge.allowed(conn, caller, permission, resource))


@pytest.fixture
def stage(world, cast) -> Stage:
    shared = world.shared.id

    def write(conn) -> tuple[Namespace, Repository]:
        space = namespaces.insert_namespace(
            conn, shared, cast.acme.id, name="team", is_public=False, created_by=cast.admin.user
        )
        return space, namespaces.insert_repository(conn, space, "web/app", created_by=None)

    space, app = world.ctx.db.write_sync(write)
    users = {name: world.user(cast.acme, name) for name in ("ann", "ben", "cat", "dan")}
    return Stage(world, cast, space, app, users)


PATH = "web/app"


# -- grants -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [None, PATH])
def test_many_are_given_changed_and_taken_back_at_once(stage, path):
    stage.give(("ann", 1), ("ben", 3), path=path)
    assert stage.shown(path=path) == (Level.MANAGE, {"ann": 1, "ben": 3})
    assert stage.may(stage.caller("ann"), P.PULL)
    assert not stage.may(stage.caller("ann"), P.PUSH)

    stage.change(("ann", 7), ("ben", 1), path=path)
    assert stage.shown(path=path)[1] == {"ann": 7, "ben": 1}
    assert stage.shown(stage.caller("ben"), path) == (Level.READ, {"ann": 7})

    stage.revoke("ann", "cat", "0" * 32, path=path)
    assert stage.shown(path=path)[1] == {"ben": 1}
    assert not stage.may(stage.caller("ann"), P.PULL)
    assert [outcome for _, _, outcome in stage.world.audited("grant.give")] == ["done"] * 2


@pytest.mark.parametrize("path", [None, PATH])
def test_what_cannot_be_done_for_one_is_done_for_none(stage, path):
    stage.give(("ann", 1), path=path)
    for wanted in ((("ben", 1), ("ann", 3)), (("ben", 1), ("cat", 1), ("ben", 3))):
        with pytest.raises(GrantTaken):
            stage.give(*wanted, path=path)
    with pytest.raises(GrantUnknown):
        stage.change(("ann", 7), ("ben", 1), path=path)
    for names in (("ben",), ("0" * 32, "cat"), ("ben", "dan")):
        with pytest.raises(GrantUnknown):
            stage.revoke(*names, path=path)
    for users, error in (
        ((UserLevel("0" * 32, "ann", Level.READ),), UserUnknown),
        ((UserLevel(stage.users["ben"].public_id, "bernard", Level.READ),), UserMisnamed),
        (
            (*stage.levels(("ben", 1)), UserLevel(stage.users["cat"].public_id, "cat", Level.NONE)),
            LevelInvalid,
        ),
        ((), ValueInvalid),
        (stage.levels(("ben", 1)) * 501, ValueInvalid),
    ):
        with pytest.raises(error):
            stage.world.run(give_grants, stage.cast.owner, WriteGrants(stage.target(path), users))
    with pytest.raises(ValueInvalid):
        stage.revoke(path=path)

    assert stage.shown(path=path)[1] == {"ann": 1}


def test_users_of_another_tenant_are_not_there(stage):
    other, _ = stage.world.tenant("elsewhere")
    foreign = stage.world.user(other, "foreign")
    command = WriteGrants(stage.target(), (UserLevel(foreign.public_id, "foreign", Level.READ),))

    with pytest.raises(UserUnknown):
        stage.world.run(give_grants, stage.cast.owner, command)
    with pytest.raises(GrantUnknown):
        stage.revoke(foreign.public_id)


def test_who_gives_grants(stage):
    """On a namespace whoever manages it; on a repository also whoever edits the namespace, but nobody for themselves."""
    world, cast = stage.world, stage.cast
    for level in (1, 3):
        world.run(set_grant, cast.owner, SetGrant(stage.target(), "ann", Level(level)))
        with pytest.raises(Forbidden):
            stage.give(("ben", 1), by=stage.caller("ann"))
        if level == 1:
            with pytest.raises(Forbidden):
                stage.give(("ben", 1), by=stage.caller("ann"), path=PATH)
    stage.give(("ben", 7), by=stage.caller("ann"), path=PATH)
    stage.give(("cat", 3), by=stage.caller("ben"), path=PATH)
    for act in (stage.give, stage.change):
        with pytest.raises(OwnGrant):
            act(("ben", 7), by=stage.caller("ben"), path=PATH)
    with pytest.raises(OwnGrant):
        stage.revoke("ben", by=stage.caller("ben"), path=PATH)
    with pytest.raises(Forbidden):
        stage.give(("dan", 1), by=stage.caller("cat"), path=PATH)
    with pytest.raises(Forbidden):
        stage.give(("dan", 1), by=stage.caller("ben"))
    world.run(set_grant, cast.owner, SetGrant(stage.target(), "ann", Level.MANAGE))
    stage.give(("dan", 7), by=stage.caller("ann"))
    for stranger in (cast.stranger, ANONYMOUS):
        with pytest.raises(Denied):
            stage.give(("dan", 1), by=stranger, path=PATH)
        with pytest.raises(Denied):
            stage.shown(stranger)
        with pytest.raises(Denied):
            stage.shown(stranger, PATH)


def test_what_is_not_there_is_told_to_who_could_have_it(stage):
    for target, error in (
        (Target(stage.app.instance, "nothing"), NamespaceUnknown),
        (Target(stage.app.instance, "team", "nothing"), RepositoryUnknown),
    ):
        for act, command in (
            (show_grants, target),
            (give_grants, WriteGrants(target, stage.levels(("ann", 1)))),
            (revoke_grants, RevokeGrants(target, ("0" * 32,))),
        ):
            with pytest.raises(error):
                stage.world.run(act, stage.cast.admin, command)
            with pytest.raises(Forbidden):
                stage.world.run(act, stage.caller("ann"), command)


def test_the_level_is_what_all_rules_give_together(stage):
    world = stage.world
    judge = world.ctx.access.judge
    for name, on_space, on_app, expected in (
        ("ann", None, 1, 1),
        ("ben", 3, 1, 3),
        ("cat", 1, 7, 7),
        ("dan", None, None, 0),
    ):
        if on_space:
            stage.give((name, on_space))
        if on_app:
            stage.give((name, on_app), path=PATH)
        caller, on = stage.caller(name), of_repository(stage.app)
        assert world.read(lambda conn, c=caller, o=on: judge.level(conn, c, o)) == expected
    assert (
        world.read(lambda conn: judge.level(conn, stage.cast.owner, of_namespace(stage.space))) == 7
    )
    found = world.run(show_grants, stage.cast.owner, stage.target())
    assert (found.number, found.creator, found.own.user_name) == (1, "admin", "owner")


# -- caps -------------------------------------------------------------------------------------------------------------


def swr(action="*", resource="*", effect="Allow", **more) -> str:
    rule = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "5.0", "Statement": [rule]})


def root_policy(stage, name: str, document: str) -> None:
    world = stage.world
    world.run(create_policy, world.operator, WritePolicy(world.root.id, name, document, "swr"))


def test_a_cap_limits_everybody_of_the_tenant_and_gives_nothing(stage):
    world, cast = stage.world, stage.cast
    stage.give(("ann", 7))
    root_policy(stage, "readers", swr(["swr:repo:download", "swr:namespace:*"]))
    world.run(cap_tenant, cast.root, Cap(cast.acme.id, "readers"))
    world.run(cap_tenant, cast.root, Cap(cast.acme.id, "readers"))

    for caller in (cast.owner, cast.admin, stage.caller("ann")):
        assert stage.may(caller, P.PULL)
        assert not stage.may(caller, P.PUSH)
        assert not stage.may(caller, P.IDENTITY_MANAGE, Resource(cast.acme.id))
    assert not stage.may(stage.caller("ben"), P.PULL)
    assert [one.name for one in world.run(list_caps, cast.root, cast.acme.id)] == ["readers"]

    world.run(cap_tenant, cast.root, Cap(cast.acme.id, "SWR Admin"))
    assert stage.may(cast.owner, P.PUSH)
    world.run(uncap_tenant, cast.root, Cap(cast.acme.id, "SWR Admin"))
    assert not stage.may(cast.owner, P.PUSH)
    world.run(uncap_tenant, cast.root, Cap(cast.acme.id, "readers"))
    assert stage.may(cast.owner, P.IDENTITY_MANAGE, Resource(cast.acme.id))
    with pytest.raises(PolicyUnknown):
        world.run(uncap_tenant, cast.root, Cap(cast.acme.id, "readers"))
    assert len(world.audited("tenant.cap")) == 2


def test_what_lists_show_is_capped_too(stage):
    world, cast = stage.world, stage.cast
    root_policy(stage, "none", swr(effect="Deny", resource="swr:*:*:repo:team/*"))
    everything = json.dumps({"Version": "5.0", "Statement": [{"Effect": "Allow", "Action": "*"}]})
    root_policy(stage, "all", everything)

    def is_shown() -> bool:
        def read(conn):
            listing = world.ctx.access.visible_repositories(
                conn, cast.owner, include_public=False, instance=stage.app.instance
            )
            return listing.admits(stage.app)

        return world.read(read)

    world.run(cap_tenant, cast.root, Cap(cast.acme.id, "all"))
    assert is_shown()
    world.run(cap_tenant, cast.root, Cap(cast.acme.id, "none"))
    assert not is_shown()


def test_only_who_runs_the_deployment_caps_and_never_the_root_tenant(stage):
    world, cast = stage.world, stage.cast
    for caller in (cast.owner, cast.stranger, cast.member, ANONYMOUS):
        with pytest.raises(Denied):
            world.run(cap_tenant, caller, Cap(cast.acme.id, "SWR Admin"))
        with pytest.raises(Denied):
            world.run(uncap_tenant, caller, Cap(cast.acme.id, "SWR Admin"))
    with pytest.raises(Protected):
        world.run(cap_tenant, cast.root, Cap(world.root.id, "SWR Admin"))
    with pytest.raises(PolicyUnknown):
        world.run(cap_tenant, cast.root, Cap(cast.acme.id, "nothing"))
    assert world.run(list_caps, cast.owner, cast.acme.id) == []
    for caller in (cast.stranger, cast.member):
        with pytest.raises(Forbidden):
            world.run(list_caps, caller, cast.acme.id)


def test_who_may_only_manage_people_of_the_root_tenant_changes_no_cap(stage):
    world, cast = stage.world, stage.cast
    clerk = world.user(world.root, "clerk")
    people = (
        '{"statements": [{"effect": "allow", "actions": ["identity:manage"], "resources": ["*"]}]}'
    )
    world.run(create_policy, world.operator, WritePolicy(world.root.id, "people", people))
    world.run(attach_policy, world.operator, AttachPolicy(world.root.id, "people", user="clerk"))
    root_policy(stage, "cap", swr("swr:repo:download"))
    wanted = WritePolicy(world.root.id, "cap", swr("swr:repo:*"), "swr")
    world.run(update_policy, world.caller(clerk), wanted)
    world.run(cap_tenant, cast.root, Cap(cast.acme.id, "cap"))

    with pytest.raises(Forbidden):
        world.run(update_policy, world.caller(clerk), wanted)
    with pytest.raises(Forbidden):
        world.run(delete_policy, world.caller(clerk), NamedPolicy(world.root.id, "cap"))


def test_a_change_of_a_cap_counts_at_once_and_it_goes_with_policy_and_tenant(stage):
    world, cast = stage.world, stage.cast
    scope = f"tenant:{cast.acme.id}"
    root_policy(stage, "cap", swr("swr:repo:download"))
    epochs = [world.epoch(scope)]
    world.run(cap_tenant, cast.root, Cap(cast.acme.id, "cap"))
    epochs.append(world.epoch(scope))
    world.run(
        update_policy, world.operator, WritePolicy(world.root.id, "cap", swr("swr:repo:*"), "swr")
    )
    epochs.append(world.epoch(scope))
    assert stage.may(cast.owner, P.PUSH)
    other, _owner = world.tenant("shortlived")
    world.run(cap_tenant, cast.root, Cap(other.id, "cap"))
    shown = world.run(get_policy, world.operator, NamedPolicy(world.root.id, "cap"))
    assert shown.attachments == (Attachment("tenant", "acme"), Attachment("tenant", "shortlived"))
    world.run(delete_tenant, world.operator, other.id)
    shown = world.run(get_policy, world.operator, NamedPolicy(world.root.id, "cap"))
    assert shown.attachments == (Attachment("tenant", "acme"),)
    world.run(delete_policy, world.operator, NamedPolicy(world.root.id, "cap"))
    epochs.append(world.epoch(scope))
    assert epochs == sorted(set(epochs))
    assert stage.may(cast.owner, P.IDENTITY_MANAGE, Resource(cast.acme.id))


# -- in one project ---------------------------------------------------------------------------------------------------


def test_a_policy_of_a_group_may_count_in_one_project_only(stage):
    world, cast = stage.world, stage.cast
    acme = cast.acme.id
    ann = stage.caller("ann")
    world.run(create_group, cast.owner, NamedGroup(acme, "crew"))
    world.run(add_member, cast.owner, Membership(acme, "crew", "ann"))
    (project,) = world.read(lambda conn: tenants.list_projects(conn, acme))
    here = AttachPolicy(acme, "SWR Admin", group="crew", project=project.name)

    world.run(attach_policy, cast.owner, here)
    world.run(attach_policy, cast.owner, here)
    assert stage.may(ann, P.PUSH)
    elsewhere = Resource(acme, namespace_name="team", path="app", region="there-1")
    assert not stage.may(ann, P.PUSH, elsewhere)
    shown = world.run(get_policy, cast.owner, NamedPolicy(acme, "SWR Admin"))
    assert shown.attachments == (Attachment("group", "crew", project.name),)

    everywhere = AttachPolicy(acme, "SWR Admin", group="crew")
    with pytest.raises(PolicyUnknown):
        world.run(detach_policy, cast.owner, everywhere)
    world.run(attach_policy, cast.owner, everywhere)
    world.run(detach_policy, cast.owner, here)
    assert stage.may(ann, P.PUSH)
    world.run(detach_policy, cast.owner, everywhere)
    assert not stage.may(ann, P.PUSH)
    with pytest.raises(ProjectUnknown):
        world.run(
            attach_policy,
            cast.owner,
            AttachPolicy(acme, "SWR Admin", group="crew", project="nowhere"),
        )
    with pytest.raises(ValueInvalid):
        world.run(
            attach_policy,
            cast.owner,
            AttachPolicy(acme, "SWR Admin", user="ann", project=project.name),
        )


# -- conditions on the data plane -------------------------------------------------------------------------------------


def test_a_token_of_somebody_whose_policies_ask_from_where_is_judged_at_each_use(stage):
    world, cast, access = stage.world, stage.cast, stage.world.ctx.access
    office = swr("swr:repo:download", Condition={"IpAddress": {"g:SourceIp": "10.0.0.0/8"}})
    world.run(create_policy, cast.owner, WritePolicy(cast.acme.id, "office", office, "swr"))
    world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, "office", user="ann"))
    world.do(access.start())
    scope = Scope("repository", "team/web/app", ("pull",))

    def token(source: str):
        caller = stage.caller("ann").at(source, "")
        made = world.do(issue_token(access, world.shared, caller, Asked((scope,))))
        return access.bearer(made.token, world.shared.id, source=source)

    inside = token("10.1.2.3")
    assert world.do(access.permits(inside, P.PULL, stage.app))
    assert not world.do(access.permits(inside.at("192.0.2.1", ""), P.PULL, stage.app))
    assert not world.do(access.permits(token("192.0.2.1"), P.PULL, stage.app))
