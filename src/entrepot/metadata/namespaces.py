"""Namespaces and repositories: rows, by name, created on first push."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import namespaces, repositories
from entrepot.model.content import Repository
from entrepot.model.ids import (
    InstanceId,
    Micros,
    NamespaceId,
    RepositoryId,
    TenantId,
    UserId,
)
from entrepot.model.tenancy import Namespace

_PAGE: Final = 500


def find_namespace(conn: Connection, instance: InstanceId, name: str) -> Namespace | None:
    """The living namespace of that name."""
    row = conn.execute(
        sa.select(namespaces).where(
            namespaces.c.instance_id == instance,
            namespaces.c.name == name,
            namespaces.c.deleted_at.is_(None),
        )
    ).first()
    return None if row is None else namespace_of(row)


def get_namespace(conn: Connection, namespace: NamespaceId) -> Namespace | None:
    """The living namespace of that id."""
    which = namespaces.c.id == namespace, namespaces.c.deleted_at.is_(None)
    row = conn.execute(sa.select(namespaces).where(*which)).first()
    return None if row is None else namespace_of(row)


def number_of(conn: Connection, namespace: NamespaceId) -> int:
    """Its number in its instance, counted from 1."""
    query = sa.select(namespaces.c.number).where(namespaces.c.id == namespace)
    return int(conn.execute(query).scalar_one())


def list_namespaces(
    conn: Connection,
    instance: InstanceId,
    *,
    tenant: TenantId | None,
    after: str = "",
    limit: int = 1000,
) -> list[Namespace]:
    """Living namespaces in name order, behind `after`; of every tenant if `tenant` is None."""
    query = (
        sa.select(namespaces)
        .where(
            namespaces.c.instance_id == instance,
            namespaces.c.deleted_at.is_(None),
            namespaces.c.name > after,
        )
        .order_by(namespaces.c.name)
        .limit(limit)
    )
    if tenant is not None:
        query = query.where(namespaces.c.tenant_id == tenant)
    return [namespace_of(row) for row in conn.execute(query)]


def names_of(conn: Connection, numbers: Iterable[NamespaceId]) -> dict[NamespaceId, str]:
    """What these living namespaces are called."""
    wanted, found = sorted(numbers), {}
    for start in range(0, len(wanted), 400):
        query = sa.select(namespaces.c.id, namespaces.c.name).where(
            namespaces.c.id.in_(wanted[start : start + 400]), namespaces.c.deleted_at.is_(None)
        )
        found.update({NamespaceId(row.id): str(row.name) for row in conn.execute(query)})
    return found


def count_namespaces(conn: Connection, instance: InstanceId, tenant: TenantId | None) -> int:
    """Living namespaces in an instance, of one tenant or (None) of all."""
    query = (
        sa.select(sa.func.count())
        .select_from(namespaces)
        .where(namespaces.c.instance_id == instance, namespaces.c.deleted_at.is_(None))
    )
    if tenant is not None:
        query = query.where(namespaces.c.tenant_id == tenant)
    return conn.execute(query).scalar_one()


def insert_namespace(
    conn: Connection,
    instance: InstanceId,
    tenant: TenantId,
    *,
    name: str,
    is_public: bool,
    created_by: UserId | None,
    facts: Mapping[str, Any] | None = None,
) -> Namespace:
    """A new namespace. The name's uniqueness is the caller's to check and the index's to enforce."""
    created_at = now(conn)
    values = {
        "instance_id": instance,
        "tenant_id": tenant,
        "name": name,
        "is_public": is_public,
        "facts": dict(facts or {}),
        "created_by": created_by,
        "created_at": created_at,
    }
    number = conn.execute(
        sa.insert(namespaces).values(**values).returning(namespaces.c.id)
    ).scalar_one()
    return Namespace(
        id=NamespaceId(number),
        instance=instance,
        tenant=tenant,
        name=name,
        is_public=is_public,
        created_by=created_by,
        created_at=Micros(created_at),
    )


def update_namespace(conn: Connection, namespace: NamespaceId, *, is_public: bool) -> None:
    """Change its visibility."""
    conn.execute(
        sa.update(namespaces).where(namespaces.c.id == namespace).values(is_public=is_public)
    )


def add_facts(conn: Connection, namespace: NamespaceId, facts: Mapping[str, Any]) -> None:
    """Keep these with it, beside the others."""
    here = namespaces.c.id == namespace
    held = conn.scalar(sa.select(namespaces.c.facts).where(here)) or {}
    conn.execute(sa.update(namespaces).where(here).values(facts={**held, **facts}))


def tombstone_namespace(conn: Connection, namespace: NamespaceId, at: Micros) -> None:
    """Mark it deleted; the caller has seen that it is empty."""
    conn.execute(sa.update(namespaces).where(namespaces.c.id == namespace).values(deleted_at=at))


