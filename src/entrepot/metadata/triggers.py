"""Triggers of repositories and their latest runs."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import (
    instance_hosts,
    instances,
    regions,
    repositories,
    trigger_runs,
    triggers,
)
from entrepot.model.ids import Micros, RepositoryId, TenantId, UserId
from entrepot.model.tenancy import InstanceKind
from entrepot.model.triggers import (
    Aim,
    Condition,
    ConditionKind,
    Trigger,
    TriggerRun,
    WorkloadKind,
)


@dataclass(frozen=True, slots=True)
class Maker:
    """Who makes a trigger. `user`: with whose rights it acts, None: the operator's; `operation`: what policies call the request."""

    name: str
    user: UserId | None
    operation: str = ""


def insert_trigger(
    conn: Connection,
    repository: RepositoryId,
    name: str,
    *,
    tenant: TenantId,
    condition: Condition,
    aim: Aim,
    enabled: bool,
    maker: Maker,
) -> Trigger:
    """A new trigger. The name is unique in the repository."""
    at = now(conn)
    values = {
        "repository_id": repository,
        "tenant_id": tenant,
        "name": name,
        "condition_kind": condition.kind.value,
        "condition": condition.text,
        "workload_kind": aim.kind.value,
        "workload": aim.workload,
        "kubernetes_namespace": aim.namespace,
        "container": aim.container,
        "cluster": aim.cluster,
        "cluster_name": aim.cluster_name,
        "enabled": enabled,
        "creator_name": maker.name,
        "user_id": maker.user,
        "operation": maker.operation,
        "created_at": at,
        "enabled_at": at,
    }
    made = sa.insert(triggers).values(**values).returning(triggers)
    return _trigger_of(conn.execute(made).one())


def find_trigger(conn: Connection, repository: RepositoryId, name: str) -> Trigger | None:
    """The repository's trigger of that name."""
    return _one(conn, triggers.c.repository_id == repository, triggers.c.name == name)


def get_trigger(conn: Connection, number: int) -> Trigger | None:
    """The trigger of a repository that lives."""
    living = sa.exists().where(
        repositories.c.id == triggers.c.repository_id, repositories.c.deleted_at.is_(None)
    )
    return _one(conn, triggers.c.id == number, living)


def list_triggers(
    conn: Connection, repository: RepositoryId, *, only_enabled: bool = False
) -> list[Trigger]:
    """The repository's, oldest first."""
    query = sa.select(triggers).where(triggers.c.repository_id == repository)
    if only_enabled:
        query = query.where(triggers.c.enabled)
    return [_trigger_of(row) for row in conn.execute(query.order_by(triggers.c.id))]


def count_triggers(conn: Connection, repository: RepositoryId) -> int:
    """How many the repository has."""
    query = sa.select(sa.func.count()).select_from(triggers)
    return conn.execute(query.where(triggers.c.repository_id == repository)).scalar_one()


def registry_names(conn: Connection, repository: RepositoryId, suffix: str) -> set[str]:
    """Host names at which the repository's instance answers."""
    row = conn.execute(
        sa.select(
            instances.c.id, instances.c.name, instances.c.kind, regions.c.name.label("region")
        )
        .join(repositories, repositories.c.instance_id == instances.c.id)
        .join(regions, regions.c.id == instances.c.region_id)
        .where(repositories.c.id == repository)
    ).one()
    further = sa.select(instance_hosts.c.host).where(instance_hosts.c.instance_id == row.id)
    names = {f"{row.name}.{suffix}", *conn.scalars(further)}
    return names | {f"swr.{row.region}.{suffix}"} if row.kind == InstanceKind.SHARED else names


def set_enabled(conn: Connection, number: int, *, enabled: bool) -> None:
    """Let it run at pushes, or not. One that was off runs at pushes from now on."""
    changing = sa.update(triggers).where(triggers.c.id == number, triggers.c.enabled != enabled)
    conn.execute(changing.values(enabled=enabled, **({"enabled_at": now(conn)} if enabled else {})))


