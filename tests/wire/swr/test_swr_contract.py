"""The table against the vendor's contract: method, path, inputs, status and codes of every operation that is served."""

import msgspec
import pytest
from swr_contract import BY_NAME, CONTRACT, OPERATIONS, TOLD_WITHOUT_TABLE, fields

from entrepot.capabilities.policies import retention  # noqa: F401  (errors of every room are known)
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.errors import CODES, code_of
from entrepot.dialects.swr.refusal import PREFIX
from entrepot.dialects.swr.table import TABLE
from entrepot.model.errors import RegistryError

SDK_ONLY = {
    "CreateAuthorizationToken",
    "CreateRepoTag",
    "ListSyncRegions",
    "ShowRepoTag",
    "ListRepoDetails",
    "ListRepositoryTag",
    "ListSharedRepoDetails",
    "ShowDomainOverview",
}
SPELLED_TWICE = {"remoteNamepace"}
"""A misprint of one page that another one has right: every operation takes both."""
OWN_CODES = {"4040200", "4040201", "4040202", "4090200"}
"""Of what the vendor's list has no code for: a missing trigger, retention rule, sync rule; a trigger that is there."""
DOCUMENTED = sorted(set(OPERATIONS) & set(BY_NAME))


@pytest.fixture(params=DOCUMENTED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_documented_operation_is_served():
    assert set(BY_NAME) | TOLD_WITHOUT_TABLE >= set(OPERATIONS)


def test_what_no_page_has_is_known_to_the_sdk():
    others = set(BY_NAME) - set(OPERATIONS)
    assert others <= SDK_ONLY
    for one in others:
        told = CONTRACT["sdk_only"][one]
        assert (BY_NAME[one].method, BY_NAME[one].path) == (told["method"], told["path"])
        assert not BY_NAME[one].operation.is_documented


def test_it_is_where_the_page_says(name: str):
    page, row = OPERATIONS[name], BY_NAME[name]
    assert (row.method, row.path, row.status) == (page["method"], page["path"], page["status"])
    assert row.operation.is_documented


def test_policies_call_it_as_the_vendor_does(name: str):
    assert [BY_NAME[name].action] == OPERATIONS[name]["actions"]


def test_every_action_is_one_of_the_vendors():
    assert {row.action for row in TABLE} <= set(CONTRACT["actions"])


def test_its_inputs_are_the_documented_ones(name: str):
    page, row = OPERATIONS[name], BY_NAME[name]
    ours = fields(row.operation.request)
    if row.array:
        assert [one["name"] for one in page["body"]] == ["[]"]
        assert set(ours) == {*page["path_params"], row.array}
        return
    wanted = {*page["path_params"], *(one["name"] for one in (*page["query"], *page["body"]))}
    apart = SPELLED_TWICE | row.filters | {"filter"}  # what `filter` says the wire takes apart
    assert set(ours) - apart == wanted - apart
    for one in (*page["query"], *page["body"]):
        if one["name"] not in apart | {"remoteNamespace"}:
            assert ours[one["name"]].required == one["required"], one["name"]


def test_its_filter_has_the_documented_keys(name: str):
    told = [one for one in OPERATIONS[name]["query"] if one["name"] == "filter"]
    assert BY_NAME[name].filters >= frozenset(told[0]["keys"] if told else ())
    assert bool(BY_NAME[name].filters) == bool(told)


def test_it_answers_the_recommended_codes_for_what_they_are_for(name: str):
    row = BY_NAME[name]
    possible = {code_of(kind, row.operation.codes) for kind in _kinds(RegistryError)}
    possible |= set(row.wrong.values()) | OF_THE_WIRE
    wanted = {code.rpartition(".")[2] for code in OPERATIONS[name]["codes"]}
    assert wanted <= possible, wanted - possible


OF_THE_WIRE = {
    *("4001014", "4000014", "4001018", "4001025", "4001035", "4000056"),
    *("4039002", "4037020", "4039001", "4011064", "4040058", "4131001", "4040083"),
    *("4000097", "4000098", "4000099", "4009013"),
}


def test_every_code_is_in_the_vendors_list_or_one_of_three():
    known = {code.rpartition(".")[2] for code in CONTRACT["codes"] if code.startswith(PREFIX)}
    told = set(CODES.values()) | OF_THE_WIRE
    told |= {code for row in TABLE for code in row.operation.codes.values()}
    told |= {code for row in TABLE for code in row.wrong.values()}
    assert told <= known | OWN_CODES, told - known


def test_every_error_has_a_code():
    for kind in _kinds(RegistryError):
        assert code_of(kind).isdecimal()
        if kind is not RegistryError:
            assert code_of(kind) != code_of(RegistryError), kind


def test_structs_say_nothing_of_what_is_in_them(row: Endpoint):
    told = repr(msgspec.convert(_least(row), row.operation.request, strict=False))
    assert told == row.operation.request.__name__


@pytest.fixture(params=[row.operation.name for row in TABLE])
def row(request: pytest.FixtureRequest) -> Endpoint:
    return BY_NAME[request.param]


def _least(row: Endpoint) -> dict[str, object]:
    """Values for what is required, of any kind that fits."""
    found: dict[str, object] = {}
    for name, one in fields(row.operation.request).items():
        if one.required:
            found[name] = _value(one.type)
    return found


def _value(kind: msgspec.inspect.Type) -> object:
    match kind:
        case msgspec.inspect.StrType():
            return "x"
        case msgspec.inspect.BoolType():
            return True
        case msgspec.inspect.IntType():
            return 1
        case msgspec.inspect.LiteralType(values=values):
            return values[0]
        case msgspec.inspect.ListType(item_type=inner):
            return [_value(inner)]
        case msgspec.inspect.DictType():
            return {}
        case msgspec.inspect.StructType(fields=inside):
            return {one.encode_name: _value(one.type) for one in inside if one.required}
        case msgspec.inspect.UnionType(types=types):
            return _value(types[0])
        case _:
            raise AssertionError(kind)


def _kinds(root: type[RegistryError]) -> set[type[RegistryError]]:
    found = {root}
    for kind in root.__subclasses__():
        found |= _kinds(kind)
    return {kind for kind in found if kind.__module__.startswith("entrepot.")}
