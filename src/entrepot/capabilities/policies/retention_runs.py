"""Retention at work: policies run daily and after pushes, and remove tags in small transactions that look again.

A policy runs as the system, on behalf of what it is about: who made it had the right to delete there, and needs it no longer. It is
stopped by deleting or disabling it, not by somebody's leaving.

A run walks from the newest tag on until it knows where a rule's keeping ends, then from the oldest up to there. Each transaction that removes some first asks whether
the policy is still the one that was read, then ends only tags that still are what was judged: one that a push has moved, or
pushed again, stays. What was pushed meanwhile only makes a run keep more. Killed anywhere, it begins anew and finds less to do.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from entrepot.capabilities.content.deleting import EndedTag, tags_ended
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.fanout import Consumer
from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.capabilities.policies.retention import (
    Judge,
    Key,
    Measure,
    follower_tags,
    is_follower_name,
    subject_of,
)
from entrepot.metadata import counters, namespaces, retention, retention_tags, work
from entrepot.metadata.database import Connection, now
from entrepot.metadata.retention_tags import PresentTag
from entrepot.metadata.schedules import next_run
from entrepot.model.access import SYSTEM, Caller
from entrepot.model.content import Repository
from entrepot.model.events import Event, EventKind
from entrepot.model.ids import ManifestId, Micros, RepositoryId, TenantId
from entrepot.model.retention import Cycle, RetentionId, RetentionPolicy, Rule
from entrepot.model.work import NewTask

RUN: Final = "retention.run"
START: Final = "retention.start"
SETTLE_SECONDS: Final = (
    10.0  # after a push; the further pushes of that time are seen by the same run
)
TAGS_A_SECOND: Final = (
    10_000  # a large repository is looked through less often while it is pushed to
)
KEEP_LOG_SECONDS: Final = 365 * 86_400  # how long the log says what was removed
PAGE: Final = 2000  # tags read at once
BATCH: Final = 50  # tags removed in a transaction
_STARTED: Final = 200  # policies started, or rows of the log forgotten, in a transaction
_PRIORITY: Final = -1  # behind what somebody waits for


# -- when -------------------------------------------------------------------------------------------------------------


def next_start(policy: RetentionId, cycle: Cycle, after: Micros) -> Micros | None:
    """When a policy runs next by itself: at night by UTC, each at a time of its own. None: never."""
    minute, hour = policy * 17 % 60, 1 + policy % 5
    days = {Cycle.DAILY: "* * *", Cycle.WEEKLY: "* * 1", Cycle.MONTHLY: "1 * *"}.get(cycle)
    return None if days is None else next_run(f"{minute} {hour} {days}", "UTC", after=after)


def run_task(
    policy: RetentionId,
    repository: RepositoryId | None,
    delay_seconds: float = 0,
    *,
    tenant: TenantId | None = None,
) -> NewTask:
    """A run of the policy, on one repository or (None) on all it is about. `tenant`: in whose share of the long work."""
    return NewTask(
        RUN,
        target=f"retention:{policy}",
        arguments={"policy": policy, "repository": repository},
        priority=_PRIORITY,
        delay_seconds=delay_seconds,
        unique_key=f"{RUN}:{policy}:{repository or ''}",
        tenant=tenant,
    )


def _after_push(conn: Connection, event: Event) -> Iterable[NewTask]:
    if event.namespace is None or event.repository is None or event.tag is None:
        return
    if is_follower_name(event.tag):
        return
    for policy in retention.after_push(conn, event.namespace, event.repository):
        held = counters.value(conn, "repository", event.repository, "tags")
        wait = SETTLE_SECONDS + held / TAGS_A_SECOND
        yield run_task(policy, event.repository, wait, tenant=event.tenant)


CONSUMER: Final = Consumer("retention", frozenset({EventKind.MANIFEST_PUSHED}), _after_push)


def _start_due(conn: Connection) -> int:
    """Start some of the policies whose time has come; how many there were."""
    due = retention.due_policies(conn, limit=_STARTED)
    for one in due:
        policy = one.policy
        at = next_start(policy.id, policy.plan.cycle, Micros(now(conn)))
        retention.set_next(conn, policy.id, at)
        if one.is_living:
            work.defer(conn, run_task(policy.id, policy.repository, tenant=one.tenant))
    return len(due)


def _horizon(conn: Connection) -> Micros:
    return Micros(now(conn) - KEEP_LOG_SECONDS * 1_000_000)


def _forget_old(conn: Connection) -> int:
    return retention.purge_log(conn, _horizon(conn), limit=_STARTED)


def _is_start_wanted(conn: Connection) -> bool:
    return retention.is_due(conn) or retention.is_log_old(conn, _horizon(conn))


async def _start(job: JobContext) -> Summary:
    done = {"started": 0, "forgotten": 0}
    for name, step in (("started", _start_due), ("forgotten", _forget_old)):
        while some := await job.write(step):
            done[name] += some
            job.report(**done)
    return done


START_HANDLER: Final = Handler(kind=START, run=_start, concurrency=1)
START_WATCH: Final = Watch(START, every_seconds=60.0, wanted=_is_start_wanted)


# -- a run ------------------------------------------------------------------------------------------------------------


class _Superseded(Exception):
    """The policy is no longer what the run began with."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A policy as it was read, on one repository."""

    ctx: Context
    job: JobContext
    policy: RetentionPolicy
    repository: RepositoryId
    counted: "Counter[str]"

    @property
    def caller(self) -> Caller:
        """Who events say removed the tags."""
        return replace(SYSTEM, name=f"retention policy {self.policy.id}")


