"""Parameters of a request: the path's names, with the query's (GET, DELETE) or the body's (JSON), as the row's struct.

Strict: a name nobody knows, one given twice, a value of another type, text with a NUL are refused, and the answer says where.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from entrepot.dialects.native.endpoints import BODIED, AnyEndpoint
from entrepot.dialects.native.problems import MALFORMED, MEDIA_TYPE, Refusal
from entrepot.http.messages import BadQuery, parse_query

_MAX_DEPTH: Final = 8
_MAX_SHOWN: Final = 300  # characters of what is told back


def read(
    endpoint: AnyEndpoint, values: tuple[str, ...], query: bytes, *, body: bytes, content_type: str
) -> Any:
    """The row's request struct. Raises Refusal."""
    named = dict(zip(endpoint.names, values, strict=True))
    has_body = endpoint.method in BODIED
    if has_body and content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(MEDIA_TYPE, "content-type must be application/json")
    if has_body and query:
        raise Refusal(MALFORMED, f"{endpoint.method} takes its parameters in the body")
    if body and not has_body:
        raise Refusal(MALFORMED, f"{endpoint.method} takes no body")
    given = _object(body) if has_body else _single(query)
    if twice := given.keys() & named.keys():
        raise Refusal(MALFORMED, f"the path says already: {', '.join(sorted(twice))}")
    plain = {**given, **named}
    _check_texts(plain, "")
    try:
        return msgspec.convert(plain, endpoint.operation.request, strict=has_body)
    except msgspec.ValidationError as error:
        raise Refusal(MALFORMED, str(error)[:_MAX_SHOWN]) from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(MALFORMED, f"the body is no JSON: {error}"[:_MAX_SHOWN]) from error
    if not isinstance(decoded, dict):
        raise Refusal(MALFORMED, "the body must be a JSON object")
    return decoded


def _single(query: bytes) -> dict[str, Any]:
    try:
        parsed = parse_query(query)
    except BadQuery as error:
        raise Refusal(MALFORMED, str(error)) from error
    for name, values in parsed.items():
        if len(values) > 1:
            raise Refusal(MALFORMED, f"{name[:100]!r} is given twice")
    return {name: values[0] for name, values in parsed.items()}


def _check_texts(value: Any, where: str, depth: int = 0) -> None:
    """No text has what no database takes, and nothing is nested more deeply than any request has reason to."""
    if depth > _MAX_DEPTH:
        raise Refusal(MALFORMED, f"{where[:100]} is nested too deeply")
    if isinstance(value, str):
        if "\x00" in value or not _is_text(value):
            raise Refusal(MALFORMED, f"{where[:100] or 'a name'} has characters that no text has")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _check_texts(name, where, depth)
            _check_texts(inner, f"{where}.{name}" if where else name, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner, where, depth + 1)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
