"""What the counters should say, counted from the rows themselves. Each function is for one subject, in one transaction."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import counters
from entrepot.metadata.schema import (
    blobs,
    manifests,
    namespaces,
    repositories,
    repository_blobs,
    tags,
)


def repository_ids(conn: Connection, after: int, limit: int) -> list[int]:
    """Repositories, also deleted ones whose content is there still, in order of their ids."""
    return _ids(conn, repositories, after=after, limit=limit)


def namespace_ids(conn: Connection, after: int, limit: int) -> list[int]:
    """Living namespaces in order of their ids."""
    return _ids(conn, namespaces, namespaces.c.deleted_at.is_(None), after=after, limit=limit)


def _ids(
    conn: Connection, table: sa.Table, *which: sa.ColumnElement[bool], after: int, limit: int
) -> list[int]:
    query = sa.select(table.c.id).where(table.c.id > after, *which)
    return [number for (number,) in conn.execute(query.order_by(table.c.id).limit(limit))]


def repository_bytes(conn: Connection, repository: int) -> int:
    """Sizes of the blobs linked to it, and of the documents of its living manifests."""
    linked = (
        sa.select(sa.func.coalesce(sa.func.sum(blobs.c.size), 0))
        .select_from(repository_blobs.join(blobs, blobs.c.id == repository_blobs.c.blob_id))
        .where(repository_blobs.c.repository_id == repository)
    )
    documents = sa.select(sa.func.coalesce(sa.func.sum(manifests.c.size), 0)).where(
        manifests.c.repository_id == repository, manifests.c.deleted_at.is_(None)
    )
    return _number(conn, linked) + _number(conn, documents)


def repository_tags(conn: Connection, repository: int) -> int:
    """Its present tags."""
    return _number(
        conn,
        sa.select(sa.func.count())
        .select_from(tags)
        .where(tags.c.repository_id == repository, tags.c.valid_until.is_(None)),
    )


def namespace_repositories(conn: Connection, namespace: int) -> int:
    """Its living repositories."""
    return _number(
        conn,
        sa.select(sa.func.count())
        .select_from(repositories)
        .where(repositories.c.namespace_id == namespace, repositories.c.deleted_at.is_(None)),
    )


def namespace_bytes(conn: Connection, namespace: int) -> int:
    """What its living repositories' counters say: those are to be right first."""
    rows = conn.execute(
        sa.select(repositories.c.id).where(
            repositories.c.namespace_id == namespace, repositories.c.deleted_at.is_(None)
        )
    )
    held = counters.many(conn, "repository", [number for (number,) in rows], "bytes")
    return sum(held.values())


def _number(conn: Connection, query: sa.Select[Any]) -> int:
    return int(conn.execute(query).scalar_one())
