"""Where a setting came from, and what was wrong with the settings: all of it at once."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Layer(StrEnum):
    """The sources of settings, weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a value: a layer, and in it a `file:line`, a variable's name or a flag."""

    layer: Layer
    place: str = ""

    def __str__(self) -> str:
        return f"{self.layer} {self.place}".rstrip()


DEFAULT: Final = Origin(Layer.DEFAULT)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend: the setting's path (`section.key`, or as much as was given) and what is wrong."""

    origin: Origin
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message} ({self.origin})"


class ConfigError(Exception):
    """The settings cannot be used. Carries every problem found; never a secret's text."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))
