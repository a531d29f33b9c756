"""CAM policies in the database: attached, named, asked at every door, on both engines."""

import json
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from entrepot.capabilities.access.accounts import (
    CreateToken,
    DeleteToken,
    ListTokens,
    create_token,
    delete_token,
    list_tokens,
)
from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    ListPolicies,
    NamedPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
    delete_policy,
    detach_policy,
    get_policy,
    list_policies,
    update_policy,
)
from entrepot.capabilities.access.issuing import Asked, Scope, issue_token
from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    ListNamespaces,
    create_namespace,
    list_namespaces,
)
from entrepot.capabilities.operations.first_start import first_start
from entrepot.dialects.swr.policies import SWR
from entrepot.metadata import instances, namespaces, tenants
from entrepot.metadata.schema import audit
from entrepot.model.access import AccountKind, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import AccountUnknown, Forbidden, NameTaken, Protected, ValueInvalid
from entrepot.model.identities import Attachment, PolicyUnknown
from entrepot.model.tenancy import Instance, InstanceKind

pytestmark = pytest.mark.broad

P = Permission
FULL, READER = "QcloudTCRFullAccess", "QcloudTCRReadOnlyAccess"
ROLES = sorted(preset.name for preset in SWR.presets)  # of the other dialect


def cam(action="tcr:*", resource="*", effect="allow", **more) -> str:
    rule = {"effect": effect, "action": action, "resource": resource, **more}
    return json.dumps({"version": "2.0", "statement": rule})


@dataclass(frozen=True)
class Places:
    """Two dedicated instances of acme, one of others; a repository `team/app` in each, and in the shared instance."""

    one: Instance
    two: Instance
    foreign: Instance
    apps: dict[int, Repository]

    def app(self, instance: Instance) -> Repository:
        return self.apps[instance.id]


@pytest.fixture
def places(world, cast) -> Places:
    def write(conn) -> Places:
        region = tenants.list_regions(conn)[0].id
        made = [
            instances.insert_instance(
                conn, InstanceKind.DEDICATED, name, tenant=tenant, region=region
            )
            for name, tenant in (
                ("acme-one", cast.acme.id),
                ("acme-two", cast.acme.id),
                ("foreign", cast.stranger.tenant),
            )
        ]
        apps = {}
        for instance in (*made, instances.default_instance(conn)):
            tenant = instance.tenant or cast.acme.id
            namespace = namespaces.insert_namespace(
                conn, instance.id, tenant, name="team", is_public=False, created_by=None
            )
            apps[instance.id] = namespaces.insert_repository(
                conn, namespace, "app", created_by=None
            )
        return Places(*made, apps)

    return world.ctx.db.write_sync(write)


def give(world, cast, document: str, *, to: str = "member", name: str = "given") -> None:
    """A policy of acme, in CAM's words, attached to one of its users."""
    world.run(create_policy, cast.owner, WritePolicy(cast.acme.id, name, document, "tcr"))
    world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, name, user=to))


def may(world, caller: LoggedIn, permission: Permission, on) -> bool:
    resource = of_repository(on) if isinstance(on, Repository) else on
    judge = world.ctx.access.judge
    return world.read(lambda conn: judge.allowed(conn, caller, permission, resource))


def shown(world, caller: LoggedIn, repositories, instance=None) -> list[int]:
    """The instances whose repository a list shows."""

    def read(conn) -> list[int]:
        listing = world.ctx.access.visible_repositories(
            conn, caller, include_public=False, instance=instance
        )
        return [r.instance for r in repositories if listing.admits(r)]

    return world.read(read)


def test_things_are_called_by_their_instance_and_their_account(world, cast, places):
    named = f"qcs::tcr:here-1:uin/{cast.acme.uin}:repository/{places.one.public_id}/team/*"
    give(world, cast, cam(resource=named))

    assert may(world, cast.member, P.PULL, places.app(places.one))
    assert may(world, cast.member, P.PUSH, places.app(places.one))
    assert not may(world, cast.member, P.PULL, places.app(places.two))
    assert not may(world, cast.member, P.PULL, places.app(world.shared))
    assert not may(world, cast.member, P.PULL, places.app(places.foreign))
    assert not may(world, cast.member, P.INSTANCE_READ, Resource(cast.acme.id, places.one.id))


