"""Retention policies and the log of what they removed. The tags they look at: `retention_tags`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.browsing import Slice
from entrepot.metadata.database import now
from entrepot.metadata.schema import (
    namespaces,
    repositories,
    retention_log,
    retention_policies,
)
from entrepot.model.ids import Micros, NamespaceId, RepositoryId, UserId
from entrepot.model.retention import (
    Cycle,
    Plan,
    Removed,
    RetentionId,
    RetentionPolicy,
    Rule,
    TaggedImage,
)

# -- policies ---------------------------------------------------------------------------------------------------------


def insert_policy(
    conn: Connection,
    namespace: NamespaceId,
    repository: RepositoryId | None,
    plan: Plan,
    *,
    created_by: UserId | None,
) -> RetentionId:
    """A new policy that does not run by itself yet (`set_next`)."""
    at = now(conn)
    number = conn.execute(
        sa.insert(retention_policies)
        .values(
            namespace_id=namespace,
            repository_id=repository,
            **_columns(plan),
            version=1,
            created_by=created_by,
            created_at=at,
            updated_at=at,
        )
        .returning(retention_policies.c.id)
    ).scalar_one()
    return RetentionId(number)


def replace_plan(conn: Connection, policy: RetentionId, plan: Plan) -> None:
    """Let it say something else. When it runs next stays as it is."""
    conn.execute(
        sa.update(retention_policies)
        .where(retention_policies.c.id == policy)
        .values(**_columns(plan), version=retention_policies.c.version + 1, updated_at=now(conn))
    )


def set_next(conn: Connection, policy: RetentionId, at: Micros | None) -> None:
    """When it runs by itself; None: never."""
    conn.execute(
        sa.update(retention_policies).where(retention_policies.c.id == policy).values(next_at=at)
    )


def find_policy(conn: Connection, policy: RetentionId) -> RetentionPolicy | None:
    """The policy of that number."""
    row = conn.execute(
        sa.select(retention_policies).where(retention_policies.c.id == policy)
    ).first()
    return None if row is None else _policy(row)


def policies_of(conn: Connection, repository: RepositoryId) -> list[RetentionPolicy]:
    """The repository's own, oldest first."""
    query = sa.select(retention_policies).where(retention_policies.c.repository_id == repository)
    return [_policy(row) for row in conn.execute(query.order_by(retention_policies.c.id))]


def after_push(
    conn: Connection, namespace: NamespaceId, repository: RepositoryId
) -> list[RetentionId]:
    """Enabled policies that run when something was pushed there: the repository's own and its namespace's."""
    query = sa.select(retention_policies.c.id).where(
        retention_policies.c.namespace_id == namespace,
        sa.or_(
            retention_policies.c.repository_id == repository,
            retention_policies.c.repository_id.is_(None),
        ),
        retention_policies.c.after_push,
        retention_policies.c.enabled,
    )
    return [RetentionId(number) for number in conn.scalars(query.order_by(retention_policies.c.id))]


def remove_policy(conn: Connection, policy: RetentionId) -> None:
    """Forget it; what it removed stays in the log."""
    conn.execute(sa.delete(retention_policies).where(retention_policies.c.id == policy))


def forget_namespace(conn: Connection, namespace: NamespaceId) -> None:
    """Forget policies of a namespace that is deleted; those of its repositories go with them."""
    conn.execute(
        sa.delete(retention_policies).where(
            retention_policies.c.namespace_id == namespace,
            retention_policies.c.repository_id.is_(None),
        )
    )


# -- when they run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Due:
    """A policy whose time has come. `is_living`: what it is about is not deleted, and it is enabled."""

    policy: RetentionPolicy
    is_living: bool


def due_policies(conn: Connection, *, limit: int) -> list[Due]:
    """Policies whose time has come, the longest waiting first."""
    rows = conn.execute(
        sa.select(
            retention_policies,
            (namespaces.c.deleted_at.is_(None) & repositories.c.deleted_at.is_(None)).label(
                "living"
            ),
        )
        .join(namespaces, namespaces.c.id == retention_policies.c.namespace_id)
        .outerjoin(repositories, repositories.c.id == retention_policies.c.repository_id)
        .where(retention_policies.c.next_at <= now(conn))
        .order_by(retention_policies.c.next_at)
        .limit(limit)
    )
    return [Due(_policy(row), is_living=bool(row.living) and bool(row.enabled)) for row in rows]


