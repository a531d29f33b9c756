"""What pushes set off: a task for each trigger that the tag fits, which changes the workload and writes down how that went.

A push never waits for a cluster and never fails by one. What may pass (no answer, an overloaded server) is tried again for some
minutes; then, or at once where trying again is no use, the run is in the trigger's history as failed, with the reason.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.fanout import Consumer
from entrepot.capabilities.operations.work import Handler, JobContext, Summary
from entrepot.capabilities.policies.clusters import open_access
from entrepot.capabilities.policies.triggers import KEPT_RUNS
from entrepot.metadata import clusters, triggers
from entrepot.metadata.database import Connection
from entrepot.model.clusters import Cluster
from entrepot.model.errors import RegistryError
from entrepot.model.events import Event, EventKind
from entrepot.model.ids import Micros, RepositoryId
from entrepot.model.outbound import AddressForbidden
from entrepot.model.triggers import Trigger
from entrepot.model.work import NewTask
from entrepot.ports.cluster import (
    ClusterAccess,
    ClusterApi,
    ClusterRefused,
    ClusterUnreachable,
    Container,
    Workload,
    WorkloadChange,
    WorkloadMoved,
    WorkloadName,
)

RUN: Final = "trigger.run"
ATTEMPTS: Final = 5  # the last about three minutes after the first
_ATTEMPT_SECONDS: Final = 120.0
_MOVES: Final = 5  # times somebody may be quicker in one attempt
_LONGEST_DETAIL: Final = 1000  # characters


@dataclass(frozen=True, slots=True)
class _Push:
    """What a task is about."""

    trigger: int
    repository: str  # full name
    tag: str
    pushed_at: Micros

    @classmethod
    def of(cls, job: JobContext) -> "_Push":
        """By the task's arguments."""
        given = job.task.arguments
        return cls(
            int(given["trigger"]), given["repository"], given["tag"], Micros(given["pushed_at"])
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """A run that can be tried. `hosts`: names without port at which the repository's registry answers."""

    cluster: Cluster
    access: ClusterAccess
    hosts: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Success:
    """It is done; what was set."""

    detail: str


@dataclass(frozen=True, slots=True)
class _Failure:
    """It is given up; why."""

    detail: str


@dataclass(eq=False)
class _RunFailed(Exception):
    """Trying again is no use; the reason is for the history."""

    reason: str


# -- at a push --------------------------------------------------------------------------------------------------------


def _tasks(conn: Connection, event: Event) -> Iterator[NewTask]:
    if event.repository is None or event.tag is None:
        return
    for trigger in triggers.list_triggers(conn, event.repository, only_enabled=True):
        if trigger.condition.fits(event.tag):
            yield NewTask(
                RUN,
                target=f"trigger:{trigger.id}",
                arguments={
                    "trigger": trigger.id,
                    "repository": event.repository_name,
                    "tag": event.tag,
                    "pushed_at": event.happened_at,
                },
                max_attempts=ATTEMPTS,
            )


CONSUMER: Final = Consumer("triggers", frozenset({EventKind.MANIFEST_PUSHED}), _tasks)


# -- in the worker ----------------------------------------------------------------------------------------------------


def run_handler(ctx: Context, port: ClusterApi) -> Handler:
    """Runs of one trigger go one after another, in the order of their pushes unless they have to be tried again."""

    async def run(job: JobContext) -> Summary | None:
        push = _Push.of(job)
        trigger = await ctx.db.read(lambda conn: triggers.get_trigger(conn, push.trigger))
        if trigger is None or not trigger.is_enabled:
            return {"dropped": True}
        end: _Success | _Failure
        try:
            end = _Success(await _run(ctx, port, trigger, push=push))
        except (_RunFailed, RegistryError) as error:
            may_pass = isinstance(error, RegistryError) and error.retryable
            if may_pass and not _is_last(job):
                raise
            end = _Failure(_reason(error))
        except Exception:
            if _is_last(job):  # else nobody but the log would know
                lost = _Failure("something unexpected went wrong here")
                await job.write(lambda conn: _record(conn, trigger, push, end=lost))
            raise
        await job.finish(lambda conn: _record(conn, trigger, push, end=end))
        return None

    return Handler(kind=RUN, run=run, per_target=1)


def _is_last(job: JobContext) -> bool:
    return job.task.attempts >= job.task.max_attempts


async def _run(ctx: Context, port: ClusterApi, trigger: Trigger, *, push: _Push) -> str:
    """Change the workload; what was set. Raises what the port says, and _RunFailed."""
    plan = await ctx.db.read(lambda conn: _plan(ctx, conn, trigger, push=push))
    image = f"{plan.cluster.registry}/{push.repository}:{push.tag}"
    try:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            return await _set(port, plan, trigger, push=push, image=image)
    except TimeoutError:
        raise ClusterUnreachable("it does not answer in time") from None


async def _set(port: ClusterApi, plan: _Plan, trigger: Trigger, *, push: _Push, image: str) -> str:
    aim = trigger.aim
    name = WorkloadName(aim.kind, aim.namespace, aim.workload)
    moves = 0
    while True:
        found = await port.workload(plan.access, name)
        chosen = _chosen(found, aim.container, push.repository, hosts=plan.hosts)
        change = _change(found, chosen, image, pushed_at=push.pushed_at)
        try:
            await port.change(plan.access, name, change)
        except WorkloadMoved:
            moves += 1
            if moves == _MOVES:
                raise
        else:
            names = ", ".join(one.name for one in chosen)
            return f"{names}: {image}{', restarted' if change.restarted_at else ''}"


def _plan(ctx: Context, conn: Connection, trigger: Trigger, *, push: _Push) -> _Plan:
    tag = triggers.overtaking_tag(conn, trigger.id, push.pushed_at)
    if tag is not None:
        raise _RunFailed(f"a later push, of {tag}, was carried out before")
    found = _cluster(conn, trigger)
    if not found.admits(trigger.aim.namespace):
        raise _RunFailed(
            f"the cluster {found.name} lets no workload of the namespace {trigger.aim.namespace} be changed"
        )
    access = open_access(conn, ctx.access.sealer, found)
    if access is None:
        raise _RunFailed(f"the kubeconfig of the cluster {found.name} cannot be opened here")
    return _Plan(found, access, _hosts(ctx, conn, trigger.repository, found))


def _cluster(conn: Connection, trigger: Trigger) -> Cluster:
    named = trigger.aim.cluster
    if named is None:
        found = clusters.default_cluster(conn, trigger.tenant, trigger.repository)
        if found is None:
            raise _RunFailed("there is no default cluster in this region")
        return found
    found = clusters.find_cluster(conn, trigger.tenant, named)
    if found is None:
        raise _RunFailed(f"no kubeconfig is known for the cluster {named}")
    return found


def _hosts(
    ctx: Context, conn: Connection, repository: RepositoryId, found: Cluster
) -> frozenset[str]:
    """Names under which an image of the repository may stand in a workload: the cluster's own for us, and those we answer at."""
    http = ctx.settings.http
    ours = triggers.registry_names(conn, repository, str(http.suffix))
    ours |= {found.registry, *map(str, http.default_hosts)}
    if http.external_url is not None:
        ours.add(urlsplit(http.external_url.reveal()).netloc)
    return frozenset(map(_bare, ours))


def _chosen(
    found: Workload, container: str, repository: str, *, hosts: frozenset[str]
) -> tuple[Container, ...]:
    """The containers to be changed. Raises _RunFailed where there is none."""
    if container:
        chosen = tuple(one for one in found.containers if one.name == container)
        if not chosen:
            raise _RunFailed(f"the workload has no container {container}")
        return chosen
    chosen = tuple(one for one in found.containers if _is_of(one.image, repository, hosts))
    if not chosen:
        raise _RunFailed(f"no container of the workload runs an image of {repository}")
    return chosen


def _is_of(image: str, repository: str, hosts: frozenset[str]) -> bool:
    """Whether the reference is to an image of the repository here, whatever its tag, its digest and the host's port."""
    host, _, rest = image.partition("/")
    path = rest.partition("@")[0].partition(":")[0]
    return path == repository and _bare(host) in hosts


def _bare(host: str) -> str:
    """A host without its port, in lower case."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def _change(
    found: Workload, chosen: tuple[Container, ...], image: str, *, pushed_at: Micros
) -> WorkloadChange:
    """New images; where they are there already, the pods are to be made anew, by the moment of the push: doing it twice is once."""
    containers = tuple(
        Container(one.name, image, is_init=one.is_init) for one in chosen if one.image != image
    )
    at = datetime.fromtimestamp(pushed_at // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return WorkloadChange(found.version, containers, None if containers else at)


def _record(
    conn: Connection, trigger: Trigger, push: _Push, *, end: "_Success | _Failure"
) -> Summary:
    """In a transaction: into the history, where the trigger is still there."""
    succeeded = isinstance(end, _Success)
    if triggers.get_trigger(conn, trigger.id) is not None:
        triggers.record_run(
            conn,
            trigger.id,
            push.tag,
            succeeded=succeeded,
            detail=end.detail[:_LONGEST_DETAIL],
            pushed_at=push.pushed_at,
            keep=KEPT_RUNS,
        )
    return {"succeeded": int(succeeded), "failed": int(not succeeded)}


def _reason(error: Exception) -> str:
    match error:
        case (
            _RunFailed(reason=reason)
            | ClusterRefused(reason=reason)
            | ClusterUnreachable(reason=reason)
        ):
            return reason
        case AddressForbidden(host=host):
            return f"the operator forbids connections to {host}"
        case WorkloadMoved():
            return "somebody else kept changing the workload"
        case _:
            return str(error)
