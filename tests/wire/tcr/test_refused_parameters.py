"""Parameters that no action takes: for each action and each of its parameters, by the contract. Nothing is changed by any of them.

All of them go to the reading of parameters, and one in some over the wire.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from account import Account, open_account
from contract_shapes import ACTIONS, TYPES, Field, documented, ours, sdk
from firm import Firm
from sending import Sent, flat, tc3_get, tc3_post, v1
from started import Operator, Started

from entrepot.dialects.tcr import parameters
from entrepot.dialects.tcr.errors import code_of
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.dialects.tcr.table import TABLE
from entrepot.model.errors import InstanceUnknown

pytestmark = pytest.mark.broad

ACTION_NAMES = sorted(TABLE)
ABSENT = object()
WORDS = {"Operation": "Create", "TokenType": "temp", "InstanceId": None, "RegistryId": None}
"""Strings that are not any string; None: the id of an instance."""
WRONG: dict[str, list[Any]] = {
    "str": [5, 1.5, True, ["x"], {"a": "b"}, "x\x00y"],
    "int": [
        "",
        "abc",
        "1.5",
        " 1",
        "0x10",
        "1e3",
        1.5,
        True,
        [1],
        {},
        2**63,
        -(2**63) - 1,
        "9" * 30,
    ],
    "bool": ["", "yes", "TRUE", "1", 1, 0, [True], {}],
    "list": ["x", "", 5, True, {}, {"a": "b"}, {"0": "x"}],
    "object": ["x", "", 5, True, [], ["x"]],
}
FLAT_WRONG: dict[str, list[Any]] = {
    "str": [{"0": "x"}, {"A": {"B": "x"}}],
    "int": ["", "abc", "1.5", " 1", "+", "٣", "9" * 30, {"0": "1"}],
    "bool": ["", "yes", "TRUE", "1", {"0": "true"}],
    "list": ["x", "", {"x": "y"}, {"-1": "y"}, {"9999999999": "x"}],
    "object": ["x", ""],
}
OUT_OF_RANGE: dict[str, list[Any]] = {
    "Limit": [-1, 2**31, 2**63 - 1],
    "Offset": [-1, 2**31, 2**63 - 1],
    "Duration": [-1, 10**9],
    "ExpiresAt": [-1, 2**62],
    "Flag": [-1, 2],
    "ModifyFlag": [0, 3],
    "RegistryChargeType": [-1, 2],
    "PolicyIndex": [-1, 2**40],
    "RegistryChargePrepaid": [{"Period": n, "RenewFlag": 0} for n in (0, -1, 2**31)]
    + [{"Period": 1, "RenewFlag": n} for n in (-1, 3)],
    "Operation": ["create", "", "Modify"],
    "TokenType": ["", "TEMP", "forever"],
    "Tags": [[], ["t"] * 21],
    "SecurityGroupPolicySet": [[], [{"CidrBlock": f"10.1.0.{n}"} for n in range(201)]],
}


def inputs(action: str) -> dict[str, Field]:
    """Of the contract's page, or of newer clients; what these must send is ours to say."""
    mine = ours(TABLE[action].request)
    if action not in ACTIONS:
        return {name: mine[name] for name in sdk(f"{action}Request")}
    return {**mine, **documented(ACTIONS[action]["input"])}


def members(kind: str) -> dict[str, Field]:
    """Of a type inside."""
    if kind in TYPES:
        return documented(TYPES[kind])
    if kind == "VpcAndDomainInfo":
        return sdk(kind) | {n: Field("str", is_required=True) for n in ("InstanceId", "VpcId")}
    return sdk(kind)


def good(field: Field, firm: Firm, name: str = "") -> Any:
    """A value that can be read, of that type."""
    if field.type.startswith("["):
        return [good(Field(field.type[1:-1]), firm)]
    if field.type == "str":
        return WORDS.get(name, "some-name") or firm.registry
    if field.type in ("int", "bool"):
        return 1 if field.type == "int" else True
    return {n: good(f, firm, n) for n, f in members(field.type).items() if f.is_required}


def base(action: str, firm: Firm) -> dict[str, Any]:
    return {n: good(f, firm, n) for n, f in inputs(action).items() if f.is_required}


def kind_of(field: Field) -> str:
    if field.type.startswith("["):
        return "list"
    return field.type if field.type in ("str", "int", "bool") else "object"


def spoilt(field: Field, firm: Firm, wrong: dict[str, list[Any]]) -> Iterator[Any]:
    """Values that are not of the type, itself or somewhere inside."""
    yield from wrong[kind_of(field)]
    if kind_of(field) == "list":
        item = Field(field.type[1:-1])
        for value in list(spoilt(item, firm, wrong)):
            yield [value]
            yield [good(item, firm), value]
    elif kind_of(field) == "object":
        whole = {n: good(f, firm, n) for n, f in members(field.type).items()}
        for name, member in members(field.type).items():
            for value in spoilt(member, firm, wrong):
                yield {**whole, name: value}


