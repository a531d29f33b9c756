"""Sync at work: what a push sets going, and the copying of one tag as a job.

No rule can make images go round for ever: a copy that finds everything at its target writes nothing there, so nothing follows from it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from entrepot.capabilities.content.copying import CopyTag, copy_tag
from entrepot.capabilities.content.place import Place, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.fanout import Consumer
from entrepot.capabilities.operations.work import (
    KEEP_SECONDS,
    Handler,
    JobCancelled,
    JobContext,
    Summary,
    Watch,
)
from entrepot.capabilities.policies.copying_out import CopyOut, copy_out
from entrepot.capabilities.policies.destinations import (
    AtPeer,
    Destination,
    actor,
    destination,
    goal,
    source,
)
from entrepot.metadata import instances, namespaces, sync_jobs, syncing, tags, work
from entrepot.metadata.database import Connection, now
from entrepot.metadata.sync_jobs import NewJob
from entrepot.model.access import Caller
from entrepot.model.content import Repository
from entrepot.model.errors import ManifestUnknown, RepositoryUnknown, StorageUnavailable
from entrepot.model.events import Event, EventKind
from entrepot.model.ids import BlobId, ManifestId, Micros, RepositoryId
from entrepot.model.syncing import ImageMoved, JobStatus, Outcome, RegionUnserved, SyncRule
from entrepot.model.work import NewTask
from entrepot.oci.reference import RepositoryName
from entrepot.ports.registry import RegistryOpener

PLAN: Final = "sync.plan"
COPY: Final = "sync.copy"
PURGE: Final = "sync.purge"
REASON: Final = "sync"  # of the events that copies within the deployment make
ATTEMPTS: Final = 32  # the last more than a day after the first: a peer may be away for a night
RECHECK_SECONDS: Final = 120.0  # how often a copy under way is asked whether it still may
_BEGINNINGS: Final = 5  # of one attempt: each time the tag is moved meanwhile, it begins anew
_MOST_TAGS: Final = 50  # that one push without a tag can concern
_DEEPEST: Final = 4  # signatures of signatures, indexes in indexes
_PURGED: Final = 1000


# -- what a push sets going -------------------------------------------------------------------------------------------


def _after_push(conn: Connection, event: Event) -> Iterable[NewTask]:
    if event.repository is None:
        return
    if _rules(conn, event.repository, event.happened_at):
        arguments = {
            "repository": event.repository,
            "tag": event.tag,
            "digest": event.digest,
            "at": event.happened_at,
        }
        yield NewTask(PLAN, target=f"repository:{event.repository}", arguments=arguments)


def _rules(conn: Connection, repository: RepositoryId, at: Micros) -> list[SyncRule]:
    """Automatic rules that were there at the moment."""
    rules = syncing.list_rules(conn, repository, only_automatic=True)
    return [rule for rule in rules if rule.created_at <= at]


CONSUMER: Final = Consumer("sync", frozenset({EventKind.MANIFEST_PUSHED}), _after_push)


async def _plan(job: JobContext) -> None:
    arguments = job.task.arguments
    repository = RepositoryId(int(arguments["repository"]))

    def write(conn: Connection) -> Summary:
        names = [arguments["tag"]]
        if arguments["tag"] is None:
            names = tags_concerned(conn, repository, arguments["digest"])
        rules = _rules(conn, repository, Micros(int(arguments["at"])))
        made = [defer_job(conn, _job_of(rule, name), rule.id) for rule in rules for name in names]
        return {"jobs": sum(made)}

    await job.finish(write)


def _job_of(rule: SyncRule, tag: str) -> NewJob:
    return NewJob(
        rule.repository,
        tag,
        rule.target,
        rule.overrides,
        tenant=rule.tenant,
        user=rule.user,
        operation=rule.operation,
    )


def tags_concerned(conn: Connection, repository: RepositoryId, digest: str) -> list[str]:
    """In a transaction: tags of the images that a manifest pushed without a tag belongs to: as their signature, or in their index."""
    seen, level, found = {digest}, [digest], dict[str, None]()
    for _ in range(_DEEPEST):
        level = [
            holder
            for one in level
            for holder in syncing.holders_of(conn, repository, one, limit=_MOST_TAGS)
            if holder not in seen
        ][:_MOST_TAGS]
        for holder in level:
            found.update(dict.fromkeys(tags.names_of(conn, repository, holder, limit=_MOST_TAGS)))
        seen.update(level)
    return list(found)[:_MOST_TAGS]


def defer_job(conn: Connection, job: NewJob, rule: int | None = None) -> bool:
    """In a transaction: let the tag be copied. False: one that waits will take the tag as it is now, with all its attempts again.
    `rule`: while it is there.

    One copy of a tag to a place goes at a time, so that no older one comes behind a newer.
    """
    number = sync_jobs.insert_job(conn, job)
    where = f"{job.target.region}/{job.target.namespace}"
    overrides = "over" if job.overrides else "beside"
    task = work.defer(
        conn,
        NewTask(
            COPY,
            target=f"{job.repository}:{job.tag}:{where}",
            arguments={"job": number, "rule": rule},
            unique_key=f"{COPY}:{job.repository}:{job.user}:{rule or ''}:{overrides}:{where}:{job.tag}",
            max_attempts=ATTEMPTS,
            renews=True,
            tenant=job.tenant,
        ),
    )
    if task is None:
        sync_jobs.drop_job(conn, number)
        return False
    sync_jobs.give_task(conn, number, task)
    return True


# -- one tag ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Begun:
    """A job that may run. `image`: what the tag meant."""

    wanted: NewJob
    caller: Caller
    source: Repository
    image: ManifestId
    to: Destination


class _Run:
    """One job that runs."""

    def __init__(self, ctx: Context, job: JobContext, opener: RegistryOpener) -> None:
        self.ctx = ctx
        self.job = job
        self.opener = opener
        self.number = int(job.task.arguments["job"])
        self.rule: int | None = job.task.arguments["rule"]

    async def run(self) -> None:
        """Copy, and write down what came of it with the end of the task. Where the tag is moved meanwhile, or the peer changed, it is
        begun anew: nobody else need have been asked to copy what the tag means now."""
        for beginning in range(1, _BEGINNINGS + 1):
            begun = await self.ctx.db.read(self._begin)
            if begun is None or not isinstance(begun.to, AtPeer):
                await self.job.finish(self._copy_here)
                return
            try:
                outcome = await self._copy_out(begun, begun.to)
            except ImageMoved:
                if beginning == _BEGINNINGS:
                    raise
            else:
                await self.job.finish(partial(self._end, status=_STATUS[outcome]))
                return

    def _begin(self, conn: Connection) -> _Begun | None:
        """What is to be done, for a caller who still may. None: it is not wanted any more."""
        wanted = sync_jobs.get_job(conn, self.number)
        if wanted is None or (self.rule is not None and syncing.get_rule(conn, self.rule) is None):
            return None
        found = namespaces.get_repository(conn, wanted.repository)
        instance = None if found is None else instances.get_instance(conn, found.instance)
        if found is None or instance is None:
            raise RepositoryUnknown(str(wanted.repository))
        caller = actor(conn, wanted.user, wanted.operation)
        region = wanted.target.region
        place = Place(instance, RepositoryName(found.namespace_name, found.path))
        repository = source(self.ctx, conn, caller, place, region=region)
        image = tags.current(conn, repository.id, wanted.tag)
        if image is None:
            raise ManifestUnknown(wanted.tag)
        to = destination(self.ctx, conn, repository, target=wanted.target, tenant=wanted.tenant)
        return _Begun(wanted, caller, repository, image, to)

    def _stands(self, conn: Connection, begun: _Begun) -> None:
        """In a transaction: raise unless the job is ours, wanted and allowed, and about the same image and place as when it began."""
        work.check_lease(conn, self.job.task)
        again = self._begin(conn)
        if again is None:
            raise JobCancelled
        if (again.image, again.to) != (begun.image, begun.to):
            raise ImageMoved(begun.wanted.tag)

    def _copy_here(self, conn: Connection) -> Summary:
        """Rows only, in the transaction that ends the task."""
        begun = self._begin(conn)
        if begun is None:
            return self._end(conn, JobStatus.CANCEL)
        wanted, caller = begun.wanted, begun.caller
        if isinstance(begun.to, AtPeer):  # since a moment ago
            raise RegionUnserved(wanted.target.region)
        to = goal(self.ctx, conn, caller, begun.to, region=wanted.target.region)
        there = settle(conn, to, caller)
        copy = CopyTag(begun.source, wanted.tag, there, wanted.tag, wanted.overrides, reason=REASON)
        return self._end(conn, _STATUS[copy_tag(self.ctx, conn, caller, copy)])

    async def _copy_out(self, begun: _Begun, to: AtPeer) -> Outcome:
        wanted = begun.wanted
        command = CopyOut(
            begun.source,
            wanted.tag,
            str(to.name),
            wanted.overrides,
            origins=partial(_origins, wanted),
            stands=lambda conn: self._stands(conn, begun),
        )
        try:
            async with self.opener(to.address) as remote, asyncio.TaskGroup() as group:
                looking = group.create_task(self._look_again(begun))
                outcome = await copy_out(self.ctx, remote, command, self.job)
                looking.cancel()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return outcome

    async def _look_again(self, begun: _Begun) -> None:
        """Ends a copy under way, by raising, that is not wanted any more: its blobs may take hours."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                await self.ctx.db.read(lambda conn: self._stands(conn, begun))
            except (
                StorageUnavailable
            ):  # an outage of the database should not throw away an hour of copying
                continue

    def _end(self, conn: Connection, status: JobStatus) -> Summary:
        sync_jobs.end_job(conn, self.number, status)
        return {**self.job.progress, "status": status.value}


