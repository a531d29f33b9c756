"""What the wire answers where it will not do what is asked: a code whose first three digits are the HTTP status."""

from dataclasses import dataclass
from typing import Final

PREFIX: Final = "SVCSTG.SWR."
UNSIGNED: Final = "SVCSTG.S2I.4019000"
"""Neither token nor signature: the one code with a prefix of its own."""


@dataclass(eq=False)
class Refusal(Exception):
    """`code`: seven digits, or whole with its prefix. `message` is for people and must hold no secret."""

    code: str
    message: str

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.code[-7:][:3])

    @property
    def full_code(self) -> str:
        """As clients read it."""
        return self.code if "." in self.code else PREFIX + self.code
