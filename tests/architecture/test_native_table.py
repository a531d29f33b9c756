"""The native API's tables are complete and agree with each other: errors, rows, the reference page, OpenAPI."""

import importlib
import json
import pkgutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_type_hints

import msgspec
import pytest
from source_files import ROOT

import entrepot.capabilities
import entrepot.model
from entrepot.dialects.native.endpoints import BODIED, PREFIX, Endpoint, Paths
from entrepot.dialects.native.openapi import openapi
from entrepot.dialects.native.problems import OF_WIRE, TABLE, UNEXPECTED, kind_of, problem
from entrepot.dialects.native.shapes import Nothing
from entrepot.dialects.native.table import PATHS
from entrepot.dialects.native.table import TABLE as ROWS
from entrepot.model import errors
from entrepot.model.errors import RegistryError

FAMILIES = {
    errors.InvalidInput: {400, 413},
    errors.Unknown: {404},
    errors.Conflict: {409},
    errors.Unauthenticated: {401},
    errors.Forbidden: {403},
    errors.QuotaExceeded: {403},
    errors.RateLimited: {429},
    errors.Unavailable: {503, 507},
}


def leaves() -> list[type[RegistryError]]:
    """Every error that use cases raise: classes without subclasses, wherever they are."""
    for package in (entrepot.model, entrepot.capabilities):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)

    def below(kind: type[RegistryError]) -> Iterator[type[RegistryError]]:
        yield from (one for child in kind.__subclasses__() for one in below(child))
        if not kind.__subclasses__():
            yield kind

    found = {kind for kind in below(RegistryError) if kind.__module__.startswith("entrepot.")}
    return sorted(found, key=lambda kind: kind.__name__)


def example(kind: type[RegistryError]) -> RegistryError:
    """One of that class, with facts of the right types."""
    values: dict[Any, Any] = {int: 5, float: 5.0, str: "text", tuple[str, ...]: ("a", "b")}
    hints = get_type_hints(kind)
    return kind(**{f.name: values.get(hints[f.name], "value") for f in fields(kind)})


@pytest.mark.parametrize("kind", leaves(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_problem_of_its_family(kind):
    row = kind_of(kind)

    assert row is not UNEXPECTED
    for family, statuses in FAMILIES.items():
        assert not issubclass(kind, family) or row.status in statuses
    answer = problem(example(kind), "req-1")
    said = json.loads(answer.body)
    assert (answer.status, said["status"], said["code"]) == (row.status, row.status, row.code)
    assert said["detail"]
    assert said["request_id"] == "req-1"


def test_a_code_means_one_thing():
    kinds = {*TABLE.values(), *OF_WIRE}

    assert [code for code, times in Counter(k.code for k in kinds).items() if times > 1] == []


def test_what_is_wrong_inside_is_not_told():
    answer = problem(errors.StorageUnavailable("/var/lib/secret/place"), "req-1")

    assert answer.status == 503
    assert b"secret" not in answer.body
    assert dict(answer.headers)[b"retry-after"] == b"1"


def test_names_of_operations_are_used_once():
    names = [one.operation.name for one in ROWS]

    assert len(set(names)) == len(names)
    assert [one.operation.request.__name__ for one in ROWS] == names


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.operation.name)
def test_a_row_agrees_with_itself(row: Endpoint):
    operation = row.operation
    taken = {field.name for field in msgspec.structs.fields(operation.request)}

    assert set(row.names) <= taken
    assert operation.changes is (row.method != "GET")
    assert (row.status == 204) is (operation.response is Nothing)
    assert row.status in (200, 201, 204)
    found = PATHS.find((PREFIX + row.path).encode())
    assert found is not None
    assert found.by_method[row.method] is row
    assert len(found.values) == len(row.names)
    if "List" in operation.name:
        assert {"after", "limit"} <= taken


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.operation.name)
def test_what_is_asked_and_answered_prints_nothing_of_itself(row: Endpoint):
    for kind in (row.operation.request, row.operation.response):
        values = dict.fromkeys(kind.__struct_fields__, "s3cret")
        assert repr(kind(**values)) == kind.__name__


def test_every_row_is_in_the_document_with_all_that_it_takes():
    document = openapi()

    for row in ROWS:
        said = document["paths"][PREFIX + row.path][row.method.lower()]
        told = {one["name"]: one["in"] for one in said["parameters"]}
        if "requestBody" in said:
            body = said["requestBody"]["content"]["application/json"]["schema"]
            told |= dict.fromkeys(body["properties"], "body")
        elsewhere = "body" if row.method in BODIED else "query"
        assert told == {
            field.name: "path" if field.name in row.names else elsewhere
            for field in msgspec.structs.fields(row.operation.request)
        }
        assert said["summary"]
        assert set(said["responses"]) == {str(row.status), "default"}


def test_every_reference_in_the_document_leads_somewhere():
    document = openapi()
    components = document["components"]
    names = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses")
        for name in components[kind]
    }

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    assert set(references(document)) == names


def test_every_row_is_on_the_reference_page():
    page = (ROOT / "docs" / "reference" / "api.md").read_text()

    for row in ROWS:
        assert f"### {row.operation.name}\n\n`{row.method} {PREFIX}{row.path}`\n" in page
    for kind in {*TABLE.values(), *OF_WIRE}:
        assert f"| {kind.status} | `{kind.code}` |" in page


def test_a_path_has_one_row_a_method():
    with pytest.raises(ValueError, match="twice"):
        Paths([*ROWS, ROWS[0]])
