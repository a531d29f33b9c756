"""What the wire itself refuses: a code of the vendor's and a sentence of ours."""

from dataclasses import dataclass


@dataclass(eq=False)
class Refusal(Exception):
    """An answer that is an error. `message` is for people; it must hold no secret."""

    code: str
    message: str
