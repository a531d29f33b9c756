"""What a source's settings are refused for, as plain texts."""

import pytest

from entrepot.config import ConfigError, Source, load


def problems_of(source: Source) -> list[tuple[str, str, str]]:
    """Path, message and origin of every problem."""
    with pytest.raises(ConfigError) as caught:
        load(source)
    return [(found.path, found.message, str(found.origin)) for found in caught.value.problems]


def file_with(folder, text, name="settings.toml"):
    """A file of that text, its folder made."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path
