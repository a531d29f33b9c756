"""Settings back to plain values, for people and for files: secrets masked."""

import json
from collections.abc import Mapping

from entrepot.config.keys import Key, keys, sections
from entrepot.config.kinds import Shown
from entrepot.config.settings import Settings


def shown(settings: Settings) -> Mapping[str, Mapping[str, Shown]]:
    """Section to key to value, in the order of the tree; read back, it gives the same settings (secrets apart)."""
    return {
        section: {
            key.name: key.kind.show(_value(settings, key))
            for key in keys().values()
            if key.section == section
        }
        for section in sections()
    }


def _value(settings: Settings, key: Key) -> object:
    return getattr(getattr(settings, key.section), key.name)


def to_toml(value: Shown) -> str:
    """A TOML value. JSON's strings are TOML's but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
