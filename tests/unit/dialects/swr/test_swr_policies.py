"""Identity policies: what they say of permissions and operations on named things, on what conditions, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from entrepot.capabilities.access.conditions import Facts, Need
from entrepot.capabilities.access.documents import DocumentInvalid, Vocabularies
from entrepot.capabilities.access.evaluator import Rights, decide
from entrepot.dialects.swr import conditions
from entrepot.dialects.swr.actions import ACTIONS, EVALUATED, WITHOUT_MEANING
from entrepot.dialects.swr.policies import SWR
from entrepot.dialects.swr.policy_documents import KNOWN_ACTIONS, check, parse
from entrepot.dialects.swr.table import TABLE
from entrepot.model.access import (
    Fact,
    InstanceNames,
    Naming,
    Permission,
    Principal,
    Resource,
    Role,
)
from entrepot.model.ids import InstanceId, Micros, NamespaceId, RepositoryId, TenantId

P = Permission
MINE, OTHERS = TenantId(1), TenantId(2)
SHARED, DEDICATED = InstanceId(1), InstanceId(2)
ACCOUNT = "0123456789abcdef0123456789abcdef"
NAMES = Naming(
    MINE,
    "100000000001",
    "1300000001",
    {
        SHARED: InstanceNames("shared-one", "here-1", is_shared=True),
        DEDICATED: InstanceNames("tcr-one", "here-1"),
    },
    ACCOUNT,
)
SPACE = Resource(MINE, SHARED, NamespaceId(10), "team")
REPO = Resource(MINE, SHARED, NamespaceId(10), "team", RepositoryId(100), "app")
DEEP = Resource(MINE, SHARED, NamespaceId(10), "team", RepositoryId(101), "app/web")
NEW = Resource(MINE, SHARED, NamespaceId(10), "team", None, "new")
APART = Resource(MINE, DEDICATED, NamespaceId(11), "team", RepositoryId(102), "app")
FOREIGN = Resource(OTHERS, SHARED, NamespaceId(12), "theirs", RepositoryId(103), "app")
WHOLE = Resource(MINE, DEDICATED)
TENANT = Resource(MINE)
ALICE = Principal("a" * 32, "alice", ACCOUNT, "acme")
VOCABULARIES = Vocabularies((SWR,))


def policy(action="swr:*", resource="*", effect="Allow", version="5.0", **more) -> str:
    rule = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": version, "Statement": [rule]})


def rights(*documents: str, role=Role.MEMBER, **more) -> Rights:
    policies = VOCABULARIES.read(("swr", document) for document in documents)
    assert policies.is_readable
    known = {"naming": NAMES, "principal": ALICE, **more}
    return Rights(tenant=MINE, role=role, policies=policies, **known)


def may(known: Rights, permission: Permission, resource: Resource) -> bool:
    return decide(known, permission, resource).allowed


def urn(kind: str, path: str, region="*", account="*") -> str:
    return f"swr:{region}:{account}:{kind}:{path}"


# -- things -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        ("*", [SPACE, REPO, DEEP, APART]),
        (urn("*", "*"), [SPACE, REPO, DEEP, APART]),
        (urn("repo", "*"), [REPO, DEEP]),
        (urn("repo", "team/*"), [REPO, DEEP]),
        (urn("repo", "team/app"), [REPO]),
        (urn("repo", "TEAM/App"), [REPO]),
        (urn("repo", "*/web"), [DEEP]),
        (urn("repo", "te/*"), []),
        (urn("repo", "team/app", "here-1"), [REPO]),
        (urn("repo", "team/app", "here-*", ACCOUNT), [REPO]),
        (urn("repo", "team/app", "", ""), [REPO]),
        (urn("repo", "team/app", "there-1"), []),
        (urn("repo", "team/app", account="f" * 32), []),
        (urn("namespace", "team"), [SPACE]),
        (urn("namespace", "t*m"), [SPACE]),
        (urn("repository", "tcr-one/team/app"), [APART]),
        (urn("repository", "tcr-one/*"), [APART]),
        (urn("instance", "tcr-one"), []),
        ("obs:*:*:bucket:*", []),
    ],
)
def test_things_are_called_by_region_account_and_kind(resource, named):
    known = rights(policy(resource=resource))
    asked = [(P.NAMESPACE_READ, SPACE), (P.PULL, REPO), (P.PULL, DEEP), (P.PULL, APART)]

    assert [on for permission, on in asked if may(known, permission, on)] == named


def test_what_another_tenant_has_is_named_by_a_star_only_and_given_by_nothing():
    assert not may(rights(policy(resource=urn("repo", "theirs/*"))), P.PULL, FOREIGN)
    assert not may(rights(policy()), P.PULL, FOREIGN)
    public = changed(FOREIGN, is_public=True)
    named = policy(effect="Deny", resource=urn("repo", "theirs/*", account=ACCOUNT))
    assert may(rights(named), P.PULL, public)
    assert not may(rights(policy(effect="Deny")), P.PULL, public)


# -- actions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("swr:repo:download", {P.PULL, P.CHART_PULL}),
        ("SWR:Repo:Download", {P.PULL, P.CHART_PULL}),
        ("swr:repo:upload", {P.PUSH, P.CHART_PUSH, P.REPOSITORY_CREATE}),
        ("swr:repo:createRepo", set()),
        ("swr:repo:deleteRepo*", {P.DELETE}),
        ("swr:repo:*Repo", {P.REPOSITORY_EDIT}),
        ("swr:repo:*", {p for p in P if "repository" in p} | {P.CHART_PULL, P.CHART_PUSH}),
        (["swr:repo:updateRepo", "swr:repo:deleteRepo"], {P.REPOSITORY_EDIT}),
        ("swr:repo:updateRepo", set()),
    ],
)
def test_permissions_where_no_operation_of_this_api_is_done(action, given):
    known = rights(policy(action))
    assert {one for one in P if may(known, one, REPO)} - {P.CATALOG} == given


def test_who_may_upload_makes_repositories_unless_that_is_denied():
    upload = policy("swr:repo:upload")

    assert may(rights(upload), P.REPOSITORY_CREATE, NEW)
    without = rights(upload, policy("swr:repo:createRepo", effect="Deny"))
    assert not may(without, P.REPOSITORY_CREATE, NEW)
    assert may(without, P.PUSH, REPO)


def test_in_an_operation_of_this_api_its_own_action_is_all_that_counts():
    shows = rights(policy("swr:repo:getRepo"), operation="swr:repo:getRepo")
    pulls = rights(policy("swr:repo:download"), operation="swr:repo:getRepo")

    assert may(shows, P.PULL, REPO)
    assert not may(pulls, P.PULL, REPO)
    grants = rights(policy("swr:repo:createRepoAccess", urn("repo", "team/app")), operation="swr:repo:createRepoAccess")  # fmt: skip
    assert may(grants, P.REPOSITORY_MANAGE, REPO)
    assert not may(grants, P.REPOSITORY_MANAGE, DEEP)
    lists = rights(policy("swr:namespace:listNamespaces", urn("namespace", "t*")), operation="swr:namespace:listNamespaces")  # fmt: skip
    assert may(lists, P.NAMESPACE_READ, SPACE)


def test_every_operation_of_the_api_is_called_as_an_action_of_the_vendor():
    assert {one.action for one in TABLE if one.operation.is_documented} <= set(ACTIONS)


# -- presets ----------------------------------------------------------------------------------------------------------


def test_the_system_roles_do_what_they_are_called():
    roles = {one.name: rights(one.document) for one in SWR.presets}

    def does(name: str) -> set[Permission]:
        asked = [*((p, REPO) for p in P if "repository" in p), (P.NAMESPACE_READ, SPACE), (P.NAMESPACE_CREATE, SPACE), (P.NAMESPACE_MANAGE, SPACE), (P.INSTANCE_MANAGE, WHOLE), (P.INSTANCE_READ, WHOLE), (P.ACCOUNT_MANAGE, WHOLE), (P.IDENTITY_MANAGE, TENANT)]  # fmt: skip
        return {permission for permission, on in asked if may(roles[name], permission, on)}

    content = {P.PULL, P.PUSH, P.DELETE, P.REPOSITORY_CREATE, P.REPOSITORY_EDIT}
    everything = content | {P.REPOSITORY_MANAGE, P.NAMESPACE_READ, P.NAMESPACE_CREATE, P.NAMESPACE_MANAGE}  # fmt: skip
    own = {P.INSTANCE_MANAGE, P.INSTANCE_READ, P.ACCOUNT_MANAGE}
    assert list(roles) == ["SWR Admin", "SWR FullAccess", "SWR OperateAccess", "SWR ReadOnlyAccess", "Tenant Administrator", "Tenant Guest"]  # fmt: skip
    assert does("SWR Admin") == does("SWR FullAccess") == everything
    assert does("SWR OperateAccess") == content | {P.NAMESPACE_READ, P.NAMESPACE_CREATE}
    assert does("SWR ReadOnlyAccess") == {P.PULL, P.NAMESPACE_READ}
    assert does("Tenant Administrator") == everything | own
    assert does("Tenant Guest") == {P.PULL, P.NAMESPACE_READ, P.INSTANCE_READ}


# -- conditions -------------------------------------------------------------------------------------------------------


def holds(condition: dict, facts: Facts, *, unknown=False) -> bool:
    tests, _ = conditions.parse(condition)
    return tests.hold(facts, unknown=unknown)


HERE = Facts("10.1.2.3", Micros(1_000_000), ALICE, "here-1", ("vpc-a", "vpc-b"), {Fact.TARGET_TENANT: "b" * 32, Fact.PUBLIC: "true"})  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"g:UserName": "alice"}}, True),
        ({"StringEquals": {"g:username": ["bob", "alice"]}}, True),
        ({"StringEquals": {"g:UserName": "Alice"}}, False),
        ({"StringEqualsIgnoreCase": {"g:UserName": "ALICE"}}, True),
        ({"StringNotEquals": {"g:UserName": ["bob", "carl"]}}, True),
        ({"StringNotEquals": {"g:UserName": ["bob", "alice"]}}, False),
        ({"StringMatch": {"g:UserName": "a*c?"}}, True),
        ({"StringMatch": {"g:UserName": "a*c"}}, False),
        ({"StringNotMatch": {"g:UserName": "b*"}}, True),
        ({"StringStartWith": {"g:UserName": "al"}}, True),
        ({"StringEndWithIfExists": {"g:UserName": "ce"}}, True),
        ({"StringEquals": {"g:DomainId": ACCOUNT, "g:DomainName": "acme"}}, True),
        ({"StringEquals": {"g:DomainId": ACCOUNT, "g:DomainName": "other"}}, False),
        ({"StringMatch": {"g:PrincipalUrn": "iam::*:user:alice"}}, True),
        ({"StringEquals": {"g:RequestedRegion": "here-1"}}, True),
        ({"Bool": {"g:PrincipalIsRootUser": False}}, True),
        ({"Bool": {"g:PrincipalIsRootUser": "TRUE"}}, False),
        ({"IpAddress": {"g:SourceIp": ["192.0.2.0/24", "10.1.0.0/16"]}}, True),
        ({"NotIpAddress": {"g:SourceIp": ["10.1.2.3/8"]}}, False),
        ({"NotIpAddress": {"g:SourceIp": ["2001:db8::/32"]}}, True),
        ({"DateLessThan": {"g:CurrentTime": "1970-01-01T00:00:01Z"}}, False),
        ({"DateLessThanEquals": {"g:CurrentTime": "1970-01-01T00:00:01Z"}}, True),
        ({"DateGreaterThan": {"g:CurrentTime": "1970-01-01T00:00:00.999999"}}, True),
        ({"DateGreaterThanEquals": {"g:CurrentTime": "1970-01-01T01:00:01+01:00"}}, True),
        ({"StringEquals": {"swr:TargetAccountId": "b" * 32}}, True),
        ({"StringNotEquals": {"swr:TargetAccountId": "b" * 32}}, False),
        ({"Bool": {"swr:AllowPublicAccess": "true"}}, True),
        ({"StringEquals": {"swr:VpcId": "vpc-b"}}, True),
        ({"StringNotEquals": {"swr:VpcId": "vpc-b"}}, False),
        ({"ForAllValues:StringEquals": {"swr:VpcId": ["vpc-a"]}}, False),
        ({"ForAllValues:StringMatch": {"swr:VpcId": "vpc-?"}}, True),
        ({"ForAnyValue:StringNotEquals": {"swr:VpcId": "vpc-a"}}, True),
        ({"Null": {"swr:TargetAccountId": "true"}}, False),
        ({"Null": {"swr:TargetRegion": [True]}}, True),
        # what the request does not have
        ({"StringEquals": {"swr:TargetRegion": "there-1"}}, False),
        ({"StringEqualsIfExists": {"swr:TargetRegion": "there-1"}}, True),
        ({"StringNotEquals": {"swr:TargetRegion": "there-1"}}, True),
        ({"ForAllValues:StringEquals": {"swr:TargetRegion": "there-1"}}, True),
        ({"ForAnyValue:StringEquals": {"swr:TargetRegion": "there-1"}}, False),
        ({}, True),
    ],
)
def test_conditions_hold_as_their_operators_say(condition, expected):
    assert holds(condition, HERE) is expected
    assert holds(condition, HERE, unknown=True) is expected


@pytest.mark.parametrize("operator", ["IpAddress", "NotIpAddress", "IpAddressIfExists"])
def test_what_cannot_be_told_is_to_nobodys_advantage(operator):
    condition = {operator: {"g:SourceIp": "10.0.0.0/8"}}
    for source in ("", "unix"):
        assert holds(condition, Facts(source), unknown=True)
        assert not holds(condition, Facts(source), unknown=False)
    both = {**condition, "StringEquals": {"g:UserName": "bob"}}
    assert not holds(both, Facts("unix", principal=ALICE), unknown=True)


def test_a_statement_with_conditions_allows_and_denies_only_where_they_hold():
    office = {"IpAddress": {"g:SourceIp": "10.0.0.0/8"}}
    inside = rights(policy("swr:repo:download", Condition=office), source="10.9.9.9")
    outside = rights(policy("swr:repo:download", Condition=office), source="192.0.2.1")

    assert may(inside, P.PULL, REPO)
    assert not may(outside, P.PULL, REPO)
    guarded = policy("swr:repo:createRepoDomain", effect="Deny", Condition={"StringNotEquals": {"swr:TargetAccountId": "b" * 32}})  # fmt: skip
    owner = rights(guarded, role=Role.OWNER, operation="swr:repo:createRepoDomain")
    assert may(owner, P.REPOSITORY_MANAGE, changed(REPO, about={Fact.TARGET_TENANT: "b" * 32}))
    assert not may(owner, P.REPOSITORY_MANAGE, changed(REPO, about={Fact.TARGET_TENANT: "c" * 32}))


def test_what_a_document_needs_to_be_judged_is_known():
    def needs(**condition) -> set[Need]:
        return set(VOCABULARIES.read([("swr", policy(Condition=condition))]).needs)

    assert needs() == set()
    assert needs(StringEquals={"g:UserName": "alice"}) == set()
    assert needs(IpAddress={"g:SourceIp": "10.0.0.0/8"}) == {Need.MOMENT}
    assert needs(StringEquals={"g:RequestedRegion": "here-1"}) == {Need.NAMES}
    assert needs(StringEquals={"swr:VpcId": "vpc-a"}) == {Need.NETWORKS}
    named = VOCABULARIES.read([("swr", policy(resource=urn("repo", "team/*")))])
    assert named.needs == {Need.NAMES}


# -- what is refused --------------------------------------------------------------------------------------------------


def condition(operator: str, key: str, *values) -> str:
    return policy(Condition={operator: {key: list(values)}})


@pytest.mark.parametrize(
    "document",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        "[" * 5000,
        '{"Version": "5.0"}',
        policy(version="2.0"),
        policy(effect="allow"),
        policy(effect="Permit"),
        policy(action=[]),
        policy(resource=[]),
        policy(action="download"),
        policy(action="swr:repo:dowload"),
        policy(action="swr:repos:*"),
        policy(action="registry:instance:destroy"),
        policy(resource="team/app"),
        policy(resource="swr:repo:team/app"),
        policy(resource=urn("repos", "team/*")),
        policy(resource=urn("repo", "team")),
        policy(resource=urn("repo", "team/a b")),
        policy(resource=urn("repo", "team/ap?")),
        policy(resource=urn("namespace", "team/app")),
        policy("swr:repo:download", urn("namespace", "team")),
        policy("swr:namespace:*", urn("repo", "team/*")),
        policy(resource=urn("repo", "*", region="here 1")),
        policy(NotAction=["swr:*"]),
        policy(Principal="*"),
        policy(Condition=[]),
        policy(Condition={"StringEquals": {}}),
        policy(Condition={"IpAddress": {"g:SourceIp": 5}}),
        condition("StringEqual", "g:UserName", "alice"),
        condition("StringLike", "g:UserName", "alice"),
        condition("ForEach:StringEquals", "g:UserName", "alice"),
        condition("NullIfExists", "g:UserName", "true"),
        condition("NumberEquals", "g:UserName", "5"),
        condition("StringEquals", "g:SourceIp", "10.0.0.1"),
        condition("IpAddress", "g:UserName", "10.0.0.1"),
        condition("IpAddress", "g:SourceIp", "10.0.0.256"),
        condition("IpAddress", "g:SourceIp"),
        condition("DateLessThan", "g:CurrentTime", "tomorrow"),
        condition("Bool", "g:PrincipalIsRootUser", "yes"),
        condition("StringEquals", "g:UserName", True),
        condition("StringEquals", "g:UserNames", "alice"),
        condition("StringEquals", "g:UserName", "a" * 1025),
        policy("swr:repo:download", Condition={"StringEquals": {"swr:TargetAccountId": "b"}}),
        '{"Version": "5.0", "Version": "5.0", "Statement": []}',
        json.dumps({"Version": "5.0", "Statement": [json.loads(policy())["Statement"][0]] * 257}),
        policy() + " " * 70_000,
        *(condition("StringEquals", key, "a") for key in WITHOUT_MEANING),
    ],
)
def test_what_is_unknown_ambiguous_or_could_never_apply_is_refused(document):
    with pytest.raises(DocumentInvalid):
        parse(document)


def test_other_services_are_let_be():
    parse(policy(["obs:bucket:listBucket", "ecs:*:*", "*"], ["obs:*:*:bucket:*"]))
    parse(policy("*", version="1.1"))
    assert parse('{"Version": "1.1", "Statement": {"Effect": "Deny", "Action": "swr:repo:*"}}')


def test_of_other_accounts_a_document_cannot_speak():
    def checked(account: str) -> None:
        check(parse(policy(resource=urn("repo", "team/*", account=account))), NAMES)

    for own in ("*", "", ACCOUNT, "0123*"):
        checked(own)
    with pytest.raises(DocumentInvalid, match="f" * 32):
        checked("f" * 32)


def test_the_tables_of_actions_and_keys_fit_together():
    assert set(EVALUATED) | {key for key in conditions.KEYS if key.startswith("g:")} == set(conditions.KEYS)  # fmt: skip
    assert {action for actions in EVALUATED.values() for action in actions} <= set(ACTIONS)
    assert not set(WITHOUT_MEANING) & set(conditions.KEYS)
    words = {word for permission in P for word in SWR.actions[permission]}
    assert words <= KNOWN_ACTIONS


# -- what never changes -----------------------------------------------------------------------------------------------

texts = st.text(st.sampled_from("ab*?"), max_size=8)


@given(texts, texts)
def test_patterns_match_as_a_slow_reading_says(value, pattern):
    def slow(text: str, rest: str) -> bool:
        if not rest:
            return not text
        if rest[0] == "*":
            return slow(text, rest[1:]) or (bool(text) and slow(text[1:], rest))
        return bool(text) and rest[0] in ("?", text[0]) and slow(text[1:], rest[1:])

    assert holds({"StringMatch": {"g:UserName": pattern}}, Facts(principal=Principal("1", value or "x"))) is slow(value or "x", pattern.strip())  # fmt: skip


@given(st.text(max_size=300) | st.recursive(st.none() | st.booleans() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Condition", "Bool", "g:UserName"]), inner, max_size=5), max_leaves=20).map(json.dumps))  # fmt: skip
def test_no_text_does_more_harm_than_to_be_refused(text):
    try:
        parse(text)
    except DocumentInvalid:
        return
