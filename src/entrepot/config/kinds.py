"""From a field's annotation to how its values are read and shown.

A value comes as text (environment, flag, quoted in TOML) or as what TOML itself knows (numbers,
booleans, lists); both end here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin

from entrepot.config.editions import Edition
from entrepot.config.types import (
    ByteSize,
    Duration,
    HostName,
    Secret,
    TcpAddress,
    UnixAddress,
    Url,
    parse_listen,
    parse_network,
)

Shown = str | int | bool | list[str]
"""A value as TOML and JSON hold it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one type are read and shown. `parse` raises ValueError saying what was expected."""

    name: str
    parse: Callable[[str], object]
    many: bool = False
    none_word: str | None = None
    """The text that stands for None, where None is a value."""
    may_hide: bool = False
    """Its text may hold a secret: errors do not repeat it."""

    def read(self, raw: object) -> object:
        """A TOML value or a text to a setting's value. Raises ValueError."""
        if self.many:
            return tuple(map(self._read_one, _items(raw)))
        return self._read_one(raw)

    def _read_one(self, raw: object) -> object:
        if isinstance(raw, bool):
            raw = "true" if raw else "false"
        elif isinstance(raw, int):
            raw = str(raw)
        if not isinstance(raw, str):
            raise ValueError(f"expected: {self.name}")  # noqa: TRY004 - bad input, not a bad call
        if self.none_word is not None and raw.strip().lower() == self.none_word:
            return None
        return self.parse(raw)

    def show(self, value: object) -> Shown:
        """The value as TOML and JSON would hold it; secrets masked. Read back, it gives the same value."""
        if value is None:
            return self.none_word or ""
        if isinstance(value, tuple):
            return [str(item) for item in value]
        if isinstance(value, bool):
            return value
        if isinstance(value, int) and not isinstance(value, ByteSize):
            return value
        return str(value)


def _items(raw: object) -> list[object]:
    if isinstance(raw, list):
        return raw
    if isinstance(raw, str):
        return [item for item in raw.split(",") if item.strip()]
    raise ValueError("expected a list")


def _read_bool(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True}
    words |= {"false": False, "0": False, "no": False, "off": False}
    if (value := words.get(text.strip().lower())) is None:
        raise ValueError("expected true or false")
    return value


def _read_int(text: str) -> int:
    if re.fullmatch(r"-?[0-9]{1,20}", text.strip()) is None:
        raise ValueError("expected a whole number")
    return int(text)


def _read_path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise ValueError("expected a path")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("expected a path whose ~ is somebody's home") from None


_SCALARS: Final[dict[frozenset[object], Kind]] = {
    frozenset({str}): Kind("text", str.strip),
    frozenset({bool}): Kind("true or false", _read_bool),
    frozenset({int}): Kind("number", _read_int),
    frozenset({ByteSize}): Kind("size", ByteSize.parse, none_word="unlimited"),
    frozenset({Duration}): Kind("duration", Duration.parse, none_word="never"),
    frozenset({Secret}): Kind("secret", Secret.parse, may_hide=True),
    frozenset({Url}): Kind("URL", Url.parse, may_hide=True),
    frozenset({Path}): Kind("path", _read_path),
    frozenset({Edition}): Kind("edition", Edition.parse),
    frozenset({HostName}): Kind("host name", HostName.parse),
    frozenset({TcpAddress, UnixAddress}): Kind("address", parse_listen),
    frozenset({IPv4Network, IPv6Network}): Kind("network", parse_network),
}


def kind_of(annotation: Any) -> Kind:
    """The kind of a field's type (without its `Annotated`). Raises KeyError for a type no setting has."""
    if get_origin(annotation) is tuple:
        return replace(kind_of(get_args(annotation)[0]), many=True)
    members = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    if len(members) == 1 and isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return _choice(annotation)
    kind = _SCALARS[frozenset(members) - {NoneType}]
    return replace(kind, none_word=(kind.none_word or "") if NoneType in members else None)


def _choice(choices: type[StrEnum]) -> Kind:
    names = " or ".join(choices)

    def parse(text: str) -> StrEnum:
        try:
            return choices(text.strip().lower())
        except ValueError:
            raise ValueError(f"expected {names}") from None

    return Kind(names, parse)