def has_repositories(conn: Connection, namespace: NamespaceId) -> bool:
    """Whether a living repository is in it."""
    found = conn.execute(
        sa.select(repositories.c.id)
        .where(repositories.c.namespace_id == namespace, repositories.c.deleted_at.is_(None))
        .limit(1)
    ).first()
    return found is not None


def followers(conn: Connection, namespace: NamespaceId) -> Iterator[Repository]:
    """The living repositories in it that are as public as it is, by number."""
    after = 0
    while True:
        query = select_repositories().where(
            repositories.c.namespace_id == namespace,
            repositories.c.deleted_at.is_(None),
            repositories.c.is_public.is_(None),
            repositories.c.id > after,
        )
        page = conn.execute(query.order_by(repositories.c.id).limit(_PAGE)).all()
        yield from map(repository_of, page)
        if len(page) < _PAGE:
            return
        after = page[-1].id


def find_repository(conn: Connection, instance: InstanceId, full_name: str) -> Repository | None:
    """The living repository of that full name."""
    row = conn.execute(
        select_repositories().where(
            repositories.c.instance_id == instance,
            repositories.c.full_name == full_name,
            repositories.c.deleted_at.is_(None),
        )
    ).first()
    return None if row is None else repository_of(row)


def get_repository(conn: Connection, repository: RepositoryId) -> Repository | None:
    """The living repository of that id."""
    row = conn.execute(
        select_repositories().where(
            repositories.c.id == repository, repositories.c.deleted_at.is_(None)
        )
    ).first()
    return None if row is None else repository_of(row)


def insert_repository(
    conn: Connection,
    namespace: Namespace,
    path: str,
    *,
    created_by: UserId | None,
    said: Mapping[str, Any] = MappingProxyType({}),
) -> Repository:
    """A new repository in the namespace. `said`: see `describe_repository`."""
    created_at = now(conn)
    number = conn.execute(
        sa.insert(repositories)
        .values(
            namespace_id=namespace.id,
            instance_id=namespace.instance,
            name=path,
            full_name=f"{namespace.name}/{path}",
            created_by=created_by,
            created_at=created_at,
            updated_at=created_at,
            **{"description": "", **said},
        )
        .returning(repositories.c.id)
    ).scalar_one()
    return Repository(
        id=RepositoryId(number),
        instance=namespace.instance,
        namespace=namespace.id,
        tenant=namespace.tenant,
        namespace_name=namespace.name,
        path=path,
        is_public=namespace.is_public if said.get("is_public") is None else bool(said["is_public"]),
    )


def touch_repository(conn: Connection, repository: RepositoryId, at: Micros) -> None:
    """Note that its content changed."""
    conn.execute(
        sa.update(repositories).where(repositories.c.id == repository).values(updated_at=at)
    )


def describe_repository(
    conn: Connection, repository: RepositoryId, said: Mapping[str, Any], at: Micros
) -> None:
    """Change what is said about it. `said`: values of the columns brief, description, category, is_public (None: as the namespace)."""
    values = {**said, "updated_at": at}
    conn.execute(sa.update(repositories).where(repositories.c.id == repository).values(**values))


def tombstone_repository(conn: Connection, repository: RepositoryId, at: Micros) -> None:
    """Mark it deleted; its content is taken later, in batches, by the collector."""
    conn.execute(
        sa.update(repositories).where(repositories.c.id == repository).values(deleted_at=at)
    )


def select_repositories() -> sa.Select[Any]:
    """Repositories with what their namespace says, for `repository_of`."""
    return sa.select(
        repositories.c.id,
        repositories.c.instance_id,
        repositories.c.namespace_id,
        namespaces.c.tenant_id,
        namespaces.c.name.label("namespace_name"),
        repositories.c.name.label("path"),
        sa.func.coalesce(repositories.c.is_public, namespaces.c.is_public).label("is_public"),
    ).join(namespaces, namespaces.c.id == repositories.c.namespace_id)


def repository_of(row: Any) -> Repository:
    """The record of a row of the repository query."""
    return Repository(
        id=RepositoryId(row.id),
        instance=InstanceId(row.instance_id),
        namespace=NamespaceId(row.namespace_id),
        tenant=TenantId(row.tenant_id),
        namespace_name=row.namespace_name,
        path=row.path,
        is_public=bool(row.is_public),
    )


def namespace_of(row: Any) -> Namespace:
    """The record of a namespaces row."""
    return Namespace(
        id=NamespaceId(row.id),
        instance=InstanceId(row.instance_id),
        tenant=TenantId(row.tenant_id),
        name=row.name,
        is_public=bool(row.is_public),
        created_by=None if row.created_by is None else UserId(row.created_by),
        created_at=Micros(row.created_at),
    )
