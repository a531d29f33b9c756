"""The catalogue of settings, read off the tree: names, kinds, bounds, and what a wrong name may have meant."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any, Final, get_type_hints

from msgspec.structs import fields

from entrepot.config.kinds import Kind, kind_of
from entrepot.config.settings import Settings
from entrepot.config.tree import Section
from entrepot.config.types import Secret

PREFIX: Final = "ENTREPOT_"
CONFIG_VARIABLE: Final = "ENTREPOT_CONFIG"
SHORT_NAMES: Final = MappingProxyType(
    {"ENTREPOT_DATA": "data.folder", "ENTREPOT_LISTEN": "http.listen"}
)


@dataclass(frozen=True, slots=True)
class Key:
    """One setting."""

    section: str
    name: str
    kind: Kind
    default: object
    description: str
    least: str | None
    most: str | None
    pattern: str | None

    @property
    def path(self) -> str:
        """As in the file and in `--set`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"{PREFIX}{self.section}_{self.name}".upper()

    def read(self, raw: object) -> object:
        """A value within its bounds. Raises ValueError saying what was expected, never what was given."""
        value = self.kind.read(raw)
        for bound in filter(None, (self._below(value), self._above(value), self._unlike(value))):
            raise ValueError(bound)
        return value

    def _below(self, value: object) -> str | None:
        if self.least is None or value is None:
            return None
        if isinstance(value, Secret):
            return (
                f"expected at least {self.least} characters"
                if len(value.reveal()) < int(self.least)
                else None
            )
        return (
            f"expected at least {self.least}" if _less(value, self.kind.parse(self.least)) else None
        )

    def _above(self, value: object) -> str | None:
        if self.most is None or value is None or not _less(self.kind.parse(self.most), value):
            return None
        return f"expected at most {self.most}"

    def _unlike(self, value: object) -> str | None:
        text = value.reveal() if isinstance(value, Secret) else value
        if self.pattern is None or not isinstance(text, str) or re.fullmatch(self.pattern, text):
            return None
        return f"expected a name of the form {self.pattern}"


def _less(left: Any, right: Any) -> bool:
    """For values of one kind that has an order (numbers, sizes, durations)."""
    return bool(left < right)


@cache
def sections() -> Mapping[str, type[Section]]:
    """Name to type, in the order of the tree."""
    hints = get_type_hints(Settings)
    return MappingProxyType(
        {
            name: hint
            for name, hint in hints.items()
            if isinstance(hint, type) and issubclass(hint, Section)
        }
    )


@cache
def keys() -> Mapping[str, Key]:
    """Path to setting, in the order of the tree."""
    found = (
        _key(name, section, f) for name, section in sections().items() for f in fields(section)
    )
    return MappingProxyType({key.path: key for key in found})


def _key(section: str, struct: type[Section], field: Any) -> Key:
    annotation = get_type_hints(struct, include_extras=True)[field.name]
    (meta,) = annotation.__metadata__
    return Key(
        section=section,
        name=field.name,
        kind=kind_of(annotation.__origin__),
        default=field.default,
        description=meta.description,
        least=meta.extra.get("least"),
        most=meta.extra.get("most"),
        pattern=meta.extra.get("pattern"),
    )


@cache
def variables() -> Mapping[str, str]:
    """Environment name to path, the short names included."""
    return MappingProxyType({key.variable: path for path, key in keys().items()} | SHORT_NAMES)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def unknown(path: str) -> str:
    """Says that no setting has this path (`section`, or `section.key`), and which one may have been meant."""
    section, _, name = path.partition(".")
    if section not in sections():
        meant = _homes(name or section) or nearest(path, keys())
        return _unknown("section" if name else "setting", meant or nearest(section, sections()))
    inside = {key.name: key.path for key in keys().values() if key.section == section}
    meant = inside.get(nearest(name, inside) or "") or nearest(path, keys())
    return _unknown("setting", meant or f"one of {', '.join(inside)}")


def unknown_variable(name: str) -> str:
    """The same for a name in the environment."""
    known = [variable.removeprefix(PREFIX) for variable in (*variables(), CONFIG_VARIABLE)]
    meant = nearest(name.removeprefix(PREFIX), known)
    return _unknown("variable", meant and PREFIX + meant)


def _homes(name: str) -> str | None:
    return next((key.path for key in keys().values() if key.name == name), None)


def _unknown(what: str, meant: str | None) -> str:
    return f"unknown {what}" + (f"; did you mean {meant}?" if meant else "")
