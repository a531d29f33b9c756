"""Lists of repositories as far as somebody may see them.

A caller mostly sees a few namespaces whole. Those are walked one after the other, so a page costs what it shows and not what it hides.
Full names sort like their namespace with the slash first: "a-b/x" before "a/x", for "-" and "." are below "/".
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.access import Visibility, visible
from entrepot.metadata.among import among
from entrepot.metadata.database import PageSelect
from entrepot.metadata.namespaces import repository_of, select_repositories
from entrepot.metadata.schema import namespaces, repositories
from entrepot.model.content import Repository
from entrepot.model.ids import InstanceId, NamespaceId, TenantId

Seen = tuple[int, str]  # a visible namespace: id and name

_BATCH = 400
_NAMESPACES = 100  # read at once, most of them not empty
_LIMIT = sa.bindparam("limit", type_=sa.Integer)
_EVERYTHING = PageSelect(
    sa.select(repositories.c.full_name)
    .where(
        repositories.c.instance_id == sa.bindparam("instance"),
        repositories.c.full_name > sa.bindparam("after"),
        repositories.c.deleted_at.is_(None),
    )
    .order_by(repositories.c.full_name)
    .limit(_LIMIT)
)
# Deleted namespaces are empty; empty ones, of which a tenant may have any number, would cost a statement each.
_LIVING = (
    namespaces.c.instance_id == sa.bindparam("instance"),
    namespaces.c.deleted_at.is_(None),
    sa.exists().where(
        repositories.c.namespace_id == namespaces.c.id, repositories.c.deleted_at.is_(None)
    ),
)
_OF_TENANT = PageSelect(
    sa.select(namespaces.c.id, namespaces.c.name)
    .where(
        namespaces.c.tenant_id == sa.bindparam("tenant"),
        namespaces.c.name > sa.bindparam("after"),
        *_LIVING,
    )
    .order_by(namespaces.c.name)
    .limit(_NAMESPACES)
)
_NAMED_OF_TENANT = (
    sa.select(namespaces.c.id, namespaces.c.name)
    .where(
        namespaces.c.tenant_id == sa.bindparam("tenant"),
        namespaces.c.name.in_(sa.bindparam("names", expanding=True)),
        *_LIVING,
    )
    .order_by(namespaces.c.name)
)
_GRANTED = sa.select(namespaces.c.id, namespaces.c.name).where(*_LIVING)
_OF_NAMESPACE = PageSelect(
    sa.select(repositories.c.full_name)
    .where(
        repositories.c.namespace_id == sa.bindparam("namespace"),
        repositories.c.name > sa.bindparam("after"),
        repositories.c.deleted_at.is_(None),
    )
    .order_by(repositories.c.name)
    .limit(_LIMIT)
)


def names_page(
    conn: Connection, instance: InstanceId, visibility: Visibility, *, after: str, limit: int
) -> list[str]:
    """Full names of living repositories of the instance, in bytewise order, behind `after`."""
    if visibility.everything:
        values = {"instance": instance, "after": after, "limit": limit}
        return [cast(str, name) for (name,) in _EVERYTHING.rows(conn, values)]
    if visibility.public:
        return _filtered(conn, instance, visible(visibility), after=after, limit=limit)
    names = _walked(conn, instance, visibility, after=after, limit=limit)
    if visibility.repositories:
        granted = among(repositories.c.id, visibility.repositories)
        more = _filtered(conn, instance, granted, after=after, limit=limit)
        names = sorted({*names, *more})[:limit]
    return names


def repositories_page(
    conn: Connection, instance: InstanceId, visibility: Visibility, *, after: str, limit: int
) -> list[Repository]:
    """The repositories that `names_page` names."""
    names = names_page(conn, instance, visibility, after=after, limit=limit)
    return [one for some in _chunks(names) for one in _named(conn, instance, some)]


def _filtered(
    conn: Connection,
    instance: InstanceId,
    choice: sa.ColumnElement[bool],
    *,
    after: str,
    limit: int,
) -> list[str]:
    """Reads every repository behind `after` until the page is full, unless `choice` is by id."""
    rows = conn.execute(
        sa.select(repositories.c.full_name)
        .join(namespaces, namespaces.c.id == repositories.c.namespace_id)
        .where(
            repositories.c.instance_id == instance,
            repositories.c.full_name > after,
            repositories.c.deleted_at.is_(None),
            choice,
        )
        .order_by(repositories.c.full_name)
        .limit(limit)
    )
    return [name for (name,) in rows]


# -- the walk ---------------------------------------------------------------------------------------------------------


def _walked(
    conn: Connection, instance: InstanceId, visibility: Visibility, *, after: str, limit: int
) -> list[str]:
    head, slash, tail = after.partition("/")
    sources = [_of_tenant(conn, instance, one, behind=head + slash) for one in visibility.tenants]
    if visibility.namespaces:
        granted = _granted(conn, instance, visibility.namespaces)
        sources.append(iter([one for one in granted if _key(one) >= head + slash]))
    names: list[str] = []
    for (number, name), _ in groupby(merge(*sources, key=_key)):
        behind = tail if slash and name == head else ""
        values = {"namespace": number, "after": behind, "limit": limit - len(names)}
        names += [cast(str, full_name) for (full_name,) in _OF_NAMESPACE.rows(conn, values)]
        if len(names) >= limit:
            break
    return names


def _key(namespace: Seen) -> str:
    """How the full names in it begin. Python's order of text is that of its bytes."""
    return namespace[1] + "/"


def _granted(conn: Connection, instance: InstanceId, numbers: Iterable[NamespaceId]) -> list[Seen]:
    rows = conn.execute(_GRANTED.where(among(namespaces.c.id, numbers)), {"instance": instance})
    return sorted(((number, name) for number, name in rows), key=_key)


def _of_tenant(
    conn: Connection, instance: InstanceId, tenant: TenantId, *, behind: str
) -> Iterator[Seen]:
    """The tenant's namespaces whose keys are not before `behind`, in the order of their keys.

    The index has them in the order of their names, in which one comes before those that continue it by "-" or "." and in this one
    behind them. So it has to wait for those, and the names that `behind` continues in that way are looked for apart.
    """
    waiting: list[Seen] = []
    for one in _by_name(conn, instance, tenant, behind=behind):
        while waiting and not _continues(one[1], waiting[-1][1]):
            yield waiting.pop()
        waiting.append(one)
    yield from reversed(waiting)


def _continues(name: str, other: str) -> bool:
    return name.startswith(other) and name[len(other) :] < "/"


def _by_name(
    conn: Connection, instance: InstanceId, tenant: TenantId, *, behind: str
) -> Iterator[Seen]:
    where = {"instance": instance, "tenant": tenant}
    head = behind.removesuffix("/")
    if head:
        names = [head, *(head[:end] for end, one in enumerate(head) if one < "/")]
        found = conn.execute(_NAMED_OF_TENANT, {**where, "names": names})
        yield from [(number, name) for number, name in found]
    while True:
        rows = cast(list[Seen], _OF_TENANT.rows(conn, {**where, "after": behind}))
        yield from rows
        if len(rows) < _NAMESPACES:
            return
        behind = rows[-1][1]


# -- records ----------------------------------------------------------------------------------------------------------


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]


def _named(conn: Connection, instance: InstanceId, names: Sequence[str]) -> list[Repository]:
    rows = conn.execute(
        select_repositories()
        .where(
            repositories.c.instance_id == instance,
            repositories.c.full_name.in_(names),
            repositories.c.deleted_at.is_(None),
        )
        .order_by(repositories.c.full_name)
    )
    return [repository_of(row) for row in rows]
