"""Deleting an instance: its content in batches, then the rest of it in one transaction. Killed anywhere, it goes on from there."""

from typing import Final

from entrepot.capabilities.content import place
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.editions import take_limits
from entrepot.capabilities.instances.namespaces import remove_namespace
from entrepot.capabilities.instances.steps import instance_of, or_fail
from entrepot.capabilities.operations.trail import note
from entrepot.capabilities.operations.work import Handler, JobContext, Summary
from entrepot.metadata import (
    counters,
    epochs,
    instance_content,
    instance_details,
    instances,
    namespaces,
    resource_tags,
    reviews,
)
from entrepot.metadata.database import Connection, now
from entrepot.metadata.reviews import ReviewKind
from entrepot.model.access import SYSTEM, Caller
from entrepot.model.content import Repository
from entrepot.model.events import EventKind
from entrepot.model.ids import InstanceId, Micros
from entrepot.model.tenancy import Instance, InstanceStatus
from entrepot.model.work import NewTask

DELETE: Final = "instance.delete"
ATTEMPTS: Final = 5
BATCH: Final = 50  # repositories or namespaces a transaction


def delete_task(instance: InstanceId, delay_seconds: float = 0) -> NewTask:
    """All of deleting; whether content is kept the row says (`kept_at`)."""
    return NewTask(
        DELETE,
        target=f"instance:{instance}",
        arguments={"instance": instance},
        delay_seconds=delay_seconds,
        unique_key=f"{DELETE}:{instance}",
        max_attempts=ATTEMPTS,
    )


def delete_handler(ctx: Context) -> Handler:
    """deleting -> deleted, or delete_failed after the last attempt."""

    async def remove(job: JobContext) -> None:
        await _remove(ctx, job, instance_of(job))

    async def run(job: JobContext) -> None:
        await or_fail(job, remove, to=InstanceStatus.DELETE_FAILED)

    return Handler(kind=DELETE, run=run, per_target=1)


async def _remove(ctx: Context, job: JobContext, instance: InstanceId) -> None:
    taken = 0
    while more := await job.write(lambda conn: _take_some(ctx, conn, instance)):
        taken += more
        job.report(taken=taken)

    def end(conn: Connection) -> Summary:
        found = _in_deletion(conn, instance)
        if found is not None:
            end_instance(ctx, conn, SYSTEM, found)
        return {"taken": taken}

    await job.finish(end)


def _in_deletion(conn: Connection, instance: InstanceId) -> instance_content.Ending | None:
    found = instance_content.ending(conn, instance)
    return found if found is not None and found.instance.status is InstanceStatus.DELETING else None


def _take_some(ctx: Context, conn: Connection, instance: InstanceId) -> int:
    """Delete a batch of repositories, or of emptied namespaces; how many. 0: nothing is left, or it is to be kept."""
    found = _in_deletion(conn, instance)
    if found is None or found.is_kept:
        return 0
    repositories = instance_content.some_repositories(conn, instance, limit=BATCH)
    for repository in repositories:
        _delete_repository(ctx, conn, repository)
    if repositories:
        return len(repositories)
    some = namespaces.list_namespaces(conn, instance, tenant=None, limit=BATCH)
    for namespace in some:
        remove_namespace(conn, SYSTEM, namespace)
    return len(some)


def _delete_repository(ctx: Context, conn: Connection, repository: Repository) -> None:
    """What deleting one by name does: a tombstone, and the collector takes what it held."""
    namespaces.tombstone_repository(conn, repository.id, Micros(now(conn)))
    counters.add(conn, "namespace", repository.namespace, "repositories", -1)
    held = counters.value(conn, "repository", repository.id, "bytes")
    counters.add(conn, "namespace", repository.namespace, "bytes", -held)
    keep = ctx.settings.history.keep.seconds
    reviews.enqueue(
        conn, ReviewKind.REPOSITORY, repository.id, after_seconds=keep, reason="deleted"
    )
    place.note(conn, repository, SYSTEM, EventKind.REPOSITORY_DELETED)


def end_instance(
    ctx: Context, conn: Connection, caller: Caller, found: instance_content.Ending
) -> None:
    """In one transaction, the content being gone or kept: its accounts, hosts, entries, limits and tags end, and its name is free."""
    instance: Instance = found.instance
    instances.tombstone_instance(conn, instance.id, found.deleted_at or Micros(now(conn)))
    instance_content.forget_entries(conn, instance.id)
    take_limits(conn, instance.id)
    resource_tags.forget(conn, instance_details.TAGGED, instance.public_id)
    if not found.is_kept:
        for kind in ("namespace", resource_tags.PART):
            resource_tags.forget_inside(conn, kind, instance.public_id)
    if instance.tenant is not None:
        ctx.access.raise_epoch(conn, epochs.of_tenant(instance.tenant))
    ctx.access.raise_epoch(conn, epochs.ROUTING)
    verb = "instance.purge" if found.deleted_at else "instance.end"
    note(conn, caller, verb, instance.name, tenant=instance.tenant, kept=found.is_kept)
