"""What was given, by file, environment and flags, before anybody knows whether it is right."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from entrepot.config.keys import (
    CONFIG_VARIABLE,
    PREFIX,
    SHORT_NAMES,
    Key,
    keys,
    sections,
    unknown,
    unknown_variable,
    variables,
)
from entrepot.config.problems import ConfigError, Layer, Origin, Problem
from entrepot.config.types import Secret

FILE_NAME: Final = "entrepot.toml"
"""Looked for in the data folder when no file is named."""

# Kubernetes and Docker links put these into a container when a service is called `entrepot` or
# `entrepot-…`; they are not meant for us and must not keep a server from starting.
_INJECTED: Final = re.compile(
    PREFIX
    + r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_INJECTED_PORT: Final = re.compile(PREFIX + r"(\w+_)?PORT=(tcp|udp|sctp)://.*")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the settings are to be looked for: what the command line hands to `load`."""

    config_file: Path | None = None
    """Named by `--config`; outranks ENTREPOT_CONFIG."""
    flags: Mapping[str, str] = field(default_factory=dict, repr=False)
    """`section.key` to text: from `--set`, or from an option that stands for a setting."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path = field(default_factory=Path.cwd)
    """Where relative paths start that were given by flag or environment, or by default."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave to a setting, unread."""

    key: Key
    raw: object
    origin: Origin
    base: Path
    """Where a relative path in it starts."""


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """`section.key=value` texts to flags; the last of a name wins. Raises ConfigError for one without `=`."""
    expected = "expected section.key=value"
    split = [text.partition("=") for text in texts]
    problems = tuple(
        Problem(Origin(Layer.FLAG, "--set"), name if name in keys() else "", expected)
        for name, equals, _ in split
        if not equals
    )
    if problems:
        raise ConfigError(problems)
    return {name.strip(): value for name, _, value in split}


def from_flags(source: Source) -> Iterator[Given | Problem]:
    """What the command line sets. A secret is refused there: every user of the machine can read it."""
    for path, text in source.flags.items():
        origin = Origin(Layer.FLAG, f"--set {path}")
        key = keys().get(path)
        if key is None:
            yield Problem(origin, path, unknown(path))
        elif key.kind.may_hide and _carries_secret(key, text):
            advice = f"a secret does not belong on a command line; use {key.variable} or the file"
            yield Problem(origin, path, advice)
        else:
            yield Given(key, text, origin, source.cwd)


def _carries_secret(key: Key, text: str) -> bool:
    try:
        value = key.kind.parse(text)
    except ValueError:
        return False
    return str(value) != value.reveal() if isinstance(value, Secret) else False


def from_environment(source: Source) -> Iterator[Given | Problem]:
    """What `ENTREPOT_…` variables set."""
    known = variables()
    for name in sorted(n for n in source.environ if n.startswith(PREFIX) and n != CONFIG_VARIABLE):
        text = source.environ[name]
        origin = Origin(Layer.ENVIRONMENT, name)
        if name in known:
            key = keys()[known[name]]
            yield Given(key, text, origin, source.cwd)
            if name in SHORT_NAMES and source.environ.get(key.variable, text) != text:
                yield Problem(origin, key.path, f"{key.variable} sets the same, differently")
        elif not _is_injected(name, text):
            yield Problem(origin, "", unknown_variable(name))


def _is_injected(name: str, text: str) -> bool:
    return bool(_INJECTED.fullmatch(name) or _INJECTED_PORT.fullmatch(f"{name}={text}"))


def from_file(path: Path) -> Iterator[Given | Problem]:
    """What a TOML file sets; a file that cannot be read is one problem."""
    origin = Origin(Layer.FILE, str(path))
    try:
        text = path.read_bytes().decode()
        tables = tomllib.loads(text)
    except OSError as error:
        yield Problem(origin, "", f"cannot read the file: {error.strerror}")
    except UnicodeDecodeError:
        yield Problem(origin, "", "the file is not UTF-8 text")
    except ValueError as error:  # TOMLDecodeError, or a number with thousands of digits
        yield Problem(origin, "", f"the file is not TOML: {error}")
    else:
        lines = _line_numbers(text)
        for section, table in tables.items():
            yield from _from_table(path, lines, section, table=table)


def _from_table(
    path: Path, lines: Mapping[str, int], section: str, *, table: object
) -> Iterator[Given | Problem]:
    if section not in sections() or not isinstance(table, dict):
        message = unknown(section)
        if section in sections():
            message = f"expected a table: write [{section}] above its settings"
        yield Problem(_at(path, lines, section), section, message)
        return
    for name, raw in table.items():
        setting = f"{section}.{name}"
        origin = _at(path, lines, setting)
        if setting in keys():
            yield Given(keys()[setting], raw, origin, path.parent)
        else:
            yield Problem(origin, setting, unknown(setting))


def _at(path: Path, lines: Mapping[str, int], name: str) -> Origin:
    line = lines.get(name)
    return Origin(Layer.FILE, f"{path}:{line}" if line else str(path))


_HEADER: Final = re.compile(r"\s*\[\s*\"?([\w-]+)\"?\s*\]")
_ASSIGNMENT: Final = re.compile(r"\s*\"?([\w-]+)\"?(?:\s*\.\s*\"?([\w-]+)\"?)?\s*=")


def _line_numbers(text: str) -> dict[str, int]:
    """Names to the lines they stand in, as far as a glance shows: `tomllib` keeps no positions."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header[1]
            found.setdefault(section, number)
        elif match := _ASSIGNMENT.match(line):
            names = (section, match[1], match[2])
            found.setdefault(".".join(filter(None, names)), number)
    return found
