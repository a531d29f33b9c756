"""Parameters: from the flat form to nested values, and from values to a request's struct.

Lenient in, as the vendor is: numbers and booleans may be texts, null is absent, flat lists may have gaps. Strict in what counts: a
name nobody knows, a missing one, a value of another type are errors that say where.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import (
    Any,
    Final,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from entrepot.dialects.tcr.refusal import Refusal

T = TypeVar("T")
Values: TypeAlias = Mapping[str, Any]

MAX_PARAMETERS: Final = 4000
MAX_VALUES: Final = 4000  # of a body, lists in lists counted
MAX_DEPTH: Final = 8
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_BOOLEANS: Final = {"true": True, "True": True, "false": False, "False": False}
_INT64: Final = range(-(2**63), 2**63)
_LISTS: Final = (list, tuple)


# -- flat -------------------------------------------------------------------------------------------------------------


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`Filters.0.Values.1=x` and its like as nested dicts; what is a list is known only by the struct. Raises Refusal."""
    root: dict[str, Any] = {}
    for number, (name, value) in enumerate(pairs):
        if number >= MAX_PARAMETERS:
            raise Refusal("InvalidParameter", f"more than {MAX_PARAMETERS} parameters")
        *way, last = name.split(".")
        if len(way) >= MAX_DEPTH:
            raise Refusal("InvalidParameter", f"{name[:100]!r} is nested too deeply")
        at = root
        for step in way:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                raise Refusal("InvalidParameter", f"{name[:100]!r} is a value and holds values")
        if last in at:
            raise Refusal("InvalidParameter", f"{name[:100]!r} is given twice")
        at[last] = value
    return root


def _listed(value: Mapping[str, Any], where: str) -> list[Any]:
    """The flat form of a list: `{"0": a, "2": b}` is `[a, b]`."""
    if not all(key.isascii() and key.isdigit() and len(key) < 10 for key in value):
        raise _wrong(where, "a list")
    ordered = sorted(value, key=int)
    if len({int(key) for key in ordered}) != len(ordered):
        raise Refusal("InvalidParameter", f"{where} gives an index twice")
    return [value[key] for key in ordered]


# -- to structs -------------------------------------------------------------------------------------------------------


def read(
    request: type[T], given: Values, *, is_flat: bool, ignored: frozenset[str] = frozenset()
) -> T:
    """The struct that the parameters say. Raises Refusal: UnknownParameter, MissingParameter, InvalidParameter."""
    _count(given)
    kept = {name: value for name, value in given.items() if name not in ignored}
    plain = _struct(request, kept, "", is_flat=is_flat)
    try:
        return msgspec.convert(plain, request)
    except msgspec.ValidationError as error:
        raise Refusal("InvalidParameter", str(error)) from error


def _count(given: Values) -> None:
    """Raises Refusal for more values than any action needs, before anything is done with each of them."""
    total, waiting = 0, list[Any]([given])
    while waiting:
        held = waiting.pop()
        total += len(held)
        if total > MAX_VALUES:
            raise Refusal("InvalidParameter", f"more than {MAX_VALUES} values")
        inner = held.values() if isinstance(held, Mapping) else held
        waiting += [value for value in inner if isinstance(value, Mapping | list)]


def _struct(kind: Any, given: Any, where: str, *, is_flat: bool) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise _wrong(where, "an object")
    known = _fields(kind)
    for name in given:
        if name not in known:
            raise Refusal("UnknownParameter", f"no parameter is called {where}{name[:100]}")
    plain: dict[str, Any] = {}
    for name, (declared, is_required) in known.items():
        value = given.get(name)
        if value is not None:
            plain[name] = _value(declared, value, where + name, is_flat=is_flat)
        elif is_required:
            raise Refusal("MissingParameter", f"{where}{name} is required")
    return plain


def _value(declared: Any, value: Any, where: str, *, is_flat: bool) -> Any:
    if get_origin(declared) in _LISTS:
        if is_flat and isinstance(value, Mapping):
            value = _listed(value, where)
        if not isinstance(value, list):
            raise _wrong(where, "a list")
        (item,) = get_args(declared)[:1]
        item = _bare(item)
        return [
            _value(item, element, f"{where}.{number}", is_flat=is_flat)
            for number, element in enumerate(value)
            if element is not None
        ]
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        return _struct(declared, value, f"{where}.", is_flat=is_flat)
    return _scalar(declared, value, where)


def _scalar(declared: Any, value: Any, where: str) -> Any:
    if declared is bool:
        if isinstance(value, str):
            value = _BOOLEANS.get(value, value)
        if not isinstance(value, bool):
            raise _wrong(where, "true or false")
        return value
    if declared is int:
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value not in _INT64:
            raise _wrong(where, "an integer")
        return value
    if not isinstance(value, str):
        raise _wrong(where, "a string")
    if "\x00" in value or not (value.isascii() or _is_text(value)):
        raise Refusal("InvalidParameter", f"{where} has characters that no text has")
    return value


def _is_text(value: str) -> bool:
    """Whether it has no half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """By wire name: declared type without None and constraints, and whether it is required."""
    hints = get_type_hints(kind)
    return {
        field.encode_name: (_bare(hints[field.name]), field.required)
        for field in msgspec.structs.fields(kind)
    }


def _bare(declared: Any) -> Any:
    """A type without `| None`, of a closed set of values theirs (constraints are gone with `get_type_hints`)."""
    if get_origin(declared) in (Union, UnionType):
        (declared,) = (part for part in get_args(declared) if part is not NoneType)
    if get_origin(declared) is Literal:
        return type(get_args(declared)[0])
    return declared


def _wrong(where: str, expected: str) -> Refusal:
    return Refusal("InvalidParameter", f"{where.rstrip('.') or 'the body'} must be {expected}")
