"""Requests that are refused before their parameters are read: transport, signature, key, version, action, region; and unreadable bodies."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from account import Account
from contract_shapes import CONTRACT
from firm import Firm
from sending import FORM, Sent, Wire, encoded, flat, tc3_get, tc3_post, v1

from entrepot.capabilities.access.identities.keys import (
    EnableKey,
    KeysOf,
    NamedKey,
    create_key,
    delete_key,
    enable_key,
)
from entrepot.dialects.tcr.table import PENDING, SERVICES

Build = Callable[..., Sent]


def _v1_post(who: Account, action: str, parameters: Any = None, **how: Any) -> Sent:
    return v1(who, action, parameters, verb="POST", scheme="HmacSHA256", **how)


BUILDS = {"tc3-post": tc3_post, "tc3-get": tc3_get, "v1-get": v1, "v1-post": _v1_post}
SIGNED: Any = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)


def attempt(firm: Firm, name: str) -> dict[str, Any]:
    """Parameters of a call that would make something."""
    return firm.at(NamespaceName=name, IsPublic=False)


@pytest.fixture
def wire(account: Account) -> Iterator[Wire]:
    """For a tenant of this test's own: too many wrong signatures of one key are throttled."""
    made = Wire(account.registry.port)
    yield made
    made.close()


# -- signature --------------------------------------------------------------------------------------------------------


@SIGNED
def test_what_a_wrong_signature_asks_for_is_not_done(firm: Firm, build: Build):
    before = firm.state()
    given = attempt(firm, firm.fresh("never"))
    for how in ({"secret": "another"}, {"at": time.time() - 301}, {"at": time.time() + 303}):
        code = firm.wire.code(build(firm.account, "CreateNamespace", given, **how))
        wanted = "SignatureFailure" if "secret" in how else "SignatureExpire"
        assert code == f"AuthFailure.{wanted}"
    assert firm.state() == before
    assert not firm.wire.code(build(firm.account, "CheckInstance", firm.at()))


@SIGNED
def test_a_clock_may_be_wrong_by_almost_five_minutes(firm: Firm, build: Build):
    for skew in (-290, 290):
        sent = build(firm.account, "CheckInstance", firm.at(), at=time.time() + skew)
        assert not firm.wire.code(sent)


@SIGNED
def test_a_request_changed_on_its_way_is_refused(firm: Firm, build: Build):
    before = firm.state()
    name = firm.fresh("mine")
    sent = build(firm.account, "CreateNamespace", attempt(firm, name))
    sent.body = sent.body.replace(name.encode(), b"theirs")
    sent.query = sent.query.replace(name.encode(), b"theirs")
    assert firm.wire.code(sent) == "AuthFailure.SignatureFailure"
    assert firm.state() == before


@pytest.mark.parametrize("name", ["Host", "Content-Type", "X-TC-Timestamp"])
def test_a_signed_header_changed_on_its_way_is_refused(firm: Firm, name: str):
    sent = tc3_post(firm.account, "DescribeRegions")
    changed = {
        "Host": f"localhost:{firm.account.registry.port}",
        "Content-Type": "application/json; charset=utf-8",
        "X-TC-Timestamp": str(int(sent.headers["X-TC-Timestamp"]) - 1),
    }
    sent.headers[name] = changed[name]
    assert firm.wire.code(sent) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize("build", [v1, _v1_post])
def test_a_request_of_the_older_scheme_counts_once(firm: Firm, build: Build):
    sent = build(firm.account, "CreateNamespace", attempt(firm, firm.fresh("once")))
    assert not firm.wire.code(sent)
    before = firm.state()
    assert firm.wire.code(sent) == "AuthFailure.SignatureExpire"
    assert firm.state() == before


