"""The one evaluator: its order, its sources of rights, and what never changes."""

import json
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_fields

from entrepot.capabilities.access.conditions import Conditions, Facts
from entrepot.capabilities.access.documents import (
    NATIVE,
    DocumentInvalid,
    Effect,
    Reading,
    Statement,
    Vocabularies,
    Vocabulary,
    parse_native,
)
from entrepot.capabilities.access.evaluator import EVERYTHING, NOBODY, Rights, decide, level_on
from entrepot.capabilities.access.wildcard import Wildcard
from entrepot.model.access import InstanceNames, Level, Naming, Permission, Resource, Role
from entrepot.model.ids import InstanceId, Micros, NamespaceId, RepositoryId, TenantId

P = Permission
MINE, OTHERS = TenantId(1), TenantId(2)
NAMESPACE, REPOSITORY = NamespaceId(10), RepositoryId(100)
REPO = Resource(MINE, InstanceId(1), NAMESPACE, "team", REPOSITORY, "app")
SPACE = Resource(MINE, InstanceId(1), NAMESPACE, "team")
NEW = Resource(MINE, InstanceId(1), NAMESPACE, "team", None, "new/app")
TENANT = Resource(MINE)
DEPLOYMENT = Resource(None)
PUBLIC = replace_fields(REPO, is_public=True)
FOREIGN = Resource(OTHERS, InstanceId(1), NamespaceId(11), "theirs", RepositoryId(101), "app")
CONTENT = sorted(
    {
        P.PULL,
        P.PUSH,
        P.DELETE,
        P.REPOSITORY_CREATE,
        P.REPOSITORY_EDIT,
        P.REPOSITORY_MANAGE,
        P.NAMESPACE_READ,
    }
)


def policies(*statements: dict) -> Reading:
    return Vocabularies().read([("entrepot", json.dumps({"statements": list(statements)}))])


def allow(actions: str, resources: str, **conditions) -> dict:
    return {"effect": "allow", "actions": [actions], "resources": [resources], **conditions}


def deny(actions: str, resources: str, **conditions) -> dict:
    return allow(actions, resources, **conditions) | {"effect": "deny"}


def member(**rights) -> Rights:
    return Rights(tenant=MINE, role=Role.MEMBER, **rights)


OWNER = Rights(tenant=MINE, role=Role.OWNER)
ADMINISTRATOR = Rights(tenant=MINE, role=Role.ADMINISTRATOR)
ROOT = Rights(tenant=MINE, role=Role.ADMINISTRATOR, is_root_tenant=True)
ANONYMOUS = Rights(is_anonymous=True)


def granted(level: Level) -> Rights:
    return member(namespace_grants={NAMESPACE: level})


def granted_repository(level: Level) -> Rights:
    return member(repository_grants={REPOSITORY: level})


OTHER_FOREIGN = replace_fields(FOREIGN, repository=RepositoryId(102))
SHARED = member(shares={RepositoryId(101): None})
PLACES = Naming(MINE, instances={InstanceId(1): InstanceNames("one", "here")})
ROBOT = Rights(tenant=MINE, permissions={NAMESPACE: frozenset({P.PULL, P.REPOSITORY_CREATE})})

