"""Versioned tags: a row says what the tag meant from when until when; the row without an end is the present."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import Database, PageSelect
from entrepot.metadata.schema import manifests, tags
from entrepot.model.ids import ManifestId, Micros, RepositoryId


@dataclass(frozen=True, slots=True)
class Moved:
    """What setting a tag did: the manifest it meant before (None: the tag is new), and whether anything changed."""

    before: ManifestId | None
    changed: bool


_NAMES = PageSelect(
    sa.select(tags.c.name)
    .where(
        tags.c.repository_id == sa.bindparam("repository"),
        tags.c.name > sa.bindparam("after"),
        tags.c.valid_until.is_(None),
    )
    .order_by(tags.c.name)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)


def current(conn: Connection, repository: RepositoryId, name: str) -> ManifestId | None:
    """What the tag means now."""
    number = conn.execute(sa.select(tags.c.manifest_id).where(*_is(repository, name))).scalar()
    return None if number is None else ManifestId(number)


def currents(
    conn: Connection, repository: RepositoryId, names: Sequence[str]
) -> dict[str, ManifestId]:
    """What those of the tags (a few) that are there mean now."""
    query = sa.select(tags.c.name, tags.c.manifest_id).where(
        tags.c.repository_id == repository, tags.c.name.in_(names), tags.c.valid_until.is_(None)
    )
    return {name: ManifestId(number) for name, number in conn.execute(query.order_by(tags.c.name))}


def names_of(conn: Connection, repository: RepositoryId, digest: str, *, limit: int) -> list[str]:
    """Present tags that mean the manifest of that digest."""
    query = (
        sa.select(tags.c.name)
        .join(manifests, manifests.c.id == tags.c.manifest_id)
        .where(
            manifests.c.repository_id == repository,
            manifests.c.digest == digest,
            manifests.c.deleted_at.is_(None),
            tags.c.valid_until.is_(None),
        )
        .order_by(tags.c.name)
        .limit(limit)
    )
    return list(conn.scalars(query))


def set_tag(
    conn: Connection,
    repository: RepositoryId,
    name: str,
    *,
    manifest: ManifestId,
    at: Micros,
    actor: str,
) -> Moved:
    """Let the tag mean the manifest from now on. Where it does already, the row only says that it was set again."""
    before = current(conn, repository, name)
    if before == manifest:
        conn.execute(sa.update(tags).where(*_is(repository, name)).values(pushed_at=at))
        return Moved(before, changed=False)
    if before is not None:
        end(conn, repository, name, at)
    conn.execute(
        sa.insert(tags).values(
            repository_id=repository,
            name=name,
            manifest_id=manifest,
            valid_from=at,
            pushed_at=at,
            set_by=actor,
        )
    )
    return Moved(before, changed=True)


def end(conn: Connection, repository: RepositoryId, name: str, at: Micros) -> ManifestId | None:
    """End the tag; what it meant, None if it was not there."""
    return _first(
        conn.execute(
            sa.update(tags)
            .where(*_is(repository, name))
            .values(valid_until=at)
            .returning(tags.c.manifest_id)
        ).scalar()
    )


def end_all_of(conn: Connection, manifest: ManifestId, at: Micros) -> list[str]:
    """End every tag of the manifest; their names."""
    rows = conn.execute(
        sa.update(tags)
        .where(tags.c.manifest_id == manifest, tags.c.valid_until.is_(None))
        .values(valid_until=at)
        .returning(tags.c.name)
    )
    return sorted(name for (name,) in rows)


def is_tagged(conn: Connection, manifest: ManifestId) -> bool:
    """Whether any present tag means the manifest."""
    row = conn.execute(
        sa.select(tags.c.id)
        .where(tags.c.manifest_id == manifest, tags.c.valid_until.is_(None))
        .limit(1)
    ).first()
    return row is not None


def has_any(conn: Connection, repository: RepositoryId) -> bool:
    """Whether the repository has a present tag."""
    query = sa.select(tags.c.id).where(
        tags.c.repository_id == repository, tags.c.valid_until.is_(None)
    )
    return conn.execute(query.limit(1)).first() is not None


async def names(db: Database, repository: RepositoryId, *, after: str, limit: int) -> list[str]:
    """Present tags in bytewise order, behind `after`."""
    rows = await db.page(_NAMES, {"repository": repository, "after": after, "limit": limit})
    return [cast(str, name) for (name,) in rows]


def _is(repository: RepositoryId, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return tags.c.repository_id == repository, tags.c.name == name, tags.c.valid_until.is_(None)


def _first(number: int | None) -> ManifestId | None:
    return None if number is None else ManifestId(number)
