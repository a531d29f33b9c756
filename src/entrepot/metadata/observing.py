"""What metrics ask of the database at each scrape: cheap reads by partial indexes, nothing that grows with what is stored."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import reviews
from entrepot.metadata.database import now
from entrepot.metadata.schema import tasks

_PENDING = sa.text("tasks.status = 'pending'")  # literal, as the partial indexes have them
_RUNNING = sa.text("tasks.status = 'running'")


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work of the whole deployment that is not done: tasks by (kind, status), the longest overdue one, reviews."""

    tasks: dict[tuple[str, str], int]
    oldest_due_seconds: float  # 0: nothing is overdue
    reviews_later: int
    reviews_due: int


def backlog(conn: Connection) -> Backlog:
    """As it is now."""
    found: dict[tuple[str, str], int] = {}
    for status, which in (("pending", _PENDING), ("running", _RUNNING)):
        query = sa.select(tasks.c.kind, sa.func.count()).where(which).group_by(tasks.c.kind)
        for kind, count in conn.execute(query):
            found[kind, status] = int(count)
    moment = now(conn)
    oldest = conn.execute(sa.select(sa.func.min(tasks.c.run_after)).where(_PENDING)).scalar()
    overdue = 0.0 if oldest is None else max(0, moment - int(oldest)) / 1e6
    waiting, due = reviews.waiting(conn)
    return Backlog(found, overdue, waiting - due, due)
