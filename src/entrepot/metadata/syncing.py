"""Sync rules: where images of a repository are copied to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import (
    manifest_references,
    manifests,
    repositories,
    repository_blobs,
    sync_jobs,
    sync_rules,
)
from entrepot.metadata.upsert import insert_new
from entrepot.model.ids import BlobId, Micros, RepositoryId, TenantId, UserId
from entrepot.model.syncing import SyncRule, SyncTarget

_BATCH: Final = 400


@dataclass(frozen=True, slots=True)
class NewRule:
    """A rule to be written. `user`: with whose rights it acts; `tenant`: whose peers it may name."""

    repository: RepositoryId
    target: SyncTarget
    is_automatic: bool
    overrides: bool
    tenant: TenantId
    user: UserId | None
    operation: str = ""  # what policies call the request


def put_rule(conn: Connection, rule: NewRule) -> bool:
    """Write it, in place of one for the same target; whether it is new."""
    moment = now(conn)
    values = {
        "is_automatic": rule.is_automatic,
        "overrides": rule.overrides,
        "tenant_id": rule.tenant,
        "user_id": rule.user,
        "operation": rule.operation,
        "updated_at": moment,
    }
    key = {
        "repository_id": rule.repository,
        "region": rule.target.region,
        "namespace": rule.target.namespace,
    }
    if insert_new(conn, sync_rules, {**key, **values, "created_at": moment}):
        return True
    conn.execute(
        sa.update(sync_rules).where(*_of_target(rule.repository, rule.target)).values(**values)
    )
    return False


def list_rules(
    conn: Connection, repository: RepositoryId, *, only_automatic: bool = False
) -> list[SyncRule]:
    """The repository's rules, oldest first."""
    query = sa.select(sync_rules).where(sync_rules.c.repository_id == repository)
    if only_automatic:
        query = query.where(sync_rules.c.is_automatic)
    return [_rule_of(row) for row in conn.execute(query.order_by(sync_rules.c.id))]


def get_rule(conn: Connection, number: int) -> SyncRule | None:
    """The rule of that id."""
    row = conn.execute(sa.select(sync_rules).where(sync_rules.c.id == number)).first()
    return None if row is None else _rule_of(row)


def delete_rule(conn: Connection, repository: RepositoryId, target: SyncTarget) -> bool:
    """Whether there was one."""
    done = conn.execute(sa.delete(sync_rules).where(*_of_target(repository, target)))
    return done.rowcount > 0


def forget_some(conn: Connection, repository: RepositoryId, *, limit: int) -> int:
    """A step of removing a deleted repository for good: its rules and some of its jobs. How many rows went."""
    gone = conn.execute(sa.delete(sync_rules).where(sync_rules.c.repository_id == repository))
    some = sa.select(sync_jobs.c.id).where(sync_jobs.c.repository_id == repository).limit(limit)
    jobs = conn.execute(sa.delete(sync_jobs).where(sync_jobs.c.id.in_(some)))
    return gone.rowcount + jobs.rowcount


def origins(
    conn: Connection, tenant: TenantId, region: str, numbers: Sequence[BlobId], *, limit: int
) -> dict[BlobId, list[str]]:
    """Where to mount blobs from: names there of repositories that have them here and are copied to that region by the tenant's rules.

    At most `limit` for each blob; for the first few hundred blobs.
    """
    query = (
        sa.select(repository_blobs.c.blob_id, sync_rules.c.namespace, repositories.c.name)
        .join(repositories, repositories.c.id == repository_blobs.c.repository_id)
        .join(sync_rules, sync_rules.c.repository_id == repositories.c.id)
        .where(
            repository_blobs.c.blob_id.in_(list(numbers[:_BATCH])),
            repositories.c.deleted_at.is_(None),
            sync_rules.c.tenant_id == tenant,
            sync_rules.c.region == region,
        )
        .distinct()
        .order_by(sync_rules.c.namespace, repositories.c.name)
        .limit(_BATCH * limit)
    )
    found: dict[BlobId, list[str]] = {}
    for blob, namespace, name in conn.execute(query):
        names = found.setdefault(BlobId(blob), [])
        if len(names) < limit:
            names.append(f"{namespace}/{name}")
    return found


def _of_target(repository: RepositoryId, target: SyncTarget) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        sync_rules.c.repository_id == repository,
        sync_rules.c.region == target.region,
        sync_rules.c.namespace == target.namespace,
    )


def _rule_of(row: Any) -> SyncRule:
    return SyncRule(
        id=row.id,
        repository=RepositoryId(row.repository_id),
        target=SyncTarget(row.region, row.namespace),
        is_automatic=bool(row.is_automatic),
        overrides=bool(row.overrides),
        tenant=TenantId(row.tenant_id),
        user=None if row.user_id is None else UserId(row.user_id),
        operation=row.operation,
        created_at=Micros(row.created_at),
        updated_at=Micros(row.updated_at),
    )


# -- what an event is about -------------------------------------------------------------------------------------------


def holders_of(conn: Connection, repository: RepositoryId, digest: str, *, limit: int) -> list[str]:
    """Digests of what a manifest belongs to: its subject, and the indexes that list it."""
    subject = sa.select(manifests.c.subject_digest).where(
        manifests.c.repository_id == repository,
        manifests.c.digest == digest,
        manifests.c.deleted_at.is_(None),
        manifests.c.subject_digest.is_not(None),
    )
    listing = (
        sa.select(manifests.c.digest)
        .join(manifest_references, manifest_references.c.manifest_id == manifests.c.id)
        .where(
            manifest_references.c.repository_id == repository,
            manifest_references.c.digest == digest,
            manifest_references.c.role == "manifest",
            manifests.c.deleted_at.is_(None),
        )
        .distinct()
        .limit(limit)
    )
    return [*conn.scalars(subject), *conn.scalars(listing)][:limit]
