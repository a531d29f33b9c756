"""Sync rules of a repository, and copying tags now.

Who may push to a repository may have its images copied elsewhere, and sees where they go. A rule acts with the rights of whoever wrote
it last, as they are at each run: to push to the target, where that is here. At a peer its credentials decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.content import copying
from entrepot.capabilities.content.browsing import Rows
from entrepot.capabilities.content.copying import CopyTag
from entrepot.capabilities.content.place import Place, Target, existing, for_push, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.policies import sync_runs
from entrepot.capabilities.policies.destinations import AtPeer, destination
from entrepot.metadata import peers, sync_jobs, syncing, tags, tenants, work
from entrepot.metadata.browsing import Slice
from entrepot.metadata.database import Connection
from entrepot.metadata.sync_jobs import NewJob
from entrepot.metadata.syncing import NewRule
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import Denied, Forbidden, QuotaExceeded, RegistryError, ValueInvalid
from entrepot.model.ids import TenantId
from entrepot.model.syncing import (
    JobStatus,
    Outcome,
    SyncJob,
    SyncJobUnknown,
    SyncRule,
    SyncRuleUnknown,
    SyncTarget,
)

MOST_RULES: Final = 50  # of a repository
MOST_TAGS: Final = 1000  # copied at one request


@dataclass(frozen=True, slots=True)
class PutRule:
    """Copy what is pushed from now on (`is_automatic`), or only what is asked for, to the target. `overrides`: tags that mean
    something else there."""

    place: Place
    target: SyncTarget
    is_automatic: bool
    overrides: bool


@dataclass(frozen=True, slots=True)
class DropRule:
    """The rule for a target goes."""

    place: Place
    target: SyncTarget


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
class CancelJob:
    """A job of the repository."""

    place: Place
    job: int


# -- rules ------------------------------------------------------------------------------------------------------------


async def put_rule(ctx: Context, caller: Caller, command: PutRule) -> None:
    """Make the rule, or change the one for that target. Raises Denied, RepositoryUnknown, NamespaceUnknown, RegionUnserved,
    ValueInvalid, QuotaExceeded."""
    found = await existing(ctx, caller, Permission.PUSH, command.place)
    await _goal(ctx, caller, found, command.target)

    def write(conn: Connection) -> None:
        repository = _editable(ctx, conn, caller, found)
        tenant = _peers_of(caller, repository)
        # Once more, with what this transaction sees.
        destination(ctx, conn, repository, target=command.target, tenant=tenant)
        is_new = syncing.put_rule(
            conn,
            NewRule(
                repository.id,
                command.target,
                is_automatic=command.is_automatic,
                overrides=command.overrides,
                tenant=tenant,
                user=caller.user,
            ),
        )
        if is_new and len(syncing.list_rules(conn, repository.id)) > MOST_RULES:
            raise QuotaExceeded("sync rules", MOST_RULES)
        _noted(
            conn,
            caller,
            "rule",
            repository=repository,
            target=command.target,
            automatic=command.is_automatic,
            overrides=command.overrides,
        )

    await change(ctx, caller, "sync.rule", write)


async def list_rules(ctx: Context, caller: Caller, command: Place) -> list[SyncRule]:
    """All of the repository, oldest first. Raises Denied, RepositoryUnknown, NamespaceUnknown."""
    found = await existing(ctx, caller, Permission.PULL, command)
    return await ctx.db.read(
        lambda conn: syncing.list_rules(conn, _readable(ctx, conn, caller, found).id)
    )


async def drop_rule(ctx: Context, caller: Caller, command: DropRule) -> None:
    """Nothing more is copied by it, what was copied stays. Raises Denied, RepositoryUnknown, NamespaceUnknown, SyncRuleUnknown."""
    found = await existing(ctx, caller, Permission.PUSH, command.place)

    def write(conn: Connection) -> None:
        repository = _editable(ctx, conn, caller, found)
        target = command.target
        if not syncing.delete_rule(conn, repository.id, target):
            raise SyncRuleUnknown(target.region[:300], target.namespace[:300])
        _noted(conn, caller, "rule.delete", repository=repository, target=target)

    await change(ctx, caller, "sync.rule.delete", write)


# -- copying now ------------------------------------------------------------------------------------------------------


async def sync_tags(ctx: Context, caller: Caller, command: SyncTags) -> list[str]:
    """Copy tags: within the deployment before this returns, to a peer by jobs. The tags that cannot be, each once.

    Those are tags that are not there, that mean something else at the target and are not to be overridden, and all of them where the
    caller may not push to the target. Raises Denied (the source), RepositoryUnknown, NamespaceUnknown, RegionUnserved, ValueInvalid.
    """
    names = list(dict.fromkeys(command.tags))
    if not 1 <= len(names) <= MOST_TAGS:
        raise ValueInvalid("tags", f"expected 1 to {MOST_TAGS}")
    found = await existing(ctx, caller, Permission.PUSH, command.place)
    await ctx.db.read(lambda conn: _editable(ctx, conn, caller, found))
    try:
        goal = await _goal(ctx, caller, found, command.target)
    except Denied:
        return names
    if isinstance(goal, AtPeer):
        return await _defer(ctx, caller, found, command=command, names=names)
    refused = [
        name
        for name in names
        if not await _copy(ctx, caller, found, goal=goal, command=command, name=name)
    ]
    await ctx.db.write(lambda conn: _note_sync(conn, caller, found, command, len(refused)))
    return refused


async def _defer(
    ctx: Context, caller: Caller, found: Repository, *, command: SyncTags, names: Sequence[str]
) -> list[str]:
    """One job a tag; the tags that are not there."""

    def write(conn: Connection) -> list[str]:
        repository = _editable(ctx, conn, caller, found)
        missing = [name for name in names if tags.current(conn, repository.id, name) is None]
        for name in sorted(set(names) - set(missing), key=names.index):
            sync_runs.defer_job(conn, _job(caller, repository, command, name))
        _note_sync(conn, caller, repository, command, len(missing))
        return missing

    return await change(ctx, caller, "sync.start", write)


async def _copy(
    ctx: Context,
    caller: Caller,
    found: Repository,
    *,
    goal: Target,
    command: SyncTags,
    name: str,
) -> bool:
    """Copy a tag in one transaction with the job that tells of it; whether the target has it."""

    def write(conn: Connection) -> JobStatus | None:
        source = settle(conn, found, caller)
        if tags.current(conn, source.id, name) is None:
            return None
        target = settle(conn, goal, caller)
        copy = CopyTag(source, name, target, name, command.overrides, reason=sync_runs.REASON)
        outcome = copying.copy_tag(ctx, conn, caller, copy)
        status = JobStatus.EXISTED if outcome is Outcome.EXISTED else JobStatus.SUCCESS
        _end(conn, _job(caller, source, command, name), status)
        return status

    try:
        return await ctx.db.write(write) is JobStatus.SUCCESS
    except RegistryError as error:
        if error.retryable:
            raise
        failed = _job(caller, found, command, name)
        reason = str(error)
        await ctx.db.write(lambda conn: _end(conn, failed, JobStatus.FAILED, reason))
        return False


def _end(conn: Connection, job: NewJob, status: JobStatus, reason: str = "") -> None:
    sync_jobs.end_job(conn, sync_jobs.insert_job(conn, job), status, reason)


def _job(caller: Caller, repository: Repository, command: SyncTags, name: str) -> NewJob:
    return NewJob(
        repository.id,
        name,
        command.target,
        overrides=command.overrides,
        tenant=_peers_of(caller, repository),
        user=caller.user,
    )


# -- jobs -------------------------------------------------------------------------------------------------------------


async def list_jobs(ctx: Context, caller: Caller, command: ListJobs) -> Rows[SyncJob]:
    """A page of the repository's jobs. Raises Denied, RepositoryUnknown, NamespaceUnknown."""
    found = await existing(ctx, caller, Permission.PULL, command.place)

    def read(conn: Connection) -> Rows[SyncJob]:
        repository = _readable(ctx, conn, caller, found)
        total, jobs = sync_jobs.list_jobs(
            conn, repository.id, command.window, is_rising=command.is_rising
        )
        return Rows(jobs, total)

    return await ctx.db.read(read)


