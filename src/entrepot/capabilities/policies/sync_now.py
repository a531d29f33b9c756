"""Copying tags of a repository elsewhere now, and the jobs of that: who may have a sync rule may."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from entrepot.capabilities.access.targets import Target, permitted
from entrepot.capabilities.content import copying
from entrepot.capabilities.content.browsing import Rows
from entrepot.capabilities.content.copying import CopyTag
from entrepot.capabilities.content.place import Place, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.policies import sync_runs
from entrepot.capabilities.policies.destinations import AtPeer, destination, goal, source
from entrepot.capabilities.policies.syncing import noted, peers_of, readable
from entrepot.metadata import sync_jobs, tags, work
from entrepot.metadata.browsing import Slice
from entrepot.metadata.database import Connection
from entrepot.metadata.sync_jobs import NewJob
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Repository
from entrepot.model.errors import Denied, RegistryError, ValueInvalid
from entrepot.model.syncing import JobStatus, Outcome, SyncJob, SyncJobUnknown, SyncTarget

MOST_TAGS: Final = 1000  # copied at one request


@dataclass(frozen=True, slots=True)
class SyncTags:
    """Copy these tags now."""

    place: Place
    tags: Sequence[str]
    target: SyncTarget
    overrides: bool


@dataclass(frozen=True, slots=True)
class ListJobs:
    """A page of the repository's jobs by number, the newest first or (`is_rising`) last."""

    place: Place
    window: Slice = field(default_factory=Slice)
    is_rising: bool = False


@dataclass(frozen=True, slots=True)
class JobsOf:
    """A page of a repository's jobs, from `offset` on."""

    repository: Repository
    page: Rows[SyncJob]
    offset: int


@dataclass(frozen=True, slots=True)
class CancelJob:
    """A job of the repository."""

    place: Place
    job: int


async def sync_tags(ctx: Context, caller: Caller, command: SyncTags) -> list[str]:
    """Copy tags: within the deployment before this returns, to a peer by jobs. The tags that cannot be, each once.

    Those are tags that are not there, that mean something else at the target and are not to be overridden, and all of them where the
    caller may not push to the target. Raises Denied (the source), RepositoryUnknown, NamespaceUnknown, RegionUnserved, ValueInvalid.
    """
    names = list(dict.fromkeys(command.tags))
    if not 1 <= len(names) <= MOST_TAGS:
        raise ValueInvalid("tags", f"expected 1 to {MOST_TAGS}")

    def begin(conn: Connection) -> tuple[Repository, Place | AtPeer] | None:
        """Where from and where to; None where the caller may not push to the target."""
        found, to = _places(ctx, conn, caller, command)
        if not isinstance(to, AtPeer):
            try:
                goal(ctx, conn, caller, to, region=command.target.region)
            except Denied:
                return None
        return found, to

    begun = await ctx.db.read(begin)
    if begun is None:
        return names
    found, to = begun
    if isinstance(to, AtPeer):
        return await _defer(ctx, caller, command, names)
    refused: list[str] = []
    try:
        for name in names:
            if not await _copy(ctx, caller, command, name):
                refused.append(name)  # noqa: PERF401  (told of even where the next one breaks)
    finally:
        await ctx.db.write(lambda conn: _note_sync(conn, caller, found, command, len(refused)))
    return refused


def _places(
    ctx: Context, conn: Connection, caller: Caller, command: SyncTags
) -> tuple[Repository, Place | AtPeer]:
    """In a transaction: the repository, for a caller who may have its images copied, and where they go."""
    found = source(ctx, conn, caller, command.place, region=command.target.region)
    tenant = peers_of(caller, found)
    return found, destination(ctx, conn, found, target=command.target, tenant=tenant)


