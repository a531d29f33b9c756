"""Sources to `Settings`: defaults < file < environment < flags, everything checked, every problem reported."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from entrepot.config.keys import CONFIG_VARIABLE, Key, keys, sections
from entrepot.config.problems import DEFAULT, ConfigError, Layer, Origin, Problem
from entrepot.config.rules import RULES
from entrepot.config.settings import Settings
from entrepot.config.sources import (
    FILE_NAME,
    Given,
    Source,
    from_environment,
    from_file,
    from_flags,
)
from entrepot.config.types import UnixAddress


def load(source: Source) -> Settings:
    """The settings in force. Raises ConfigError with all that is wrong, in every source that is read.

    The file is the one of `--config`, else of ENTREPOT_CONFIG, else `entrepot.toml` in the data folder
    where there is one. A value is checked even where a stronger source hides it.
    """
    stronger = [*from_environment(source), *from_flags(source)]
    file, weaker = _from_file(source, stronger)
    found = [*weaker, *stronger]
    problems = [item for item in found if isinstance(item, Problem)]
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    for given in (item for item in found if isinstance(item, Given)):
        value = _read(given)
        if isinstance(value, Problem):
            problems.append(value)
        else:
            values[given.key.path] = value
            origins[given.key.path] = given.origin
    settings = replace(_build(source, values), origins=origins, file=file)
    problems += _broken_rules(settings, {problem.path for problem in problems})
    if problems:
        raise ConfigError(tuple(problems))
    return settings


def _from_file(
    source: Source, stronger: Sequence[Given | Problem]
) -> tuple[Path | None, list[Given | Problem]]:
    named = source.config_file or _path(source.environ.get(CONFIG_VARIABLE, ""))
    if named is not None:
        path = _anchor(named, source.cwd)
        return path, list(from_file(path))
    folder = _data_folder(source, stronger)
    path = folder / FILE_NAME
    if not _exists(path):
        return None, []
    return path, [_not_moving(item, folder) for item in from_file(path)]


def _exists(path: Path) -> bool:
    """Whether there is something to read, or an error worth reporting on the attempt."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _data_folder(source: Source, stronger: Iterable[Given | Problem]) -> Path:
    folder: object = keys()["data.folder"].default
    for item in stronger:
        if isinstance(item, Given) and item.key.path == "data.folder":
            value = _read(item)
            folder = folder if isinstance(value, Problem) else value
    if not isinstance(folder, Path):
        raise TypeError(folder)
    return _anchor(folder, source.cwd)


def _not_moving(item: Given | Problem, folder: Path) -> Given | Problem:
    """A file found in the data folder says nothing about where that folder is."""
    if isinstance(item, Given) and item.key.path == "data.folder" and _read(item) != folder:
        advice = (
            "a file found in the data folder cannot move it; set ENTREPOT_DATA, or name the file"
        )
        return Problem(item.origin, item.key.path, advice)
    return item


def _read(given: Given) -> object | Problem:
    try:
        return _anchored(given.key.read(given.raw), given.base)
    except ValueError as error:
        message = str(error)
        if not given.key.kind.may_hide:
            message += f", got {_shorten(given.raw)}"
        return Problem(given.origin, given.key.path, message)


def _shorten(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 80 else f"{text[:76]}…"


def _anchored(value: object, base: Path) -> object:
    if isinstance(value, Path):
        return _anchor(value, base)
    if isinstance(value, UnixAddress):
        return UnixAddress(_anchor(value.path, base))
    return value


def _anchor(path: Path, base: Path) -> Path:
    """Absolute and without `..`; symbolic links stay."""
    return Path(os.path.abspath(base / path))  # noqa: PTH100 - resolve() would follow links


def _build(source: Source, values: dict[str, object]) -> Settings:
    tree = {
        name: struct(
            **{
                k.name: _value(k, values, base=source.cwd)
                for k in keys().values()
                if k.section == name
            }
        )
        for name, struct in sections().items()
    }
    return replace(Settings(), **tree)


def _value(key: Key, values: dict[str, object], *, base: Path) -> object:
    return values[key.path] if key.path in values else _anchored(key.default, base)


def _broken_rules(settings: Settings, doubtful: set[str]) -> list[Problem]:
    """What does not fit together, leaving out rules about a setting that is wrong by itself."""
    broken = []
    for rule in RULES:
        message = None if doubtful.intersection(rule.about) else rule.complaint(settings)
        if message is not None:
            origins = [settings.origins.get(path, DEFAULT) for path in rule.about]
            origin = next((o for o in origins if o.layer is not Layer.DEFAULT), DEFAULT)
            broken.append(Problem(origin, rule.about[0], message))
    return broken
