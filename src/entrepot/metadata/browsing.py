"""Pages at arbitrary offsets with exact totals, as the vendors' APIs list things: namespaces, repositories. Tags: `tag_pages`.

A page is found in the narrowest index first and its rows are read after.
`Listing` filters that SQL cannot say are applied by the caller, over `everything`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import counters, resource_tags
from entrepot.metadata.access import Visibility, visible
from entrepot.metadata.namespaces import namespace_of, repository_of, select_repositories
from entrepot.metadata.schema import instances, namespaces, repositories
from entrepot.metadata.schema import resource_tags as tag_rows
from entrepot.model.content import Repository, RepositoryDetails
from entrepot.model.ids import InstanceId, Micros, RepositoryId, TenantId
from entrepot.model.tenancy import NamespaceDetails

SORTS: Final = ("name", "created_at", "updated_at", "tag_count", "namespace", "is_public")
_EVERYTHING: Final = 2**31
_PAGE: Final = 500
MOST_WHOLE: Final = 100
"""Rows of a list that tells descriptions whole; longer ones tell how they begin."""
_BEGINNING: Final = 1000  # characters


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows `offset` to `offset + limit`."""

    offset: int = 0
    limit: int = _EVERYTHING


@dataclass(frozen=True, slots=True)
class NamespaceFilter:
    """`name`: part of it. `tag`: key and value that it carries."""

    tenant: TenantId
    name: str = ""
    tag: tuple[str, str] | None = None
    instance: InstanceId | None = None


@dataclass(frozen=True, slots=True)
class RepositoryFilter:
    """`namespace` and `name` (inside the namespace): parts of them. `is_public`: None for both."""

    tenant: TenantId
    instance: InstanceId
    namespace: str = ""
    name: str = ""
    visibility: Visibility = field(default_factory=Visibility)
    sort: str = "name"
    descending: bool = False
    category: str = ""
    is_public: bool | None = None


def contains(conn: Connection, column: Any, text: str) -> sa.ColumnElement[bool]:
    """Whether the column has the text in it, with case."""
    place = sa.func.strpos if conn.dialect.name == "postgresql" else sa.func.instr
    return place(column, text) > 0


# -- namespaces -------------------------------------------------------------------------------------------------------


def namespaces_page(
    conn: Connection, asked: NamespaceFilter, window: Slice
) -> tuple[list[NamespaceDetails], int]:
    """Living namespaces by name, an exact match first, and how many there are in all."""
    query = (
        sa.select(namespaces, instances.c.public_id)
        .join(instances, instances.c.id == namespaces.c.instance_id)
        .where(
            namespaces.c.tenant_id == asked.tenant,
            namespaces.c.deleted_at.is_(None),
            instances.c.deleted_at.is_(None),  # its content may be kept: out of reach all the same
        )
    )
    if asked.instance is not None:
        query = query.where(namespaces.c.instance_id == asked.instance)
    if asked.name:
        query = query.where(contains(conn, namespaces.c.name, asked.name))
    if asked.tag is not None:
        query = query.where(_carries(asked.tenant, *asked.tag))
    total = conn.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0
    order: list[Any] = [namespaces.c.name, namespaces.c.instance_id]
    if asked.name:
        order.insert(0, (namespaces.c.name != asked.name))
    rows = conn.execute(query.order_by(*order).offset(window.offset).limit(window.limit)).all()
    tags_of = resource_tags.tags_of_all(conn, "namespace", [_tagged(row) for row in rows])
    return [
        NamespaceDetails(
            namespace_of(row),
            row.number,
            dict(row.facts),
            tuple(tags_of.get(_tagged(row), {}).items()),
        )
        for row in rows
    ], int(total)


def _tagged(row: Any) -> str:
    """How tags name the namespace (`resource_tags`)."""
    return f"{row.public_id}#{row.name}"