def test_the_shared_instance_has_a_name_too_and_regions_are_told_apart(world, cast, places):
    shared = f"qcs::tcr:here-1::repository/{world.shared.public_id}/team/app"
    elsewhere = f"qcs::tcr:there-1::repository/{places.one.public_id}/*"
    give(world, cast, cam(resource=[shared, elsewhere]))

    assert may(world, cast.member, P.PULL, places.app(world.shared))
    assert not may(world, cast.member, P.PULL, places.app(places.one))


def test_lists_show_what_is_named(world, cast, places):
    give(world, cast, cam("tcr:PullRepository", f"qcs::tcr:::repository/{places.two.public_id}/*"))
    everything = list(places.apps.values())

    assert shown(world, cast.member, everything) == [places.two.id]
    assert shown(world, cast.member, everything, places.two.id) == [places.two.id]
    listing = replace(cast.member, operation="tcr:DescribeRepositories")
    assert shown(world, listing, everything) == []


def test_lists_hide_what_is_denied_by_name_also_from_the_owner(world, cast, places):
    hidden = f"qcs::tcr:::repository/{places.two.public_id}/*"
    give(world, cast, cam(resource=hidden, effect="deny"), to="owner")
    everything = list(places.apps.values())

    assert shown(world, cast.owner, everything) == [places.one.id, world.shared.id]
    assert not may(world, cast.owner, P.PULL, places.app(places.two))
    assert may(world, cast.owner, P.PULL, places.app(places.one))


def test_namespaces_are_listed_by_the_action_on_their_names(world, cast, places):
    give(
        world,
        cast,
        cam("tcr:DescribeNamespaces", f"qcs::tcr:::repository/{places.one.public_id}/t*"),
    )
    listing = replace(cast.member, operation="tcr:DescribeNamespaces")

    def names(instance):
        command = ListNamespaces(instance.id)
        return [found.name for found in world.run(list_namespaces, listing, command)]

    assert names(places.one) == ["team"]
    assert names(places.two) == []


def test_addresses_and_times_are_conditions(world, cast, places):
    inside = {
        "ip_equal": {"qcs:ip": "10.0.0.0/8"},
        "ip_not_equal": {"qcs:ip": "10.9.0.0/16"},
        "date_less_than": {"qcs:current_time": "2100-01-01T00:00:00Z"},
    }
    over = {"date_less_than": {"qcs:current_time": "2001-01-01T00:00:00Z"}}
    give(world, cast, cam("tcr:PullRepository", condition=inside))
    give(world, cast, cam("tcr:PushRepository", condition=over), name="over")
    app = places.app(places.one)

    answers = [
        may(world, replace(cast.member, source=source), P.PULL, app)
        for source in ("10.1.2.3", "10.9.2.3", "192.0.2.1", "")
    ]

    assert answers == [True, False, False, False]
    assert not may(world, replace(cast.member, source="10.1.2.3"), P.PUSH, app)


def test_a_denial_beats_owner_administrator_and_allowance(world, cast, places):
    text = cam("tcr:DeleteImage", effect="deny")
    world.run(create_policy, cast.owner, WritePolicy(cast.acme.id, "keep", text, "tcr"))
    for user in ("member", "admin", "owner"):
        world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, "keep", user=user))
    world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, FULL, user="member"))

    for caller in (cast.member, cast.admin, cast.owner):
        deleting = replace(caller, operation="tcr:DeleteImage")
        assert may(world, caller, P.PULL, places.app(places.one))
        assert not may(world, caller, P.DELETE, places.app(places.one))
        assert not may(world, deleting, P.DELETE, places.app(places.one))


def test_what_is_another_tenants_is_never_named(world, cast, places):
    uin = world.read(lambda conn: tenants.get_tenant(conn, cast.stranger.tenant)).uin
    foreign = f"qcs::tcr::uin/{uin}:repository/{places.foreign.public_id}/*"
    with pytest.raises(ValueInvalid):
        give(world, cast, cam(resource=foreign))
    give(world, cast, cam(resource=["*", foreign.replace(f"uin/{uin}", "*")]), name="all")

    assert not may(world, cast.member, P.PULL, places.app(places.foreign))
    assert shown(world, cast.member, [places.app(places.foreign)], places.foreign.id) == []
    foreigner = world.run(
        create_policy, cast.stranger, WritePolicy(cast.stranger.tenant, "x", cam(), "tcr")
    )
    with pytest.raises(PolicyUnknown):
        world.run(
            attach_policy, cast.owner, AttachPolicy(cast.acme.id, foreigner.name, user="member")
        )


