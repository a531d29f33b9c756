"""Patterns of policy documents: `*` stands for any text, `/` and nothing included; everything else for itself.

Matching takes time linear in the text, whatever the pattern: the pieces between stars are searched from left to right and never
tried again.
"""

from dataclasses import dataclass

MAX_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A parsed pattern."""

    pieces: tuple[str, ...]  # the text between the stars; a single piece has no star

    @classmethod
    def parse(cls, text: str) -> "Wildcard":
        """Any text is a pattern. ValueError beyond 1024 characters."""
        if len(text) > MAX_LENGTH:
            raise ValueError(f"a pattern is at most {MAX_LENGTH} characters")
        return cls(tuple(text.split("*")))

    def matches(self, text: str) -> bool:
        """Whether the whole of the text fits."""
        first, last = self.pieces[0], self.pieces[-1]
        if len(self.pieces) == 1:
            return text == first
        end = len(text) - len(last)
        at = len(first)
        if at > end or not text.startswith(first) or not text.endswith(last):
            return False
        for piece in self.pieces[1:-1]:
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    def __str__(self) -> str:
        return "*".join(self.pieces)
