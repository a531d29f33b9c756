"""Sharing a repository with another tenant, whose users may then pull from it until a deadline."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from entrepot.model.content import Repository
from entrepot.model.errors import Conflict, InvalidInput, Unknown
from entrepot.model.ids import Micros, TenantId

FOREVER: Final = "forever"
READ: Final = "read"  # the one permit there is
MAX_DESCRIPTION: Final = 1000  # characters
_DAY: Final = 86_400_000_000  # micros
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DATE: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Share:
    """A repository shared with a tenant. `deadline`: as it was sent; `ends_at`: what it means, None: never. `creator`: public id and name,
    empty where nobody in particular made it."""

    repository: Repository
    receiver: TenantId
    receiver_name: str
    permit: str
    deadline: str
    ends_at: Micros | None
    description: str
    creator_id: str
    creator_name: str
    created_at: Micros
    updated_at: Micros

    def is_valid_at(self, moment: Micros) -> bool:
        """Whether it has not ended."""
        return self.ends_at is None or moment < self.ends_at


def end_of(deadline: str) -> Micros | None:
    """When a share of that deadline ends: with the day (UTC) that it lies in; None: never. Raises DeadlineInvalid."""
    if deadline == FOREVER:
        return None
    found = _DATE.fullmatch(deadline)
    try:
        if found is None:
            raise ValueError("neither a time nor forever")
        day, clock, zone = found.group(1), found.group(2) or "00:00", found.group(3) or "Z"
        moment = datetime.fromisoformat(f"{day}T{clock}{zone.replace('Z', '+00:00')}")
        last = moment.astimezone(UTC).date().toordinal()
    except (ValueError, OverflowError) as error:
        raise DeadlineInvalid(deadline[:100], "is no time such as 2030-10-01T16:00:00Z") from error
    return Micros((last + 1 - _EPOCH) * _DAY)


# -- what can go wrong ------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class ShareUnknown(Unknown):
    """The repository is not shared with that tenant."""

    name: str


@dataclass(eq=False)
class ShareTaken(Conflict):
    """The repository is shared with that tenant already."""

    name: str


@dataclass(eq=False)
class ReceiverInvalid(InvalidInput):
    """Nobody of that name can receive a share: no such tenant, or the owner."""

    name: str


@dataclass(eq=False)
class PermitInvalid(InvalidInput):
    """A share permits to read, and nothing else."""

    permit: str


@dataclass(eq=False)
class DeadlineInvalid(InvalidInput):
    """The deadline is no time, or over."""

    deadline: str
    reason: str