def test_nobody_learns_another_tenants_account_by_storing_a_policy_there(world, cast):
    guess = cam(resource="qcs::tcr::uin/100000000009:instance/*")

    with pytest.raises(Forbidden):
        world.run(create_policy, cast.stranger, WritePolicy(cast.acme.id, "p", guess, "tcr"))


def granted(world, caller, instance, *actions) -> list[str]:
    """What a token lets through of a push and pull that were asked for."""
    asked = Asked((Scope("repository", "team/app", actions or ("pull", "push")),))
    issued = world.do(issue_token(world.ctx.access, instance, caller, asked))
    known = world.ctx.access.bearer(issued.token, instance.id)
    scope = known.repositories.get("team/app")
    return [] if scope is None else sorted(scope.permissions)


def test_docker_pulls_by_its_action_alone_and_no_api_action_lets_it_push(world, cast, places):
    world.do(world.ctx.access.start())
    give(
        world,
        cast,
        cam(
            ["tcr:PullRepository", "tcr:DuplicateImage"],
            f"qcs::tcr:::repository/{places.one.public_id}/team/app",
        ),
    )

    assert granted(world, cast.member, places.one) == [P.PULL]
    assert granted(world, cast.member, places.two) == []
    duplicating = replace(cast.member, operation="tcr:DuplicateImage")
    assert may(world, duplicating, P.PUSH, places.app(places.one))
    assert not may(world, cast.member, P.PUSH, places.app(places.one))


def test_own_tokens_need_no_policy_but_one_may_deny_them(world, cast, places):
    def make(caller):
        command = CreateToken(places.one, AccountKind.LONGTERM)
        return world.run(create_token, caller, command).account

    making = replace(cast.member, operation="tcr:CreateInstanceToken")
    own = make(making)
    named = f"qcs::tcr:::instance/{places.one.public_id}"
    give(world, cast, cam(["tcr:*InstanceToken"], named, "deny"))

    for caller in (making, cast.member):
        with pytest.raises(Forbidden):
            make(caller)
        with pytest.raises(Forbidden):
            world.run(list_tokens, caller, ListTokens(places.one))
        with pytest.raises(AccountUnknown):
            world.run(delete_token, caller, DeleteToken(places.one, own.public_id))
    assert world.run(create_token, making, CreateToken(places.two, AccountKind.LONGTERM)).account


def test_only_policies_that_speak_of_names_cost_another_read(world, cast, places):
    app = places.app(places.one)

    def statements(caller) -> int:
        before = world.ctx.db.statistics.counts()
        may(world, caller, P.PULL, app)
        return (world.ctx.db.statistics.counts() - before).statements

    without = statements(cast.member)
    world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, READER, user="member"))
    with_preset = statements(cast.member)
    give(world, cast, cam(resource=f"qcs::tcr:::instance/{places.one.public_id}"))

    assert statements(cast.owner) == without
    assert statements(cast.member) == with_preset + 1


# -- presets ----------------------------------------------------------------------------------------------------------


def test_every_tenant_has_the_presets_and_its_own_policies_between_them(world, cast):
    for name in ("A", "QcloudTCRG", "z"):
        world.run(create_policy, cast.owner, WritePolicy(cast.acme.id, name, cam(), "tcr"))

    def names(caller, tenant, after="", limit=1000):
        found = world.run(list_policies, caller, ListPolicies(tenant, after, limit))
        return [policy.name for policy in found]

    everything = ["A", FULL, "QcloudTCRG", READER, *ROLES, "z"]
    assert names(cast.owner, cast.acme.id) == everything
    assert names(cast.stranger, cast.stranger.tenant) == [FULL, READER, *ROLES]
    assert names(cast.owner, cast.acme.id, FULL, 2) == ["QcloudTCRG", READER]
    pages, after = [], ""
    while page := names(cast.owner, cast.acme.id, after, 2):
        pages, after = pages + page, page[-1]
    assert pages == everything