def test_a_request_of_tc3_may_be_sent_again(firm: Firm):
    sent = tc3_post(firm.account, "CheckInstance", firm.at())
    assert [firm.wire.code(sent) for _ in range(3)] == ["", "", ""]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Authorization": ""}, "MissingParameter"),
        ({"Authorization": "SKIP"}, "MissingParameter"),
        ({"Authorization": "Basic dTpw"}, "AuthFailure.InvalidAuthorization"),
        ({"Authorization": "TC3-HMAC-SHA256"}, "AuthFailure.InvalidAuthorization"),
        ({"Authorization": "TC3-HMAC-SHA256 Credential=a"}, "AuthFailure.InvalidAuthorization"),
        ({"X-TC-Timestamp": ""}, "MissingParameter"),
        ({"X-TC-Timestamp": "now"}, "AuthFailure.InvalidAuthorization"),
        ({"X-TC-Timestamp": "9" * 30}, "AuthFailure.InvalidAuthorization"),
        ({"X-TC-Version": ""}, "MissingParameter"),
        ({"X-TC-Version": "2017-03-12"}, "NoSuchVersion"),
        ({"X-TC-Version": "2018-08-13"}, "NoSuchVersion"),
        ({"X-TC-Action": ""}, "MissingParameter"),
        ({"X-TC-Action": "describeRegions"}, "InvalidAction"),
        ({"X-TC-Action": "DescribeResourceTagsByResourceIds"}, "InvalidAction"),
        ({"X-TC-Action": "x" * 5000}, "InvalidAction"),
        ({"X-TC-Region": "moon-1"}, "UnsupportedRegion"),
        ({"X-TC-Region": "x" * 5000}, "UnsupportedRegion"),
        ({"X-TC-Region": "AP-GUANGZHOU"}, "UnsupportedRegion"),
        ({"X-TC-Token": "a-token"}, "AuthFailure.TokenFailure"),
    ],
)
def test_headers_must_say_what_they_have_to(firm: Firm, changes: dict[str, str], code: str):
    sent = tc3_post(firm.account, "DescribeRegions")
    sent.headers |= changes
    assert firm.wire.code(sent) == code