def incomplete(field: Field, firm: Firm) -> Iterator[Any]:
    """Values in which something required is absent or null."""
    if kind_of(field) == "list":
        yield from ([value] for value in incomplete(Field(field.type[1:-1]), firm))
    elif kind_of(field) == "object":
        whole = {n: good(f, firm, n) for n, f in members(field.type).items()}
        for name, member in members(field.type).items():
            if member.is_required:
                yield {n: v for n, v in whole.items() if n != name}
                yield {**whole, name: None}
            yield from ({**whole, name: value} for value in incomplete(member, firm))


def stretched(field: Field, firm: Firm, text: str) -> Iterator[Any]:
    """Values with that text in one place."""
    if field.type == "str":
        yield text
    elif kind_of(field) == "list":
        yield from ([value] for value in stretched(Field(field.type[1:-1]), firm, text))
    elif kind_of(field) == "object":
        whole = {n: good(f, firm, n) for n, f in members(field.type).items()}
        for name, member in members(field.type).items():
            yield from ({**whole, name: value} for value in stretched(member, firm, text))


def extended(field: Field, firm: Firm) -> Iterator[Any]:
    """Values with a member that nobody knows."""
    if kind_of(field) == "list":
        yield from ([value] for value in extended(Field(field.type[1:-1]), firm))
    elif kind_of(field) == "object":
        whole = {n: good(f, firm, n) for n, f in members(field.type).items()}
        yield {**whole, "Nonsense": "x"}
        for name, member in members(field.type).items():
            yield from ({**whole, name: value} for value in extended(member, firm))


class Refused:
    """Asks for what must be refused, one time in `every` over the wire, and remembers what was not, or otherwise."""

    def __init__(self, firm: Firm, action: str) -> None:
        self.firm, self.action = firm, action
        self.base = base(action, firm)
        self.wrong: list[tuple[str, Any]] = []
        self.count = 0

    def json(self, expected: str, every: int = 1, **changes: Any) -> None:
        given = {n: v for n, v in {**self.base, **changes}.items() if v is not ABSENT}
        if self._is_turn(every):
            self._sent(expected, tc3_post(self.firm.account, self.action, given), changes)
        else:
            self._read(expected, given, changes, is_flat=False)

    def flat(self, expected: str, every: int = 1, **changes: Any) -> None:
        given = {n: v for n, v in {**self.base, **changes}.items() if v is not ABSENT}
        if self._is_turn(every):
            build = v1 if self.count % 2 else tc3_get
            self._sent(expected, build(self.firm.account, self.action, given), changes)
        else:
            self._read(expected, parameters.nest(flat(given)), changes, is_flat=True)

    def pairs(self, expected: str, pairs: list[tuple[str, str]]) -> None:
        pairs = [*flat(self.base), *pairs]
        self._sent(expected, v1(self.firm.account, self.action, pairs=pairs), pairs)

    def _is_turn(self, every: int) -> bool:
        self.count += 1
        return self.count % every == 0

    def _sent(self, expected: str, sent: Sent, about: Any) -> None:
        self._compare(expected, self.firm.wire.code(sent), about)

    def _read(self, expected: str, given: Any, about: Any, *, is_flat: bool) -> None:
        row, code = TABLE[self.action], ""
        try:
            parameters.read(row.request, given, is_flat=is_flat, ignored=row.ignores)
        except Refusal as refusal:
            code = refusal.code
        self._compare(expected, code, about)

    def _compare(self, expected: str, code: str, about: Any) -> None:
        if code != expected:
            self.wrong.append((code or "accepted", str(about)[:300]))


@pytest.fixture(params=ACTION_NAMES)
def refused(firm: Firm, request: pytest.FixtureRequest) -> Iterator[Refused]:
    before = firm.state() if TABLE[request.param].changes else ""
    made = Refused(firm, request.param)
    yield made
    assert not made.wrong, made.wrong
    assert not before or firm.state() == before


def test_what_is_required_must_be_there(refused: Refused):
    for name, field in inputs(refused.action).items():
        if field.is_required:
            refused.json("MissingParameter", **{name: ABSENT})
            refused.json("MissingParameter", **{name: None})
            refused.flat("MissingParameter", **{name: ABSENT})
        for value in incomplete(field, refused.firm):
            refused.json("MissingParameter", **{name: value})
            refused.flat("MissingParameter", **{name: value})