def test_a_preset_is_attached_by_name_and_ends_when_it_is_detached(world, cast, places):
    attach = AttachPolicy(cast.acme.id, READER, user="member")
    with pytest.raises(PolicyUnknown):
        world.run(detach_policy, cast.owner, attach)

    world.run(attach_policy, cast.owner, attach)
    world.run(attach_policy, cast.owner, attach)

    found = world.run(get_policy, cast.owner, NamedPolicy(cast.acme.id, READER))
    assert found.policy.is_preset
    assert found.attachments == (Attachment("user", "member"),)
    others = world.run(get_policy, cast.stranger, NamedPolicy(cast.stranger.tenant, READER))
    assert (others.policy.is_preset, others.attachments) == (True, ())
    assert may(world, cast.member, P.PULL, places.app(places.one))
    assert not may(world, cast.member, P.PUSH, places.app(places.one))
    world.run(detach_policy, cast.owner, attach)
    assert not may(world, cast.member, P.PULL, places.app(places.one))
    listed = world.run(list_policies, cast.owner, ListPolicies(cast.acme.id))
    assert [policy.name for policy in listed] == [FULL, READER, *ROLES]


def test_a_preset_gives_no_more_than_its_words_and_nothing_of_identities(world, cast, places):
    world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, FULL, user="member"))

    assert may(world, cast.member, P.DELETE, places.app(places.one))
    assert may(world, cast.member, P.INSTANCE_CREATE, Resource(cast.acme.id))
    assert not may(world, cast.member, P.IDENTITY_MANAGE, Resource(cast.acme.id))
    assert not may(world, cast.member, P.PULL, places.app(places.foreign))


@pytest.mark.parametrize("is_attached", [False, True])
def test_nobody_changes_or_deletes_a_preset(world, cast, is_attached):
    if is_attached:
        world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, FULL, user="member"))
    wanted = WritePolicy(cast.acme.id, FULL, cam("tcr:PullRepository"), "tcr")

    for caller in (cast.owner, world.operator):
        with pytest.raises(NameTaken):
            world.run(create_policy, caller, wanted)
        with pytest.raises(Protected):
            world.run(update_policy, caller, wanted)
        with pytest.raises(Protected):
            world.run(delete_policy, caller, NamedPolicy(cast.acme.id, FULL))
    with pytest.raises(Forbidden):
        world.run(delete_policy, cast.stranger, NamedPolicy(cast.acme.id, FULL))


def test_the_root_tenant_has_them_from_the_first_start(empty_world):
    empty_world.do(first_start(empty_world.ctx))

    found = empty_world.run(list_policies, empty_world.operator, ListPolicies(empty_world.root.id))

    assert [policy.name for policy in found] == [FULL, READER, *ROLES]


# -- the trail --------------------------------------------------------------------------------------------------------


def test_the_trail_says_which_operation_it_was(world, cast):
    owner = replace(cast.owner, operation="tcr:CreateNamespace")
    stranger = replace(cast.member, operation="tcr:CreateNamespace")
    world.run(create_namespace, owner, CreateNamespace(world.shared.id, cast.acme.id, "new"))
    world.run(create_namespace, cast.owner, CreateNamespace(world.shared.id, cast.acme.id, "more"))
    with pytest.raises(Forbidden):
        world.run(create_namespace, stranger, CreateNamespace(world.shared.id, cast.acme.id, "no"))

    query = (
        sa.select(audit.c.outcome, audit.c.details)
        .where(audit.c.action == "namespace.create")
        .order_by(audit.c.id)
    )
    world.do(world.trail.flush())
    rows = world.read(lambda conn: conn.execute(query).all())
    assert [(row.outcome, row.details.get("operation")) for row in rows] == [
        ("done", "tcr:CreateNamespace"),
        ("done", None),
        ("denied", "tcr:CreateNamespace"),
    ]
    assert rows[2].details["reason"] == "namespace:create"


def test_callers_keep_their_operation_from_request_to_request(cast):
    caller = replace(cast.owner, operation="tcr:DescribeImages")

    assert caller.at("192.0.2.1", "r-1").operation == "tcr:DescribeImages"


def test_a_namespace_that_is_named_may_be_made_by_who_may_make_it(world, cast, places):
    named = f"qcs::tcr:::repository/{places.one.public_id}/web-*"
    give(world, cast, cam("tcr:CreateNamespace", named))
    creating = replace(cast.member, operation="tcr:CreateNamespace")

    made = world.run(
        create_namespace, creating, CreateNamespace(places.one.id, cast.acme.id, "web-shop")
    )

    assert made.name == "web-shop"
    for instance, name in ((places.one, "other"), (places.two, "web-shop")):
        with pytest.raises(Forbidden):
            world.run(create_namespace, creating, CreateNamespace(instance.id, cast.acme.id, name))
