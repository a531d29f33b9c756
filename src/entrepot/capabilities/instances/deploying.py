"""What background tasks do with instances that are made, changed, or at their end; deleting is in `removing.py`.

A step is one task: it finishes in the transaction that moves the instance on and defers the next step, so whatever is killed
in between, exactly one step is waiting. A task that killed its workers until it was given up is found by `instance.resume`.
"""

from typing import Final

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.removing import DELETE, delete_task
from entrepot.capabilities.instances.steps import instance_of, or_fail
from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.config import Settings
from entrepot.metadata import epochs, instance_details, work
from entrepot.metadata.database import Connection
from entrepot.model.ids import InstanceId
from entrepot.model.tenancy import InstanceStatus
from entrepot.model.work import NewTask

DEPLOY: Final = "instance.deploy"
CHANGE: Final = "instance.change"
RESUME: Final = "instance.resume"
EXPIRE: Final = "instance.expire"
ATTEMPTS: Final = 5  # about four minutes
WATCH_SECONDS: Final = 30.0


def deploy_task(settings: Settings, instance: InstanceId) -> NewTask:
    """The next step of making the instance run, when its present status has been shown long enough."""
    return _task(settings, DEPLOY, instance)


def change_task(settings: Settings, instance: InstanceId) -> NewTask:
    """The end of a change, likewise."""
    return _task(settings, CHANGE, instance)


def _task(settings: Settings, kind: str, instance: InstanceId) -> NewTask:
    return NewTask(
        kind,
        target=f"instance:{instance}",
        arguments={"instance": instance},
        delay_seconds=settings.instances.step_time.seconds,
        unique_key=f"{kind}:{instance}",
        max_attempts=ATTEMPTS,
    )


def deploy_handler(ctx: Context) -> Handler:
    """pending -> deploying once the store takes content, deploying -> running when it answers at its name."""

    async def run(job: JobContext) -> None:
        instance = instance_of(job)
        status = await ctx.db.read(lambda conn: instance_details.status_of(conn, instance))
        if status is InstanceStatus.PENDING:
            await ctx.blocking(ctx.blobs.probe)
            await job.finish(lambda conn: _begin(ctx, conn, instance))
        else:
            await job.finish(
                lambda conn: _run(ctx, conn, instance, before=InstanceStatus.DEPLOYING)
            )

    async def guarded(job: JobContext) -> None:
        await or_fail(job, run, to=InstanceStatus.CREATE_FAILED)

    return Handler(kind=DEPLOY, run=guarded, per_target=1)


def change_handler(ctx: Context) -> Handler:
    """changing -> running: the limits of the new edition hold already."""

    async def run(job: JobContext) -> None:
        instance = instance_of(job)
        await job.finish(lambda conn: _run(ctx, conn, instance, before=InstanceStatus.CHANGING))

    return Handler(kind=CHANGE, run=run, per_target=1)


def _begin(ctx: Context, conn: Connection, instance: InstanceId) -> Summary:
    pending = (InstanceStatus.PENDING,)
    moved = instance_details.set_status(conn, instance, InstanceStatus.DEPLOYING, among=pending)
    if moved:
        work.defer(conn, deploy_task(ctx.settings, instance))
    return {"moved": int(moved)}


def _run(
    ctx: Context, conn: Connection, instance: InstanceId, *, before: InstanceStatus
) -> Summary:
    moved = instance_details.set_status(conn, instance, InstanceStatus.RUNNING, among=(before,))
    if moved:
        ctx.access.raise_epoch(conn, epochs.ROUTING)
    return {"moved": int(moved)}


# -- what nobody works on ---------------------------------------------------------------------------------------------

_KINDS: Final = {
    InstanceStatus.PENDING: DEPLOY,
    InstanceStatus.DEPLOYING: DEPLOY,
    InstanceStatus.CHANGING: CHANGE,
    InstanceStatus.DELETING: DELETE,
}


def _stalled(conn: Connection) -> list[tuple[InstanceId, str]]:
    """Instances on their way without a task, with the kind of task they need."""
    found = [(one, _KINDS[status]) for one, status in instance_details.in_status(conn, *_KINDS)]
    targets = {f"instance:{instance}" for instance, _ in found}
    busy = work.unfinished(conn, targets) if targets else set()
    return [(one, kind) for one, kind in found if (kind, f"instance:{one}") not in busy]


def resume_handler(ctx: Context) -> Handler:
    """Gives them a task again."""

    async def run(job: JobContext) -> None:
        def resume(conn: Connection) -> Summary:
            found = _stalled(conn)
            for instance, kind in found:
                settings = ctx.settings
                task = delete_task(instance) if kind == DELETE else _task(settings, kind, instance)
                work.defer(conn, task)
            return {"resumed": len(found)}

        await job.finish(resume)

    return Handler(kind=RESUME, run=run, concurrency=1)


RESUME_WATCH: Final = Watch(
    RESUME, every_seconds=WATCH_SECONDS, wanted=lambda conn: bool(_stalled(conn))
)


# -- expiry -----------------------------------------------------------------------------------------------------------


def expire_handler(ctx: Context) -> Handler:
    """Isolates instances whose end has come, where that is enforced; lets those run again for which it is not so any more."""
    enforce = ctx.settings.instances.enforce_expiry

    async def run(job: JobContext) -> None:
        def settle(conn: Connection) -> Summary:
            over, back = instance_details.expiry(conn, enforce=enforce)
            for instance in over:
                instance_details.set_status(
                    conn, instance, InstanceStatus.ISOLATED, among=(InstanceStatus.RUNNING,)
                )
            for instance in back:
                instance_details.set_status(
                    conn, instance, InstanceStatus.RUNNING, among=(InstanceStatus.ISOLATED,)
                )
            ctx.access.raise_epoch(conn, epochs.ROUTING)
            return {"isolated": len(over), "released": len(back)}

        await job.finish(settle)

    return Handler(kind=EXPIRE, run=run, concurrency=1)


def expire_watch(ctx: Context) -> Watch:
    """Starts it when it would do something."""
    enforce = ctx.settings.instances.enforce_expiry

    def wanted(conn: Connection) -> bool:
        return any(instance_details.expiry(conn, enforce=enforce))

    return Watch(EXPIRE, every_seconds=WATCH_SECONDS, wanted=wanted)
