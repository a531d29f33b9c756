"""What pushes set off: a task for each trigger that the tag fits, which changes the workload and writes down how that went.

A push never waits for a cluster and never fails by one. What may pass (no answer, an overloaded server) is tried again for some
minutes; then, or at once where trying again is no use, the run is in the trigger's history as failed, with the reason.

A run has the rights that the trigger's maker has by then. Between reading a workload and changing it a run asks whether it is still
its worker's and no later push was carried out; what somebody does after that, the version of what was read tells the cluster.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.fanout import Consumer
from entrepot.capabilities.operations.work import Handler, JobContext, Summary
from entrepot.capabilities.policies.clusters import open_access
from entrepot.capabilities.policies.destinations import actor
from entrepot.capabilities.policies.triggers import KEPT_RUNS
from entrepot.config import TcpAddress
from entrepot.metadata import clusters, namespaces, triggers, work
from entrepot.metadata.database import Connection
from entrepot.model.access import Permission, Resource
from entrepot.model.clusters import Cluster
from entrepot.model.errors import LeaseLost, RegistryError
from entrepot.model.events import Event, EventKind
from entrepot.model.ids import Micros, RepositoryId
from entrepot.model.outbound import AddressForbidden
from entrepot.model.triggers import Trigger
from entrepot.model.work import NewTask, Task
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
    def of(cls, task: Task) -> "_Push":
        """By the task's arguments."""
        given = task.arguments
        return cls(
            int(given["trigger"]), given["repository"], given["tag"], Micros(given["pushed_at"])
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """A run that can be tried. `hosts`: how an image of the repository's registry may begin. `is_free`: the named container is
    changed whatever it runs."""

    cluster: Cluster
    access: ClusterAccess
    hosts: frozenset[str]
    is_free: bool


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
        if trigger.enabled_at <= event.happened_at and trigger.condition.fits(event.tag):
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
                tenant=trigger.tenant,
            )


CONSUMER: Final = Consumer("triggers", frozenset({EventKind.MANIFEST_PUSHED}), _tasks)


# -- in the worker ----------------------------------------------------------------------------------------------------


def run_handler(ctx: Context, port: ClusterApi) -> Handler:
    """Runs of one trigger go one after another, in the order of their pushes unless they have to be tried again."""

    async def run(job: JobContext) -> Summary | None:
        push = _Push.of(job.task)
        trigger = await ctx.db.read(lambda conn: triggers.get_trigger(conn, push.trigger))
        if trigger is None or not trigger.is_enabled:
            return {"dropped": True}
        end: _Success | _Failure
        try:
            end = _Success(await _run(ctx, port, trigger, push=push, job=job))
        except LeaseLost:  # what came of it is another worker's to say
            raise
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

    return Handler(kind=RUN, run=run, per_target=1, lost=_lost, is_long=True)


def _lost(conn: Connection, task: Task) -> None:
    """Its last worker fell silent: nobody else would write that down."""
    push = _Push.of(task)
    trigger = triggers.get_trigger(conn, push.trigger)
    if trigger is not None:
        end = _Failure("its worker fell silent; whether the workload was changed is not known")
        _record(conn, trigger, push, end=end)


def _is_last(job: JobContext) -> bool:
    return job.task.attempts >= job.task.max_attempts


async def _run(
    ctx: Context, port: ClusterApi, trigger: Trigger, *, push: _Push, job: JobContext
) -> str:
    """Change the workload; what was set. Raises what the port says, and _RunFailed."""
    plan = await ctx.db.read(lambda conn: _plan(ctx, conn, trigger, push=push))
    image = f"{plan.cluster.registry}/{push.repository}:{push.tag}"
    try:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            still = partial(ctx.db.read, partial(_check_still, job=job, push=push))
            return await _set(port, plan, trigger, push=push, image=image, still=still)
    except TimeoutError:
        raise ClusterUnreachable("it does not answer in time") from None


async def _set(
    port: ClusterApi,
    plan: _Plan,
    trigger: Trigger,
    *,
    push: _Push,
    image: str,
    still: Callable[[], Awaitable[None]],
) -> str:
    """Read and change until nobody is quicker. `still` is asked in between: it raises where the change is not ours any more."""
    aim = trigger.aim
    name = WorkloadName(aim.kind, aim.namespace, aim.workload)
    moves = 0
    while True:
        found = await port.workload(plan.access, name)
        chosen = _chosen(found, aim.container, push.repository, plan=plan)
        change = _change(found, chosen, image, pushed_at=push.pushed_at)
        await still()
        try:
            await port.change(plan.access, name, change)
        except WorkloadMoved:
            moves += 1
            if moves == _MOVES:
                raise
        else:
            names = ", ".join(one.name for one in chosen)
            return f"{names}: {image}{'' if change.containers else ', restarted'}"


