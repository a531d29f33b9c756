"""The vendor's contract as data (`contract.json`: names, types and codes, no prose), and our table beside it."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.table import TABLE

CONTRACT: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "contract.json").read_text(encoding="utf-8")
)
OPERATIONS: Final[dict[str, Any]] = CONTRACT["operations"]
TYPES: Final[dict[str, Any]] = CONTRACT["types"]
BY_NAME: Final[dict[str, Endpoint]] = {one.operation.name: one for one in TABLE}
TOLD_WITHOUT_TABLE: Final = frozenset({"ListApiVersions", "ShowApiVersion"})
"""Answered to anybody, before anything is known of the request."""


def fields(struct: type) -> dict[str, msgspec.inspect.Field]:
    """A struct's fields by the names that are on the wire."""
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    return {one.encode_name: one for one in info.fields}


def struct_of(kind: msgspec.inspect.Type) -> type | None:
    """The struct that a field's type is, or is a list or dictionary of."""
    match kind:
        case msgspec.inspect.StructType(cls=cls):
            return cls
        case msgspec.inspect.ListType(item_type=inner) | msgspec.inspect.DictType(value_type=inner):
            return struct_of(inner)
        case msgspec.inspect.UnionType(types=types):
            return next((found for one in types if (found := struct_of(one))), None)
        case _:
            return None
