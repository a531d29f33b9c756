"""What people may put on things as tags."""

from collections.abc import Mapping
from typing import Final

from entrepot.model.errors import ValueInvalid

MAX_TAGS: Final = 10  # on one thing
MAX_KEY: Final = 127  # characters
MAX_VALUE: Final = 255


def check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """They, if they are few and short enough. Raises ValueInvalid."""
    if len(tags) > MAX_TAGS:
        raise ValueInvalid("tags", f"at most {MAX_TAGS}")
    for key, value in tags.items():
        if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
            raise ValueInvalid("tags", f"a key has 1 to {MAX_KEY} printable characters")
        if len(value) > MAX_VALUE or not value.isprintable():
            raise ValueInvalid("tags", f"a value has at most {MAX_VALUE} printable characters")
    return dict(tags)
