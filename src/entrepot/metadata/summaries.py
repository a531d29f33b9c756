"""What is counted about repositories, for a page of them at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import counters
from entrepot.metadata.schema import (
    counter_deltas,
    namespaces,
    repositories,
    tags,
    tenants,
    users,
)
from entrepot.metadata.schema import counters as counter_rows
from entrepot.model.content import MAX_TAGS_TOLD, RepositoryDetails, RepositorySummary

MAX_NAMES: Final = 50_000
"""Names of tags that a page tells of all its repositories together."""
_CHUNK: Final = 400


def summaries(
    conn: Connection, found: Sequence[RepositoryDetails], *, with_tags: bool
) -> list[RepositorySummary]:
    """In their order; what is gone meanwhile is left out. `with_tags`: also names of tags, of each the newest, `MAX_NAMES` in all."""
    ids = [int(one.repository.id) for one in found]
    people = _people(conn, ids)
    counted, sizes, pulls = (
        counters.many(conn, "repository", ids, name) for name in ("tags", "tagged_bytes", "pulls")
    )
    named = _tags(conn, counted) if with_tags else {}
    return [
        RepositorySummary(
            details=one,
            namespace_number=row.number,
            tenant_name=row.tenant_name,
            tenant_public_id=row.tenant_public_id,
            creator_public_id=row.creator_public_id or "",
            creator_name=row.creator_name or "",
            tag_count=counted[number],
            size=sizes[number],
            pulls=pulls[number],
            tags=tuple(named.get(number, ())),
        )
        for one, number in zip(found, ids, strict=True)
        if (row := people.get(number)) is not None
    ]


def tags_in(conn: Connection, spaces: Sequence[int]) -> int:
    """How many tags the living repositories of these namespaces have together."""
    total = 0
    for start in range(0, len(spaces), _CHUNK):
        ours = sa.select(repositories.c.id).where(
            repositories.c.namespace_id.in_(spaces[start : start + _CHUNK]),
            repositories.c.deleted_at.is_(None),
        )
        for table, amount in (
            (counter_rows, counter_rows.c.value),
            (counter_deltas, counter_deltas.c.delta),
        ):
            query = sa.select(sa.func.sum(amount)).where(
                table.c.subject_kind == "repository",
                table.c.subject_id.in_(ours),
                table.c.name == "tags",
            )
            total += int(conn.scalar(query) or 0)
    return total


def _people(conn: Connection, ids: Sequence[int]) -> dict[int, Any]:
    """Whose each is, and who made it."""
    found: dict[int, Any] = {}
    query = (
        sa.select(
            repositories.c.id,
            namespaces.c.number,
            tenants.c.name.label("tenant_name"),
            tenants.c.public_id.label("tenant_public_id"),
            users.c.public_id.label("creator_public_id"),
            users.c.name.label("creator_name"),
        )
        .join(namespaces, namespaces.c.id == repositories.c.namespace_id)
        .join(tenants, tenants.c.id == namespaces.c.tenant_id)
        .outerjoin(users, users.c.id == repositories.c.created_by)
    )
    for start in range(0, len(ids), _CHUNK):
        rows = conn.execute(query.where(repositories.c.id.in_(ids[start : start + _CHUNK])))
        found.update((row.id, row) for row in rows)
    return found


def _tags(conn: Connection, counted: Mapping[int, int]) -> dict[int, list[str]]:
    """Present tags of each, the newest first. `counted`: how many it has."""
    most = _most_of_each(counted.values())
    found: dict[int, list[str]] = {
        number: list(conn.scalars(_NEWEST, {"repository": number, "most": most}))
        for number, count in counted.items()
        if count > most
    }
    whole = [number for number, count in counted.items() if count <= most]
    for start in range(0, len(whole), _CHUNK):
        query = (
            sa.select(tags.c.repository_id, tags.c.name)
            .where(
                tags.c.repository_id.in_(whole[start : start + _CHUNK]),
                tags.c.valid_until.is_(None),
            )
            .order_by(tags.c.pushed_at.desc(), tags.c.name.desc())
            .limit(MAX_NAMES)
        )
        for number, name in conn.execute(query):
            found.setdefault(number, []).append(name)
    return found


def _most_of_each(counts: Iterable[int]) -> int:
    """How many names each repository may have so that all together are few enough: what the small ones leave is for the large."""
    room = MAX_NAMES
    rising = sorted(counts)
    for number, count in enumerate(rising):
        share = room // (len(rising) - number)
        if min(count, MAX_TAGS_TOLD) > share:
            return share
        room -= min(count, MAX_TAGS_TOLD)
    return MAX_TAGS_TOLD


_NEWEST: Final = (
    sa.select(tags.c.name)
    .where(tags.c.repository_id == sa.bindparam("repository"), tags.c.valid_until.is_(None))
    .order_by(tags.c.pushed_at.desc(), tags.c.name.desc())
    .limit(sa.bindparam("most"))
)
