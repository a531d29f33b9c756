"""No secret reaches the log: values under telling names are replaced whole, and texts lose what looks like a credential."""

import re
from collections.abc import Mapping
from typing import Any, Final

MASK: Final = "***"
_DEEPEST: Final = 12

# Names of fields whose value is never shown. Ids of keys and counts of tokens are no secrets.
_NAME: Final = re.compile(
    r"(^|[_-])(passw(or)?d([_-]hash)?|passphrase|pwd|secret|secret[_-]?key|token|authorization|cookie|signature|private[_-]?key"
    r"|credentials?|master[_-]?key)$",
    re.IGNORECASE,
)
_WORDS: Final = (
    r"(?:[a-z0-9-]*passw(?:or)?d|passphrase|[a-z0-9_-]*token|[a-z0-9_-]*secret(?:[_-]?key)?"
    r"|[a-z0-9-]*signature|client_assertion|sk)"
)
_TEXTS: Final = (
    # An Authorization header, to the end of its line or quote: every scheme has its own way to hold a secret.
    (re.compile(r"(?i)((?:proxy-)?authorization['\"]?\s*[:=,]\s*b?['\"]?)[^\r\n'\"]+"), r"\1***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}"), r"\1 ***"),
    # password=…, refresh_token=…, X-Amz-Signature=…, in a query, a form or a text
    (re.compile(rf"(?i)\b({_WORDS})=[^&\s\"',;)\]}}]+"), r"\1=***"),
    # "password": "…" in JSON, or in the repr of a dict
    (re.compile(rf"(?i)(['\"]{_WORDS}['\"]\s*:\s*b?)(\"[^\"]*\"|'[^']*')"), r"\1***"),
    # scheme://user:password@host
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+@"), r"\1***@"),
    # A token on its own, whatever stood before it
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), MASK),
    # The values of a failed SQL statement
    (re.compile(r"(?s)\[parameters: .*?\](?=\s*\(Background|\s*$|\n)"), "[parameters: ***]"),
)
# What any of the patterns above needs, so that most texts are looked at once.
_SUSPECT: Final = re.compile(
    r"(?i)authorization|bearer|basic|passw|passphrase|token|secret|signature|assertion|\bsk=|\"sk\"|'sk'|://|eyJ|\[parameters"
)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is never shown."""
    return _NAME.search(name) is not None


def masked_text(text: str) -> str:
    """The text without what looks like a credential."""
    if _SUSPECT.search(text) is None:
        return text
    for pattern, replacement in _TEXTS:
        text = pattern.sub(replacement, text)
    return text


def masked(value: object, depth: int = 0) -> object:
    """A copy of a value for the log: plain types, nothing secret, bounded depth. Foreign objects become their `str`."""
    match value:
        case str():
            return masked_text(value)
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return masked_text(bytes(value).decode("utf-8", "backslashreplace"))
        case Mapping() if depth < _DEEPEST:
            return masked_fields(value, depth + 1)
        case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return [masked(item, depth + 1) for item in value]
        case _:
            return masked_text(_text_of(value)) if depth < _DEEPEST else "…"


def masked_fields(fields: Mapping[Any, object], depth: int = 0) -> dict[str, object]:
    """Likewise, of named values: those under a telling name go whole."""
    return {
        str(name): MASK if value is not None and is_secret_name(str(name)) else masked(value, depth)
        for name, value in fields.items()
    }


def _text_of(value: object) -> str:
    """`str` of anything; a log line must not fail by what it tells of."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  (foreign __str__)
        return f"<{type(value).__name__}: {type(error).__name__}>"
