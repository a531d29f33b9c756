"""Pages of a repository's present tags with all that is known of each: as SWR lists them, by time or by name."""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import counters
from entrepot.metadata.browsing import Slice
from entrepot.metadata.schema import manifest_references, manifests, tags
from entrepot.model.content import TagRow
from entrepot.model.ids import Micros, RepositoryId

SORTS: Final = ("pushed_at", "name")


@dataclass(frozen=True, slots=True)
class TagOrder:
    """Tags of a repository. `name`: only this one."""

    repository: RepositoryId
    name: str = ""
    sort: str = "pushed_at"
    descending: bool = True


def tag_rows(conn: Connection, asked: TagOrder, window: Slice) -> tuple[list[TagRow], int]:
    """The page, and how many there are in all."""
    present = [tags.c.repository_id == asked.repository, tags.c.valid_until.is_(None)]
    if asked.name:
        present.append(tags.c.name == asked.name)
    ids = sa.select(tags.c.id).where(*present)
    for column in (tags.c.pushed_at, tags.c.name) if asked.sort == "pushed_at" else (tags.c.name,):
        ids = ids.order_by(column.desc() if asked.descending else column)
    found = list(conn.scalars(ids.offset(window.offset).limit(window.limit)))
    if asked.name:
        total = len(found) if window.offset == 0 else 1
    else:
        total = counters.value(conn, "repository", asked.repository, "tags")
    return _rows(conn, found), total


def _rows(conn: Connection, ids: list[int]) -> list[TagRow]:
    config = (
        sa.select(manifest_references.c.digest)
        .where(
            manifest_references.c.manifest_id == manifests.c.id,
            manifest_references.c.role == "config",
        )
        .limit(1)
        .scalar_subquery()
    )
    query = sa.select(
        tags.c.id,
        tags.c.name,
        tags.c.valid_from,
        tags.c.pushed_at,
        manifests.c.digest,
        manifests.c.media_type,
        manifests.c.layers_size,
        manifests.c.payload,
        config.label("config"),
    ).join(manifests, manifests.c.id == tags.c.manifest_id)
    found: dict[int, TagRow] = {}
    for start in range(0, len(ids), 400):
        rows = conn.execute(query.where(tags.c.id.in_(ids[start : start + 400])))
        found.update((row.id, _row(row)) for row in rows)
    return [found[number] for number in ids if number in found]


def _row(row: Any) -> TagRow:
    return TagRow(
        id=row.id,
        name=row.name,
        digest=row.digest,
        media_type=row.media_type,
        size=int(row.layers_size),
        config_digest=row.config or "",
        payload=bytes(row.payload),
        set_at=Micros(row.valid_from),
        pushed_at=Micros(row.pushed_at),
    )
