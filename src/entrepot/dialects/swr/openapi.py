"""The API as an OpenAPI 3.1 document, made from the table."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from entrepot import __version__
from entrepot.dialects.swr.endpoints import AnyEndpoint
from entrepot.dialects.swr.errors import Everywhere
from entrepot.dialects.swr.shapes import Answers, Nothing
from entrepot.dialects.swr.table import TABLE

PATH: Final = b"/v2/manage/openapi.json"
BODIED: Final = frozenset({"POST", "PATCH", "DELETE"})
_REFERENCE: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"


@cache
def document() -> bytes:
    """JSON, made once."""
    return msgspec.json.encode(openapi())


def openapi() -> dict[str, Any]:
    """As a tree of plain values."""
    kinds = [kind for one in TABLE for kind in (one.operation.request, one.operation.response)]
    _, components = msgspec.json.schema_components([*kinds, Everywhere], ref_template=_REFERENCE)
    requests = {one.operation.request.__name__ for one in TABLE}
    paths: dict[str, dict[str, Any]] = {}
    for one in TABLE:
        said = _operation(one, components)
        paths.setdefault(one.path, {})[one.method.lower()] = said
    left_out = requests | {Nothing.__name__}
    kept = {name: schema for name, schema in components.items() if name not in left_out}
    return {
        "openapi": "3.1.0",
        "info": {"title": "SWR at Entrepot", "version": __version__},
        "security": [{"token": []}, {"signature": []}],
        "paths": paths,
        "components": {
            "schemas": kept,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "signature": {"type": "apiKey", "in": "header", "name": "Authorization"},
            },
            "responses": {
                "Error": {
                    "description": "What went wrong",
                    "content": {_JSON: {"schema": {"$ref": _REFERENCE.format(name="Everywhere")}}},
                }
            },
        },
    }


def _operation(endpoint: AnyEndpoint, components: Mapping[str, Any]) -> dict[str, Any]:
    request = components[endpoint.operation.request.__name__]
    properties: Mapping[str, Any] = request.get("properties", {})
    required = frozenset(request.get("required", ()))
    in_body = _in_body(endpoint, properties)
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
            if name not in in_body
        ],
        "responses": {
            str(endpoint.status): _success(endpoint, components),
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if in_body:
        said["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": _body(endpoint, in_body, required)}},
        }
    return said


def _in_body(endpoint: AnyEndpoint, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A method with a body takes all from it that the path does not say."""
    if endpoint.method not in BODIED or endpoint.in_query:
        return {}
    return {name: shape for name, shape in properties.items() if name not in endpoint.names}


def _body(
    endpoint: AnyEndpoint, properties: Mapping[str, Any], required: frozenset[str]
) -> Mapping[str, Any]:
    if endpoint.array:
        whole: Mapping[str, Any] = properties[endpoint.array]
        return whole
    needed = sorted(required & properties.keys())
    return {"type": "object", "properties": properties, "required": needed}


def _success(endpoint: AnyEndpoint, components: Mapping[str, Any]) -> dict[str, Any]:
    if endpoint.status == 204:
        return {"description": "Done"}
    response = endpoint.operation.response
    shape: Mapping[str, Any] = components[response.__name__]
    if issubclass(response, Answers):
        shape = _told(response, shape)
    return {"description": "Done", "content": {_JSON: {"schema": shape}}}


def _told(response: type[Answers], shape: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of the answer's fields the document has."""
    properties: Mapping[str, Any] = shape.get("properties", {})
    if response.whole:
        alone: Mapping[str, Any] = properties[response.whole]
        return alone
    kept = {name: one for name, one in properties.items() if name not in response.beside}
    required = [name for name in shape.get("required", ()) if name in kept]
    return {**shape, "properties": kept, "required": required}
