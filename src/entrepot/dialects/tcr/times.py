"""The vendor's three ways to write a moment. Which one is meant is said by each type's contract."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from entrepot.model.ids import Micros

_ZONE: Final = timezone(timedelta(hours=8), "CST")  # the vendor's own
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FAR_YEARS: Final = 10  # the end of what has none


def _moment(at: Micros) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def iso(at: Micros | None) -> str:
    """ISO 8601 with offset, whole seconds; "" for none."""
    return "" if at is None else _moment(at).astimezone(_ZONE).isoformat(timespec="seconds")


def go_text(at: Micros) -> str:
    """As Go prints a time: `2020-02-27 01:07:14.503709 +0800 CST`."""
    return _moment(at).astimezone(_ZONE).strftime("%Y-%m-%d %H:%M:%S.%f +0800 CST")


def rfc3339(at: Micros) -> str:
    """UTC with microseconds: `2022-08-06T07:31:01.207374Z`."""
    return _moment(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def millis(at: Micros | None) -> int:
    """Milliseconds since the epoch; 0 for none."""
    return 0 if at is None else at // 1000


def far_end(created_at: Micros) -> Micros:
    """What is told as the end of a token that has none."""
    return Micros(created_at + FAR_YEARS * 365 * 86400 * 1_000_000)
