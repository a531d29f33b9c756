"""Conditions of identity policies: `{"<operator>": {"<key>": [values]}}`.

All that are given must hold; of a key's values any, of a negated operator's none. A key that a request does not have fails, and holds
where the operator is negated or ends in `IfExists`. What cannot be told (the address of a client at a Unix socket) is to nobody's
advantage: it fails where a statement allows, and holds where it denies.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from entrepot.capabilities.access.conditions import NO_FACTS, NO_NEEDS, Facts, Need
from entrepot.capabilities.access.documents import DocumentInvalid
from entrepot.dialects.swr.actions import WITHOUT_MEANING
from entrepot.model.access import Fact
from entrepot.model.ids import Micros

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_VALUE: Final = 1024  # characters
_MAX_VALUES: Final = 100  # of one operator and key
Given: TypeAlias = Mapping[str, Mapping[str, str | bool | list[str | bool]]]


class Kind(StrEnum):
    """What a key's values are."""

    TEXT = "a text"
    TIME = "a time"
    ADDRESS = "an address"
    SWITCH = "true or false"
    NUMBER = "a number"


@dataclass(frozen=True, slots=True)
class Key:
    """What a policy may ask of a request. `of`: its values there, none where it has no such thing; None: cannot be told."""

    kind: Kind
    of: Callable[[Facts], tuple[Any, ...] | None]
    needs: frozenset[Need] = NO_NEEDS
    about: frozenset[Fact] = NO_FACTS


def _said(kind: Kind, fact: Fact) -> Key:
    return Key(kind, lambda facts: _some(facts.about.get(fact, "")), about=frozenset({fact}))