TABLE = [
    # nobody, jobs
    (NOBODY, P.PULL, PUBLIC, False),
    (replace(OWNER, is_active=False), P.PULL, PUBLIC, False),
    (EVERYTHING, P.DEPLOYMENT_MANAGE, DEPLOYMENT, True),
    # administrators
    (OWNER, P.IDENTITY_MANAGE, TENANT, True),
    (ADMINISTRATOR, P.DELETE, REPO, True),
    (ADMINISTRATOR, P.PULL, FOREIGN, False),
    (ROOT, P.PULL, FOREIGN, False),
    (ROOT, P.NAMESPACE_MANAGE, FOREIGN, False),
    (ROOT, P.DEPLOYMENT_MANAGE, DEPLOYMENT, True),
    (ROOT, P.QUOTA_MANAGE, Resource(OTHERS), True),
    (OWNER, P.QUOTA_MANAGE, TENANT, False),
    (OWNER, P.DEPLOYMENT_MANAGE, DEPLOYMENT, False),
    (Rights(tenant=MINE, role=Role.MEMBER, is_root_tenant=True), P.QUOTA_MANAGE, TENANT, False),
    (member(policies=policies(allow("*", "*"))), P.QUOTA_MANAGE, TENANT, False),
    (replace(ADMINISTRATOR, tenant=None), P.NAMESPACE_READ, Resource(None), False),
    # members have nothing at first
    *((member(), permission, REPO, False) for permission in CONTENT),
    (member(), P.NAMESPACE_CREATE, TENANT, False),
    (member(), P.CATALOG, Resource(None, InstanceId(1)), True),
    (ANONYMOUS, P.CATALOG, Resource(None, InstanceId(1)), False),
    # grants
    (granted(Level.READ), P.PULL, REPO, True),
    (granted(Level.READ), P.NAMESPACE_READ, SPACE, True),
    (granted(Level.READ), P.PUSH, REPO, False),
    (granted(Level.READ), P.REPOSITORY_CREATE, NEW, False),
    (granted(Level.EDIT), P.PULL, REPO, True),
    (granted(Level.EDIT), P.PUSH, REPO, True),
    (granted(Level.EDIT), P.DELETE, REPO, True),
    (granted(Level.EDIT), P.REPOSITORY_CREATE, NEW, True),
    (granted(Level.EDIT), P.PUSH, NEW, True),
    (granted(Level.EDIT), P.REPOSITORY_MANAGE, REPO, False),
    (granted(Level.EDIT), P.NAMESPACE_MANAGE, SPACE, False),
    (granted(Level.MANAGE), P.REPOSITORY_MANAGE, REPO, True),
    (granted(Level.MANAGE), P.NAMESPACE_MANAGE, SPACE, True),
    (granted(Level.MANAGE), P.IDENTITY_MANAGE, TENANT, False),
    (granted(Level.MANAGE), P.NAMESPACE_CREATE, SPACE, False),
    (granted(Level.MANAGE), P.PULL, FOREIGN, False),
    (granted_repository(Level.READ), P.PULL, REPO, True),
    (granted_repository(Level.READ), P.PUSH, REPO, False),
    (granted_repository(Level.READ), P.PULL, NEW, False),
    (granted_repository(Level.EDIT), P.DELETE, REPO, True),
    (granted_repository(Level.EDIT), P.REPOSITORY_CREATE, NEW, False),
    (granted_repository(Level.MANAGE), P.REPOSITORY_MANAGE, REPO, True),
    (granted_repository(Level.MANAGE), P.NAMESPACE_MANAGE, SPACE, False),
    (granted_repository(Level.MANAGE), P.NAMESPACE_READ, SPACE, False),
    # a lower grant on the repository takes nothing from the namespace's
    (
        member(
            namespace_grants={NAMESPACE: Level.MANAGE}, repository_grants={REPOSITORY: Level.READ}
        ),
        P.REPOSITORY_MANAGE,
        REPO,
        True,
    ),
    # policies
    (member(policies=policies(allow("repository:pull", "team/*"))), P.PULL, REPO, True),
    (member(policies=policies(allow("repository:pull", "team/*"))), P.PUSH, REPO, False),
    (member(policies=policies(allow("repository:pull", "team"))), P.PULL, REPO, False),
    (member(policies=policies(allow("namespace:read", "team"))), P.NAMESPACE_READ, SPACE, True),
    (member(policies=policies(allow("repository:*", "team/new*"))), P.PUSH, NEW, True),
    (member(policies=policies(allow("*", "*"))), P.PULL, FOREIGN, False),
    (member(policies=policies(allow("identity:manage", "*"))), P.IDENTITY_MANAGE, TENANT, True),
    (member(policies=policies(allow("identity:manage", "team"))), P.IDENTITY_MANAGE, TENANT, False),
    # denials come first
    (replace(OWNER, policies=policies(deny("repository:delete", "*"))), P.DELETE, REPO, False),
    (replace(OWNER, policies=policies(deny("repository:delete", "*"))), P.PULL, REPO, True),
    (replace(ROOT, policies=policies(deny("*", "*"))), P.DEPLOYMENT_MANAGE, DEPLOYMENT, False),
    (replace(granted(Level.READ), policies=policies(deny("*", "team/app"))), P.PULL, REPO, False),
    (member(policies=policies(deny("*", "team/app"))), P.PULL, PUBLIC, False),
    (member(policies=policies(deny("*", "theirs/*"))), P.PULL, FOREIGN, False),
    (
        member(policies=policies(allow("*", "*"), deny("repository:push", "team/app"))),
        P.PUSH,
        REPO,
        False,
    ),
    # service accounts
    (ROBOT, P.PULL, REPO, True),
    (ROBOT, P.REPOSITORY_CREATE, NEW, True),
    (ROBOT, P.PUSH, REPO, False),
    (ROBOT, P.PULL, FOREIGN, False),
    (ROBOT, P.PULL, replace_fields(FOREIGN, is_public=True), True),
    # shares
    (SHARED, P.PULL, FOREIGN, True),
    (replace(SHARED, role=Role.OWNER), P.PULL, FOREIGN, True),
    (SHARED, P.PUSH, FOREIGN, False),
    (SHARED, P.REPOSITORY_MANAGE, FOREIGN, False),
    (SHARED, P.NAMESPACE_READ, FOREIGN, False),
    (SHARED, P.PULL, OTHER_FOREIGN, False),
    (replace(SHARED, tenant=OTHERS), P.PULL, FOREIGN, False),
    (replace(ROBOT, shares=SHARED.shares), P.PULL, FOREIGN, False),
    (replace(ANONYMOUS, shares=SHARED.shares), P.PULL, FOREIGN, False),
    (
        replace(SHARED, policies=policies(deny("repository:pull", "theirs/*"))),
        P.PULL,
        FOREIGN,
        False,
    ),
    # caps
    (replace(OWNER, caps=policies(allow("repository:*", "*"))), P.DELETE, REPO, True),
    (replace(OWNER, caps=policies(allow("repository:pull", "*"))), P.DELETE, REPO, False),
    (replace(OWNER, caps=policies(allow("*", "*"), deny("*", "team/*"))), P.PULL, REPO, False),
    (replace(OWNER, caps=policies()), P.PULL, PUBLIC, False),
    (replace(OWNER, caps=policies()), P.CATALOG, Resource(None, InstanceId(1)), True),
    (member(caps=policies(allow("*", "*"))), P.PULL, REPO, False),
    (replace(ROBOT, caps=policies(allow("repository:pull", "team/app"))), P.PULL, REPO, True),
    (
        replace(ROBOT, caps=policies(allow("repository:pull", "team/app"))),
        P.REPOSITORY_CREATE,
        NEW,
        False,
    ),
    (replace(SHARED, caps=policies(allow("*", "team/*"))), P.PULL, FOREIGN, False),
    # only in one region
    (member(policies=policies(allow("*", "*")).only_in("here"), naming=PLACES), P.PULL, REPO, True),
    (
        member(policies=policies(allow("*", "*")).only_in("there"), naming=PLACES),
        P.PULL,
        REPO,
        False,
    ),
    (member(policies=policies(allow("*", "*")).only_in("here")), P.PULL, REPO, False),
    (
        replace(OWNER, policies=policies(deny("*", "*")).only_in("there"), naming=PLACES),
        P.PULL,
        REPO,
        True,
    ),
    # visibility
    (ANONYMOUS, P.PULL, PUBLIC, True),
    (ANONYMOUS, P.PULL, REPO, False),
    (ANONYMOUS, P.PUSH, PUBLIC, False),
    (ANONYMOUS, P.NAMESPACE_READ, PUBLIC, False),
    (replace(ANONYMOUS, may_pull_public=False), P.PULL, PUBLIC, False),
    (member(), P.PULL, replace_fields(FOREIGN, is_public=True), True),
]