async def cancel_job(ctx: Context, caller: Caller, command: CancelJob) -> None:
    """Stop one that is not over; what was copied stays. Raises Denied, RepositoryUnknown, NamespaceUnknown, SyncJobUnknown."""
    found = await existing(ctx, caller, Permission.PUSH, command.place)

    def write(conn: Connection) -> None:
        repository = _editable(ctx, conn, caller, found)
        task = sync_jobs.task_of(conn, repository.id, command.job)
        if task is None:
            raise SyncJobUnknown(command.job)
        work.cancel_task(conn, task)
        action, name = "sync.cancel", repository.full_name
        note(conn, caller, action, name, tenant=repository.tenant, job=command.job)

    await change(ctx, caller, "sync.cancel", write)


async def list_sync_regions(ctx: Context, caller: Caller, tenant: TenantId) -> list[str]:
    """Names that a rule of the tenant may have for a region: those served here, then its peers. Raises Denied."""

    def read(conn: Connection) -> list[str]:
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(tenant))
        here = [one.name for one in tenants.list_regions(conn) if one.is_local]
        return [*here, *(peer.name for peer in peers.list_peers(conn, tenant))]

    return await ctx.db.read(read)


# -- what they share --------------------------------------------------------------------------------------------------


async def _goal(
    ctx: Context, caller: Caller, repository: Repository, target: SyncTarget
) -> Target | AtPeer:
    """What the caller may copy to: at a peer whatever its credentials may, here what the caller may push to."""
    tenant = _peers_of(caller, repository)
    goal = await ctx.db.read(
        lambda conn: destination(ctx, conn, repository, target=target, tenant=tenant)
    )
    return goal if isinstance(goal, AtPeer) else await for_push(ctx, caller, goal)


