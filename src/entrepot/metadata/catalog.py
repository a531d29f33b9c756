"""Lists of repositories as far as somebody may see them.

A caller mostly sees a few namespaces whole. Those are walked one after the other, so a page costs what it shows and not what it hides.
Full names sort like their namespace with the slash first: "a-b/x" before "a/x", for "-" and "." are below "/".
"""

from collections.abc import Iterator, Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.access import Visibility, visible
from entrepot.metadata.database import PageSelect
from entrepot.metadata.namespaces import repository_of, select_repositories
from entrepot.metadata.schema import namespaces, repositories
from entrepot.model.content import Repository
from entrepot.model.ids import InstanceId

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
_key = namespaces.c.name + "/"
_BEHIND_SLASH = chr(ord("/") + 1)
_SEEN = (  # deleted ones are empty
    sa.select(namespaces.c.id, namespaces.c.name)
    .where(
        namespaces.c.instance_id == sa.bindparam("instance"),
        namespaces.c.deleted_at.is_(None),
        sa.or_(
            namespaces.c.tenant_id.in_(sa.bindparam("tenants", expanding=True)),
            namespaces.c.id.in_(sa.bindparam("namespaces", expanding=True)),
        ),
        _key >= sa.bindparam("first"),
    )
    .order_by(_key)
    .limit(_NAMESPACES)
)
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
        granted = repositories.c.id.in_(sorted(visibility.repositories))
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
    names: list[str] = []
    if visibility.tenants or visibility.namespaces:
        for number, behind in _namespaces(conn, instance, visibility, after):
            values = {"namespace": number, "after": behind, "limit": limit - len(names)}
            names += [cast(str, name) for (name,) in _OF_NAMESPACE.rows(conn, values)]
            if len(names) >= limit:
                break
    return names


def _namespaces(
    conn: Connection, instance: InstanceId, visibility: Visibility, after: str
) -> Iterator[tuple[int, str]]:
    """The visible namespaces with names behind `after`, in the order of those, and behind which name inside each."""
    head, slash, tail = after.partition("/")
    values = {
        "instance": instance,
        "tenants": sorted(visibility.tenants),
        "namespaces": sorted(visibility.namespaces),
        "first": head + slash,
    }
    while True:
        rows = conn.execute(_SEEN, values).all()
        for number, name in rows:
            yield number, tail if slash and name == head else ""
        if len(rows) < _NAMESPACES:
            return
        values["first"] = rows[-1].name + _BEHIND_SLASH


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