def run_handler(ctx: Context) -> Handler:
    """Runs a policy. Its summary: repositories looked at, tags they had, tags removed."""

    async def run(job: JobContext) -> Summary | None:
        return await _run(ctx, job)

    return Handler(kind=RUN, run=run, per_target=1, is_long=True)


async def _run(ctx: Context, job: JobContext) -> Summary | None:
    number = RetentionId(int(job.task.arguments["policy"]))
    policy = await job.db.read(lambda conn: retention.find_policy(conn, number))
    if policy is None or not policy.plan.enabled:
        return {"stopped": 1}
    only = job.task.arguments.get("repository") or policy.repository
    counted: Counter[str] = Counter(repositories=0, tags=0, removed=0)
    after = RepositoryId(0)
    try:
        while some := await _repositories(job, policy, only, after=after):
            for repository in some:
                await _retain(_Run(ctx, job, policy, repository, counted))
            after = some[-1]
    except _Superseded:
        await job.finish(lambda conn: _anew(conn, job, number, counted))
        return None
    return dict(counted)


def _anew(
    conn: Connection, job: JobContext, policy: RetentionId, counted: "Counter[str]"
) -> Summary:
    """The policy was changed: another run does what it says now."""
    if retention.find_policy(conn, policy) is not None:
        only = job.task.arguments.get("repository")
        work.defer(conn, run_task(policy, only, tenant=job.task.tenant))
    return {**counted, "superseded": 1}


async def _repositories(
    job: JobContext, policy: RetentionPolicy, only: RepositoryId | None, *, after: RepositoryId
) -> Sequence[RepositoryId]:
    if only is not None:
        return [only] if after < only else []
    return await job.db.read(
        lambda conn: retention_tags.living_repositories(conn, policy.namespace, after, limit=PAGE)
    )


async def _retain(run: _Run) -> None:
    opened = await run.job.db.read(lambda conn: _opened(conn, run.repository))
    if opened is None:
        return
    moment, number = opened
    run.counted.update(repositories=1, tags=number)
    judge = await _measured(run, moment)
    after, end = (Micros(0), ""), judge.end
    while end is not None and (page := await _oldest(run, after, end)):
        after = _place(page)
        held = await run.job.db.read(partial(_held, repository=run.repository, tags=page))
        going = await run.ctx.blocking(partial(_condemned, judge, page, held))
        for start in range(0, len(going), BATCH):
            step = partial(_remove, run=run, judge=judge, going=going[start : start + BATCH])
            run.counted["removed"] += await run.job.write(step)
            run.job.report(**run.counted)


def _opened(conn: Connection, repository: RepositoryId) -> tuple[Micros, int] | None:
    """Now, and how many tags there are; None: the repository is deleted."""
    if namespaces.get_repository(conn, repository) is None:
        return None
    return Micros(now(conn)), counters.value(conn, "repository", repository, "tags")


async def _measured(run: _Run, moment: Micros) -> Judge:
    """From the newest tag on, until older ones do not matter."""
    measure = Measure(run.policy.plan.rules, moment)
    before: Key | None = None
    while not measure.is_full and (page := await _newest(run, before)):
        before = _place(page)
        await run.ctx.blocking(partial(measure.see, [tag.image for tag in page]))
    return measure.judge()


