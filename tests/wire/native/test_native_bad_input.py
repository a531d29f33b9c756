"""What nobody should send to the native API: each is refused with a problem that says why, and nothing changes."""

import json

import pytest
from api_client import Api

from entrepot.dialects.native.endpoints import BODIED, PREFIX
from entrepot.dialects.native.table import TABLE
from entrepot.dialects.native.wire import MAX_BODY

pytestmark = pytest.mark.broad

USERS = "/tenants/-/users"
JSON = {"content-type": "application/json"}


def post(api: Api, body: bytes, path: str = USERS, **headers: str):
    return api.send("POST", PREFIX + path, body, **{**JSON, **headers})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "missing required field `name`"),
        ({"name": "x1", "colour": "red"}, "unknown field `colour`"),
        ({"name": 5}, "Expected `str`, got `int`"),
        ({"name": None}, "Expected `str`"),
        ({"name": "x1", "role": "owner"}, "$.role"),
        ({"name": "x1", "generate_password": "true"}, "Expected `bool`, got `str`"),
        ({"name": "x1", "tenant": "-"}, "the path says already: tenant"),
        ({"name": "x\x00"}, "name has characters that no text has"),
        ({"name": "x1", "n\x00": 1}, "characters that no text has"),
        ({"name": {"a": [[[[[[[[[1]]]]]]]]]}}, "nested too deeply"),
        ([], "must be a JSON object"),
        (None, "must be a JSON object"),
    ],
)
def test_a_wrong_body_is_refused_and_says_where(firm, body, detail):
    answer = post(firm.owner, json.dumps(body).encode())

    assert (answer.status, answer.code) == (400, "malformed-request")
    assert detail in answer.json["detail"]
    assert firm.owner.code("GET", f"{USERS}/x1") == (404, "user-unknown")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"name": "x1"} {}',
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"name": NaN}',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_json_is_refused(firm, body):
    answer = post(firm.owner, body)

    assert (answer.status, answer.code) == (400, "malformed-request")


def test_values_outside_their_bounds_are_refused_in_words(firm):
    owner = firm.owner

    answer = owner.call("POST", USERS, {"name": "no blanks"})
    assert (answer.status, answer.code) == (400, "name-invalid")
    assert "no blanks" in answer.json["detail"]
    answer = owner.call("POST", USERS, {"name": "x1", "password": "short"})
    assert (answer.status, answer.code) == (400, "value-invalid")
    assert answer.json["detail"] == "password: at least 8 characters"
    said = {"name": "x1", "document": '{"statements": [{"effect": "perhaps"}]}'}
    assert owner.code("POST", "/tenants/-/policies", said) == (400, "value-invalid")
    keys = "/tenants/-/users/member/temporary-keys"
    for seconds in (0, -1, 899, 129_601, 10**30):
        assert owner.call("POST", keys, {"lifetime_seconds": seconds}).status == 400
    past = {"name": "rob", "expires": "2001-01-01T00:00:00Z"}
    accounts = "/tenants/-/instances/-/service-accounts"
    assert owner.code("POST", accounts, past) == (400, "value-invalid")
    no_zone = {"name": "rob", "expires": "2091-01-01T00:00:00"}
    assert owner.code("POST", accounts, no_zone) == (400, "malformed-request")
    pair = {"name": "c", "chain": "none", "key": "none"}
    assert owner.code("POST", "/tenants/-/certificates", pair) == (400, "certificate-invalid")


@pytest.mark.parametrize(
    ("dialect", "document"),
    [
        ("swr", r'{"Version": "5.0", "Statement": {"Effect": "\ud800", "Action": "*"}}'),
        ("tcr", r'{"version": "2.0", "statement": {"effect": "\udfff", "action": "*", "resource": "*"}}'),
        ("entrepot", r'{"statements": [{"effect": "allow", "actions": ["\ud800"], "resources": []}]}'),
    ],
)  # fmt: skip
def test_half_a_character_in_a_policy_is_refused_in_words(firm, dialect, document):
    said = {"name": "half", "dialect": dialect, "document": document}

    answer = firm.owner.call("POST", "/tenants/-/policies", said)
    assert (answer.status, answer.code) == (400, "value-invalid")
    assert firm.owner.code("GET", "/tenants/-/policies/half") == (404, "policy-unknown")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=",
        "limit=1&limit=2",
        "colour=red",
        "after=%00",
        "after=%ff",
        "tenant=x",
        "&".join(f"p{n}=1" for n in range(300)),
    ],
    ids=lambda query: query[:20],
)
def test_a_wrong_query_is_refused(firm, query):
    answer = firm.owner.call("GET", f"{USERS}?{query}")

    assert (answer.status, answer.code) == (400, "malformed-request")


