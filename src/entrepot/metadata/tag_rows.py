"""Pages of a repository's present tags with all that is known of each: as SWR lists them, by time or by name.

Many tags may mean one document of megabytes: a page ends where its documents together would be too much, and each is read once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import counters, tag_places
from entrepot.metadata.browsing import Slice
from entrepot.metadata.schema import manifest_references, manifests, tags
from entrepot.model.content import TagRow
from entrepot.model.ids import Micros, RepositoryId

SORTS: Final = ("pushed_at", "name")
MAX_PAYLOADS: Final = 8 * 1024 * 1024
"""Bytes of the documents of a page together, counted for each row; the first row comes whatever it has."""
_CHUNK: Final = 400


@dataclass(frozen=True, slots=True)
class TagOrder:
    """Tags of a repository. `name`: only this one; `with_payload`: with their documents, else those are empty."""

    repository: RepositoryId
    name: str = ""
    sort: str = "pushed_at"
    descending: bool = True
    with_payload: bool = True


def tag_rows(conn: Connection, asked: TagOrder, window: Slice) -> tuple[list[TagRow], int]:
    """The page, shorter than the window where its documents are large, and how many rows there are in all."""
    if asked.name:
        names, total = _one(conn, asked, window)
    else:
        total = counters.value(conn, "repository", asked.repository, "tags")
        names = _window(conn, asked, window, total)
    return _rows(conn, asked.repository, names, with_payload=asked.with_payload), total


def _one(conn: Connection, asked: TagOrder, window: Slice) -> tuple[list[str], int]:
    query = sa.select(tags.c.name).where(
        tags.c.repository_id == asked.repository,
        tags.c.name == asked.name,
        tags.c.valid_until.is_(None),
    )
    found = list(conn.scalars(query))
    return found[window.offset :][: window.limit], len(found)


def _window(conn: Connection, asked: TagOrder, window: Slice, total: int) -> list[str]:
    """A falling list is a rising one, read from its end."""
    order = tag_places.BY_PUSH if asked.sort == "pushed_at" else tag_places.BY_NAME
    if not asked.descending:
        return tag_places.names_at(conn, asked.repository, order, window, total=total)
    end = max(total - window.offset, 0)
    first = max(end - window.limit, 0)
    rising = Slice(first, end - first)
    return tag_places.names_at(conn, asked.repository, order, rising, total=total)[::-1]


def _rows(
    conn: Connection, repository: RepositoryId, names: Sequence[str], *, with_payload: bool
) -> list[TagRow]:
    """In the order of the names, as many as the documents leave room for."""
    rows: list[Any] = []
    room = MAX_PAYLOADS
    present = _TAGS.where(tags.c.repository_id == repository, tags.c.valid_until.is_(None))
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        found = {row.name: row for row in conn.execute(present.where(tags.c.name.in_(chunk)))}
        for row in (found[name] for name in chunk if name in found):
            room -= row.payload_size if with_payload else 0
            if room < 0 and rows:
                return _with_payloads(conn, rows)
            rows.append(row)
    return _with_payloads(conn, rows) if with_payload else [_row(row, b"") for row in rows]


def _with_payloads(conn: Connection, rows: Sequence[Any]) -> list[TagRow]:
    wanted = list({row.manifest_id for row in rows})
    payloads: dict[int, bytes] = {}
    for start in range(0, len(wanted), _CHUNK):
        query = sa.select(manifests.c.id, manifests.c.payload).where(
            manifests.c.id.in_(wanted[start : start + _CHUNK])
        )
        payloads.update((row.id, bytes(row.payload)) for row in conn.execute(query))
    return [_row(row, payloads[row.manifest_id]) for row in rows]


_CONFIG: Final = (
    sa.select(manifest_references.c.digest)
    .where(
        manifest_references.c.manifest_id == manifests.c.id,
        manifest_references.c.role == "config",
    )
    .limit(1)
    .scalar_subquery()
)
_TAGS: Final = sa.select(
    tags.c.id,
    tags.c.name,
    tags.c.manifest_id,
    tags.c.valid_from,
    tags.c.pushed_at,
    manifests.c.digest,
    manifests.c.media_type,
    manifests.c.layers_size,
    manifests.c.size.label("payload_size"),
    _CONFIG.label("config"),
).join(manifests, manifests.c.id == tags.c.manifest_id)


def _row(row: Any, payload: bytes) -> TagRow:
    return TagRow(
        id=row.id,
        name=row.name,
        digest=row.digest,
        media_type=row.media_type,
        size=int(row.layers_size),
        config_digest=row.config or "",
        payload=payload,
        set_at=Micros(row.valid_from),
        pushed_at=Micros(row.pushed_at),
    )