@pytest.mark.parametrize(("rights", "permission", "resource", "expected"), TABLE)
def test_the_table_of_rights(rights, permission, resource, expected):
    decision = decide(rights, permission, resource)

    assert decision.allowed == expected, decision.reason


# -- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "allowed", "denied"),
    [
        ("10.1.2.3", True, True),
        ("::ffff:10.1.2.3", True, True),
        ("192.0.2.1", False, False),
        ("2001:db8::1", False, False),
        ("", False, True),
        ("unix", False, True),
    ],
)
def test_an_address_that_cannot_be_told_is_never_to_the_callers_advantage(source, allowed, denied):
    only_here = policies(allow("repository:pull", "*", source=["10.0.0.0/8"]))
    not_here = policies(deny("repository:pull", "*", source=["10.0.0.0/8"]))

    assert decide(member(policies=only_here, source=source), P.PULL, REPO).allowed == allowed
    owner = replace(OWNER, policies=not_here, source=source)
    assert decide(owner, P.PULL, REPO).allowed != denied


def test_a_statement_counts_from_its_first_moment_until_before_its_last():
    span = policies(
        allow("*", "*", not_before="1970-01-01T00:00:01Z", not_after="1970-01-01T01:00:02+01:00")
    )

    moments = [999_999, 1_000_000, 1_999_999, 2_000_000]
    answers = [decide(member(policies=span, now=Micros(m)), P.PULL, REPO).allowed for m in moments]

    assert answers == [False, True, True, False]


