"""Sync jobs. How far a job is, its task says, until there is an outcome."""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.browsing import Slice
from entrepot.metadata.database import now
from entrepot.metadata.schema import sync_jobs, tasks, users
from entrepot.model.ids import Micros, RepositoryId, TaskId, TenantId, UserId
from entrepot.model.syncing import JobStatus, SyncJob, SyncTarget
from entrepot.model.work import Status

TIMED_OUT: Final = "not done within"  # how the runtime's word for it begins
_LONGEST_REASON: Final = 500
_STATUS: Final = {
    Status.PENDING: JobStatus.WAITING,
    Status.RUNNING: JobStatus.RUNNING,
    Status.FAILED: JobStatus.FAILED,
    Status.CANCELLED: JobStatus.CANCEL,
    Status.SUCCEEDED: JobStatus.SUCCESS,
}


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be written."""

    repository: RepositoryId
    tag: str
    target: SyncTarget
    overrides: bool
    tenant: TenantId
    user: UserId | None
    operation: str = ""  # what policies call the request


def insert_job(conn: Connection, job: NewJob) -> int:
    """A job that waits; its id."""
    moment = now(conn)
    values = {
        "repository_id": job.repository,
        "tag": job.tag,
        "region": job.target.region,
        "namespace": job.target.namespace,
        "overrides": job.overrides,
        "tenant_id": job.tenant,
        "user_id": job.user,
        "operation": job.operation,
        "reason": "",
        "created_at": moment,
        "updated_at": moment,
    }
    made = sa.insert(sync_jobs).values(**values).returning(sync_jobs.c.id)
    return int(conn.execute(made).scalar_one())


def give_task(conn: Connection, job: int, task: TaskId) -> None:
    """Which task does it."""
    conn.execute(sa.update(sync_jobs).where(sync_jobs.c.id == job).values(task_id=task))


def drop_job(conn: Connection, job: int) -> None:
    """As if it had never been."""
    conn.execute(sa.delete(sync_jobs).where(sync_jobs.c.id == job))


def end_job(conn: Connection, job: int, outcome: JobStatus, reason: str = "") -> None:
    """What it came to."""
    values = {
        "outcome": outcome.value,
        "reason": reason[:_LONGEST_REASON],
        "updated_at": now(conn),
    }
    conn.execute(sa.update(sync_jobs).where(sync_jobs.c.id == job).values(**values))


def get_job(conn: Connection, job: int) -> NewJob | None:
    """What is to be done; None where the job is gone."""
    row = conn.execute(sa.select(sync_jobs).where(sync_jobs.c.id == job)).first()
    if row is None:
        return None
    return NewJob(
        repository=RepositoryId(row.repository_id),
        tag=row.tag,
        target=SyncTarget(row.region, row.namespace),
        overrides=bool(row.overrides),
        tenant=TenantId(row.tenant_id),
        user=None if row.user_id is None else UserId(row.user_id),
        operation=row.operation,
    )


def task_of(conn: Connection, repository: RepositoryId, job: int) -> TaskId | None:
    """The task of a job of the repository; None where there is none."""
    query = sa.select(sync_jobs.c.task_id).where(
        sync_jobs.c.repository_id == repository, sync_jobs.c.id == job
    )
    number = conn.execute(query).scalar()
    return None if number is None else TaskId(number)


def list_jobs(
    conn: Connection, repository: RepositoryId, window: Slice, *, is_rising: bool
) -> tuple[int, list[SyncJob]]:
    """How many there are, and a page of them by id."""
    of_it = sync_jobs.c.repository_id == repository
    total = conn.execute(
        sa.select(sa.func.count()).select_from(sync_jobs).where(of_it)
    ).scalar_one()
    order = sync_jobs.c.id.asc() if is_rising else sync_jobs.c.id.desc()
    page = (
        sa.select(
            sync_jobs,
            tasks.c.status.label("task_status"),
            tasks.c.error.label("task_error"),
            sa.func.coalesce(tasks.c.finished_at, tasks.c.started_at, sync_jobs.c.created_at).label(
                "task_at"
            ),
            users.c.public_id.label("user_public_id"),
            users.c.name.label("user_name"),
        )
        .outerjoin(tasks, tasks.c.id == sync_jobs.c.task_id)
        .outerjoin(users, users.c.id == sync_jobs.c.user_id)
        .where(of_it)
        .order_by(order)
        .offset(window.offset)
        .limit(window.limit)
    )
    return int(total), [_job_of(row) for row in conn.execute(page)]


def _job_of(row: Any) -> SyncJob:
    status, reason = _status_of(row)
    return SyncJob(
        id=row.id,
        repository=RepositoryId(row.repository_id),
        tag=row.tag,
        target=SyncTarget(row.region, row.namespace),
        overrides=bool(row.overrides),
        status=status,
        reason=reason,
        tenant=TenantId(row.tenant_id),
        user_id=row.user_public_id or "",
        user_name=row.user_name or "",
        created_at=Micros(row.created_at),
        updated_at=Micros(row.updated_at if row.outcome else row.task_at),
    )


def _status_of(row: Any) -> tuple[JobStatus, str]:
    if row.outcome is not None:
        return JobStatus(row.outcome), row.reason
    if row.task_status is None:  # its task was forgotten
        return JobStatus.FAILED, ""
    error = row.task_error or ""
    status = _STATUS[Status(row.task_status)]
    if status is JobStatus.FAILED and error.startswith(TIMED_OUT):
        status = JobStatus.TIMEOUT
    return status, error


def purge_jobs(conn: Connection, before: Micros, *, limit: int) -> int:
    """Forget jobs made before the moment that are over. How many went."""
    old = _old_jobs(before).limit(limit)
    return conn.execute(sa.delete(sync_jobs).where(sync_jobs.c.id.in_(old))).rowcount


def is_purge_wanted(conn: Connection, before: Micros) -> bool:
    """Whether `purge_jobs` would find some."""
    return conn.execute(_old_jobs(before).limit(1)).first() is not None


def _old_jobs(before: Micros) -> sa.Select[Any]:
    working = sa.exists().where(
        tasks.c.id == sync_jobs.c.task_id,
        tasks.c.status.in_((Status.PENDING.value, Status.RUNNING.value)),
    )
    return sa.select(sync_jobs.c.id).where(sync_jobs.c.created_at < before, ~working)