def is_due(conn: Connection) -> bool:
    """Whether there are such."""
    due = sa.exists().where(retention_policies.c.next_at <= now(conn))
    return bool(conn.execute(sa.select(due)).scalar())


# -- the log ----------------------------------------------------------------------------------------------------------


def record(
    conn: Connection,
    policy: RetentionId,
    repository: RepositoryId,
    removed: Iterable[tuple[TaggedImage, Rule]],
    *,
    at: Micros,
) -> None:
    """In the transaction that ended them: tags, and the rule that each fell to."""
    rows = [
        {
            "repository_id": repository,
            "policy_id": policy,
            "tag": image.tag,
            "digest": image.digest,
            "rule": msgspec.to_builtins(rule),
            "removed_at": at,
        }
        for image, rule in removed
    ]
    if rows:
        conn.execute(sa.insert(retention_log), rows)


def log_page(
    conn: Connection, repository: RepositoryId, window: Slice
) -> tuple[list[Removed], int]:
    """What was removed from the repository, the last first, and how many there are in all."""
    where = retention_log.c.repository_id == repository
    total = conn.scalar(sa.select(sa.func.count()).select_from(retention_log).where(where)) or 0
    query = (
        sa.select(retention_log)
        .where(where)
        .order_by(retention_log.c.id.desc())
        .offset(window.offset)
        .limit(window.limit)
    )
    return [_removed(row) for row in conn.execute(query)], int(total)


def purge_log(conn: Connection, before: Micros, *, limit: int) -> int:
    """Forget what was removed before the moment. How many rows went."""
    old = sa.select(retention_log.c.id).where(retention_log.c.removed_at < before).limit(limit)
    return conn.execute(sa.delete(retention_log).where(retention_log.c.id.in_(old))).rowcount


def is_log_old(conn: Connection, before: Micros) -> bool:
    """Whether `purge_log` would find some."""
    old = sa.exists().where(retention_log.c.removed_at < before)
    return bool(conn.execute(sa.select(old)).scalar())


def forget_some(conn: Connection, repository: RepositoryId, *, limit: int) -> int:
    """A step of removing a deleted repository for good: its policies and a part of its log. How many rows went."""
    gone = conn.execute(
        sa.delete(retention_policies).where(retention_policies.c.repository_id == repository)
    ).rowcount
    some = sa.select(retention_log.c.id).where(retention_log.c.repository_id == repository)
    logged = sa.delete(retention_log).where(retention_log.c.id.in_(some.limit(limit)))
    return gone + conn.execute(logged).rowcount


# -- records ----------------------------------------------------------------------------------------------------------


def _columns(plan: Plan) -> dict[str, Any]:
    return {
        "rules": msgspec.to_builtins(plan.rules),
        "cycle": plan.cycle.value,
        "after_push": plan.after_push,
        "enabled": plan.enabled,
    }


def _policy(row: Any) -> RetentionPolicy:
    return RetentionPolicy(
        id=RetentionId(row.id),
        namespace=NamespaceId(row.namespace_id),
        repository=None if row.repository_id is None else RepositoryId(row.repository_id),
        plan=Plan(
            msgspec.convert(row.rules, tuple[Rule, ...]),
            cycle=Cycle(row.cycle),
            after_push=bool(row.after_push),
            enabled=bool(row.enabled),
        ),
        version=row.version,
        created_by=None if row.created_by is None else UserId(row.created_by),
        created_at=Micros(row.created_at),
        updated_at=Micros(row.updated_at),
        next_at=None if row.next_at is None else Micros(row.next_at),
    )


def _removed(row: Any) -> Removed:
    return Removed(
        id=row.id,
        policy=RetentionId(row.policy_id),
        tag=row.tag,
        digest=row.digest,
        rule=msgspec.convert(row.rule, Rule),
        removed_at=Micros(row.removed_at),
    )
