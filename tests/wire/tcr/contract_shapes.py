"""The vendor's contract, the vendor's SDK and our table in one form, so that tests can hold them against each other."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from tencentcloud.tcr.v20190924 import models

CONTRACT = json.loads(Path(__file__).with_name("contract.json").read_text())
ACTIONS: dict[str, dict[str, Any]] = CONTRACT["actions"]
TYPES: dict[str, list[dict[str, Any]]] = CONTRACT["types"]
COMMON_CODES = frozenset(CONTRACT["common"])
_WORDS = {"String": "str", "Integer": "int", "Boolean": "bool", "Timestamp ISO8601": "str"}
_SDK = re.compile(r":param _(\w+):.*?:type (\w+): ([^\n]+)", re.DOTALL)


@dataclass(frozen=True)
class Field:
    """`type`: `str`, `int`, `bool`, the name of a type, or `[<that>]` for a list of it. None: not said."""

    type: str
    is_required: bool | None = None
    is_nullable: bool | None = None


def documented(fields: list[dict[str, Any]]) -> dict[str, Field]:
    """Of a page of the book."""
    return {
        one["name"]: Field(_word(one["type"]), one.get("required"), one.get("nullable"))
        for one in fields
        if one["name"] != "RequestId"
    }


def _word(text: str) -> str:
    if text.startswith("Array of "):
        return f"[{_word(text.removeprefix('Array of '))}]"
    return _WORDS.get(text, text)


def sdk(name: str) -> dict[str, Field]:
    """Of a class of the SDK, which says neither what is required nor what may be null."""
    said = getattr(models, name).__init__.__doc__ or ""
    found = {}
    for _, field, kind in _SDK.findall(said):
        of = kind.removeprefix("list of ").strip().strip("`").removeprefix(":class:`")
        of = of.rpartition(".")[2]
        found[field] = Field(f"[{of}]" if kind.startswith("list of ") else of)
    found.pop("RequestId", None)
    return found


def ours(struct: type[msgspec.Struct]) -> dict[str, Field]:
    """Of a struct of the table."""
    hints = get_type_hints(struct)
    return {
        one.encode_name: Field(
            _kind(hints[one.name]), one.required, NoneType in get_args(hints[one.name])
        )
        for one in msgspec.structs.fields(struct)
    }


def nested(struct: type[msgspec.Struct]) -> set[type[msgspec.Struct]]:
    """Structs inside, at any depth."""
    found: set[type[msgspec.Struct]] = set()
    for hint in get_type_hints(struct).values():
        for one in _structs(hint):
            found |= {one} | nested(one)
    return found


def _structs(hint: Any) -> list[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    return [found for part in get_args(hint) for found in _structs(part)]


def _kind(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _kind(parts[0])
    if origin in (Union, UnionType):
        (hint,) = (part for part in parts if part is not NoneType)
        return _kind(hint)
    if origin is Literal:
        return type(parts[0]).__name__
    if origin is list:
        return f"[{_kind(parts[0])}]"
    return NAMES.get(hint.__name__, hint.__name__)


NAMES = {"Weakness": "CVEWhitelistItem"}
"""Structs of ours that the vendor calls otherwise."""

_JSON = {"str": str, "int": int, "bool": bool}


def misfits(action: str, answer: dict[str, Any]) -> list[str]:
    """Where an answer has not the documented members, or not of their JSON type."""
    if action in ACTIONS:
        return list(_misfits(documented(ACTIONS[action]["output"]), answer, action))
    return list(_misfits(sdk(f"{action}Response"), answer, action))


def _misfits(fields: dict[str, Field], value: dict[str, Any], where: str) -> Iterator[str]:
    for name, field in fields.items():
        if name not in value:
            yield f"{where}.{name} is not there"
        elif value[name] is not None or not field.is_nullable:
            yield from _misfit(field, value[name], f"{where}.{name}")


def _misfit(field: Field, value: Any, where: str) -> Iterator[str]:
    if field.type in _JSON:
        if type(value) is not _JSON[field.type]:
            yield f"{where} is {value!r}"
    elif field.type.startswith("["):
        if not isinstance(value, list):
            yield f"{where} is no list"
        for number, item in enumerate(value if isinstance(value, list) else ()):
            yield from _misfit(Field(field.type[1:-1]), item, f"{where}.{number}")
    elif not isinstance(value, dict):
        yield f"{where} is no object"
    else:
        members = documented(TYPES[field.type]) if field.type in TYPES else sdk(field.type)
        yield from _misfits(members, value, where)