def _origins(
    wanted: NewJob, conn: Connection, numbers: Sequence[BlobId]
) -> Mapping[BlobId, Sequence[str]]:
    return syncing.origins(conn, wanted.tenant, wanted.target.region, numbers, limit=2)


_STATUS: Final = {
    Outcome.COPIED: JobStatus.SUCCESS,
    Outcome.UNCHANGED: JobStatus.SUCCESS,
    Outcome.EXISTED: JobStatus.EXISTED,
}


# -- the worker's part ------------------------------------------------------------------------------------------------

PLAN_HANDLER: Final = Handler(kind=PLAN, run=_plan)


def copy_handler(ctx: Context, opener: RegistryOpener) -> Handler:
    """Copies tags; `opener` reaches registries elsewhere."""
    return Handler(
        kind=COPY,
        run=lambda job: _Run(ctx, job, opener).run(),
        per_target=1,
        is_long=True,
        timeout_seconds=ctx.settings.outbound.copy_timeout.seconds,
    )


def _horizon(conn: Connection) -> Micros:
    return Micros(now(conn) - KEEP_SECONDS * 1_000_000)


async def _purge(job: JobContext) -> Summary:
    """Forget jobs past their time, in bounded transactions."""
    gone = 0
    while some := await job.write(
        lambda conn: sync_jobs.purge_jobs(conn, _horizon(conn), limit=_PURGED)
    ):
        gone += some
        job.report(jobs=gone)
    return {"jobs": gone}


PURGE_HANDLER: Final = Handler(kind=PURGE, run=_purge, concurrency=1)
PURGE_WATCH: Final = Watch(
    PURGE,
    every_seconds=3600.0,
    wanted=lambda conn: sync_jobs.is_purge_wanted(conn, _horizon(conn)),
)