async def _newest(run: _Run, before: Key | None) -> list[PresentTag]:
    run.job.checkpoint()
    return await run.job.db.read(
        lambda conn: retention_tags.newest_tags(conn, run.repository, before, limit=PAGE)
    )


async def _oldest(run: _Run, after: Key, below: Key) -> list[PresentTag]:
    run.job.checkpoint()
    return await run.job.db.read(
        lambda conn: retention_tags.oldest_tags(conn, run.repository, after, below, limit=PAGE)
    )


def _place(page: Sequence[PresentTag]) -> Key:
    return page[-1].image.set_at, page[-1].image.tag


_Going = tuple[PresentTag, Rule]


def _held(conn: Connection, *, repository: RepositoryId, tags: Iterable[PresentTag]) -> set[str]:
    """Of the digests that some of the tags are named after: those that a tag, or a tagged index, still holds."""
    subjects = {subject_of(tag.image.tag) for tag in tags}
    return retention_tags.held(conn, repository, {one for one in subjects if one is not None})


def _is_orphan(tag: PresentTag, held: Collection[str]) -> bool:
    subject = subject_of(tag.image.tag)
    return subject is not None and subject not in held


def _condemned(judge: Judge, page: Iterable[PresentTag], held: Collection[str]) -> list[_Going]:
    verdicts = ((tag, judge.verdict(tag.image, is_orphan=_is_orphan(tag, held))) for tag in page)
    return [(tag, verdict.rule) for tag, verdict in verdicts if verdict.rule is not None]


# -- removing ---------------------------------------------------------------------------------------------------------


def _remove(conn: Connection, *, run: _Run, judge: Judge, going: Sequence[_Going]) -> int:
    """In a transaction: end those that still are what was judged, and what follows a manifest that no tag means any more. How many."""
    standing = retention.find_policy(conn, run.policy.id)
    if standing is None or standing.version != run.policy.version:
        raise _Superseded
    repository = namespaces.get_repository(conn, run.repository)
    if repository is None:
        return 0
    held = _held(conn, repository=repository.id, tags=[tag for tag, _ in going])
    going = [one for one in going if subject_of(one[0].image.tag) not in held]
    removed = 0
    while going:
        ended = _end(conn, run, repository, going)
        removed += len(ended)
        going = [
            (tag, rule)
            for tag, rule in _following(conn, repository.id, ended)
            if not judge.exempts(rule, tag.image.tag)
        ]
    return removed


def _end(
    conn: Connection, run: _Run, repository: Repository, going: Sequence[_Going]
) -> list[_Going]:
    at = Micros(now(conn))
    names = retention_tags.end_as_read(conn, repository.id, [tag for tag, _ in going], at)
    ended = [one for one in going if one[0].image.tag in names]
    if not ended:
        return []
    tags_ended(
        run.ctx,
        conn,
        repository,
        run.caller,
        ended=[EndedTag(tag.image.tag, tag.manifest, tag.image.digest) for tag, _ in ended],
        details={"retention": run.policy.id},
    )
    log = [(tag.image, rule) for tag, rule in ended]
    retention.record(conn, run.policy, repository.id, log, at=at)
    return ended


def _following(conn: Connection, repository: RepositoryId, ended: Sequence[_Going]) -> list[_Going]:
    """Tags that are named after what lost its last tag, or is of an index that did."""
    lost = _lost(conn, ended)
    names = {name: digest for digest in lost for name in follower_tags(digest)}
    found = retention_tags.named(conn, repository, names)
    held = _held(conn, repository=repository, tags=found)
    subjects = [(tag, names[tag.image.tag]) for tag in found]
    return [(tag, lost[subject]) for tag, subject in subjects if subject not in held]


def _lost(conn: Connection, ended: Sequence[_Going]) -> dict[str, Rule]:
    """Digests of manifests that no tag means any more, and of what such indexes list at any depth, with the rule they fell to."""
    rules = {tag.manifest: (tag.image.digest, rule) for tag, rule in ended}
    untagged = retention_tags.left_untagged(conn, rules)
    lost = {rules[number][0]: rules[number][1] for number in untagged}
    level = {number: rules[number][1] for number in untagged}
    while level:
        below: dict[ManifestId, Rule] = {}
        for part in retention_tags.parts(conn, level):
            if part.digest not in lost and part.manifest is not None:
                below[part.manifest] = level[part.index]
            lost.setdefault(part.digest, level[part.index])
        level = below
    return lost