def _check_still(conn: Connection, *, job: JobContext, push: _Push) -> None:
    """Raises LeaseLost, _RunFailed."""
    work.check_lease(conn, job.task)
    _check_latest(conn, push)


def _check_latest(conn: Connection, push: _Push) -> None:
    tag = triggers.overtaking_tag(conn, push.trigger, push.pushed_at)
    if tag is not None:
        raise _RunFailed(f"a later push, of {tag}, was carried out before")


def _plan(ctx: Context, conn: Connection, trigger: Trigger, *, push: _Push) -> _Plan:
    _check_latest(conn, push)
    is_free = _is_free(ctx, conn, trigger)
    found = _cluster(conn, trigger)
    if not found.admits(trigger.aim.namespace):
        raise _RunFailed(
            f"the cluster {found.name} lets no workload of the namespace {trigger.aim.namespace} be changed"
        )
    access = open_access(conn, ctx.access.sealer, found)
    if access is None:
        raise _RunFailed(f"the kubeconfig of the cluster {found.name} cannot be opened here")
    return _Plan(found, access, _hosts(ctx, conn, trigger.repository, found), is_free)


def _is_free(ctx: Context, conn: Connection, trigger: Trigger) -> bool:
    """Whether its maker may change any container of the tenant's clusters, being who sets clusters down. Raises _RunFailed where the
    maker may not even push to the repository any more."""
    maker = actor(conn, trigger.user, trigger.operation)
    repository = namespaces.get_repository(conn, trigger.repository)
    resource = None if repository is None else replace(of_repository(repository), is_public=False)
    if resource is None or not ctx.access.allowed(conn, maker, Permission.PUSH, resource):
        raise _RunFailed(
            f"{trigger.creator_name}, who made it, may not push to the repository any more"
        )
    own = replace(maker, operation="")  # the word for making triggers says nothing about clusters
    return ctx.access.allowed(conn, own, Permission.INSTANCE_MANAGE, Resource(trigger.tenant))


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
    """Hosts, some with a port, under which an image of the repository may stand in a workload: the cluster's own for us, and those that
    we answer at, at our ports or behind something that answers at https's."""
    http = ctx.settings.http
    names = triggers.registry_names(conn, repository, str(http.suffix))
    names |= set(map(str, http.default_hosts))
    whole = {found.registry}
    if http.external_url is not None:
        whole.add(urlsplit(http.external_url.reveal()).netloc)
    ports = {port for one in whole if (port := _port(one))}
    if isinstance(http.listen, TcpAddress):
        ports.add(str(http.listen.port))
    return frozenset(
        _host(one) for one in whole | names | {f"{name}:{port}" for name in names for port in ports}
    )


def _chosen(
    found: Workload, container: str, repository: str, *, plan: _Plan
) -> tuple[Container, ...]:
    """The containers to be changed. Raises _RunFailed where there is none."""
    named = tuple(one for one in found.containers if not container or one.name == container)
    if not named:
        raise _RunFailed(f"the workload has no container {container}")
    if container and plan.is_free:
        return named
    chosen = tuple(one for one in named if _is_of(one.image, repository, plan.hosts))
    if not chosen and container:
        raise _RunFailed(
            f"the container {container} runs no image of {repository}: changing that takes a trigger of who manages the tenant's clusters"
        )
    if not chosen:
        raise _RunFailed(f"no container of the workload runs an image of {repository}")
    return chosen


def _is_of(image: str, repository: str, hosts: frozenset[str]) -> bool:
    """Whether the reference is to an image of the repository here, whatever its tag and its digest."""
    host, _, rest = image.partition("/")
    path = rest.partition("@")[0].partition(":")[0]
    return path == repository and _host(host) in hosts


def _host(text: str) -> str:
    """A host with its port, in lower case; https's own port is the same as none."""
    return text.lower().removesuffix(":443")


def _port(host: str) -> str:
    """Its port; "": none."""
    _, colon, port = host.rpartition(":")
    return port if colon and port.isdigit() else ""


def _change(
    found: Workload, chosen: tuple[Container, ...], image: str, *, pushed_at: Micros
) -> WorkloadChange:
    """New images, and pods made anew by the moment of the push, which does something only where the images are there already. By that
    moment doing it twice is once: who sees the images of a run that was killed sets what is set."""
    containers = tuple(
        Container(one.name, image, is_init=one.is_init) for one in chosen if one.image != image
    )
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=pushed_at)
    return WorkloadChange(found.version, containers, at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


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