def _some(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _address(facts: Facts) -> tuple[Any, ...] | None:
    return None if facts.address is None else (facts.address,)


def _urn(facts: Facts) -> tuple[str, ...]:
    who = facts.principal
    return (f"iam::{who.tenant_id}:user:{who.user_name}",) if who.user_id else ()


def _root(facts: Facts) -> tuple[str, ...]:
    return ("true" if facts.principal.is_owner else "false",)


_user_id: Final = Key(Kind.TEXT, lambda facts: _some(facts.principal.user_id))
_tenant_id: Final = Key(Kind.TEXT, lambda facts: _some(facts.principal.tenant_id))
_MOMENT: Final = frozenset({Need.MOMENT})
KEYS: Final[Mapping[str, Key]] = MappingProxyType(
    {
        "g:SourceIp": Key(Kind.ADDRESS, _address, _MOMENT),
        "g:CurrentTime": Key(Kind.TIME, lambda facts: (facts.now,), _MOMENT),
        "g:UserId": _user_id,
        "g:UserName": Key(Kind.TEXT, lambda facts: _some(facts.principal.user_name)),
        "g:DomainId": _tenant_id,
        "g:DomainName": Key(Kind.TEXT, lambda facts: _some(facts.principal.tenant_name)),
        "g:PrincipalId": _user_id,
        "g:PrincipalAccount": _tenant_id,
        "g:PrincipalUrn": Key(Kind.TEXT, _urn),
        "g:PrincipalIsRootUser": Key(Kind.SWITCH, _root),
        "g:RequestedRegion": Key(
            Kind.TEXT, lambda facts: _some(facts.region), frozenset({Need.NAMES})
        ),
        "swr:TargetAccountId": _said(Kind.TEXT, Fact.TARGET_TENANT),
        "swr:TargetRegion": _said(Kind.TEXT, Fact.TARGET_REGION),
        "swr:AllowPublicAccess": _said(Kind.SWITCH, Fact.PUBLIC),
        "swr:EnablePublicNameSpace": _said(Kind.SWITCH, Fact.PUBLIC_NAMESPACE),
        "swr:VpcId": Key(Kind.TEXT, lambda facts: facts.networks, frozenset({Need.NETWORKS})),
    }
)
_KEYS: Final = {name.lower(): name for name in KEYS}  # the vendor's texts write them both ways


# -- operators --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Operator:
    kind: Kind
    fits: Callable[[Any, Any], bool]  # a request's value, a policy's
    is_negated: bool = False


@lru_cache(maxsize=1024)
def _places(text: str) -> Mapping[str, int]:
    """Where each character of it is, as bits."""
    found: dict[str, int] = {}
    for at, letter in enumerate(text):
        found[letter] = found.get(letter, 0) | 1 << at
    return found


def _like(value: str, pattern: str) -> bool:
    """`*` any text, `?` one character. A step a character of the pattern: bit n of `reached` is set if so far it fits the first n of the
    value's."""
    places, end = _places(value), 1 << len(value)
    reached, all_of_it = 1, (end << 1) - 1
    for letter in pattern:
        if letter == "*":
            reached = -(reached & -reached) & all_of_it
        elif letter == "?":
            reached = reached << 1 & all_of_it
        else:
            reached = (reached & places.get(letter, 0)) << 1
        if not reached:
            return False
    return bool(reached & end)


_POSITIVE: Final[Mapping[str, tuple[Kind, Callable[[Any, Any], bool]]]] = {
    "StringEquals": (Kind.TEXT, lambda value, given: bool(value == given)),
    "StringEqualsIgnoreCase": (Kind.TEXT, lambda value, given: value.lower() == given.lower()),
    "StringMatch": (Kind.TEXT, _like),
    "StringStartWith": (Kind.TEXT, str.startswith),
    "StringEndWith": (Kind.TEXT, str.endswith),
    "DateEquals": (Kind.TIME, lambda value, given: bool(value == given)),
    "IpAddress": (Kind.ADDRESS, lambda value, given: value in given),
}
_NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotMatch": "StringMatch",
    "StringNotStartWith": "StringStartWith",
    "StringNotEndWith": "StringEndWith",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


def _never(_value: Any, _given: Any) -> bool:
    return False


_OPERATORS: Final[Mapping[str, _Operator]] = {
    **{name: _Operator(kind, fits) for name, (kind, fits) in _POSITIVE.items()},
    **{
        name: _Operator(*_POSITIVE[positive], is_negated=True)
        for name, positive in _NEGATED.items()
    },
    "DateLessThan": _Operator(Kind.TIME, lambda value, given: bool(value < given)),
    "DateLessThanEquals": _Operator(Kind.TIME, lambda value, given: bool(value <= given)),
    "DateGreaterThan": _Operator(Kind.TIME, lambda value, given: bool(value > given)),
    "DateGreaterThanEquals": _Operator(Kind.TIME, lambda value, given: bool(value >= given)),
    "Bool": _Operator(Kind.SWITCH, lambda value, given: bool(value == given)),
    # No key here has numbers, so these are about none: they are known, to be refused in words.
    **{
        f"Number{name}": _Operator(Kind.NUMBER, _never)
        for name in (
            "Equals",
            "NotEquals",
            "LessThan",
            "LessThanEquals",
            "GreaterThan",
            "GreaterThanEquals",
        )
    },
}
_NULL: Final = "Null"
_NAME: Final = re.compile(r"(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?")


@dataclass(frozen=True, slots=True)
class Test:
    """One operator on one key. `quantifier`: `ForAnyValue`, `ForAllValues` or ""."""

    key: Key
    operator: _Operator | None  # None: `Null`
    values: tuple[Any, ...]
    quantifier: str = ""
    if_exists: bool = False

    def holds(self, facts: Facts) -> bool | None:
        """Whether it does; None: cannot be told."""
        there = self.key.of(facts)
        if there is None:
            return None
        if self.operator is None:
            return ("false" if there else "true") in self.values
        if not there:
            return self.if_exists or self.operator.is_negated or self.quantifier == "ForAllValues"
        every = self.quantifier == "ForAllValues" or (
            self.operator.is_negated and not self.quantifier
        )
        return (all if every else any)(self._fits(value) for value in there)

    def _fits(self, value: Any) -> bool:
        operator = self.operator
        if operator is None:
            return False
        found = any(operator.fits(value, given) for given in self.values)
        return found is not operator.is_negated


@dataclass(frozen=True, slots=True)
class Tests:
    """All that a statement asks."""

    __test__ = False  # pytest's business it is not
    tests: tuple[Test, ...] = ()

    @property
    def needs(self) -> frozenset[Need]:
        """What must be known to answer."""
        return NO_NEEDS.union(*(test.key.needs for test in self.tests))

    @property
    def about(self) -> frozenset[Fact]:
        """What of a request's own saying they ask for."""
        return NO_FACTS.union(*(test.key.about for test in self.tests))

    def hold(self, facts: Facts, *, unknown: bool) -> bool:
        """Whether all hold; what cannot be told counts as `unknown`."""
        answers = [test.holds(facts) for test in self.tests]
        return False not in answers and (unknown or None not in answers)


# -- reading ----------------------------------------------------------------------------------------------------------


def parse(given: Given) -> tuple[Tests, tuple[str, ...]]:
    """What is asked, and the keys it is asked of. Raises DocumentInvalid."""
    tests: list[Test] = []
    keys: list[str] = []
    for name, asked in given.items():
        if not asked:
            raise DocumentInvalid(f"condition {name[:100]} is about nothing")
        for key, values in asked.items():
            known = _key(key)
            keys.append(known)
            tests.append(_test(name, known, values if isinstance(values, list) else [values]))
    return Tests(tuple(tests)), tuple(keys)


def _key(text: str) -> str:
    known = _KEYS.get(text.lower())
    if known is not None:
        return known
    for name, reason in WITHOUT_MEANING.items():
        if text.lower() == name.lower():
            raise DocumentInvalid(f"{name} can never apply: {reason}")
    raise DocumentInvalid(f"no key of conditions is called {text[:100]}; {', '.join(KEYS)} are")


def _test(text: str, key: str, values: list[str | bool]) -> Test:
    found = _NAME.fullmatch(text)
    quantifier, name, if_exists = found.groups() if found else (None, "", None)
    operator = _OPERATORS.get(name)
    if operator is None and (name != _NULL or quantifier or if_exists):
        known = ", ".join([*_OPERATORS, _NULL])
        raise DocumentInvalid(f"no operator is called {text[:100]}; {known} are")
    kind = Kind.SWITCH if operator is None else operator.kind
    if operator is not None and kind is not KEYS[key].kind:
        raise DocumentInvalid(f"{text} compares {kind}, and {key} is {KEYS[key].kind}")
    if not 0 < len(values) <= _MAX_VALUES:
        raise DocumentInvalid(f"condition {text} names 1 to {_MAX_VALUES} values for {key}")
    return Test(
        KEYS[key],
        operator,
        tuple(_value(kind, value) for value in values),
        quantifier or "",
        if_exists is not None,
    )


def _value(kind: Kind, given: str | bool) -> Any:  # noqa: FBT001  (as the document has it)
    if isinstance(given, bool):
        if kind is not Kind.SWITCH:
            raise DocumentInvalid(f"expected {kind}, not {str(given).lower()}")
        return str(given).lower()
    text = given.strip()
    if len(text) > _MAX_VALUE:
        raise DocumentInvalid(f"a value has at most {_MAX_VALUE} characters")
    try:
        if kind is Kind.ADDRESS:
            return ip_network(text, strict=False)
        if kind is Kind.TIME:
            return _moment(text)
    except ValueError as error:
        raise DocumentInvalid(f"{text[:100]} is not {kind}") from error
    if kind is Kind.SWITCH and text.lower() not in ("true", "false"):
        raise DocumentInvalid(f"{text[:100]} is not {kind}")
    return text.lower() if kind is Kind.SWITCH else text


def _moment(text: str) -> Micros:
    """ISO 8601, UTC where no zone is said."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return Micros((moment - _EPOCH) // timedelta(microseconds=1))