@pytest.mark.parametrize(
    ("own", "code"),
    [
        ({"Timestamp": ""}, "MissingParameter"),
        ({"Timestamp": "now"}, "AuthFailure.InvalidAuthorization"),
        ({"Nonce": ""}, "MissingParameter"),
        ({"Nonce": "0"}, "InvalidParameter"),
        ({"Nonce": "-1"}, "InvalidParameter"),
        ({"Nonce": str(2**63)}, "InvalidParameter"),
        ({"SecretId": ""}, "MissingParameter"),
        ({"Version": ""}, "MissingParameter"),
        ({"Version": "1"}, "NoSuchVersion"),
        ({"Action": ""}, "MissingParameter"),
        ({"Action": "Nothing"}, "InvalidAction"),
        ({"Region": "moon-1"}, "UnsupportedRegion"),
        ({"Token": "a-token"}, "AuthFailure.TokenFailure"),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_parameters_of_the_older_scheme_must_say_what_they_have_to(
    firm: Firm, verb: str, own: dict[str, str], code: str
):
    sent = v1(firm.account, "DescribeRegions", verb=verb, **own)
    if "Action" in own and verb == "GET" and not own["Action"]:
        sent.headers["X-TC-Action"] = "DescribeRegions"  # else it shows no sign of this API
    assert firm.wire.code(sent) == code


def test_the_date_and_service_of_a_credential_are_its_requests(firm: Firm):
    for how, code in (
        ({"date": "2019-02-25"}, "AuthFailure.SignatureFailure"),
        ({"date": "25.02.2019"}, "AuthFailure.InvalidAuthorization"),
        ({"service": "cvm"}, "AuthFailure.InvalidAuthorization"),
        ({"service": "tag"}, "NoSuchVersion"),  # a service that is served, of another version
    ):
        assert firm.wire.code(tc3_post(firm.account, "DescribeRegions", **how)) == code


# -- keys -------------------------------------------------------------------------------------------------------------


@SIGNED
def test_a_key_that_is_disabled_or_deleted_is_as_unknown_as_any(
    account: Account, wire: Wire, build: Build
):
    def code() -> str:
        return wire.code(build(account, "DescribeRegions"))

    run, key = account.operator.run, account.key_id
    run(enable_key, EnableKey(account.tenant.id, key, enabled=False))
    assert code() == "AuthFailure.SecretIdNotFound"
    run(enable_key, EnableKey(account.tenant.id, key, enabled=True))
    assert code() == ""
    run(delete_key, NamedKey(account.tenant.id, key))
    assert code() == "AuthFailure.SecretIdNotFound"


@pytest.mark.parametrize(
    ("key_id", "code"),
    [
        ("AKIDnobody", "AuthFailure.SecretIdNotFound"),
        ("x" * 4000, "AuthFailure.SecretIdNotFound"),
        ("100000000001", "AuthFailure.InvalidSecretId"),  # an account's number, of a login
        ("tcr$robot", "AuthFailure.InvalidSecretId"),
    ],
)
def test_keys_that_are_none(account: Account, wire: Wire, key_id: str, code: str):
    assert wire.code(tc3_post(account, "DescribeRegions", key_id=key_id)) == code
    assert wire.code(v1(account, "DescribeRegions", SecretId=key_id)) == code


def test_another_key_of_the_user_is_as_good_and_no_secret_fits_the_other_key(
    account: Account, wire: Wire
):
    pair = account.operator.run(create_key, KeysOf(account.tenant.id, account.user))
    other = pair.key.access_key_id
    assert not wire.code(tc3_post(account, "DescribeRegions", key_id=other, secret=pair.secret))
    mixed = tc3_post(account, "DescribeRegions", key_id=other)
    assert wire.code(mixed) == "AuthFailure.SignatureFailure"


# -- action -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", sorted(PENDING))
def test_a_documented_action_that_is_not_served_yet_is_no_action(firm: Firm, action: str):
    assert firm.code(action, firm.at()) == "InvalidAction"


@pytest.mark.parametrize("action", sorted(CONTRACT["withdrawn"]))
def test_a_withdrawn_action_is_told_as_such(firm: Firm, action: str):
    assert firm.code(action, firm.at()) == "ActionOffline"


def test_the_tag_service_has_actions_of_its_own(firm: Firm):
    version = SERVICES[1].version
    asked = {"ServiceType": "tcr", "ResourcePrefix": "instance", "ResourceIds": [firm.registry]}
    how = {"version": version, "service": "tag"}
    assert not firm.code("DescribeResourceTagsByResourceIds", asked, **how)
    assert firm.code("DescribeRegions", {}, **how) == "InvalidAction"
    assert firm.code("DescribeRegions", {}, version=version) == "NoSuchVersion"
    assert firm.code("ModifyResourceTags", {"Resource": "x"}, **how) == "InvalidParameter"
    assert firm.code("ModifyResourceTags", {}, **how) == "MissingParameter"
    assert firm.code("ModifyResourceTags", {"X": 1}, **how) == "UnknownParameter"


# -- transport --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_served(firm: Firm, method: str):
    sent = tc3_post(firm.account, "DescribeRegions")
    sent.method = method
    assert firm.wire.code(sent) == "UnsupportedProtocol"


def test_multipart_is_not_taken_by_any_action(firm: Firm):
    kind = "multipart/form-data; boundary=x"
    sent = tc3_post(firm.account, "DescribeRegions", body=b"--x--\r\n", content_type=kind)
    assert firm.wire.code(sent) == "UnsupportedOperation"


@pytest.mark.parametrize("build", [tc3_get, v1])
def test_a_query_has_a_limit(firm: Firm, build: Build):
    for length, code in ((31_000, "InvalidParameter"), (33_000, "RequestSizeLimitExceeded")):
        sent = build(firm.account, "CheckInstanceName", {"RegistryName": "x" * length})
        assert firm.wire.code(sent) == code


def test_a_form_has_a_limit(firm: Firm):
    for length, code in ((10**6, "InvalidParameter"), (2**20, "RequestSizeLimitExceeded")):
        sent = _v1_post(firm.account, "CheckInstanceName", {"RegistryName": "x" * length})
        assert firm.wire.code(sent) == code


def test_a_json_body_has_a_limit(firm: Firm):
    for length, code in ((9 * 2**20, "InvalidParameter"), (10 * 2**20, "RequestSizeLimitExceeded")):
        sent = tc3_post(firm.account, "CheckInstanceName", {"RegistryName": "x" * length})
        assert firm.wire.code(sent) == code
    assert not firm.code("CheckInstance", firm.at())


# -- bodies -----------------------------------------------------------------------------------------------------------

DEEP = 50_000
BODIES = [
    b"[]",
    b"5",
    b"null",
    b'"x"',
    b"{",
    b"{}}",
    b"\xef\xbb\xbf{}",
    b"RegistryName=x",
    b'{"RegistryName": "\xff"}',
    b'{"RegistryName": "\\ud800"}',
    b'{"RegistryName": "\\udc00\\ud800"}',
    b'{"RegistryName": NaN}',
    b'{"RegistryName": 1e400}',
    b'{"RegistryName": ' + b"9" * 5000 + b"}",
    b'{"RegistryName": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"RegistryName": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    b"[" * DEEP,
    b'{"RegistryName": "x", "RegistryName": 5}',
    b"{'RegistryName': 'x'}",
]


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_body_that_is_no_json_object_is_refused(firm: Firm, number: int):
    code = firm.code("CheckInstanceName", body=BODIES[number])
    assert code == "InvalidParameter"


def test_an_empty_body_has_no_parameters(firm: Firm):
    assert firm.code("CheckInstanceName", body=b"") == "MissingParameter"
    assert firm.code("DescribeRegions", body=b"") == ""


def test_forms_are_for_the_older_scheme_and_json_for_the_newer(firm: Firm):
    form = encoded(list(flat(firm.at())))
    assert firm.code("CheckInstance", body=form, content_type=FORM) == "InvalidParameter"
    sent = _v1_post(firm.account, "CheckInstance", firm.at())
    sent.body = json.dumps(firm.at()).encode()
    assert firm.wire.code(sent) == "MissingParameter"


@pytest.mark.parametrize(
    "query",
    [
        b"RegistryIds.0=a&RegistryIds.0=b",
        b"RegistryIds.0=a&RegistryIds.00=b",
        b"RegistryIds=a&RegistryIds.0=b",
        b"RegistryIds.0=a&RegistryIds=b",
        b"RegistryIds.0.1=a",
        b"RegistryIds.-1=a",
        b"RegistryIds.=a",
        b"RegistryIds..0=a",
        b"RegistryIds.0.=a",
        b"RegistryIds.%D9%A3=a",
        b"RegistryIds.9999999999=a",
        b"RegistryIds.0=%FF",
        b"RegistryIds.0=%ED%A0%80",
        b"RegistryIds.0=a%00b",
        b"RegistryIds" + b".0" * 30 + b"=a",
        b"&".join(b"RegistryIds.%d=a" % n for n in range(101)),
        b"&" * 4096 + b"RegistryIds.0=a",
    ],
)
def test_a_query_that_says_nothing_clear_is_refused(firm: Firm, query: bytes):
    sent = tc3_get(firm.account, "DescribeInstanceStatus", query=query)
    assert firm.wire.code(sent) == "InvalidParameter"


def test_odd_names_in_a_query_are_unknown_parameters(firm: Firm):
    for query in (b"=x", b".=x", b"..=x", b"0=x", b"%00=x", b"Registry+Ids.0=a", b"a=b&c=d"):
        sent = tc3_get(firm.account, "DescribeInstanceStatus", query=query)
        assert firm.wire.code(sent) == "UnknownParameter", query


def test_what_a_post_has_in_its_query_is_not_read(firm: Firm):
    sent = tc3_post(firm.account, "CheckInstance", firm.at())
    sent.query = b"Action=DeleteInstance&RegistryId=another"
    assert firm.wire.send(sent)["IsValidated"] is True
