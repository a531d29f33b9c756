"""The vendor's three ways to count pages (each operation's contract says which), all to one window of rows."""

from dataclasses import dataclass
from typing import Final

DEFAULT: Final = 20
LARGEST: Final = (
    1000  # where no maximum is printed: Terraform asks for 200 and takes a short page for the last
)


@dataclass(frozen=True, slots=True)
class Window:
    """Rows `offset` to `offset + limit`."""

    offset: int
    limit: int

    def of(self, rows: list[object]) -> list[object]:
        """The rows inside."""
        return rows[self.offset : self.offset + self.limit]


def _size(limit: int | None, largest: int) -> int:
    """0 and none mean the default; more than the largest is cut."""
    return min(limit or DEFAULT, largest)


def rows_from_zero(offset: int | None, limit: int | None, largest: int = LARGEST) -> Window:
    """`Offset` counts rows."""
    return Window(offset or 0, _size(limit, largest))


def pages_from_one(offset: int | None, limit: int | None, largest: int = LARGEST) -> Window:
    """`Offset` counts pages from 1; 0 is the first one, too."""
    size = _size(limit, largest)
    return Window((max(offset or 1, 1) - 1) * size, size)


def pages_from_zero(offset: int | None, limit: int | None, largest: int = LARGEST) -> Window:
    """`Offset` counts pages from 0."""
    size = _size(limit, largest)
    return Window((offset or 0) * size, size)
