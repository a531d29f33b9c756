"""The API as an OpenAPI 3.1 document, made from the table."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from entrepot import __version__
from entrepot.dialects.native.endpoints import BODIED, PREFIX, AnyEndpoint
from entrepot.dialects.native.problems import CONTENT_TYPE, Problem
from entrepot.dialects.native.shapes import Nothing
from entrepot.dialects.native.table import TABLE

_REFERENCE: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"


@cache
def document() -> bytes:
    """JSON, made once."""
    return msgspec.json.encode(openapi())


def openapi() -> dict[str, Any]:
    """As a tree of plain values."""
    kinds = [kind for one in TABLE for kind in (one.operation.request, one.operation.response)]
    references, components = msgspec.json.schema_components(
        [*kinds, Problem], ref_template=_REFERENCE
    )
    by_kind = dict(zip([*kinds, Problem], references, strict=True))
    requests = {one.operation.request.__name__ for one in TABLE}
    paths: dict[str, dict[str, Any]] = {}
    for one in TABLE:
        schema = components[one.operation.request.__name__]
        answer = by_kind[one.operation.response]
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _operation(
            one, schema, answer
        )
    left_out = requests | {Nothing.__name__}
    kept = {name: schema for name, schema in components.items() if name not in left_out}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Entrepot", "version": __version__},
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "schemas": kept,
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "responses": {
                "Problem": {
                    "description": "What went wrong",
                    "content": {CONTENT_TYPE.decode(): {"schema": by_kind[Problem]}},
                }
            },
        },
    }


def _operation(
    endpoint: AnyEndpoint, schema: Mapping[str, Any], answer: Mapping[str, Any]
) -> dict[str, Any]:
    properties: Mapping[str, Any] = schema["properties"]
    required = frozenset(schema.get("required", ()))
    has_body = endpoint.method in BODIED
    said = {
        "operationId": endpoint.operation.name,
        "summary": (endpoint.operation.request.__doc__ or "").strip(),
        "tags": [endpoint.group.replace("_", " ")],
        "parameters": [
            {
                "name": name,
                "in": "path" if name in endpoint.names else "query",
                "required": name in required,
                "schema": shape,
            }
            for name, shape in properties.items()
            if name in endpoint.names or not has_body
        ],
        "responses": {
            str(endpoint.status): _success(endpoint, answer),
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    inside = {name: shape for name, shape in properties.items() if name not in endpoint.names}
    if has_body:
        body = {
            "type": "object",
            "properties": inside,
            "required": sorted(required & inside.keys()),
            "additionalProperties": False,
        }
        said["requestBody"] = {"required": bool(inside), "content": {_JSON: {"schema": body}}}
    return said


def _success(endpoint: AnyEndpoint, answer: Mapping[str, Any]) -> dict[str, Any]:
    if endpoint.status == 204:
        return {"description": "Done"}
    return {"description": "Done", "content": {_JSON: {"schema": answer}}}