# -- documents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"statements": {}}',
        '{"statements": [{"effect": "permit", "actions": ["*"], "resources": ["*"]}]}',
        '{"statements": [{"effect": "deny", "actions": ["repository:pul"], "resources": ["*"]}]}',
        '{"statements": [{"effect": "deny", "actions": ["*"], "resources": ["*"], "sources": []}]}',
        '{"statements": [{"effect": "deny", "actions": ["*"], "resources": ["*"], "source": ["10/8"]}]}',
        '{"statements": [{"effect": "deny", "actions": ["*"], "resources": ["*"], "not_after": "2026-01-01T00:00:00"}]}',
        '{"statements": [{"effect": "deny", "actions": ["*"], "resources": ["%s"]}]}'
        % ("a" * 1025),
        '{"statements": ['
        + ",".join(['{"effect":"deny","actions":["*"],"resources":["*"]}'] * 257)
        + "]}",
        '{"statements": []}' + " " * 70_000,
        "[" * 5000,
    ],
)
def test_a_document_that_cannot_be_read_denies_its_user_everything(document):
    with pytest.raises(DocumentInvalid):
        parse_native(document)
    reading = Vocabularies().read([("entrepot", document)])

    assert not reading.is_readable
    assert not decide(replace(ROOT, policies=reading), P.PULL, PUBLIC).allowed


def test_a_dialect_nobody_registered_denies_its_user_everything():
    reading = Vocabularies().read([("entrepot", '{"statements": []}'), ("tcr", "{}")])

    assert not decide(replace(OWNER, policies=reading), P.PULL, REPO).allowed
    with pytest.raises(DocumentInvalid, match="tcr"):
        Vocabularies().check("tcr", "{}")


def test_a_registered_dialect_speaks_of_permissions_in_its_own_words():
    words = {P.PULL: ("x:Get", "x:Read"), P.PUSH: ("x:Put",)}
    dialect = Vocabulary(
        "x",
        parse_native_of_x,
        words,
        lambda resource, *_: [f"urn:{resource.namespace_name}:{resource.path}"],
    )
    reading = Vocabularies((NATIVE, dialect)).read([("x", "x:R*")])

    rights = member(policies=reading)
    assert decide(rights, P.PULL, REPO).allowed
    assert not decide(rights, P.PUSH, REPO).allowed
    assert not decide(rights, P.DELETE, REPO).allowed


def parse_native_of_x(text: str):
    return (Statement(Effect.ALLOW, (Wildcard.parse(text),), (Wildcard.parse("urn:team:*"),)),)


def in_words(effect: Effect, action: str, **more) -> Rights:
    """A member with one statement of a dialect that knows operations."""
    dialect = Vocabulary(
        "x",
        lambda text: (Statement(effect, (Wildcard.parse(text),), (Wildcard.parse("*"),)),),
        {P.PULL: ("x:get",), P.REPOSITORY_MANAGE: ("x:change", "x:drop")},
        lambda *_: ["thing"],
        prefix="x:",
        is_caseless=True,
        **more,
    )
    given = {NAMESPACE: Level.MANAGE} if effect is Effect.DENY else {}
    reading = Vocabularies((dialect,)).read([("x", action)])
    return member(policies=reading, namespace_grants=given)


def test_an_operation_of_the_dialects_own_is_the_only_word_that_counts():
    listing = in_words(Effect.ALLOW, "x:list")

    assert not decide(listing, P.PULL, REPO).allowed
    assert decide(replace(listing, operation="x:List"), P.PULL, REPO).allowed
    assert decide(replace(listing, operation="x:List"), P.PUSH, REPO).allowed
    assert not decide(replace(listing, operation="y:List"), P.PULL, REPO).allowed
    getting = in_words(Effect.ALLOW, "x:get")
    assert decide(replace(getting, operation="y:List"), P.PULL, REPO).allowed
    assert not decide(replace(getting, operation="x:List"), P.PULL, REPO).allowed


def test_a_permission_of_several_words_is_given_by_all_and_taken_by_one():
    for action, gives, takes in (
        ("x:change", False, True),
        ("x:*", True, True),
        ("x:g*", False, False),
    ):
        allowed = decide(in_words(Effect.ALLOW, action, needs_all=True), P.REPOSITORY_MANAGE, REPO)
        left = decide(in_words(Effect.DENY, action, needs_all=True), P.REPOSITORY_MANAGE, REPO)
        assert (allowed.allowed, not left.allowed) == (gives, takes), action


@pytest.mark.parametrize(
    ("source", "holds"),
    [("10.1.2.3", False), ("::ffff:10.1.2.3", False), ("192.0.2.1", True), ("2001:db8::1", True)],
)
def test_networks_may_be_left_out(source, holds):
    elsewhere = Conditions(not_sources=(ip_network("10.0.0.0/8"),))

    assert elsewhere.hold(Facts(source), unknown=False) is holds
    assert elsewhere.hold(Facts("unix"), unknown=True)
    assert not elsewhere.hold(Facts("unix"), unknown=False)


