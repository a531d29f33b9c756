"""The collector's queue: look again at this blob, manifest or repository after a while.

Putting something in again never brings its review forward unless asked to: a postponement always wins.
"""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import reviews
from entrepot.metadata.upsert import insert_or_set
from entrepot.model.ids import Micros


class ReviewKind(StrEnum):
    """What is looked at again."""

    BLOB = "blob"
    MANIFEST = "manifest"
    REPOSITORY = "repository"


def enqueue(
    conn: Connection, kind: ReviewKind, subject: int, *, after_seconds: float, reason: str
) -> None:
    """Look again after that time; if a review waits already, the later of the two."""
    at = now(conn)
    after = at + int(after_seconds * 1e6)
    values = {
        "kind": str(kind),
        "subject_id": subject,
        "review_after": after,
        "reason": reason,
        "attempts": 0,
        "created_at": at,
    }
    later = sa.case((reviews.c.review_after > after, reviews.c.review_after), else_=after)
    changes = {"review_after": later, "reason": reason, "attempts": 0}
    insert_or_set(conn, reviews, values, key=("kind", "subject_id"), set_=changes)


def done(conn: Connection, kind: ReviewKind, subject: int) -> None:
    """Nothing is left to look at."""
    conn.execute(
        sa.delete(reviews).where(reviews.c.kind == str(kind), reviews.c.subject_id == subject)
    )


def postpone(conn: Connection, kind: ReviewKind, subject: int, *, until: Micros) -> bool:
    """Not before `until`; whether a review was waiting."""
    result = conn.execute(
        sa.update(reviews)
        .where(
            reviews.c.kind == str(kind),
            reviews.c.subject_id == subject,
            reviews.c.review_after < until,
        )
        .values(review_after=until, attempts=reviews.c.attempts + 1)
    )
    return result.rowcount > 0


def waiting(conn: Connection) -> tuple[int, int]:
    """How many reviews wait, and how many of them are due."""
    total, overdue = conn.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(
                sa.func.sum(sa.case((reviews.c.review_after <= now(conn), 1), else_=0)), 0
            ),
        )
    ).one()
    return int(total), int(overdue)