async def _defer(
    ctx: Context, caller: Caller, command: SyncTags, names: Sequence[str]
) -> list[str]:
    """One job a tag; the tags that are not there."""

    def write(conn: Connection) -> list[str]:
        repository, _ = _places(ctx, conn, caller, command)
        missing = [name for name in names if tags.current(conn, repository.id, name) is None]
        for name in names:
            if name not in missing:
                sync_runs.defer_job(conn, _job(caller, repository, command, name))
        _note_sync(conn, caller, repository, command, len(missing))
        return missing

    return await change(ctx, caller, "sync.start", write)


async def _copy(ctx: Context, caller: Caller, command: SyncTags, name: str) -> bool:
    """Copy a tag in one transaction with the job that tells of it; whether the target has it."""

    def write(conn: Connection) -> bool:
        here, to = _places(ctx, conn, caller, command)
        if isinstance(to, AtPeer) or tags.current(conn, here.id, name) is None:
            return False
        there = settle(conn, goal(ctx, conn, caller, to, region=command.target.region), caller)
        copy = CopyTag(here, name, there, name, command.overrides, reason=sync_runs.REASON)
        is_existing = copying.copy_tag(ctx, conn, caller, copy) is Outcome.EXISTED
        status = JobStatus.EXISTED if is_existing else JobStatus.SUCCESS
        _end(conn, _job(caller, here, command, name), status)
        return not is_existing

    try:
        return await ctx.db.write(write)
    except RegistryError as error:
        if error.retryable:
            raise
        reason = str(error)
        await ctx.db.write(lambda conn: _failed(ctx, conn, caller, command, name=name, why=reason))
        return False


def _failed(
    ctx: Context, conn: Connection, caller: Caller, command: SyncTags, *, name: str, why: str
) -> None:
    found, _ = _places(ctx, conn, caller, command)
    _end(conn, _job(caller, found, command, name), JobStatus.FAILED, why)


def _end(conn: Connection, job: NewJob, status: JobStatus, reason: str = "") -> None:
    sync_jobs.end_job(conn, sync_jobs.insert_job(conn, job), status, reason)


def _job(caller: Caller, repository: Repository, command: SyncTags, name: str) -> NewJob:
    return NewJob(
        repository.id,
        name,
        command.target,
        overrides=command.overrides,
        tenant=peers_of(caller, repository),
        user=caller.user,
        operation=caller.operation,
    )


# -- jobs -------------------------------------------------------------------------------------------------------------


async def list_jobs(ctx: Context, caller: Caller, command: ListJobs) -> JobsOf:
    """A page of the repository's jobs. Raises Denied, RepositoryUnknown, NamespaceUnknown."""

    def read(conn: Connection) -> JobsOf:
        repository = readable(ctx, conn, caller, command.place)
        total, jobs = sync_jobs.list_jobs(
            conn, repository.id, command.window, is_rising=command.is_rising
        )
        return JobsOf(repository, Rows(jobs, total), command.window.offset)

    return await ctx.db.read(read)


async def cancel_job(ctx: Context, caller: Caller, command: CancelJob) -> None:
    """Stop one that is not over; what was copied stays. Raises Denied, RepositoryUnknown, NamespaceUnknown, SyncJobUnknown."""

    def write(conn: Connection) -> None:
        place = command.place
        wanted = Target(place.instance.id, place.name.namespace, place.name.path)
        repository = permitted(ctx, conn, caller, wanted, Permission.PUSH).repository
        assert repository is not None  # noqa: S101  (it has a path)
        task = sync_jobs.task_of(conn, repository.id, command.job)
        if task is None:
            raise SyncJobUnknown(command.job)
        work.cancel_task(conn, task)
        action, name = "sync.cancel", repository.full_name
        note(conn, caller, action, name, tenant=repository.tenant, job=command.job)

    await change(ctx, caller, "sync.cancel", write)


def _note_sync(
    conn: Connection, caller: Caller, repository: Repository, command: SyncTags, refused: int
) -> None:
    noted(
        conn,
        caller,
        "start",
        repository=repository,
        target=command.target,
        tags=len(set(command.tags)),
        refused=refused,
        overrides=command.overrides,
    )
