"""Parameters of a request: the path's names with the query's or the body's, as the row's struct.

Lenient where the vendor's clients are: names nobody knows are ignored, null is absent, bodies of GET are not read.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from entrepot.dialects.swr import filters
from entrepot.dialects.swr.endpoints import BODIED, AnyEndpoint
from entrepot.dialects.swr.refusal import Refusal

MAX_PARAMETERS: Final = 100
_MAX_DEPTH: Final = 16
_MAX_VALUES: Final = 20_000  # of a body together: in JSON one may have two bytes
_MAX_SHOWN: Final = 300  # characters of what is told back
_NOT_READ: Final = "4001018"  # no JSON, or a value of another type
_MISSING: Final = "4001014"
_BODY_WRONG: Final = "4000014"
_QUERY_WRONG: Final = "4001025"
_WHERE: Final = re.compile(r" - at `\$\.([A-Za-z_]+)")
_REQUIRED: Final = re.compile(r"Object missing required field `([^`]+)`")


def read(endpoint: AnyEndpoint, values: tuple[str, ...], query: bytes, body: bytes) -> Any:
    """The row's request struct. Raises Refusal."""
    named = dict(zip(endpoint.names, values, strict=True))
    asked = _query(endpoint, query)
    given = _body(endpoint, body) if endpoint.method in BODIED else {}
    plain = {**asked, **given, **named}
    _check_texts(plain)
    is_body = bool(given) or bool(endpoint.array)
    try:
        # What a query says is text; bodies are held to their types.
        return msgspec.convert(plain, endpoint.operation.request, strict=is_body)
    except msgspec.ValidationError as error:
        raise _refusal(endpoint, str(error), is_body=is_body) from error


def _refusal(endpoint: AnyEndpoint, said: str, *, is_body: bool) -> Refusal:
    told = said[:_MAX_SHOWN]
    where = _WHERE.search(said)
    if where and (own := endpoint.wrong.get(where[1])):
        return Refusal(own, told)
    if _REQUIRED.match(said):
        return Refusal(_MISSING, told)
    if not is_body:
        return Refusal(_QUERY_WRONG, told)
    is_of_another_type = said.startswith("Expected") and ", got" in said
    return Refusal(_NOT_READ if is_of_another_type else _BODY_WRONG, told)


# -- query ------------------------------------------------------------------------------------------------------------


def _query(endpoint: AnyEndpoint, query: bytes) -> dict[str, str]:
    """Empty values count as absent. What `filter` can say counts only there, if there is one."""
    given = _pairs(query)
    combined = given.pop("filter", None)
    found = {name: value for name, value in given.items() if value}
    if combined is None or not endpoint.filters:
        return found
    plain = {name: value for name, value in found.items() if name not in endpoint.filters}
    return {**plain, **filters.parse(combined, endpoint.filters), "filter": combined}


def _pairs(query: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    parts = query.split(b"&") if query else []
    if len(parts) > MAX_PARAMETERS:
        raise Refusal(_QUERY_WRONG, f"more than {MAX_PARAMETERS} parameters")
    for part in parts:
        raw_name, _, raw_value = part.partition(b"=")
        try:
            name, value = unquote_to_bytes(raw_name).decode(), unquote_to_bytes(raw_value).decode()
        except UnicodeDecodeError as error:
            raise Refusal(_QUERY_WRONG, "a parameter is not UTF-8") from error
        if name and name in found:
            raise Refusal(_QUERY_WRONG, f"{name[:100]!r} is given twice")
        if name:
            found[name] = value
    return found


# -- body -------------------------------------------------------------------------------------------------------------


def _body(endpoint: AnyEndpoint, body: bytes) -> dict[str, Any]:
    decoded = _decoded(body)
    if endpoint.array:
        if not isinstance(decoded, list):
            raise Refusal(_NOT_READ, "the body must be a JSON array")
        if not decoded:
            raise Refusal(_MISSING, "the body is an empty array")
        return {endpoint.array: decoded}
    if decoded is None:
        return {}
    if not isinstance(decoded, dict):
        raise Refusal(_NOT_READ, "the body must be a JSON object")
    return {name: value for name, value in decoded.items() if value is not None}


def _decoded(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(_NOT_READ, f"the body is no JSON: {error}"[:_MAX_SHOWN]) from error


def _check_texts(plain: Mapping[str, Any]) -> None:
    """No text has what no database takes, and nothing is nested more deeply, or has more values, than any request has reason to."""
    waiting: list[tuple[Any, str, int]] = [(plain, "", 0)]
    for value, where, depth in waiting:  # it grows meanwhile
        if depth > _MAX_DEPTH:
            raise Refusal(_BODY_WRONG, f"{where[:100]} is nested too deeply")
        if isinstance(value, str):
            _check_text(value, where)
            continue
        if not isinstance(value, Mapping | list):
            continue
        if len(waiting) + len(value) > _MAX_VALUES:
            raise Refusal(_BODY_WRONG, f"more than {_MAX_VALUES} values")
        if isinstance(value, list):
            waiting.extend((inner, where, depth + 1) for inner in value)
            continue
        for name, inner in value.items():
            _check_text(name, where)
            waiting.append((inner, f"{where}.{name}" if where else name, depth + 1))


def _check_text(value: str, where: str) -> None:
    if "\0" in value or not _is_text(value):
        raise Refusal(_BODY_WRONG, f"{where[:100] or 'a name'} has characters that no text has")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
