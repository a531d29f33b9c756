"""CAM documents: what they say of permissions and operations on named things, and what is refused."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.capabilities.access.conditions import Need
from entrepot.capabilities.access.documents import DocumentInvalid, Vocabularies
from entrepot.capabilities.access.evaluator import Rights, decide
from entrepot.dialects.tcr.policies import TCR
from entrepot.dialects.tcr.policy_documents import KNOWN_ACTIONS, parse
from entrepot.model.access import InstanceNames, Naming, Permission, Resource, Role
from entrepot.model.ids import InstanceId, Micros, NamespaceId, RepositoryId, TenantId

P = Permission
MINE, OTHERS = TenantId(1), TenantId(2)
ONE, TWO = InstanceId(1), InstanceId(2)
NAMES = Naming(
    MINE,
    "100000000001",
    "1300000001",
    {ONE: InstanceNames("tcr-one", "ap-here"), TWO: InstanceNames("tcr-two", "ap-there")},
)
INSTANCE = Resource(MINE, ONE)
SPACE = Resource(MINE, ONE, NamespaceId(10), "team")
REPO = Resource(MINE, ONE, NamespaceId(10), "team", RepositoryId(100), "app")
DEEP = Resource(MINE, ONE, NamespaceId(10), "team", RepositoryId(101), "app/web")
ELSEWHERE = Resource(MINE, TWO, NamespaceId(11), "team", RepositoryId(102), "app")
FOREIGN = Resource(OTHERS, ONE, NamespaceId(12), "theirs", RepositoryId(103), "app", is_public=True)
VOCABULARIES = Vocabularies((TCR,))


def cam(effect="allow", action="tcr:*", resource="*", **more) -> str:
    rule = {"effect": effect, "action": action, "resource": resource, **more}
    return json.dumps({"version": "2.0", "statement": [rule]})


def rights(*documents: str, role=Role.MEMBER, **more) -> Rights:
    policies = VOCABULARIES.read(("tcr", document) for document in documents)
    assert policies.is_readable
    return Rights(tenant=MINE, role=role, policies=policies, naming=NAMES, **more)


def may(known: Rights, permission: Permission, resource: Resource) -> bool:
    return decide(known, permission, resource).allowed


def within(path: str, region: str = "", account: str = "") -> str:
    return f"qcs::tcr:{region}:{account}:{path}"


# -- things by name ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        ("*", [INSTANCE, SPACE, REPO, DEEP, ELSEWHERE]),
        (within("*"), [INSTANCE, SPACE, REPO, DEEP, ELSEWHERE]),
        ("qcs:::::*", [INSTANCE, SPACE, REPO, DEEP, ELSEWHERE]),
        (within("*", "ap-here"), [INSTANCE, SPACE, REPO, DEEP]),
        (within("*", "ap-*"), [INSTANCE, SPACE, REPO, DEEP, ELSEWHERE]),
        (within("*", "ap-th*"), [ELSEWHERE]),
        (within("instance/*"), [INSTANCE]),
        (within("instance/tcr-one"), [INSTANCE]),
        (within("instance/tcr-one/*"), [INSTANCE]),
        (within("instance/tcr-two"), []),
        (within("repository/*"), [SPACE, REPO, DEEP, ELSEWHERE]),
        (within("repository/tcr-one/*"), [SPACE, REPO, DEEP]),
        (within("repository/tcr-one/team"), [SPACE]),
        (within("repository/tcr-one/team/*"), [SPACE, REPO, DEEP]),
        (within("repository/tcr-one/team/app"), [REPO]),
        (within("repository/tcr-one/team/app/*"), [REPO, DEEP]),
        (within("repository/tcr-one/te"), []),
        (within("repository/tcr-two/team/*"), [ELSEWHERE]),
        (within("repository/*/team/app"), [REPO, ELSEWHERE]),
        (within("repository/tcr-one/team/*", account="uin/"), [SPACE, REPO, DEEP]),
        (within("repository/tcr-one/team/app", account="uin/100000000001"), [REPO]),
        (within("repository/tcr-one/team/app", account="uid/1300000001"), [REPO]),
        (within("repository/tcr-one/team/app", account="*"), [REPO]),
        (within("repository/tcr-one/team/app", account="uin/*"), [REPO]),
        (within("repository/tcr-one/team/app", account="uin/100000000009"), []),
        ("qcs::cos:::*", []),
    ],
)
def test_a_resource_names_what_the_vendor_calls_so(resource, named):
    known = rights(cam(resource=resource), operation="tcr:DescribeNamespaces")
    everything = [INSTANCE, SPACE, REPO, DEEP, ELSEWHERE]

    assert [thing for thing in everything if may(known, P.NAMESPACE_READ, thing)] == named


def test_what_is_another_tenants_has_no_name_but_everything():
    for resource in (within("*"), within("*", account="uin/100000000001"), "qcs::cos:::*"):
        assert may(rights(cam("deny", resource=resource)), P.PULL, FOREIGN)
    for resource in ("*", within("*", account="*"), within("repository/*", account="uin/*")):
        assert not may(rights(cam("deny", resource=resource)), P.PULL, FOREIGN)
    private = Resource(OTHERS, ONE, NamespaceId(12), "team", RepositoryId(103), "app")
    for resource in ("*", within("*"), within("repository/tcr-one/team/app", account="*")):
        assert not may(rights(cam(resource=resource)), P.PULL, private)


def test_actions_that_the_vendor_asks_for_on_the_instance_are_given_there_also_for_a_namespace():
    known = rights(cam(resource=within("instance/tcr-one")))

    def manages(operation):
        return may(rights_of(known, operation), P.NAMESPACE_MANAGE, SPACE)

    assert manages("tcr:CreateWebhookTrigger")
    assert manages("tcr:CreateImmutableTagRules")
    assert not manages("tcr:DeleteNamespace")
    assert not manages("")


def rights_of(known: Rights, operation: str) -> Rights:
    return Rights(
        tenant=known.tenant,
        role=known.role,
        policies=known.policies,
        naming=known.naming,
        operation=operation,
    )


def test_an_instance_that_is_not_there_yet_is_one_of_its_region():
    new = Resource(MINE, region="ap-here")

    def creates(resource, on=new):
        known = rights(cam(action="tcr:CreateInstance", resource=resource))
        return may(rights_of(known, "tcr:CreateInstance"), P.INSTANCE_CREATE, on)

    assert creates(within("instance/*"))
    assert creates(within("instance/*", "ap-here"))
    assert not creates(within("instance/*", "ap-there"))
    assert not creates(within("instance/tcr-one"))
    assert not creates(within("instance/*", "ap-here"), Resource(MINE))  # where, nobody said


# -- actions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "pull", "push"),
    [
        ("tcr:PullRepository", True, False),
        ("TCR:pullrepository", True, False),
        ("name/tcr:PullRepository", True, False),
        ("tcr:PullRepository*", True, False),
        ("tcr:P*Repository", True, True),
        ("tcr:*", True, True),
        ("*", True, True),
        ("*:*", True, True),
        ("tcr:DescribeImages", False, False),
        ("cos:*", False, False),
        (["cos:GetObject", "tcr:PushRepository"], False, True),
    ],
)
def test_docker_pulls_and_pushes_by_the_actions_of_the_registry(action, pull, push):
    known = rights(cam(action=action))

    assert (may(known, P.PULL, REPO), may(known, P.PUSH, REPO)) == (pull, push)


def test_an_api_action_by_name_is_that_action_and_no_more():
    known = rights(cam(action="tcr:DuplicateImage"))

    assert may(rights_of(known, "tcr:DuplicateImage"), P.PUSH, REPO)
    assert not may(rights_of(known, "tcr:DeleteImage"), P.PUSH, REPO)
    assert not may(known, P.PUSH, REPO)
    pulling = rights(cam(action="tcr:PullRepository"))
    assert not may(rights_of(pulling, "tcr:DescribeImages"), P.PULL, REPO)
    assert may(rights_of(pulling, "tag:DescribeResourceTags"), P.PULL, REPO)


def test_a_permission_that_stands_for_several_actions_needs_them_all_and_falls_with_one():
    one, both = "tcr:ModifyRepository", ["tcr:ModifyRepository", "tcr:DeleteRepository"]
    administrator = rights(cam("deny", action=one), role=Role.ADMINISTRATOR)

    assert not may(rights(cam(action=one)), P.REPOSITORY_EDIT, REPO)
    assert may(rights(cam(action=both)), P.REPOSITORY_EDIT, REPO)
    assert not may(administrator, P.REPOSITORY_EDIT, REPO)


def test_no_action_but_all_of_them_gives_the_right_to_give_rights():
    named = rights(cam(action=sorted(KNOWN_ACTIONS)))
    for permission, on in ((P.REPOSITORY_MANAGE, REPO), (P.NAMESPACE_MANAGE, SPACE)):
        assert not may(named, permission, on)
        assert may(rights(cam(action="tcr:*")), permission, on)
        assert not may(rights(cam("deny", action="tcr:*"), role=Role.OWNER), permission, on)
        for action in ("tcr:Modify*", "tcr:Delete*"):
            denied = rights(cam("deny", action=action), role=Role.OWNER)
            assert not may(denied, permission, on)


def test_identities_are_given_and_taken_by_statements_about_everything_only():
    tenant = Resource(MINE)
    for action, resource, gives in (
        ("*", "*", True),
        ("tcr:*", "*", False),
        ("cam:*", "*", False),
        ("*", within("*"), False),
    ):
        assert (
            may(rights(cam(action=action, resource=resource)), P.IDENTITY_MANAGE, tenant) is gives
        )
        owner = rights(cam("deny", action=action, resource=resource), role=Role.OWNER)
        assert may(owner, P.IDENTITY_MANAGE, tenant) is not gives


def test_every_permission_has_a_word_and_every_word_is_an_action():
    words = {word for words in TCR.actions.values() for word in words}

    assert set(TCR.actions) == set(Permission)
    assert words - {"*:*", "tcr:?"} <= KNOWN_ACTIONS


def test_a_denial_beats_the_administrator_and_every_allowance():
    secret = cam("Deny", resource=within("repository/tcr-one/team/app"))

    for role in Role:
        assert not may(rights(cam(), secret, role=role), P.PULL, REPO)
        assert may(rights(cam(), secret, role=role), P.PULL, ELSEWHERE)


def test_the_presets_are_read_and_do_what_they_say():
    full, reader = (rights(preset.document) for preset in TCR.presets)

    assert [preset.name for preset in TCR.presets] == [
        "QcloudTCRFullAccess",
        "QcloudTCRReadOnlyAccess",
    ]
    assert all(may(full, permission, REPO) for permission in (P.PULL, P.PUSH, P.DELETE))
    assert may(full, P.INSTANCE_MANAGE, INSTANCE)
    assert not may(full, P.IDENTITY_MANAGE, Resource(MINE))
    assert may(reader, P.PULL, REPO)
    assert may(rights_of(reader, "tcr:DescribeServiceAccounts"), P.ACCOUNT_MANAGE, INSTANCE)
    assert not may(rights_of(reader, "tcr:CreateServiceAccount"), P.ACCOUNT_MANAGE, INSTANCE)
    assert not may(reader, P.PUSH, REPO)
    assert Need.NAMES not in full.policies.needs
    assert Need.NAMES not in reader.policies.needs


# -- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "sources"),
    [
        ({"ip_equal": {"qcs:ip": "10.1.2.3/24"}}, ["10.1.2.9"]),
        ({"ip_equal": {"qcs:ip": ["10.1.2.9", "2001:db8::/32"]}}, ["10.1.2.9", "2001:db8::7"]),
        ({"ip_not_equal": {"qcs:ip": ["10.1.2.0/24", "2001:db8::/32"]}}, ["192.0.2.1"]),
        (
            {"ip_equal": {"qcs:ip": "0.0.0.0/0"}, "ip_not_equal": {"qcs:ip": "10.0.0.0/8"}},
            ["192.0.2.1"],
        ),
        ({}, ["10.1.2.9", "192.0.2.1", "2001:db8::7", "unix"]),
    ],
)
def test_conditions_on_the_address(condition, sources):
    callers = ["10.1.2.9", "192.0.2.1", "2001:db8::7", "unix"]
    document = cam(condition=condition)

    assert [s for s in callers if may(rights(document, source=s), P.PULL, REPO)] == sources


@pytest.mark.parametrize(
    ("operator", "at", "holds"),
    [
        ("date_less_than", "1970-01-01T00:00:01Z", [True, False, False]),
        ("date_less_than_equal", "1970-01-01T00:00:01", [True, True, False]),
        ("date_greater_than", "1970-01-01T01:00:01+01:00", [False, False, True]),
        ("date_greater_than_equal", ["1970-01-01T00:00:01Z"], [False, True, True]),
        ("date_less_than", ["1969-01-01", "1970-01-01T00:00:01Z"], [True, False, False]),
        ("date_greater_than", ["1971-01-01", "1970-01-01T00:00:01Z"], [False, False, True]),
    ],
)
def test_conditions_on_the_time(operator, at, holds):
    document = cam(condition={operator: {"qcs:current_time": at}})
    moments = (999_999, 1_000_000, 1_000_001)

    assert [may(rights(document, now=Micros(m)), P.PULL, REPO) for m in moments] == holds


def test_two_bounds_of_time_are_a_span():
    span = {
        "date_greater_than_equal": {"qcs:current_time": "1970-01-01T00:00:01Z"},
        "date_less_than": {"qcs:current_time": "1970-01-01T00:00:02Z"},
    }
    moments = (999_999, 1_000_000, 1_999_999, 2_000_000)

    found = [may(rights(cam(condition=span), now=Micros(m)), P.PULL, REPO) for m in moments]
    assert found == [False, True, True, False]


# -- refusals ---------------------------------------------------------------------------------------------------------

RULE = {"effect": "deny", "action": "tcr:*", "resource": "*"}


def changed(**more) -> str:
    return json.dumps({"version": "2.0", "statement": {**RULE, **more}})


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "Expecting value"),
        ("[]", "array"),
        ("[" * 100_000, ""),
        (json.dumps({"version": "2.0"}), "statement"),
        (json.dumps({"version": "1.0", "statement": RULE}), "version"),
        (json.dumps({"version": 2.0, "statement": RULE}), "version"),
        (json.dumps({"version": "2.0", "statement": RULE, "extra": 1}), "extra"),
        (json.dumps({"version": "2.0", "statement": [RULE] * 257}), "256 statements"),
        (json.dumps({"version": "2.0", "statement": []}) + " " * 70_000, "65536 characters"),
        ('{"version": "2.0", "version": "2.0", "statement": []}', "twice"),
        (changed(effect="forbid"), "forbid"),
        (changed(principal={"qcs": ["*"]}), "principal"),
        (changed(not_action="tcr:*"), "not_action"),
        (changed(action=[]), "action"),
        (changed(action="tcr:PulRepository"), "tcr:PulRepository"),
        (changed(action="tcr:Descrbe*"), "tcr:Descrbe*"),
        (changed(action="PullRepository"), "PullRepository"),
        (changed(action="permid/280655"), "permid"),
        (changed(resource=[]), "resource"),
        (changed(resource="tcr-one"), "tcr-one"),
        (changed(resource="qcs::tcr::instance/tcr-one"), "qcs::tcr::instance/tcr-one"),
        (changed(resource="qcs:1:tcr:::instance/*"), "project"),
        (changed(resource=within("instance/*", "AP-here")), "region"),
        (changed(resource=within("instance/*", account="100000000001")), "account"),
        (changed(resource=within("instance/*", account="uin/${uin}")), "account"),
        (changed(resource=within("repo/team/*")), "repo/team"),
        (changed(resource=within("repositry/*")), "repositry"),
        (changed(resource=within("instance/")), "instance/<id>"),
        (changed(resource=within("repository/tcr-one")), "repository/<id>"),
        (changed(resource=within("instance/tcr-one/team")), "instance/<id>"),
        (changed(resource=within("repository/tcr-one/Team/*")), "lower-case"),
        (changed(resource="*" + "a" * 1100), ""),
        (changed(resource=within("instance/" + "a" * 1100)), "1024"),
        (changed(condition={"string_equal": {"qcs:request_tag": "a&b"}}), "string_equal"),
        (changed(condition={"ip_equal_if_exist": {"qcs:ip": "10.0.0.1"}}), "ip_equal_if_exist"),
        (changed(condition={"ip_equal": {"qcs:IP": "10.0.0.1"}}), "qcs:IP"),
        (changed(condition={"ip_equal": {}}), "ip_equal"),
        (changed(condition={"ip_equal": {"qcs:ip": []}}), "qcs:ip"),
        (changed(condition={"ip_equal": {"qcs:ip": "10/8/8"}}), "10/8/8"),
        (changed(condition={"date_less_than": {"qcs:current_time": "soon"}}), "soon"),
        (changed(condition={"date_less_than": {"qcs:current_time": 5}}), "condition"),
    ],
)
def test_what_could_be_a_slip_of_the_pen_is_refused(document, words):
    with pytest.raises(DocumentInvalid) as error:
        VOCABULARIES.check("tcr", document)

    assert words in str(error.value)


@pytest.mark.parametrize(
    ("account", "is_own"),
    [
        ("", True),
        ("*", True),
        ("uin/", True),
        ("uin/100000000001", True),
        ("uid/1300000001", True),
        ("uin/100000000002", False),
        ("uid/1300000002", False),
    ],
)
def test_a_document_about_another_account_is_not_stored(account, is_own):
    document = cam("deny", resource=["*", within("instance/*", account=account)])

    if is_own:
        VOCABULARIES.check("tcr", document, NAMES)
    else:
        with pytest.raises(DocumentInvalid, match=account):
            VOCABULARIES.check("tcr", document, NAMES)
    assert rights(document)


# -- what never changes -----------------------------------------------------------------------------------------------

ACTIONS = sorted(KNOWN_ACTIONS)
actions = st.sampled_from(ACTIONS)
things = st.sampled_from([INSTANCE, SPACE, REPO, DEEP, ELSEWHERE])
permissions = st.sampled_from(sorted(set(Permission) - {P.QUOTA_MANAGE, P.DEPLOYMENT_MANAGE}))


@st.composite
def starred(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, str]:
    """A text, and a pattern made of it by putting stars in place of some of its parts."""
    text = draw(texts)
    first = text.index(":") + 1
    cuts = sorted(draw(st.lists(st.integers(first, len(text)), min_size=2, max_size=4)))
    if len(cuts) % 2:
        cuts.pop()
    pattern, at = "", 0
    for start, end in zip(cuts[::2], cuts[1::2], strict=True):
        pattern, at = f"{pattern}{text[at:start]}*", end
    return text, pattern + text[at:]


@given(starred(actions), permissions, things, st.sampled_from([str, str.upper, str.title]))
def test_a_star_stands_for_any_part_of_an_action_in_any_case(pair, permission, thing, cased):
    operation, pattern = pair

    allowed = rights(cam(action=cased(pattern)), operation=operation)
    denied = rights(cam("deny", action=cased(pattern)), operation=operation, role=Role.OWNER)

    assert may(allowed, permission, thing)
    assert not may(denied, permission, thing)


@given(actions, actions, permissions, things)
def test_an_action_without_star_is_no_other(named, operation, permission, thing):
    known = rights(cam(action=named), operation=operation)

    assert may(known, permission, thing) == (named == operation or permission is P.CATALOG)


PATHS = [
    "repository/tcr-one/team/app",
    "repository/tcr-one/team/app/web",
    "repository/tcr-two/team/app",
]
NAMED = dict(zip(PATHS, (REPO, DEEP, ELSEWHERE), strict=True))


@given(st.sampled_from(PATHS), st.data())
def test_a_star_stands_for_any_part_of_a_name(path, data):
    at = len("repository/")
    start = data.draw(st.integers(at, len(path)))
    end = data.draw(st.integers(start, len(path)))
    pattern = f"{path[:start]}*{path[end:]}"

    known = rights(cam(resource=within(pattern)))

    assert may(known, P.PULL, NAMED[path])
    text = re.compile(f"{re.escape(path[:start])}.*{re.escape(path[end:])}")
    for other, thing in NAMED.items():
        is_named = any(map(text.fullmatch, (other, f"{other}/")))
        assert may(known, P.PULL, thing) == is_named


@given(st.text(max_size=60) | st.sampled_from(["{", "null", "0", '"2.0"', "NaN", "\ud800"]))
def test_any_text_is_read_or_refused(text):
    try:
        parse(text)
    except DocumentInvalid:
        return
    raise AssertionError("no document is so short")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["version", "statement", "effect", "action", "resource", "condition"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused(value):
    document = {"version": "2.0", "statement": value}
    try:
        parse(json.dumps(document))
    except DocumentInvalid:
        return
    assert value == [] or "effect" in json.dumps(value)
