"""The reference page of the TCR API: what is served, what is still to come, and each action's parameters, outputs and codes."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from entrepot.dialects.operation import Operation
from entrepot.dialects.tcr.book import BOOK, COMMON, WITHDRAWN
from entrepot.dialects.tcr.errors import codes_of
from entrepot.dialects.tcr.table import PENDING, SERVICES, TABLE

_NOTICE: Final = "<!-- Generated from the code by `make docs`; edits here are lost. -->"
_PLAIN: Final = {str: "String", int: "Integer", bool: "Boolean"}


def tcr_page() -> str:
    """Markdown."""
    return "\n".join([*_preface(), *_coverage(), *_actions()])


def _preface() -> Iterator[str]:
    yield from ("# TCR API", "", _NOTICE, "")
    yield (
        "Tencent Cloud's container registry API, version 2019-09-24: RPC by `GET` and `POST` of `/` at `tcr.<suffix>`, or at the address itself"
        " (`http://127.0.0.1:5000/`), signed with an access key (`entrepot key create`) by TC3-HMAC-SHA256, HmacSHA1 or HmacSHA256. Point a client's endpoint here and leave the rest"
        " as it is; a region name of the cloud stands for the default region (`api.vendor_regions`)."
    )
    yield ""
    yield (
        "Every answer has status 200; an error is `Response.Error`. Requests are limited per account, region and action as documented"
        " (`api.rate_percent`). Besides the codes below an action may answer those of its signature (`AuthFailure.…`), of its parameters"
        " (`InvalidParameter`, `MissingParameter`, `UnknownParameter`) and the other common ones."
    )
    yield ""


def _coverage() -> Iterator[str]:
    served = [name for name in TABLE if name in BOOK]
    yield from ("## Coverage", "")
    yield f"{len(served)} of the {len(BOOK)} actions that the vendor lists are served."
    yield ""
    yield from ("| category | served | pending: InvalidAction |", "|---|---|---|")
    for category in dict.fromkeys(entry.category for entry in BOOK.values()):
        names = [name for name, entry in BOOK.items() if entry.category == category]
        done = ", ".join(name for name in names if name in TABLE)
        pending = ", ".join(name for name in names if name in PENDING)
        yield f"| {category} | {done} | {pending} |"
    yield ""
    others = [name for service in SERVICES for name in service.table if name not in BOOK]
    yield f"Served though not documented, for clients that send them: {', '.join(others)}."
    yield f"Withdrawn by the vendor (`ActionOffline`): {', '.join(sorted(WITHDRAWN))}."
    yield ""


def _actions() -> Iterator[str]:
    for service in SERVICES:
        for operation in sorted(service.table.values(), key=lambda one: one.name):
            yield from _action(operation)


def _action(operation: Operation[Any, Any]) -> Iterator[str]:
    entry = BOOK.get(operation.name)
    yield from (f"## {operation.name}", "", (operation.request.__doc__ or "").strip(), "")
    facts = ["changes something" if operation.changes else "changes nothing"]
    if entry is not None:
        facts.append(f"{entry.per_second} requests a second")
    yield f"{', '.join(facts).capitalize()}."
    yield ""
    if rows := list(_fields(operation.request)):
        yield from ("| parameter | type | required |", "|---|---|---|")
        yield from (f"| `{name}` | {kind} | {needed} |" for name, kind, needed in rows)
        yield ""
    outputs = [f"`{name}` {kind}" for name, kind, _ in _fields(operation.response)]
    yield f"Answers {', '.join([*outputs, '`RequestId`'])}."
    own = ", ".join(f"`{code}`" for code in sorted(codes_of(operation) - COMMON))
    if own:
        yield f"Codes of its own: {own}."
    yield ""


def _fields(kind: Any) -> Iterator[tuple[str, str, str]]:
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        yield field.encode_name, _type(hints[field.name]), "yes" if field.required else ""


def _type(declared: Any) -> str:
    origin, inner = get_origin(declared), get_args(declared)
    if origin in (Union, UnionType):
        (rest,) = [part for part in inner if part is not NoneType]
        return _type(rest)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin is list:
        return f"list of {_type(inner[0])}"
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        names = ", ".join(f"{name} {kind}" for name, kind, _ in _fields(declared))
        return f"{{{names}}}"
    return _PLAIN[declared]