@pytest.mark.parametrize("after", ["x", "1", "-1", "1-", "9" * 30 + "-1", "1-2-3"])
def test_a_page_of_the_trail_that_never_was_is_refused(root, after):
    assert root.code("GET", f"/audit?after={after}") == (400, "malformed-request")


def test_a_body_may_have_a_mebibyte_and_no_more(firm):
    filler = b" " * (MAX_BODY - 2)

    assert post(firm.owner, b"{}" + filler).code == "malformed-request"  # read, and found wanting
    answer = post(firm.owner, b"{}" + filler + b" ")
    assert (answer.status, answer.code) == (413, "body-too-large")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_must_say_that_it_is_json(firm, kind):
    answer = firm.owner.send("POST", PREFIX + USERS, b'{"name": "x1"}', content_type=kind)

    assert (answer.status, answer.code) == (415, "media-type-unsupported")


def test_a_content_type_may_have_parameters(firm):
    answer = post(firm.owner, b"{}", content_type="Application/JSON; charset=utf-8")

    assert answer.code == "malformed-request"


def test_parameters_come_from_one_place(firm):
    assert post(firm.owner, b"{}", f"{USERS}?name=x1").status == 400
    answer = firm.owner.send("GET", PREFIX + USERS, b'{"limit": 1}', **JSON)
    assert (answer.status, answer.code) == (400, "malformed-request")
    answer = firm.owner.send("DELETE", f"{PREFIX}{USERS}/nobody", b"{}", **JSON)
    assert (answer.status, answer.code) == (400, "malformed-request")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/tenants/",
        "/tenants//users",
        "/tenants/-/users/",
        "/tenants/%ff/users",
        "/tenants/-/users/a/b/c",
        "/Tenants",
        "/quotas/tenants",
        "/tenants/..",
        "/openapi.json/",
    ],
)
def test_a_path_that_leads_nowhere_is_not_found(firm, path):
    answer = firm.owner.call("GET", path)

    assert answer.status == 404 or (path == "/tenants/.." and answer.status == 403)
    assert answer.code in ("path-unknown", "forbidden")


def test_names_may_be_encoded_and_hold_anything(firm):
    for name in ("a%2Fb", "%25", "..", "%C3%A9", "a" * 3000, "%27%3B--"):
        assert firm.owner.code("GET", f"{USERS}/{name}") == (404, "user-unknown")
    assert firm.owner.code("GET", f"{USERS}/a%00b") == (400, "malformed-request")
    assert firm.owner.ok("GET", "/tenants/%2D/users/own%65r")["name"] == "owner"


def test_other_methods_are_refused_with_those_that_are_taken(firm):
    by_path: dict[str, set[str]] = {}
    for one in TABLE:
        by_path.setdefault(one.path, set()).add(one.method)

    for path, methods in by_path.items():
        other = next(m for m in ("PUT", "DELETE", "PATCH", "OPTIONS") if m not in methods)
        answer = firm.owner.send(other, PREFIX + path)
        assert (answer.status, answer.code) == (405, "method-not-allowed"), path
        heads = {"HEAD"} if "GET" in methods else set()
        assert set(answer.headers["allow"].split(", ")) == methods | heads
        assert "access-control-allow-origin" not in answer.headers


def test_no_mistyped_request_is_an_error_of_ours(firm, root):
    strange = [0, -1, 1.5, 10**40, True, None, "", "\n", "-", "x" * 5000, [], ["x"], {}, {"x": []}]
    for one in TABLE:
        if one.method not in BODIED or one.operation.name in {"CreateTenant", "CreateRegion"}:
            continue
        path = one.path.format_map(dict.fromkeys(one.names, "-"))
        fields = [f for f in one.operation.request.__struct_fields__ if f not in one.names]
        for number, value in enumerate(strange):
            body = {name: strange[(number + n) % len(strange)] for n, name in enumerate(fields)}
            for said in (body, dict.fromkeys(fields, value)):
                answer = firm.owner.call(one.method, path, said)
                assert answer.status < 500, (one.operation.name, said, answer.body)
