"""The table against the vendor's contract: names, inputs, outputs and error codes of every action that is served."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_shapes import (
    ACTIONS,
    COMMON_CODES,
    CONTRACT,
    TYPES,
    Field,
    documented,
    nested,
    ours,
    sdk,
)

import entrepot
from entrepot.dialects import tcr
from entrepot.dialects.operation import Operation
from entrepot.dialects.tcr.book import BOOK, COMMON, WITHDRAWN
from entrepot.dialects.tcr.errors import _SIGNING, code_of
from entrepot.dialects.tcr.signing import AuthFailure
from entrepot.dialects.tcr.table import PENDING, TABLE
from entrepot.model.errors import ObjectMissing, RegistryError

DOCUMENTED = sorted(set(TABLE) & set(ACTIONS))
SDK_ONLY = {
    # What the vendor's Terraform resources of private links call; no page of the book has them.
    "CreateInternalEndpointDns",
    "DeleteInternalEndpointDns",
    "DescribeInternalEndpointDnsStatus",
}
NEWER_INPUTS = {
    # Newer SDKs and Terraform send these; the book's pages are older (tcr-behaviour 16).
    "CreateInstance": {"EnableCosVersioning"},
    "ModifyInstance": {"EnableCosVersioning"},
    "CreateNamespace": {"IsAutoScan", "IsPreventVUL", "Severity", "CVEWhitelistItems"},
    "ModifyNamespace": {
        "IsAutoScan",
        "IsPreventVUL",
        "Severity",
        "CVEWhitelistItems",
        "TagSpecification",
    },
    "DeleteRepository": {"ForceDelete"},
}
NEWER_OUTPUTS = {
    # Clients of the newer SDK read these, and some dereference them.
    "CheckInstanceName": {"DetailCode"},
    "TcrNamespaceInfo": {"AutoScan", "PreventVUL", "Severity", "CVEWhitelistItems"},
    # Documented without outputs, though its purpose is to list (tcr-behaviour 8).
    "DescribeInstanceAllNamespaces": {"NamespaceList", "TotalCount"},
}
NOT_IN_SDK = {"DescribeInstanceAllNamespaces"}
OUR_OWN_FAULTS = {RegistryError, ObjectMissing}  # that may be nothing but InternalError


@pytest.fixture(params=DOCUMENTED)
def operation(request: pytest.FixtureRequest) -> Operation:
    return TABLE[request.param]


def test_the_book_is_the_contract():
    assert set(BOOK) == set(ACTIONS)
    assert COMMON == COMMON_CODES
    assert set(CONTRACT["withdrawn"]) == WITHDRAWN
    for name, entry in BOOK.items():
        page = ACTIONS[name]
        assert entry.category == page["category"], name
        assert entry.per_second == page["per_second"], name
        assert entry.codes | COMMON == set(page["errors"]) | COMMON, name
        assert not entry.codes & COMMON, name


def test_the_table_and_what_is_pending_are_the_book_and_nothing_is_both():
    assert (set(TABLE) - SDK_ONLY) | PENDING == set(BOOK)
    assert not set(TABLE) & PENDING
    assert set(TABLE) - set(BOOK) == SDK_ONLY
    assert {name for name, row in TABLE.items() if not row.is_documented} == SDK_ONLY
    assert all(name == row.name for name, row in TABLE.items())
    assert not WITHDRAWN & (set(TABLE) | set(BOOK))


def test_an_operation_takes_the_documented_parameters(operation: Operation):
    expected = documented(ACTIONS[operation.name]["input"])
    newer = {
        name: sdk(f"{operation.name}Request")[name] for name in NEWER_INPUTS.get(operation.name, ())
    }
    found = ours(operation.request)
    assert set(found) == set(expected) | set(newer)
    for name, field in expected.items():
        assert found[name].type == field.type, name
        assert found[name].is_required == field.is_required, name
    for name, field in newer.items():
        assert found[name].type == field.type, name
        assert not found[name].is_required, name


def test_an_operation_takes_all_that_the_sdk_can_send(operation: Operation):
    known = set(ours(operation.request)) | operation.ignores
    assert set(sdk(f"{operation.name}Request")) <= known


def test_structs_inside_requests_are_the_documented_types(operation: Operation):
    for struct in nested(operation.request):
        found = ours(struct)
        if struct.__name__ not in TYPES:
            expected = sdk("CVEWhitelistItem" if struct.__name__ == "Weakness" else struct.__name__)
            assert _types(found) == _types(expected)
            continue
        expected = documented(TYPES[struct.__name__])
        assert _types(found) == _types(expected)
        required = {name for name, field in expected.items() if field.is_required}
        assert {name for name, field in found.items() if field.is_required} == required


def test_an_operation_answers_the_documented_outputs(operation: Operation):
    expected = documented(ACTIONS[operation.name]["output"])
    found = ours(operation.response)
    _agree(found, expected, NEWER_OUTPUTS.get(operation.name, set()))
    if operation.name not in NOT_IN_SDK:
        assert set(found) <= set(sdk(f"{operation.name}Response"))


def test_structs_inside_answers_are_the_documented_types(operation: Operation):
    for struct in nested(operation.response):
        found = ours(struct)
        if struct.__name__ not in TYPES:
            assert _types(found) == _types(sdk("CVEWhitelistItem"))
            continue
        expected = documented(TYPES[struct.__name__])
        newer = NEWER_OUTPUTS.get(struct.__name__, set())
        if struct.__name__ == "SecurityPolicy":  # also what clients send, with all of it optional
            assert _types(found) == _types(expected)
        else:
            _agree(found, expected, newer)
        assert _types(found).items() <= _types(sdk(struct.__name__)).items()


@pytest.mark.parametrize("name", sorted(SDK_ONLY))
def test_operations_of_the_sdk_alone_are_as_the_sdk_has_them(name: str):
    row = TABLE[name]
    assert _types(ours(row.request)) == _types(sdk(f"{name}Request"))
    assert _types(ours(row.response)) == _types(sdk(f"{name}Response"))
    for struct in nested(row.request) | nested(row.response):
        assert _types(ours(struct)) == _types(sdk(struct.__name__))


def _types(fields: dict[str, Field]) -> dict[str, str]:
    return {name: field.type for name, field in fields.items()}


def _agree(found: dict[str, Field], expected: dict[str, Field], newer: set[str]) -> None:
    """All that is documented is there, of its type, and null only where that is documented."""
    assert set(found) == set(expected) | newer
    for name, field in expected.items():
        assert found[name].type == field.type, name
        assert field.is_nullable or not found[name].is_nullable, name


# -- error codes ------------------------------------------------------------------------------------------------------


def _kinds() -> Iterator[type[RegistryError]]:
    for module in pkgutil.walk_packages(entrepot.__path__, "entrepot."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)
    waiting = [RegistryError]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting.extend(kind.__subclasses__())


def test_every_error_has_a_code_that_the_action_documents_and_says_what_is_wrong():
    kinds = set(_kinds())
    assert len(kinds) > 60  # all modules were imported
    for name, row in TABLE.items():
        page = set(ACTIONS[name]["errors"]) if name in ACTIONS else set()
        for kind in kinds:
            code = code_of(kind, name, row.codes)
            assert code in page | COMMON_CODES, (name, kind)
            assert code != "InternalError" or kind in OUR_OWN_FAULTS, (name, kind)


def test_errors_of_requests_that_name_no_served_action_have_common_codes():
    for kind in _kinds():
        assert code_of(kind, "NoSuchAction") in COMMON_CODES, kind
    for reason in AuthFailure:
        assert _SIGNING.get(reason, "AuthFailure.InvalidAuthorization") in COMMON_CODES


def test_refusals_written_in_the_dialect_use_common_codes_alone():
    codes = set()
    for file in Path(tcr.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal":
                assert node.args, file
                if isinstance(node.args[0], ast.Constant):
                    codes.add(node.args[0].value)
                else:  # a code that `errors.py` chose
                    assert file.name == "errors.py"
    assert codes >= {"MissingParameter", "UnknownParameter", "InvalidParameter", "InvalidAction"}
    assert codes <= COMMON_CODES
