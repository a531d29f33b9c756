"""Our own bulk loader: rows made from rows inside the metadata database, through the registry's tables, on either engine.

Copies take every column of what they copy but its own id, so a new column needs nothing here; counts are kept as a push keeps
them, and `entrepot doctor` finds nothing. Events are not written: a million consumers' tasks are not what is measured.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from bench.artifacts import artifact
from bench.client import MANIFEST_TYPE
from bench.numbered import REPOSITORIES, TAGS, Numbered
from bench.products import Launch, clean_environment
from entrepot.capabilities.content.linking import count_bytes
from entrepot.config import Source, load
from entrepot.metadata import counters, namespaces
from entrepot.metadata import manifests as manifest_rows
from entrepot.metadata.database import Database, now
from entrepot.metadata.schema import (
    counters as counter_rows,
)
from entrepot.metadata.schema import (
    manifest_references,
    manifests,
    repositories,
    repository_blobs,
    tags,
)
from entrepot.model.content import Repository
from entrepot.model.ids import Micros, RepositoryId
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import parse

_TAGS, _REPOSITORIES, _REFERRERS = 100_000, 10_000, 2_000  # in one transaction


class EntrepotRows:
    """The loader of `bench.bulk` for ourselves."""

    def multiply_tag(self, launch: Launch, repository: str, *, count: int) -> None:
        """See BulkLoader."""
        with _database(launch) as db:
            for first, last in _batches(count, _TAGS):
                db.write_sync(partial(_add_tags, full_name=repository, first=first, last=last))

    def multiply_repository(self, launch: Launch, namespace: str, *, count: int) -> None:
        """See BulkLoader."""
        model = f"{namespace}/{REPOSITORIES.name(0)}"
        with _database(launch) as db:
            db.write_sync(_fold)
            for first, last in _batches(count, _REPOSITORIES):
                db.write_sync(partial(_add_repositories, model_name=model, first=first, last=last))

    def add_referrers(
        self, launch: Launch, repository: str, subject: str, *, count: int
    ) -> Sequence[str]:
        """See BulkLoader. They share the subject's configuration blob."""
        with _database(launch) as db:
            begin = partial(_add_first_referrer, full_name=repository, subject=subject)
            model = db.write_sync(begin)
            proceed = partial(_add_referrers, full_name=repository, subject=subject, model=model)
            digests = [model]
            for first, last in _batches(count, _REFERRERS):
                digests += db.write_sync(partial(proceed, first=first + 1, last=last + 1))
        return digests


@contextmanager
def _database(launch: Launch) -> Iterator[Database]:
    settings = load(Source(environ={**clean_environment(), **launch.environment}))
    db = Database.open(settings.metadata_url.reveal())
    try:
        yield db
        if db.dialect == "postgresql":  # what autovacuum does within a minute
            db.write_sync(lambda conn: conn.execute(sa.text("ANALYZE")).close())
    finally:
        db.close_sync()


def _batches(count: int, size: int) -> Iterator[tuple[int, int]]:
    """The numbers from 1 up to and without `count`, as (first, last) of each transaction."""
    for first in range(1, count, size):
        yield first, min(first + size, count) - 1


def _living(conn: Connection, full_name: str) -> Repository:
    query = sa.select(repositories.c.id).where(
        repositories.c.full_name == full_name, repositories.c.deleted_at.is_(None)
    )
    found = namespaces.get_repository(conn, RepositoryId(conn.execute(query).scalar_one()))
    if found is None:
        raise LookupError(full_name)
    return found


def _fold(conn: Connection) -> None:
    """Folded counts are rows that can be copied."""
    while counters.fold(conn):
        pass


# -- rows from rows ---------------------------------------------------------------------------------------------------


def _numbers(first: int, last: int) -> sa.CTE:
    """A table of the numbers from `first` to `last`."""
    start = sa.select(sa.literal(first, sa.BigInteger).label("number"))
    numbers = start.cte("numbers", recursive=True)
    return numbers.union_all(sa.select(numbers.c.number + 1).where(numbers.c.number < last))