def test_a_name_nobody_knows_is_refused_wherever_it_stands(refused: Refused):
    for name in ("Nonsense", "registryId", "RegistryID", "Registry Id", "Größe", "Action"):
        for value in ("x", None, ["x"], {"A": 1}):
            refused.json("UnknownParameter", every=12, **{name: value})
    refused.flat("UnknownParameter", Nonsense="x")
    refused.flat("UnknownParameter", Nonsense=["x", {"A": "y"}])
    for name, field in inputs(refused.action).items():
        for value in extended(field, refused.firm):
            refused.json("UnknownParameter", **{name: value})
            refused.flat("UnknownParameter", **{name: value})


def test_a_value_of_another_type_is_refused(refused: Refused):
    for name, field in inputs(refused.action).items():
        for value in spoilt(field, refused.firm, WRONG):
            if _is_incomplete(field, value):
                continue
            refused.json("InvalidParameter", every=16, **{name: value})


def _is_incomplete(field: Field, value: Any) -> bool:
    """It is an object, only not a whole one."""
    return kind_of(field) == "list" and value == [{}]


def test_a_value_of_another_type_is_refused_in_the_flat_form(refused: Refused):
    for name, field in inputs(refused.action).items():
        for value in FLAT_WRONG[kind_of(field)]:
            refused.flat("InvalidParameter", every=8, **{name: value})


def test_numbers_words_and_lists_outside_their_bounds_are_refused(refused: Refused):
    for name in inputs(refused.action).keys() & OUT_OF_RANGE.keys():
        for value in OUT_OF_RANGE[name]:
            refused.json("InvalidParameter", **{name: value})


def test_texts_beyond_any_length_and_with_no_characters_are_refused(refused: Refused):
    for name, field in inputs(refused.action).items():
        for text in ("x" * 70_000, "\x00", "a\x00"):
            for value in stretched(field, refused.firm, text):
                refused.json("InvalidParameter", every=4, **{name: value})


def test_a_flat_name_says_one_thing(refused: Refused):
    for name, field in inputs(refused.action).items():
        path = name
        if kind_of(field) == "list":
            path = f"{name}.0" if field.type[1:-1] == "str" else f"{name}.0.Name"
        elif kind_of(field) == "object":
            path = f"{name}.Name"
        if name not in refused.base:
            refused.pairs("InvalidParameter", [(path, "1"), (path, "1")])
        refused.pairs("InvalidParameter", [(f"{path}", "1"), (f"{path}.A", "1")])
        refused.pairs("InvalidParameter", [(f"{name}" + ".A" * 9, "1")])


# -- ids of instances -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def foreign(tcr: Started, tcr_operator: Operator) -> str:
    """The id of another tenant's instance."""
    stranger: Account = open_account(tcr, tcr_operator)
    given = {"RegistryName": f"foreign-{stranger.tenant.id}", "RegistryType": "basic"}
    return str(stranger.send("CreateInstance", given)["RegistryId"])


@pytest.mark.parametrize("action", ACTION_NAMES)
def test_another_tenants_instance_is_as_unknown_as_one_that_is_not_there(
    firm: Firm, foreign: str, action: str
):
    named = "InstanceId" if "InstanceId" in inputs(action) else "RegistryId"
    if named not in inputs(action) or action == "CheckInstance":
        return
    expected = code_of(InstanceUnknown, action)
    assert expected in ("ResourceNotFound", "ResourceNotFound.TcrResourceNotFound")
    before = firm.state()
    said = {}
    for name in (foreign, "tcr-unknown0", "", firm.registry.upper(), f" {firm.registry}", "*", "%"):
        given = {**base(action, firm), named: name}
        answer = firm.wire.send(tc3_post(firm.account, action, given))
        assert answer["Error"]["Code"] == expected, name
        said[name] = answer["Error"]["Message"].replace(name, "…")
    assert said[foreign] == said["tcr-unknown0"]
    assert firm.state() == before


def test_lists_and_checks_tell_nothing_of_another_tenants_instance(firm: Firm, foreign: str):
    for name in (foreign, "tcr-unknown0"):
        checked = firm.do("CheckInstance", RegistryId=name)
        assert (checked["IsValidated"], checked["RegionId"]) == (False, 0)
        assert firm.do("DescribeInstances", Registryids=[name], AllRegion=True)["TotalCount"] == 0
        assert firm.do("DescribeInstanceStatus", RegistryIds=[name])["RegistryStatusSet"] == []
        asked = [{"InstanceId": name, "VpcId": "vpc-1"}]
        code = firm.code("DescribeInternalEndpointDnsStatus", {"VpcSet": asked})
        assert code == "ResourceNotFound"
