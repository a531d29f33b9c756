"""Regular expressions that users write: read by an engine whose time grows with the text, never with the cunning of the pattern.

The syntax is RE2's, which is also what both vendors' services read: no back references, no looking around. This is the one place
that reads such a pattern, whoever asks for it (retention, triggers).
"""

import functools
import importlib
from dataclasses import dataclass, field
from typing import Any

from entrepot.model.errors import InvalidInput

MAX_LENGTH = 256
"""Characters of a pattern; a tag has 128 at most."""

MAX_BYTES = 512 << 10
"""What one compiled pattern may take, its states while matching included. The engine keeps the last 128 of them."""


@dataclass(eq=False)
class PatternInvalid(InvalidInput):
    """The text is no regular expression that is served."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled regular expression. Equal when its text is."""

    text: str
    _engine: Any = field(repr=False, compare=False)  # the engine's own type has no annotations

    def matches_whole(self, text: str) -> bool:
        """Whether the whole text fits, as if the pattern stood between `^(?:` and `)$`. Linear in the text."""
        return self._engine.fullmatch(text) is not None


def compile_pattern(text: str) -> Pattern:
    """A pattern to match with. PatternInvalid: empty, beyond 256 characters, not of RE2's syntax, or too large when compiled."""
    if not 0 < len(text) <= MAX_LENGTH:
        raise PatternInvalid(text[:MAX_LENGTH], f"a pattern has 1 to {MAX_LENGTH} characters")
    engine = _engine()
    try:
        return Pattern(text, engine.compile(text, _options()))
    except engine.error as wrong:
        raise PatternInvalid(text, _said(wrong)) from None
    except UnicodeEncodeError:
        raise PatternInvalid(text, "not all of it is Unicode text") from None


@functools.cache
def _engine() -> Any:
    """RE2, loaded by those who need it: 3 MiB of memory that a process which only serves layers can spare."""
    return importlib.import_module("re2")


def _options() -> Any:
    options = _engine().Options()
    options.max_mem = MAX_BYTES
    options.log_errors = False  # they are the caller's, not this process' log's
    options.never_capture = True  # nobody asks what a group held
    return options


def _said(wrong: Exception) -> str:
    words = wrong.args[0] if wrong.args else b""
    return words.decode(errors="replace") if isinstance(words, bytes) else str(words)
