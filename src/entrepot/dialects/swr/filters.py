"""The combined `filter` parameter: `key::value|key::value` (swr-behaviour section 2)."""

from collections.abc import Set as AbstractSet
from typing import Final

from entrepot.dialects.swr.refusal import Refusal

_FILTER_WRONG: Final = "4001035"


def parse(text: str, known: AbstractSet[str]) -> dict[str, str]:
    """Values by key; empty ones count as absent. Raises Refusal."""
    found: dict[str, str] = {}
    for pair in text.split("|"):
        key, colons, value = pair.partition("::")
        key, value = key.strip(), value.strip()
        if not colons:
            raise Refusal(_FILTER_WRONG, "filter: expected key::value|key::value")
        if key not in known:
            names = ", ".join(sorted(known))
            raise Refusal(_FILTER_WRONG, f"filter: no key is called {key[:100]!r}: {names}")
        if key in found:
            raise Refusal(_FILTER_WRONG, f"filter: {key} is given twice")
        if value:
            found[key] = value
    if not found:
        raise Refusal(_FILTER_WRONG, "filter: it says nothing")
    return found
