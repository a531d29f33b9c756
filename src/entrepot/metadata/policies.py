"""Policies and to whom they are attached; grants on namespaces and repositories."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import (
    grants,
    namespaces,
    policies,
    policy_attachments,
    repositories,
    users,
)
from entrepot.metadata.tenants import new_public_id
from entrepot.model.access import Level
from entrepot.model.identities import Grant, Policy
from entrepot.model.ids import (
    Micros,
    NamespaceId,
    PolicyId,
    RepositoryId,
    TenantId,
    UserId,
)

# -- policies ---------------------------------------------------------------------------------------------------------


def insert_policy(
    conn: Connection,
    tenant: TenantId,
    name: str,
    *,
    dialect: str,
    document: str,
    description: str,
) -> Policy:
    """A new policy, attached to nobody."""
    values = {
        "tenant_id": tenant,
        "public_id": new_public_id(),
        "name": name,
        "dialect": dialect,
        "document": document,
        "description": description,
        "created_at": now(conn),
    }
    return policy_of(conn.execute(sa.insert(policies).values(**values).returning(policies)).one())


def find_policy(conn: Connection, tenant: TenantId, name: str) -> Policy | None:
    """The living policy of that name."""
    query = sa.select(policies).where(
        policies.c.tenant_id == tenant, policies.c.name == name, policies.c.deleted_at.is_(None)
    )
    row = conn.execute(query).first()
    return None if row is None else policy_of(row)


def list_policies(
    conn: Connection, tenant: TenantId, *, after: str = "", limit: int = 1000
) -> list[Policy]:
    """Living policies of the tenant in name order, behind `after`."""
    query = (
        sa.select(policies)
        .where(
            policies.c.tenant_id == tenant,
            policies.c.deleted_at.is_(None),
            policies.c.name > after,
        )
        .order_by(policies.c.name)
        .limit(limit)
    )
    return [policy_of(row) for row in conn.execute(query)]


def set_document(
    conn: Connection, policy: PolicyId, *, dialect: str, document: str, description: str
) -> None:
    """Replace what the policy says."""
    conn.execute(
        sa.update(policies)
        .where(policies.c.id == policy)
        .values(dialect=dialect, document=document, description=description)
    )


def tombstone_policy(conn: Connection, policy: PolicyId, at: Micros) -> None:
    """Mark it deleted; it is detached from everybody."""
    conn.execute(sa.delete(policy_attachments).where(policy_attachments.c.policy_id == policy))
    conn.execute(sa.update(policies).where(policies.c.id == policy).values(deleted_at=at))


def policy_of(row: Any) -> Policy:
    """The record of a policies row."""
    return Policy(
        id=PolicyId(row.id),
        tenant=TenantId(row.tenant_id),
        public_id=row.public_id,
        name=row.name,
        dialect=row.dialect,
        document=row.document,
        description=row.description,
        created_at=Micros(row.created_at),
    )


# -- grants -----------------------------------------------------------------------------------------------------------


def set_grant(
    conn: Connection,
    user: UserId,
    namespace: NamespaceId,
    *,
    repository: RepositoryId | None,
    level: Level,
) -> None:
    """Give the level, in place of the one given before."""
    changed = conn.execute(
        sa.update(grants)
        .where(*_grant(user, namespace, repository=repository))
        .values(level=level.value)
    )
    if changed.rowcount == 0:
        conn.execute(
            sa.insert(grants).values(
                user_id=user,
                namespace_id=namespace,
                repository_id=repository,
                level=level.value,
                created_at=now(conn),
            )
        )


def find_grant(
    conn: Connection, user: UserId, namespace: NamespaceId, *, repository: RepositoryId | None
) -> Level | None:
    """What the user was given there."""
    query = sa.select(grants.c.level).where(*_grant(user, namespace, repository=repository))
    level = conn.scalar(query)
    return None if level is None else Level(level)


def remove_grant(
    conn: Connection, user: UserId, namespace: NamespaceId, *, repository: RepositoryId | None
) -> bool:
    """Take it back; False if there was none."""
    done = conn.execute(sa.delete(grants).where(*_grant(user, namespace, repository=repository)))
    return done.rowcount > 0


def list_grants(
    conn: Connection, namespace: NamespaceId, repository: RepositoryId | None = None
) -> list[Grant]:
    """Grants of living users on the namespace and its living repositories, or on one repository; by path, then user."""
    path = sa.func.coalesce(repositories.c.name, "")
    query = (
        sa.select(
            grants.c.user_id,
            users.c.name.label("user_name"),
            users.c.public_id.label("user_public_id"),
            grants.c.namespace_id,
            namespaces.c.name.label("namespace_name"),
            grants.c.repository_id,
            path.label("path"),
            grants.c.level,
        )
        .join(users, users.c.id == grants.c.user_id)
        .join(namespaces, namespaces.c.id == grants.c.namespace_id)
        .outerjoin(repositories, repositories.c.id == grants.c.repository_id)
        .where(
            grants.c.namespace_id == namespace,
            users.c.deleted_at.is_(None),
            repositories.c.deleted_at.is_(None),
        )
        .order_by(path, users.c.name)
    )
    if repository is not None:
        query = query.where(grants.c.repository_id == repository)
    return [_grant_of(row) for row in conn.execute(query)]


def _grant(
    user: UserId, namespace: NamespaceId, *, repository: RepositoryId | None
) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        grants.c.user_id == user,
        grants.c.namespace_id == namespace,
        grants.c.repository_id.is_(None)
        if repository is None
        else grants.c.repository_id == repository,
    )


def _grant_of(row: Any) -> Grant:
    return Grant(
        user=UserId(row.user_id),
        user_name=row.user_name,
        namespace=NamespaceId(row.namespace_id),
        namespace_name=row.namespace_name,
        repository=None if row.repository_id is None else RepositoryId(row.repository_id),
        path=row.path,
        level=Level(row.level),
        user_public_id=row.user_public_id,
    )
