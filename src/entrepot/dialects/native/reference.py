"""The reference page of the native API, from the table."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from entrepot.dialects.native.endpoints import BODIED, PREFIX
from entrepot.dialects.native.openapi import openapi
from entrepot.dialects.native.problems import OF_WIRE, TABLE, Kind
from entrepot.dialects.native.table import GROUPS
from entrepot.dialects.native.wire import MAX_BODY

_NOTICE: Final = "<!-- Generated from the code by `make docs`; edits here are lost. -->"
_REFERENCE: Final = "#/components/schemas/"
_FORMATS: Final = {"date-time": "moment"}


def api_page() -> str:
    """Markdown."""
    document = openapi()
    return "\n".join([*_preface(), *_problems(), *_groups(document)])


def _preface() -> Iterator[str]:
    yield from ("# Native API", "", _NOTICE, "")
    yield (
        f"What the command line manages, over HTTP: JSON under `{PREFIX}/` at the address itself (`http://127.0.0.1:5000{PREFIX}/`), at `localhost` and at the names"
        f" of `http.default_hosts`; no other host serves it. `GET {PREFIX}/openapi.json` is this page for programs (OpenAPI 3.1)."
    )
    yield ""
    yield (
        "Log in with Basic: a user's name and password (`root`, `tenant/user`, or the account number). Tokens, service accounts and access keys are not taken: they"
        " lie in configuration files of clients, which push and pull and need no more. A tenant's things are its own people's; who runs the deployment (administrators of"
        " the root tenant) acts in no other tenant but to make, list and end it and its instances."
    )
    yield ""
    yield f"    curl -u root http://127.0.0.1:5000{PREFIX}/tenants/-/users"
    yield ""
    yield (
        "In a path `-` is the caller's own tenant, and in the place of an instance the default one. `POST`, `PUT` and `PATCH` take a JSON object of at most"
        f" {MAX_BODY} bytes with `Content-Type: application/json`, the others take parameters in the query; a name that is not listed here is refused. Moments are ISO 8601"
        " with a zone. Lists take `after` and `limit` (1 to 1000, default 100) and answer `items` and `next`: what to give as `after` for the following page, null behind the"
        " last. Secrets are told once, in the answer that makes them."
    )
    yield ""


def _problems() -> Iterator[str]:
    yield from ("## Problems", "")
    yield (
        "What goes wrong is an `application/problem+json` document (RFC 9457) with `type`, `title`, `status`, `detail`, `code` and `request_id`; the codes do not change."
    )
    yield ""
    yield from ("| status | code | title |", "|---|---|---|")
    kinds: set[Kind] = {*TABLE.values(), *OF_WIRE}
    for kind in sorted(kinds, key=lambda one: (one.status, one.code)):
        yield f"| {kind.status} | `{kind.code}` | {kind.title} |"
    yield ""


def _groups(document: Mapping[str, Any]) -> Iterator[str]:
    for group in GROUPS:
        title = group.__name__.rpartition(".")[2].replace("_", " ").capitalize()
        yield from (f"## {title}", "", (group.__doc__ or "").strip(), "")
        for endpoint in group.ENDPOINTS:
            said = document["paths"][PREFIX + endpoint.path][endpoint.method.lower()]
            yield from (f"### {said['operationId']}", "")
            yield from (f"`{endpoint.method} {PREFIX}{endpoint.path}`", "", said["summary"], "")
            taken = ", ".join(_taken(said, document))
            if taken:
                where = "body" if endpoint.method in BODIED else "query"
                yield from (f"In the {where}: {taken}.", "")
            yield from (_answer(said, endpoint.status, document), "")


def _taken(said: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    for one in said["parameters"]:
        if one["in"] == "query":
            yield f"`{one['name']}` {_type(one['schema'], document)}{_need(needed=one['required'])}"
    if "requestBody" in said:
        schema = said["requestBody"]["content"]["application/json"]["schema"]
        for name, shape in schema["properties"].items():
            needed = name in schema["required"]
            yield f"`{name}` {_type(shape, document)}{_need(needed=needed)}"


def _need(*, needed: bool) -> str:
    return " (required)" if needed else ""


def _answer(said: Mapping[str, Any], status: int, document: Mapping[str, Any]) -> str:
    if status == 204:
        return "Answers 204 without a body."
    shape = said["responses"][str(status)]["content"]["application/json"]["schema"]
    return f"Answers {status}: {_type(shape, document)}."


def _type(shape: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if "$ref" in shape:
        name = shape["$ref"].removeprefix(_REFERENCE)
        return _type(document["components"]["schemas"][name], document)
    if "anyOf" in shape:
        return " or ".join(_type(one, document) for one in shape["anyOf"])
    if "enum" in shape:
        return " or ".join(f"`{value}`" for value in sorted(shape["enum"]))
    if shape["type"] == "array":
        return f"list of {_type(shape['items'], document)}"
    if shape["type"] == "object":
        return _object(shape, document)
    return _FORMATS.get(str(shape.get("format")), str(shape["type"]))


def _object(shape: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if "properties" not in shape:
        return f"object of {_type(shape['additionalProperties'], document)}"
    fields = (f"{name} {_type(one, document)}" for name, one in shape["properties"].items())
    return f"{{{', '.join(fields)}}}"
