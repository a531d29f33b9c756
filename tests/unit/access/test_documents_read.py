"""Documents of every dialect that nobody could show again are refused in words that can be shown."""

import json

import pytest

from entrepot.capabilities.access.documents import (
    MAX_DOCUMENT,
    NATIVE,
    DocumentInvalid,
    Vocabularies,
)
from entrepot.dialects.swr.policies import SWR
from entrepot.dialects.tcr.policies import TCR

VOCABULARIES = Vocabularies((NATIVE, TCR, SWR))
HALF = "\ud800"
SWR_RULE = {"Effect": "Allow", "Action": ["swr:*"], "Resource": ["*"]}
TCR_RULE = {"effect": "allow", "action": ["tcr:*"], "resource": ["*"]}
OWN_RULE = {"effect": "allow", "actions": ["repository:pull"], "resources": ["*"]}


def swr(**said) -> tuple[str, object]:
    return "swr", {"Version": "5.0", "Statement": SWR_RULE | said}


def tcr(**said) -> tuple[str, object]:
    return "tcr", {"version": "2.0", "statement": TCR_RULE | said}


def own(**said) -> tuple[str, object]:
    return "entrepot", {"statements": [OWN_RULE | said]}


HALVES = [
    swr(Effect=HALF),
    swr(Action=f"swr:{HALF}"),
    swr(Action=[f"obs:{HALF}:x"]),
    swr(Resource=f"swr:*:*:repo:{HALF}"),
    swr(Resource=f"obs:*:*:bucket:{HALF}"),
    swr(Sid=HALF),
    swr(**{HALF: "x"}),
    swr(Condition={HALF: {"g:UserName": "x"}}),
    swr(Condition={"StringEquals": {HALF: "x"}}),
    swr(Condition={"StringEquals": {"g:UserName": HALF}}),
    swr(Condition={"DateEquals": {"g:CurrentTime": HALF}}),
    ("swr", {"Version": HALF, "Statement": SWR_RULE}),
    tcr(effect=HALF),
    tcr(action=f"tcr:{HALF}"),
    tcr(resource=f"qcs::tcr:::{HALF}"),
    tcr(condition={HALF: {"qcs:ip": "10.0.0.1"}}),
    tcr(condition={"ip_equal": {"qcs:ip": HALF}}),
    tcr(**{HALF: "x"}),
    own(effect=HALF),
    own(actions=[HALF]),
    own(resources=[HALF]),
    own(source=[HALF]),
    own(not_before=HALF),
    own(**{HALF: "x"}),
]


def refusal(dialect: str, text: str) -> str:
    with pytest.raises(DocumentInvalid) as caught:
        VOCABULARIES.check(dialect, text)
    return str(caught.value)


@pytest.mark.parametrize(("dialect", "document"), HALVES)
def test_half_a_character_is_refused_wherever_it_stands(dialect, document):
    assert refusal(dialect, json.dumps(document)).encode()
    assert refusal(dialect, json.dumps(document, ensure_ascii=False)).encode()


@pytest.mark.parametrize(("dialect", "document"), [swr(), tcr(), own()])
def test_what_is_said_twice_is_refused_in_every_dialect(dialect, document):
    VOCABULARIES.check(dialect, json.dumps(document))
    for word in ("effect", "Effect"):
        said = f'"{word}": "deny", '
        twice = json.dumps(document).replace(f'"{word}"', f'{said}"{word}"')
        if twice != json.dumps(document):
            assert "twice" in refusal(dialect, twice)


@pytest.mark.parametrize("dialect", ["swr", "tcr", "entrepot"])
@pytest.mark.parametrize(
    "text", ["", "[" * 20_000, "{}", "[]", "1" * 5000, "{} " * MAX_DOCUMENT, '"\x00"']
)
def test_what_is_no_document_is_refused_in_words(dialect, text):
    assert refusal(dialect, text)
