"""The reference page of the SWR API, from the table."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from entrepot.dialects.swr.endpoints import MAX_BODY, AnyEndpoint
from entrepot.dialects.swr.errors import CODES
from entrepot.dialects.swr.openapi import PATH, openapi
from entrepot.dialects.swr.refusal import PREFIX
from entrepot.dialects.swr.table import GROUPS

_NOTICE: Final = "<!-- Generated from the code by `make docs`; edits here are lost. -->"
_REFERENCE: Final = "#/components/schemas/"


def swr_page() -> str:
    """Markdown."""
    document = openapi()
    return "\n".join([*_preface(), *_codes(), *_groups(document)])


def _preface() -> Iterator[str]:
    yield from ("# SWR API", "", _NOTICE, "")
    yield (
        "Huawei Cloud's container registry API: REST under `/v2/manage/` at `swr-api.<region>.<suffix>`, or at the address itself"
        " (`http://127.0.0.1:5000/`). Requests are signed with an access key (SDK-HMAC-SHA256) or carry `X-Auth-Token` from `POST /v3/auth/tokens`. Point a client's endpoint here"
        f" and leave the rest as it is. `GET {PATH.decode()}` is this page for programs (OpenAPI 3.1)."
    )
    yield ""
    yield (
        "Organizations are the namespaces of the region's shared instance. A slash in a repository's name is `$` or `%2F` in a path. `filter` is"
        " `key::value|key::value` and goes before plain parameters. Lists answer `Content-Range: <offset>-<rows here>/<all>`."
        f" A body has at most {MAX_BODY} bytes where nothing else is said; names that are not listed here are ignored. An account may send"
        " `api.swr_rate` requests a second of each operation."
    )
    yield ""


def _codes() -> Iterator[str]:
    yield from ("## Codes", "")
    yield (
        f"An error's code is `{PREFIX}` and seven digits, of which the first three are the HTTP status (`SVCSTG.S2I.4019000`: neither token nor"
        " signature). It is told as `error_code` and `error_msg`, which the SDK reads, and in the list `errors`; with `api.swr_error_arrays` as the bare array."
    )
    yield ""
    yield from ("| code | for |", "|---|---|")
    for kind, code in sorted(CODES.items(), key=lambda row: row[1]):
        meaning = (kind.__doc__ or "").split("\n", 1)[0].rstrip(".")
        yield f"| {code} | {meaning} |"
    yield ""


def _groups(document: Mapping[str, Any]) -> Iterator[str]:
    for group in GROUPS:
        title = group.__name__.rpartition(".")[2].replace("_", " ").capitalize()
        yield from (f"## {title}", "", (group.__doc__ or "").strip(), "")
        for endpoint in group.ENDPOINTS:
            said = document["paths"][endpoint.path][endpoint.method.lower()]
            yield from _operation(endpoint, said, document)


def _operation(
    endpoint: AnyEndpoint, said: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    yield from (f"### {endpoint.operation.name}", "")
    yield from (f"`{endpoint.method} {endpoint.path}`", "", said["summary"], "")
    if not endpoint.operation.is_documented:
        yield from ("Not in the vendor's book; its SDK has it.", "")
    yield from (f"Policies call it `{endpoint.action}`.", "")
    if taken := ", ".join(_query(said, document)):
        yield from (f"In the query: {taken}.", "")
    if endpoint.filters:
        keys = ", ".join(f"`{key}`" for key in sorted(endpoint.filters))
        yield from (f"`filter` has {keys}.", "")
    if endpoint.most != MAX_BODY:
        yield from (f"Its body has at most {endpoint.most} bytes.", "")
    if "requestBody" in said:
        yield from (f"In the body: {_type(_schema(said['requestBody']), document)}.", "")
    if own := ", ".join(f"`{code}`" for code in sorted(set(endpoint.operation.codes.values()))):
        yield from (f"Codes of its own: {own}.", "")
    yield from (_answer(said, endpoint.status, document), "")


def _query(said: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    for one in said["parameters"]:
        if one["in"] == "query" and one["name"] != "filter":
            needed = " (required)" if one["required"] else ""
            yield f"`{one['name']}` {_type(one['schema'], document)}{needed}"


def _answer(said: Mapping[str, Any], status: int, document: Mapping[str, Any]) -> str:
    if status == 204:
        return "Answers 204 without a body."
    return f"Answers {status}: {_type(_schema(said['responses'][str(status)]), document)}."


def _schema(part: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = part["content"]["application/json"]["schema"]
    return schema


def _type(shape: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if "$ref" in shape:
        name = shape["$ref"].removeprefix(_REFERENCE)
        return _type(document["components"]["schemas"][name], document)
    if "anyOf" in shape:
        return " or ".join(_type(one, document) for one in shape["anyOf"])
    if "enum" in shape:
        return " or ".join(f"`{value}`" for value in sorted(shape["enum"], key=str))
    kind = shape.get("type", "anything")
    if kind == "array":
        return f"list of {_type(shape.get('items', {}), document)}"
    return _object(shape, document) if kind == "object" else str(kind)


def _object(shape: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if not shape.get("properties"):
        inner = shape.get("additionalProperties")
        return f"object of {_type(inner, document)}" if isinstance(inner, dict) else "{}"
    required = frozenset(shape.get("required", ()))
    fields = (
        f"{name}{'' if name in required else '?'} {_type(one, document)}"
        for name, one in shape["properties"].items()
    )
    return f"{{{', '.join(fields)}}}"
