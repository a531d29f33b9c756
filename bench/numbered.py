"""Names of things that are there by the thousand: a letter and a number of fixed width, so that their order is the numbers'."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Numbered:
    """`prefix` and `digits` decimal digits, counted from 0."""

    prefix: str
    digits: int

    def name(self, number: int) -> str:
        """The name of the `number`-th."""
        return f"{self.prefix}{number:0{self.digits}}"


TAGS = Numbered("t", 7)
REPOSITORIES = Numbered("r", 6)