def _carries(tenant: TenantId, key: str, value: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        tag_rows.c.tenant_id == tenant,
        tag_rows.c.kind == "namespace",
        tag_rows.c.key == key,
        tag_rows.c.value == value,
        tag_rows.c.resource == instances.c.public_id + "#" + namespaces.c.name,
    )


# -- repositories -----------------------------------------------------------------------------------------------------


def repositories_page(
    conn: Connection, asked: RepositoryFilter, window: Slice
) -> tuple[list[RepositoryDetails], int]:
    """Living repositories as sorted, an exact match first, and how many there are in all."""
    found = sa.select(repositories.c.id).join(
        namespaces, namespaces.c.id == repositories.c.namespace_id
    )
    found = found.where(
        repositories.c.instance_id == asked.instance,
        namespaces.c.tenant_id == asked.tenant,
        repositories.c.deleted_at.is_(None),
        visible(asked.visibility),
    )
    order: list[Any] = []
    for column, text in ((namespaces.c.name, asked.namespace), (repositories.c.name, asked.name)):
        if text:
            found = found.where(contains(conn, column, text))
            order.append(column != text)
    if asked.category:
        found = found.where(repositories.c.category == asked.category)
    if asked.is_public is not None:
        found = found.where(_PUBLIC.is_(sa.true() if asked.is_public else sa.false()))
    total = int(conn.scalar(sa.select(sa.func.count()).select_from(found.subquery())) or 0)
    order += [_ordered(_sort(asked.sort), asked.descending), repositories.c.id]
    page = conn.scalars(found.order_by(*order).offset(window.offset).limit(window.limit)).all()
    return details_of(conn, page), total


_PUBLIC: Final = sa.func.coalesce(repositories.c.is_public, namespaces.c.is_public)


def _sort(name: str) -> Any:
    match name:
        case "name":
            return repositories.c.full_name
        case "namespace":
            return namespaces.c.name
        case "is_public":
            return _PUBLIC
        case "tag_count":
            return counters.of("repository", repositories.c.id, "tags")
        case _:
            return repositories.c[name]


def _ordered(column: Any, descending: bool) -> Any:  # noqa: FBT001  (private)
    return column.desc() if descending else column


def repository_details(conn: Connection, repository: RepositoryId) -> RepositoryDetails | None:
    """Of one; None: it is gone."""
    return next(iter(details_of(conn, [repository])), None)


def visible_repositories(
    conn: Connection, tenant: TenantId, instance: InstanceId, visibility: Visibility
) -> Iterator[Repository]:
    """The tenant's living repositories in the instance that a list may show, by number."""
    query = (
        select_repositories()
        .where(
            repositories.c.instance_id == instance,
            namespaces.c.tenant_id == tenant,
            repositories.c.deleted_at.is_(None),
            visible(visibility),
        )
        .order_by(repositories.c.id)
        .limit(_PAGE)
    )
    after = 0
    while True:
        page = conn.execute(query.where(repositories.c.id > after)).all()
        yield from map(repository_of, page)
        if len(page) < _PAGE:
            return
        after = page[-1].id


def details_of(conn: Connection, ids: Sequence[int]) -> list[RepositoryDetails]:
    """Of these repositories, in their order; what is gone is left out. Of more than `MOST_WHOLE`, descriptions only begin."""
    found: dict[int, RepositoryDetails] = {}
    description: Any = repositories.c.description
    if len(ids) > MOST_WHOLE:
        description = sa.func.substr(description, 1, _BEGINNING).label("description")
    for start in range(0, len(ids), 400):
        rows = conn.execute(
            select_repositories()
            .add_columns(
                repositories.c.brief,
                description,
                repositories.c.created_at,
                repositories.c.updated_at,
                repositories.c.category,
            )
            .where(repositories.c.id.in_(ids[start : start + 400]))
        )
        for row in rows:
            found[row.id] = RepositoryDetails(
                repository_of(row),
                row.brief,
                row.description,
                created_at=Micros(row.created_at),
                updated_at=Micros(row.updated_at),
                category=row.category,
            )
    return [found[number] for number in ids if number in found]
