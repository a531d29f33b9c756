"""Retention policies and the log of what they removed. The tags they look at: `retention_tags`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
    retention_rules,
)
from entrepot.metadata.upsert import insert_new
from entrepot.model.ids import Micros, NamespaceId, RepositoryId, TenantId, UserId
from entrepot.model.retention import (
    Cycle,
    Plan,
    Removed,
    RetentionId,
    RetentionPolicy,
    Rule,
    TaggedImage,
)

COUNTED: Final = 10_000  # rows of the log behind a page that its total counts
_BATCH: Final = 400

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
    """A policy whose time has come. `tenant`: whose namespace it is about; `is_living`: that is not deleted, and the policy is enabled."""

    policy: RetentionPolicy
    tenant: TenantId
    is_living: bool


def due_policies(conn: Connection, *, limit: int) -> list[Due]:
    """Policies whose time has come, the longest waiting first."""
    rows = conn.execute(
        sa.select(
            retention_policies,
            namespaces.c.tenant_id,
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
    return [
        Due(_policy(row), TenantId(row.tenant_id), is_living=bool(row.living) and bool(row.enabled))
        for row in rows
    ]


def is_due(conn: Connection) -> bool:
    """Whether there are such."""
    due = sa.exists().where(retention_policies.c.next_at <= now(conn))
    return bool(conn.execute(sa.select(due)).scalar())


# -- the log ----------------------------------------------------------------------------------------------------------


def record(
    conn: Connection,
    policy: RetentionPolicy,
    repository: RepositoryId,
    removed: Sequence[tuple[TaggedImage, Rule]],
    *,
    at: Micros,
) -> None:
    """In the transaction that ended them: tags, and the rule of the policy that each fell to."""
    numbers = {rule: _rule_number(conn, policy, rule) for rule in {rule for _, rule in removed}}
    rows = [
        {
            "repository_id": repository,
            "rule_id": numbers[rule],
            "tag": image.tag,
            "digest": image.digest,
            "removed_at": at,
        }
        for image, rule in removed
    ]
    if rows:
        conn.execute(sa.insert(retention_log), rows)


def _rule_number(conn: Connection, policy: RetentionPolicy, rule: Rule) -> int:
    """Of its row, which is written once: a rule may be long, and a million tags may fall to it."""
    position = policy.plan.rules.index(rule)
    key = {"policy_id": policy.id, "version": policy.version, "position": position}
    insert_new(conn, retention_rules, {**key, "rule": msgspec.to_builtins(rule)})
    query = sa.select(retention_rules.c.id).filter_by(**key)
    return int(conn.execute(query).scalar_one())


def log_page(
    conn: Connection, repository: RepositoryId, window: Slice
) -> tuple[list[Removed], int]:
    """What was removed from the repository, the last first, and how many there are in all; of more than some thousands behind the page
    only those. Removed by one rule, they share it."""
    where = retention_log.c.repository_id == repository
    seen = window.offset + (window.limit or 0) + COUNTED
    counted = sa.select(retention_log.c.id).where(where).limit(seen).subquery()
    total = conn.scalar(sa.select(sa.func.count()).select_from(counted)) or 0
    query = (
        sa.select(retention_log)
        .where(where)
        .order_by(retention_log.c.id.desc())
        .offset(window.offset)
        .limit(window.limit)
    )
    rows = conn.execute(query).all()
    rules = _rules(conn, {row.rule_id for row in rows})
    return [_removed(row, *rules[row.rule_id]) for row in rows], int(total)


def _rules(conn: Connection, numbers: Iterable[int]) -> dict[int, tuple[RetentionId, Rule]]:
    found: dict[int, tuple[RetentionId, Rule]] = {}
    wanted = sorted(numbers)
    for start in range(0, len(wanted), _BATCH):
        some = retention_rules.c.id.in_(wanted[start : start + _BATCH])
        for row in conn.execute(sa.select(retention_rules).where(some)):
            found[row.id] = RetentionId(row.policy_id), msgspec.convert(row.rule, Rule)
    return found


def purge_log(conn: Connection, before: Micros, *, limit: int) -> int:
    """Forget what was removed before the moment. How many rows went."""
    return _forget(conn, retention_log.c.removed_at < before, limit=limit)


def _forget(conn: Connection, which: sa.ColumnElement[bool], *, limit: int) -> int:
    """Forget the first rows of the log, and rules that nothing is left of."""
    first = sa.select(retention_log.c.id, retention_log.c.rule_id).where(which)
    rows = conn.execute(first.order_by(retention_log.c.id).limit(limit)).all()
    for start in range(0, len(rows), _BATCH):
        some = [row.id for row in rows[start : start + _BATCH]]
        conn.execute(sa.delete(retention_log).where(retention_log.c.id.in_(some)))
    used = sorted({row.rule_id for row in rows})
    refers = sa.exists().where(retention_log.c.rule_id == retention_rules.c.id)
    for start in range(0, len(used), _BATCH):
        some = used[start : start + _BATCH]
        unused = sa.delete(retention_rules).where(retention_rules.c.id.in_(some), ~refers)
        conn.execute(unused)
    return len(rows)


def is_log_old(conn: Connection, before: Micros) -> bool:
    """Whether `purge_log` would find some."""
    old = sa.exists().where(retention_log.c.removed_at < before)
    return bool(conn.execute(sa.select(old)).scalar())


def forget_some(conn: Connection, repository: RepositoryId, *, limit: int) -> int:
    """A step of removing a deleted repository for good: its policies and a part of its log. How many rows went."""
    gone = conn.execute(
        sa.delete(retention_policies).where(retention_policies.c.repository_id == repository)
    ).rowcount
    return gone + _forget(conn, retention_log.c.repository_id == repository, limit=limit)


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


def _removed(row: Any, policy: RetentionId, rule: Rule) -> Removed:
    return Removed(
        id=row.id,
        policy=policy,
        tag=row.tag,
        digest=row.digest,
        rule=rule,
        removed_at=Micros(row.removed_at),
    )
