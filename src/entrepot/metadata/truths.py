"""What the counters should say, counted from the rows themselves: for a page of subjects at once, in one transaction.

The answers name each of the subjects asked for, bounded as counters are. A page is a few hundred: their ids go into one statement.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.counters import bounded
from entrepot.metadata.reviews import ReviewKind
from entrepot.metadata.schema import (
    blobs,
    counter_deltas,
    counters,
    manifests,
    namespaces,
    repositories,
    repository_blobs,
    reviews,
    tags,
)
from entrepot.metadata.sums import of_row, summed

_ONE: Final[sa.ColumnElement[int]] = sa.literal_column("1", sa.BigInteger)


def repository_ids(conn: Connection, after: int, limit: int) -> list[int]:
    """Repositories, also deleted ones whose content is there still, in order of their ids."""
    return _ids(conn, repositories, after=after, limit=limit)


def countable_ids(conn: Connection, after: int, limit: int, *, purging: str) -> list[int]:
    """Repositories whose counts mean something, in order of their ids: the living, and the deleted that are whole.

    While its content goes a step at a time (its review's reason is `purging` then), nobody counts what is left of a deleted one.
    """
    whole = sa.exists().where(
        reviews.c.kind == str(ReviewKind.REPOSITORY),
        reviews.c.subject_id == repositories.c.id,
        reviews.c.reason != purging,
    )
    countable = sa.or_(repositories.c.deleted_at.is_(None), whole)
    return _ids(conn, repositories, countable, after=after, limit=limit)


def namespace_ids(conn: Connection, after: int, limit: int) -> list[int]:
    """Living namespaces in order of their ids."""
    return _ids(conn, namespaces, namespaces.c.deleted_at.is_(None), after=after, limit=limit)


def _ids(
    conn: Connection, table: sa.Table, *which: sa.ColumnElement[bool], after: int, limit: int
) -> list[int]:
    query = sa.select(table.c.id).where(table.c.id > after, *which)
    return [number for (number,) in conn.execute(query.order_by(table.c.id).limit(limit))]


def repository_bytes(conn: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """Sizes of the blobs linked to each, and of the documents of its living manifests."""
    linked = _sums(
        repository_blobs.c.repository_id,
        blobs.c.size,
        repository_blobs.join(blobs, blobs.c.id == repository_blobs.c.blob_id),
    )
    documents = _sums(manifests.c.repository_id, manifests.c.size, manifests)
    return _totals(
        conn,
        numbers,
        linked.where(repository_blobs.c.repository_id.in_(numbers)),
        documents.where(manifests.c.repository_id.in_(numbers), manifests.c.deleted_at.is_(None)),
    )


def repository_tags(conn: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """The present tags of each."""
    present = _sums(tags.c.repository_id, _ONE, tags)
    return _totals(
        conn,
        numbers,
        present.where(tags.c.repository_id.in_(numbers), tags.c.valid_until.is_(None)),
    )


def repository_tagged_bytes(conn: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """Sizes of what the present tags of each mean, added up."""
    present = _sums(
        tags.c.repository_id,
        manifests.c.layers_size,
        tags.join(manifests, manifests.c.id == tags.c.manifest_id),
    )
    return _totals(
        conn,
        numbers,
        present.where(tags.c.repository_id.in_(numbers), tags.c.valid_until.is_(None)),
    )


def namespace_repositories(conn: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """The living repositories of each."""
    living = _sums(repositories.c.namespace_id, _ONE, repositories)
    return _totals(conn, numbers, living.where(*_living_in(numbers)))


def namespace_bytes(conn: Connection, numbers: Sequence[int]) -> dict[int, int]:
    """What the counters of the living repositories of each say: those are to be right first."""
    queries = []
    for table, amount in ((counters, counters.c.value), (counter_deltas, counter_deltas.c.delta)):
        held = repositories.join(table, table.c.subject_id == repositories.c.id)
        query = _sums(repositories.c.namespace_id, amount, held)
        of_bytes = (table.c.subject_kind == "repository", table.c.name == "bytes")
        queries.append(query.where(*of_bytes, *_living_in(numbers)))
    return _totals(conn, numbers, *queries)


def _living_in(numbers: Sequence[int]) -> Iterable[sa.ColumnElement[bool]]:
    return repositories.c.namespace_id.in_(numbers), repositories.c.deleted_at.is_(None)


def _sums(
    subject: "sa.Column[Any]", amount: sa.ColumnElement[int], source: sa.FromClause
) -> sa.Select[Any]:
    return sa.select(subject, *summed(amount)).select_from(source).group_by(subject)


def _totals(conn: Connection, numbers: Sequence[int], *queries: sa.Select[Any]) -> dict[int, int]:
    totals = dict.fromkeys(numbers, 0)
    for query in queries:
        for row in conn.execute(query):
            totals[row[0]] += of_row(row)
    return {number: bounded(total) for number, total in totals.items()}