def _peers_of(caller: Caller, repository: Repository) -> TenantId:
    """Whose peers may be named: the caller's own tenant's, for the operator the repository's."""
    if caller.is_system:
        return repository.tenant
    if caller.tenant is None or caller.user is None:
        raise Forbidden(Permission.PUSH.value, repository.full_name)
    return caller.tenant


def _editable(ctx: Context, conn: Connection, caller: Caller, found: Repository) -> Repository:
    repository = settle(conn, found, caller)
    sync_runs.require_source(ctx, conn, caller, repository)
    return repository


def _readable(ctx: Context, conn: Connection, caller: Caller, found: Repository) -> Repository:
    """For those who were given a right to read it; that anybody, or another tenant, may pull says nothing about where it goes."""
    repository = settle(conn, found, caller)
    resource = replace(of_repository(repository), is_public=False)
    ctx.access.require(conn, caller, Permission.PULL, resource)
    if not caller.is_system and caller.tenant != repository.tenant:
        raise Forbidden(Permission.PULL.value, repository.full_name)
    return repository


def _note_sync(
    conn: Connection, caller: Caller, repository: Repository, command: SyncTags, refused: int
) -> None:
    _noted(
        conn,
        caller,
        "start",
        repository=repository,
        target=command.target,
        tags=len(set(command.tags)),
        refused=refused,
        overrides=command.overrides,
    )


def _noted(
    conn: Connection,
    caller: Caller,
    verb: str,
    *,
    repository: Repository,
    target: SyncTarget,
    **details: str | float | bool | None,
) -> None:
    note(
        conn,
        caller,
        f"sync.{verb}",
        repository.full_name,
        tenant=repository.tenant,
        region=target.region,
        namespace=target.namespace,
        **details,
    )
