"""Pages: `limit` and `offset` as decimal texts, and `Content-Range: <offset>-<rows in this page>/<all>`."""

import re
from typing import Final

from entrepot.dialects.swr.refusal import Refusal
from entrepot.metadata.browsing import Slice

MOST: Final = 1000
_DECIMAL: Final = re.compile(r"[0-9]{1,10}")
_PAGE_WRONG: Final = "4000056"


def window(limit: str | None, offset: str | None, *, default: int | None) -> Slice:
    """The rows that are asked for. `default`: how many where no limit is given, None for all if there is no offset either. Raises Refusal."""
    first = 0 if offset is None else _number("offset", offset)
    if limit is None:
        if default is not None:
            return Slice(first, default)
        return Slice() if offset is None else Slice(first, MOST)
    most = _number("limit", limit)
    if most == 0:
        raise Refusal(_PAGE_WRONG, "limit: at least 1")
    return Slice(first, min(most, MOST))


def _number(name: str, text: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise Refusal(_PAGE_WRONG, f"{name}: expected a decimal number")
    return int(text)