def test_an_address_must_be_inside_and_not_left_out():
    both = Conditions(sources=(ip_network("10.0.0.0/8"),), not_sources=(ip_network("10.9.0.0/16"),))

    held = [both.hold(Facts(s), unknown=True) for s in ("10.1.0.1", "10.9.0.1", "192.0.2.1")]
    assert held == [True, False, False]


# -- what never changes -----------------------------------------------------------------------------------------------

permissions = st.sampled_from(Permission)
resources = st.sampled_from([REPO, SPACE, NEW, TENANT, DEPLOYMENT, PUBLIC, FOREIGN])
patterns = st.sampled_from(["*", "team", "team/*", "team/app", "*/app", "theirs/*", "t*m/n*"])
actions = st.sampled_from(["*", "repository:*", *Permission])
statements = st.builds(
    lambda make, action, pattern: make(str(action), pattern),
    st.sampled_from([allow, deny]),
    actions,
    patterns,
)
rights_of_anybody = st.builds(
    lambda rights, written, level: replace(
        rights, policies=policies(*written), namespace_grants={NAMESPACE: level}
    ),
    st.sampled_from([OWNER, ADMINISTRATOR, ROOT, member(), ROBOT, ANONYMOUS]),
    st.lists(statements, max_size=4),
    st.sampled_from(Level),
)


def with_statement(rights: Rights, statement: dict) -> Rights:
    added = policies(statement).statements
    return replace(rights, policies=Reading(rights.policies.statements + added))


@given(rights_of_anybody, permissions, resources)
def test_a_denial_of_everything_always_wins(rights, permission, resource):
    assert not decide(with_statement(rights, deny("*", "*")), permission, resource).allowed


@given(rights_of_anybody, permissions, resources, actions, patterns)
def test_adding_an_allowance_never_takes_anything_away(
    rights, permission, resource, action, pattern
):
    before = decide(rights, permission, resource).allowed
    after = decide(
        with_statement(rights, allow(str(action), pattern)), permission, resource
    ).allowed

    assert after or not before


@given(rights_of_anybody, permissions, resources, actions, patterns)
def test_adding_a_denial_never_gives_anything(rights, permission, resource, action, pattern):
    before = decide(rights, permission, resource).allowed
    after = decide(with_statement(rights, deny(str(action), pattern)), permission, resource).allowed

    assert before or not after


@given(rights_of_anybody, permissions, st.sampled_from(Level))
def test_a_grant_on_a_repository_never_lowers(rights, permission, level):
    before = decide(rights, permission, REPO).allowed
    after = decide(replace(rights, repository_grants={REPOSITORY: level}), permission, REPO).allowed

    assert after or not before


@given(rights_of_anybody, permissions, resources, st.lists(statements, max_size=3))
def test_a_cap_only_takes(rights, permission, resource, written):
    before = decide(rights, permission, resource).allowed
    capped = decide(replace(rights, caps=policies(*written)), permission, resource).allowed

    assert before or not capped


@given(rights_of_anybody, permissions, resources, st.lists(statements, max_size=3))
def test_another_cap_never_takes_but_by_denying(rights, permission, resource, written):
    allowances = [one for one in written if one["effect"] == "allow"]
    one, two = (policies(*some) for some in (written, [*written, *allowances, allow("*", "*")]))
    before = decide(replace(rights, caps=one), permission, resource).allowed
    after = decide(replace(rights, caps=two), permission, resource).allowed

    assert after or not before


@given(rights_of_anybody, permissions, resources)
def test_a_share_gives_only_pull_on_what_is_shared(rights, permission, resource):
    before = decide(rights, permission, resource).allowed
    shared = replace(rights, shares={FOREIGN.repository: None})
    after = decide(shared, permission, resource).allowed

    assert after or not before
    if after and not before:
        assert (permission, resource) == (P.PULL, FOREIGN)


@given(rights_of_anybody)
def test_a_level_is_what_may_be_done_there(rights):
    level = level_on(rights, REPO)

    assert decide(rights, P.PULL, REPO).allowed or level is not Level.READ
    assert (level is Level.MANAGE) == decide(rights, P.REPOSITORY_MANAGE, REPO).allowed


@given(rights_of_anybody, permissions)
def test_nobody_reaches_into_another_tenant_but_where_it_is_public_or_granted(rights, permission):
    allowed = decide(rights, permission, FOREIGN).allowed

    assert not allowed or permission in (P.CATALOG, P.QUOTA_MANAGE, P.DEPLOYMENT_MANAGE)
