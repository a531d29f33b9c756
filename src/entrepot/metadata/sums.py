"""Sums that no database can find too large: SQLite refuses a sum of integers beyond 64 bits, however few its rows are.

The upper and the lower halves are added up by themselves and put together here: exact for 2^31 rows of any numbers.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

_BITS: Final = 32
_LOWER: Final = (1 << _BITS) - 1


def summed(amount: sa.ColumnElement[int]) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """The last two columns of a query, whose rows `of_row` reads. No rows are 0."""
    amount = sa.cast(amount, sa.BigInteger)  # shifts of PostgreSQL's smaller integers go round
    upper = amount.op(">>")(sa.literal_column(str(_BITS)))
    lower = amount.op("&")(sa.literal_column(str(_LOWER)))
    return (sa.func.coalesce(sa.func.sum(upper), 0), sa.func.coalesce(sa.func.sum(lower), 0))


def of_row(row: Sequence[Any]) -> int:
    """The sum that the row ends with."""
    return (int(row[-2]) << _BITS) + int(row[-1])
