"""The wire of the token endpoint: what clients send, and what they get."""

import json
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.capabilities.access.issuing import Issued, Scope
from entrepot.distribution.token import parse_token_request, render_token
from entrepot.model.errors import OperationUnsupported, RegistryError, ValueInvalid
from entrepot.model.ids import Micros

FORM = "application/x-www-form-urlencoded"


def get(query: str):
    return parse_token_request("GET", query.encode(), b"")


def post(**fields: str):
    return parse_token_request("POST", b"", urlencode(fields).encode(), content_type=FORM)


def test_a_query_with_one_scope_and_one_action_list():
    request = get("account=U&scope=repository:ns/bb:pull,push&service=S")

    assert request.asked.scopes == (Scope("repository", "ns/bb", ("pull", "push")),)
    assert not request.asked.wants_refresh
    assert request.login is None


def test_scopes_may_be_repeated_and_hold_several():
    request = get("scope=repository:a/b:pull&scope=repository:c/d:push%2Cpull+registry:catalog:*")

    assert [(s.name, s.actions) for s in request.asked.scopes] == [
        ("a/b", ("pull",)),
        ("c/d", ("push", "pull")),
        ("catalog", ("*",)),
    ]


def test_a_form_gives_name_and_password_and_scopes_with_spaces():
    request = post(
        grant_type="password",
        client_id="containerd-client",
        service="s",
        username="tcr$robot",
        password="a+b &c",
        scope="repository:x/y:pull repository:x/y:pull,push",
        access_type="offline",
    )

    assert request.login == ("tcr$robot", "a+b &c")
    assert request.client == "containerd-client"
    assert len(request.asked.scopes) == 2
    assert request.asked.wants_refresh
    assert "a+b" not in repr(request)


def test_a_form_may_bring_a_refresh_token():
    request = post(grant_type="refresh_token", refresh_token="r", client_id="c")

    assert request.refresh_token == "r"
    assert request.login is None


def test_an_engine_that_logs_in_asks_for_an_offline_token_its_own_way():
    assert get("account=u&client_id=docker&offline_token=true&service=s").asked.wants_refresh


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("repository:host:5000/ns/app:pull", ("host:5000/ns/app", ("pull",))),
        ("repository(plugin):ns/app:pull", ("ns/app", ("pull",))),
        ("repository:ns/app:*", ("ns/app", ("*",))),
        ("repository:ns/app:", ("ns/app", ())),
    ],
)
def test_scopes_of_unusual_form_are_read(word: str, expected: tuple):
    (scope,) = get(urlencode({"scope": word})).asked.scopes

    assert (scope.name, scope.actions) == expected


@pytest.mark.parametrize(
    "word", ["repository", "repository:ns/app", "artifact:x:pull", ":", "::", ""]
)
def test_scopes_of_types_or_forms_nobody_knows_are_ignored(word: str):
    assert get(urlencode({"scope": word})).asked.scopes == ()


@pytest.mark.parametrize(
    "query",
    [
        "&".join(["scope=repository:a/b:pull"] * 33),
        "scope=" + "+".join(["repository:a/b:pull"] * 33),
        "scope=" + "a" * 17_000,
        "&".join(f"a{n}=1" for n in range(65)),
        "access_type=offline&access_type=online",
        "scope=%ff",
        "scope=\xff",
    ],
)
def test_what_is_too_much_or_no_text_is_refused(query: str):
    with pytest.raises(ValueInvalid):
        parse_token_request("GET", query.encode("latin-1"), b"")


def test_other_methods_grants_and_bodies_are_refused():
    with pytest.raises(OperationUnsupported):
        parse_token_request("PUT", b"", b"")
    with pytest.raises(ValueInvalid):
        post(grant_type="authorization_code")
    with pytest.raises(ValueInvalid):
        parse_token_request("POST", b"", b"{}", content_type="application/json")


@given(st.binary(max_size=300), st.sampled_from(["GET", "POST"]))
def test_any_bytes_give_a_request_or_an_error_of_ours(data: bytes, method: str):
    with suppress(RegistryError):
        parse_token_request(method, data, data, content_type=FORM)


def test_the_answer_carries_the_token_under_both_names():
    issued = Issued("t", 300, Micros(1_700_000_000_123_456))

    answer = json.loads(render_token(issued))

    assert answer["token"] == answer["access_token"] == "t"
    assert answer["expires_in"] == 300
    assert answer["issued_at"] == "2023-11-14T22:13:20Z"
    assert "refresh_token" not in answer
    assert "'t'" not in repr(issued)