def delete_trigger(conn: Connection, number: int) -> None:
    """Remove it with its runs."""
    conn.execute(sa.delete(trigger_runs).where(trigger_runs.c.trigger_id == number))
    conn.execute(sa.delete(triggers).where(triggers.c.id == number))


def forget_triggers(conn: Connection, repository: RepositoryId) -> None:
    """Remove all of a repository with their runs."""
    its = sa.select(triggers.c.id).where(triggers.c.repository_id == repository)
    conn.execute(sa.delete(trigger_runs).where(trigger_runs.c.trigger_id.in_(its)))
    conn.execute(sa.delete(triggers).where(triggers.c.repository_id == repository))


# -- runs -------------------------------------------------------------------------------------------------------------


def record_run(
    conn: Connection,
    trigger: int,
    tag: str,
    *,
    succeeded: bool,
    detail: str,
    pushed_at: Micros,
    keep: int,
) -> None:
    """Remember a run, and the latest `keep` in all."""
    conn.execute(
        sa.insert(trigger_runs).values(
            trigger_id=trigger,
            tag=tag,
            succeeded=succeeded,
            detail=detail,
            pushed_at=pushed_at,
            created_at=now(conn),
        )
    )
    if succeeded:
        earlier = sa.func.coalesce(triggers.c.done_pushed_at, 0) <= pushed_at
        latest = sa.update(triggers).where(triggers.c.id == trigger, earlier)
        conn.execute(latest.values(done_tag=tag, done_pushed_at=pushed_at))
    own = trigger_runs.c.trigger_id == trigger
    newest_first = sa.select(trigger_runs.c.id).where(own).order_by(trigger_runs.c.id.desc())
    last = conn.execute(newest_first.offset(keep).limit(1)).scalar()
    if last is not None:
        conn.execute(sa.delete(trigger_runs).where(own, trigger_runs.c.id <= last))


def list_runs(conn: Connection, trigger: int, *, limit: int) -> list[TriggerRun]:
    """Its runs, the latest first."""
    query = (
        sa.select(trigger_runs)
        .where(trigger_runs.c.trigger_id == trigger)
        .order_by(trigger_runs.c.id.desc())
        .limit(limit)
    )
    return [_run_of(row) for row in conn.execute(query)]


def overtaking_tag(conn: Connection, trigger: int, pushed_at: Micros) -> str | None:
    """The tag of a later push for which a run succeeded, also one that the history has forgotten; None: there is none."""
    query = sa.select(triggers.c.done_tag)
    later = triggers.c.done_pushed_at > pushed_at
    return conn.execute(query.where(triggers.c.id == trigger, later)).scalar()


def _one(conn: Connection, *which: sa.ColumnElement[bool]) -> Trigger | None:
    row = conn.execute(sa.select(triggers).where(*which)).first()
    return None if row is None else _trigger_of(row)


def _trigger_of(row: Any) -> Trigger:
    return Trigger(
        id=row.id,
        repository=RepositoryId(row.repository_id),
        tenant=TenantId(row.tenant_id),
        name=row.name,
        condition=Condition(ConditionKind(row.condition_kind), row.condition),
        aim=Aim(
            cluster=row.cluster,
            cluster_name=row.cluster_name,
            namespace=row.kubernetes_namespace,
            kind=WorkloadKind(row.workload_kind),
            workload=row.workload,
            container=row.container,
        ),
        is_enabled=bool(row.enabled),
        creator_name=row.creator_name,
        user=None if row.user_id is None else UserId(row.user_id),
        operation=row.operation,
        created_at=Micros(row.created_at),
        enabled_at=Micros(row.enabled_at),
    )


def _run_of(row: Any) -> TriggerRun:
    return TriggerRun(
        tag=row.tag,
        succeeded=bool(row.succeeded),
        detail=row.detail,
        pushed_at=Micros(row.pushed_at),
        created_at=Micros(row.created_at),
    )
