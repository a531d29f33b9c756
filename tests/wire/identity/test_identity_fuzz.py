"""Whatever is sent to the identity service, it answers in its own form, and never that something went wrong inside."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_client import PASSWORD

NAMES = st.sampled_from(
    ["auth", "identity", "methods", "password", "user", "domain", "name", "id", "scope", "project"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("password")
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
USERS = st.fixed_dictionaries(
    {"password": st.text(max_size=20)},
    optional={
        "id": st.text(max_size=12),
        "name": st.text(max_size=12),
        "domain": st.fixed_dictionaries({}, optional={"name": st.text(max_size=9), "id": LEAVES}),
    },
)
BODIES = st.fixed_dictionaries(
    {
        "auth": st.fixed_dictionaries(
            {
                "identity": st.fixed_dictionaries(
                    {
                        "methods": st.just(["password"]) | ANYTHING,
                        "password": st.fixed_dictionaries({"user": USERS}) | ANYTHING,
                    }
                )
            },
            optional={"scope": ANYTHING},
        )
    }
)
HEADERS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
ONCE = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def token(firm) -> str:
    return firm.token()


@given(body=BODIES | ANYTHING)
@ONCE
def test_any_document_is_answered_with_a_reason(firm, body):
    sent = json.dumps(body).encode()
    answer = firm.send("POST", "/v3/auth/tokens", sent, Content_Type="application/json")
    assert answer.status in (400, 401, 404, 429), answer
    assert answer.code.startswith("IAM.")


@given(
    path=st.lists(
        st.sampled_from(["auth", "tokens", "projects", "domains", "OS-USER", "users", "%00", "%FF", "..", ""]),
        max_size=4,
    ),
    query=st.sampled_from(["", "?name=%FF", "?name=a&name=b", "?%", "?name=%00", "?domain_id=%C3%28"]),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]),
    version=st.sampled_from(["v3", "v3.0"]),
)  # fmt: skip
@ONCE
def test_any_path_is_answered(firm, token, path, query, method, version):
    target = f"/{version}/{'/'.join(path)}{query}"
    answer = firm.send(method, target, X_Auth_Token=token)
    assert answer.status in (200, 400, 403, 404), (method, target, answer)


@given(authorization=HEADERS, other=HEADERS, date=HEADERS)
@ONCE
def test_any_credentials_are_refused(firm, authorization, other, date):
    answer = firm.send(
        "GET",
        "/v3/projects",
        Authorization=f"SDK-HMAC-SHA256 {authorization}",
        X_Auth_Token=other,
        X_Sdk_Date=date,
    )
    assert (answer.status, answer.code) == (401, "IAM.0001")


@pytest.mark.parametrize("text", ["\0", "a\0b"])
@pytest.mark.parametrize(
    "path",
    ["user.id", "user.name", "user.domain.id", "user.domain.name", "scope.project.id", "scope.project.name",
     "scope.project.domain.id", "scope.project.domain.name", "scope.domain.id", "scope.domain.name"],
)  # fmt: skip
def test_no_field_takes_what_no_database_does(firm, path, text):
    kind, *fields = path.split(".")
    domain = {"name": firm.tenant.name, "id": firm.tenant.public_id}
    user = {"name": "owner", "password": PASSWORD, "domain": dict(domain)}
    scope = {"project": {"name": firm.project.name, "domain": dict(domain)}}
    if path.startswith("scope.domain"):
        scope = {"domain": dict(domain)}
    last = user if kind == "user" else scope
    assert firm.ask_token(user, scope).status == 201
    for field in fields[:-1]:
        last = last[field]
    last[fields[-1]] = text
    answer = firm.ask_token(user, scope)
    assert (answer.status, answer.code) == (400, "IAM.0011"), path
