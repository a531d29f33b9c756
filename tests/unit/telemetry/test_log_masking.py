"""What must never be readable in a log."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.config.types import Secret, Url
from entrepot.telemetry.masking import is_secret_name, masked, masked_fields, masked_text

SECRET = "s3cr3tValue-0123456789"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c2VyOjUifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"(b'authorization', b'Basic {SECRET}')",
        f"Authorization: TC3-HMAC-SHA256 Credential=AKID/2026/x, SignedHeaders=host, Signature={SECRET}",
        f"sent bearer {SECRET} twice",
        f"/service/token?account=a&password={SECRET}&scope=x",
        f"grant_type=refresh_token&refresh_token={SECRET}",
        f"?X-Amz-Signature={SECRET}&x=1",
        f"secret_key={SECRET}",
        f'{{"password": "{SECRET}"}}',
        f"{{'refresh_token': '{SECRET}'}}",
        f"postgresql://entrepot:{SECRET}@db.internal/entrepot",
        f"(sqlite3.OperationalError) disk I/O error [SQL: INSERT] [parameters: ('{SECRET}', 5)]",
    ],
)
def test_a_text_loses_what_looks_like_a_credential(text):
    assert SECRET not in masked_text(text)
    assert "***" in masked_text(text)


def test_a_bearer_token_is_masked_wherever_it_stands():
    assert JWT not in masked_text(f"cannot verify {JWT}")


@pytest.mark.parametrize(
    "text",
    [
        "/v2/demo/app/manifests/sha256:" + "a" * 64,
        "request took 5 tokens of the budget",
        "http://127.0.0.1:5000/v2/",
        "the password is wrong",
        "ssl://peer/path@x",
    ],
)
def test_an_innocent_text_stays_as_it_is(text):
    assert masked_text(text) == text


@pytest.mark.parametrize(
    "name",
    [
        *("password", "Authorization", "refresh_token", "secret", "secret_key", "SecretKey"),
        *("lease_token", "proxy-authorization", "password_hash", "cookie", "signature"),
    ],
)
def test_a_value_under_a_telling_name_goes_whole(name):
    assert masked_fields({name: SECRET}) == {name: "***"}


@pytest.mark.parametrize("name", ["access_key_id", "tokens", "kind", "digest", "key", "signed"])
def test_other_names_show_their_value(name):
    assert not is_secret_name(name)


def test_secrets_are_found_at_any_depth():
    found = masked({"a": [{"b": ({"password": SECRET},)}, f"password={SECRET}"]})

    assert SECRET not in repr(found)


def test_settings_that_hold_secrets_show_their_mask():
    found = masked({"one": Secret(SECRET), "two": Url(f"postgresql://u:{SECRET}@h/d")})

    assert SECRET not in repr(found)


def test_what_cannot_be_shown_does_not_break_the_line():
    class Odd:
        def __str__(self):
            raise RuntimeError("no")

    assert masked(Odd()) == "<Odd: RuntimeError>"


def test_a_value_that_contains_itself_ends():
    endless = []
    endless.append(endless)

    assert "…" in repr(masked(endless))


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_masking_takes_any_text_and_a_second_time_changes_nothing(text):
    once = masked_text(text)

    assert masked_text(once) == once
