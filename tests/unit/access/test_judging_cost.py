"""Judging policies costs once what does not change within a request, and ends where it would take for ever."""

import json
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.capabilities.access import evaluator
from entrepot.capabilities.access.conditions import NO_FACTS, NO_NEEDS
from entrepot.capabilities.access.documents import (
    NATIVE,
    BoundStatement,
    Effect,
    Reading,
    Statement,
    Vocabularies,
)
from entrepot.capabilities.access.evaluator import Rights, decide, level_on
from entrepot.capabilities.access.wildcard import Wildcard
from entrepot.dialects.swr import conditions
from entrepot.dialects.swr.policies import SWR
from entrepot.model.access import Fact, Level, Permission, Principal, Resource, Role
from entrepot.model.errors import QuotaExceeded
from entrepot.model.ids import InstanceId, NamespaceId, RepositoryId, TenantId

P = Permission
ACME = TenantId(1)


def repository(number: int) -> Resource:
    return Resource(
        ACME, InstanceId(1), NamespaceId(1), "team", RepositoryId(number), f"app{number}"
    )


@dataclass
class Counting:
    """A condition that notes how often it was asked."""

    asked: list[object] = field(default_factory=list)
    needs = NO_NEEDS
    about = NO_FACTS

    def hold(self, facts, *, unknown) -> bool:
        self.asked.append(facts)
        return True


def reading(condition, *resources: str) -> Reading:
    patterns = tuple(map(Wildcard.parse, resources))
    statement = Statement(Effect.ALLOW, (Wildcard.parse("*"),), patterns, condition)
    return Reading((BoundStatement(statement, NATIVE),))


def test_a_condition_is_asked_once_for_a_list_of_repositories():
    condition = Counting()
    rights = Rights(tenant=ACME, role=Role.MEMBER, policies=reading(condition, "team/*"))

    assert all(decide(rights, P.PULL, repository(n)).allowed for n in range(50))
    assert len(condition.asked) == 1
    assert not decide(rights, P.PULL, replace_name(repository(1), "other")).allowed


def replace_name(resource: Resource, namespace: str) -> Resource:
    return Resource(ACME, resource.instance, NamespaceId(2), namespace, RepositoryId(99), "app")


def test_it_is_asked_again_for_what_else_a_request_says_and_for_other_rights():
    condition = Counting()
    rights = Rights(tenant=ACME, role=Role.MEMBER, policies=reading(condition, "*"))
    for about in ({}, {Fact.TARGET_REGION: "a"}, {Fact.TARGET_REGION: "b"}):
        said = Resource(ACME, InstanceId(1), NamespaceId(1), "team", RepositoryId(1), "app", about=about)  # fmt: skip
        for _ in range(2):
            assert decide(rights, P.PULL, said).allowed
    assert len(condition.asked) == 3
    assert decide(replace(rights, source="10.0.0.1"), P.PULL, repository(1)).allowed
    assert len(condition.asked) == 4


def test_levels_in_a_list_ask_once_too():
    condition = Counting()
    policies = reading(condition, "team/*")
    rights = Rights(tenant=ACME, role=Role.MEMBER, policies=policies, operation="swr:x:y")

    assert {level_on(rights, repository(n)) for n in range(20)} == {Level.MANAGE}
    assert len(condition.asked) == 1


def test_a_request_that_would_compare_for_ever_ends(monkeypatch):
    monkeypatch.setattr(evaluator, "MAX_COMPARISONS", 1000)
    rights = Rights(
        tenant=ACME, role=Role.MEMBER, policies=reading(Counting(), *["nothing/*"] * 100)
    )
    for number in range(10):
        assert not decide(rights, P.PULL, repository(number)).allowed

    with pytest.raises(QuotaExceeded):
        decide(rights, P.PULL, repository(10))


# -- patterns of conditions -------------------------------------------------------------------------------------------


def fits(value: str, pattern: str) -> bool:
    """By the meaning of the words."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(fits(value[n:], pattern[1:]) for n in range(len(value) + 1))
    return bool(value) and pattern[0] in ("?", value[0]) and fits(value[1:], pattern[1:])


@given(st.text("ab", max_size=8), st.text("ab*?", max_size=8))
def test_patterns_fit_what_their_stars_and_question_marks_say(value, pattern):
    tests, _ = conditions.parse({"StringMatch": {"g:UserName": [pattern]}})
    (test,) = tests.tests

    assert test.operator.fits(value, pattern) is fits(value, pattern)


def test_a_document_full_of_hard_patterns_is_judged_in_steps_of_its_length():
    pattern = "*" + "a?" * 10 + "a*b"
    rule = {
        "Effect": "Allow",
        "Action": "*",
        "Condition": {"StringMatch": {"g:UserName": [pattern] * 100}},
    }
    document = json.dumps({"Version": "5.0", "Statement": [rule] * 22})
    assert 60_000 < len(document) < 65_536
    policies = Vocabularies((SWR,)).read([("swr", document)])
    who = Principal("u" * 32, "a" * 64, "t" * 32, "acme")
    rights = Rights(tenant=ACME, role=Role.MEMBER, policies=policies, principal=who)

    seen = [decide(rights, P.PULL, repository(n)).allowed for n in range(2000)]
    assert not any(seen)
    assert rights.memo.spent == 0  # no statement counts, so no name was compared
