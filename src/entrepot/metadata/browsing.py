"""Pages at arbitrary offsets with exact totals, as the vendors' APIs list things: namespaces, repositories. Tags: `tag_pages`.

A page is found in the narrowest index first and its rows are read after.
`Listing` filters that SQL cannot say are applied by the caller, over `everything`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata import resource_tags
from entrepot.metadata.access import Visibility, visible
from entrepot.metadata.namespaces import namespace_of, repository_of, select_repositories
from entrepot.metadata.schema import instances, namespaces, repositories
from entrepot.metadata.schema import resource_tags as tag_rows
from entrepot.model.content import RepositoryDetails
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.tenancy import NamespaceDetails

SORTS: Final = ("name", "created_at", "updated_at")
_EVERYTHING: Final = 2**31


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
    """`namespace` and `name` (inside the namespace): parts of them."""

    tenant: TenantId
    instance: InstanceId
    namespace: str = ""
    name: str = ""
    visibility: Visibility = field(default_factory=Visibility)
    sort: str = "name"
    descending: bool = False


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
    total = int(conn.scalar(sa.select(sa.func.count()).select_from(found.subquery())) or 0)
    sort = repositories.c["full_name" if asked.sort == "name" else asked.sort]
    order += [_ordered(sort, asked.descending), repositories.c.id]
    page = conn.scalars(found.order_by(*order).offset(window.offset).limit(window.limit)).all()
    return _details(conn, page), total


def _ordered(column: Any, descending: bool) -> Any:  # noqa: FBT001  (private)
    return column.desc() if descending else column


def _details(conn: Connection, ids: Sequence[int]) -> list[RepositoryDetails]:
    found: dict[int, RepositoryDetails] = {}
    for start in range(0, len(ids), 400):
        rows = conn.execute(
            select_repositories()
            .add_columns(
                repositories.c.brief,
                repositories.c.description,
                repositories.c.created_at,
                repositories.c.updated_at,
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
            )
    return [found[number] for number in ids if number in found]
