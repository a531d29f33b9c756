"""What a section is made of.

`setting(...)` bounds are texts in the field's own type; `config.load` checks them. Inside the program
a `Settings` is right by construction: nobody checks again.
"""

from msgspec import Meta, Struct


def setting(
    description: str,
    *,
    least: str | None = None,
    most: str | None = None,
    pattern: str | None = None,
) -> Meta:
    """What a field means, and its bounds (inclusive; `pattern` for the whole of a text)."""
    bounds = {"least": least, "most": most, "pattern": pattern}
    return Meta(description=description, extra={k: v for k, v in bounds.items() if v is not None})


class Section(Struct, frozen=True, kw_only=True):
    """A table of the file."""