def _name(kind: Numbered, number: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """`kind.name(number)` in words that both engines know."""
    padded = sa.cast(number + 10**kind.digits, sa.Text)
    return sa.literal(kind.prefix) + sa.func.substr(padded, 2)


def _copy(
    conn: Connection,
    table: sa.Table,
    source: sa.FromClause,
    rows: sa.FromClause,
    *where: sa.ColumnElement[bool],
    **changed: sa.ColumnElement[Any],
) -> None:
    """Insert a row into `table` for every one of `rows`: the columns of `source` (an alias of the table), but for `changed`."""
    names = [column.name for column in table.c if column.autoincrement is not True]
    values = [changed.get(name, source.c[name]) for name in names]
    query = sa.select(*values).select_from(rows).where(*where)
    conn.execute(sa.insert(table).from_select(names, query))


def _highest(conn: Connection, table: sa.Table) -> int:
    return conn.execute(sa.select(sa.func.max(table.c.id))).scalar_one() or 0


def _add_tags(conn: Connection, *, full_name: str, first: int, last: int) -> None:
    repository = _living(conn, full_name)
    source, numbers = tags.alias("source"), _numbers(first, last)
    is_model = sa.and_(
        source.c.repository_id == repository.id,
        source.c.name == TAGS.name(0),
        source.c.valid_until.is_(None),
    )
    _copy(
        conn,
        tags,
        source,
        source.join(numbers, sa.true()),
        is_model,
        name=_name(TAGS, numbers.c.number),
    )
    added = last - first + 1
    joined = manifests.join(source, source.c.manifest_id == manifests.c.id)
    query = sa.select(manifests.c.layers_size).select_from(joined).where(is_model)
    size = conn.execute(query).scalar_one()
    counters.add(conn, "repository", repository.id, "tags", added)
    counters.add(conn, "repository", repository.id, "tagged_bytes", added * size)


def _add_repositories(conn: Connection, *, model_name: str, first: int, last: int) -> None:
    model, numbers = _living(conn, model_name), _numbers(first, last)
    highest_repository, highest_manifest = _highest(conn, repositories), _highest(conn, manifests)
    source = repositories.alias("source")
    name = _name(REPOSITORIES, numbers.c.number)
    _copy(
        conn,
        repositories,
        source,
        source.join(numbers, sa.true()),
        source.c.id == model.id,
        name=name,
        full_name=sa.literal(f"{model.namespace_name}/") + name,
    )
    _copy_content(conn, model, highest_repository)
    _copy_manifest_content(conn, model, highest_manifest)
    added = last - first + 1
    held = counters.value(conn, "repository", model.id, "bytes")
    counters.add(conn, "namespace", model.namespace, "repositories", added)
    counters.add(conn, "namespace", model.namespace, "bytes", added * held)


def _copy_content(conn: Connection, model: Repository, highest: int) -> None:
    """Manifests, links and counts of the model for every repository above the id `highest`."""
    new = repositories.alias("new")
    for table, owner in (
        (manifests, "repository_id"),
        (repository_blobs, "repository_id"),
        (counter_rows, "subject_id"),
    ):
        source = table.alias("source")
        kept: sa.ColumnElement[bool] = sa.true()
        if table is manifests:
            kept = source.c.deleted_at.is_(None)
        elif table is counter_rows:
            kept = source.c.subject_kind == "repository"
        _copy(
            conn,
            table,
            source,
            source.join(new, sa.true()),
            source.c[owner] == model.id,
            new.c.id > highest,
            kept,
            **{owner: new.c.id},
        )


def _copy_manifest_content(conn: Connection, model: Repository, highest: int) -> None:
    """References and tags of the model's manifests for every manifest above the id `highest`."""
    new, original = manifests.alias("new"), manifests.alias("original")
    pairs = new.join(original, new.c.digest == original.c.digest)
    for table in (manifest_references, tags):
        source = table.alias("source")
        present = [source.c.valid_until.is_(None)] if table is tags else []
        _copy(
            conn,
            table,
            source,
            pairs.join(source, source.c.manifest_id == original.c.id),
            new.c.id > highest,
            original.c.repository_id == model.id,
            original.c.deleted_at.is_(None),
            *present,
            manifest_id=new.c.id,
            repository_id=new.c.repository_id,
        )


# -- referrers --------------------------------------------------------------------------------------------------------


def _add_first_referrer(conn: Connection, *, full_name: str, subject: str) -> str:
    """Artifact 1, as a push stores it; its digest."""
    repository = _living(conn, full_name)
    payload = artifact(_payload(conn, repository, subject), 1)
    digest = Digest.of(payload)
    manifest = parse(MANIFEST_TYPE, payload)
    at = Micros(now(conn))
    manifest_rows.insert(conn, repository.id, digest, manifest=manifest, payload=payload, at=at)
    count_bytes(conn, repository, len(payload))
    return str(digest)


def _add_referrers(
    conn: Connection, *, full_name: str, subject: str, model: str, first: int, last: int
) -> list[str]:
    """Artifacts `first` to `last`, made from the row of the artifact `model`; their digests."""
    repository, highest = _living(conn, full_name), _highest(conn, manifests)
    query = sa.select(manifests).where(
        manifests.c.repository_id == repository.id,
        manifests.c.digest == model,
        manifests.c.deleted_at.is_(None),
    )
    row = dict(conn.execute(query).one()._mapping)
    original = row.pop("id")
    image = _payload(conn, repository, subject)
    rows = [row | _told(artifact(image, number)) for number in range(first, last + 1)]
    conn.execute(sa.insert(manifests), rows)
    source, new = manifest_references.alias("source"), manifests.alias("new")
    _copy(
        conn,
        manifest_references,
        source,
        source.join(new, sa.true()),
        source.c.manifest_id == original,
        new.c.id > highest,
        manifest_id=new.c.id,
    )
    count_bytes(conn, repository, sum(row["size"] for row in rows))
    return [row["digest"] for row in rows]


def _told(payload: bytes) -> dict[str, Any]:
    """The columns in which artifacts about one image differ."""
    manifest = parse(MANIFEST_TYPE, payload)
    return {
        "digest": str(Digest.of(payload)),
        "annotations": manifest.annotations,
        "size": len(payload),
        "payload": payload,
    }


def _payload(conn: Connection, repository: Repository, digest: str) -> bytes:
    found = manifest_rows.find(conn, repository.id, digest)
    if found is None:
        raise LookupError(digest)
    return found.payload
