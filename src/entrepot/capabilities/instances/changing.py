"""Dedicated instances after they were made: modify, renew, delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.deploying import change_task
from entrepot.capabilities.instances.describing import read_details
from entrepot.capabilities.instances.editions import check_fit, edition_named, give_limits
from entrepot.capabilities.instances.managed import AboutInstance, owned_instance
from entrepot.capabilities.instances.removing import delete_task, end_instance
from entrepot.capabilities.instances.tagging import check_tags
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import (
    epochs,
    instance_content,
    instance_details,
    instances,
    resource_tags,
    work,
)
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import InstanceUnknown, NotEmpty, Protected, ValueInvalid
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.instances import MOVES, Content, InstanceDetails, InstanceNotRunning
from entrepot.model.tenancy import Instance, InstanceStatus

_ENDING = (InstanceStatus.DELETING, InstanceStatus.DELETE_FAILED)
_DELETABLE = tuple(status for status, after in MOVES.items() if InstanceStatus.DELETING in after)


@dataclass(frozen=True, slots=True)
class ModifyInstance:
    """What is None stays. `tags` replace all; `facts` are put over those that are there, a fact of None is taken away."""

    instance: InstanceId
    tenant: TenantId | None = None
    edition: str | None = None
    is_protected: bool | None = None
    tags: Mapping[str, str] | None = None
    facts: Mapping[str, Any] | None = None
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class RenewInstance:
    """A new end, or None: no end. `facts` as in ModifyInstance."""

    instance: InstanceId
    expires_at: Micros | None
    tenant: TenantId | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DeleteInstance:
    """`dry_run`: all checks, no change. `at_once`: what needs no batches is over when this returns, without a worker."""

    instance: InstanceId
    tenant: TenantId | None = None
    content: Content = Content.REFUSE
    dry_run: bool = False
    at_once: bool = False


async def modify_instance(ctx: Context, caller: Caller, command: ModifyInstance) -> InstanceDetails:
    """A new edition holds at once and shows `changing` for a while. Raises Denied, InstanceUnknown, Protected (the shared one),
    InstanceNotRunning, EditionTooSmall, ValueInvalid (edition, tags), QuotaExceeded (tags)."""
    tags = None if command.tags is None else check_tags(command.tags)

    def write(conn: Connection) -> InstanceDetails:
        instance = managed(ctx, conn, caller, command)
        if instance.status in _ENDING:
            raise InstanceNotRunning(instance.name, instance.status)
        before = read_details(conn, instance, instance.tenant)
        if command.edition is not None and command.edition != before.edition:
            _change_edition(ctx, conn, instance, command=command, name=command.edition)
        if command.is_protected is not None:
            instance_details.update_instance(conn, instance.id, is_protected=command.is_protected)
        if tags is not None and instance.tenant is not None:
            resource_tags.replace_tags(
                conn,
                instance_details.TAGGED,
                instance.public_id,
                tags,
                tenant=instance.tenant,
            )
        _put_facts(conn, before, command.facts)
        note(
            conn,
            caller,
            "instance.modify",
            instance.name,
            tenant=instance.tenant,
            edition=command.edition,
            protected=command.is_protected,
        )
        return read_details(conn, instance, instance.tenant)

    return await change(ctx, caller, "instance.modify", write)


def _change_edition(
    ctx: Context, conn: Connection, instance: Instance, *, command: ModifyInstance, name: str
) -> None:
    edition = edition_named(ctx.settings, name)
    if instance.status is not InstanceStatus.RUNNING:
        raise InstanceNotRunning(instance.name, instance.status)
    check_fit(conn, instance.id, edition)
    instance_details.update_instance(conn, instance.id, edition=edition.name)
    give_limits(conn, instance.id, edition)
    if not command.at_once:
        instance_details.set_status(
            conn, instance.id, InstanceStatus.CHANGING, among=(InstanceStatus.RUNNING,)
        )
        work.defer(conn, change_task(ctx.settings, instance.id))
        ctx.access.raise_epoch(conn, epochs.ROUTING)


def _put_facts(conn: Connection, before: InstanceDetails, facts: Mapping[str, Any] | None) -> None:
    if facts is None:
        return
    merged = {**before.facts, **facts}
    kept = {name: value for name, value in merged.items() if value is not None}
    instance_details.update_instance(conn, before.instance.id, facts=kept)


async def renew_instance(ctx: Context, caller: Caller, command: RenewInstance) -> InstanceDetails:
    """An isolated one runs again. Raises Denied, InstanceUnknown, Protected, InstanceNotRunning (being deleted), ValueInvalid."""

    def write(conn: Connection) -> InstanceDetails:
        instance = managed(ctx, conn, caller, command)
        if instance.status in _ENDING:
            raise InstanceNotRunning(instance.name, instance.status)
        if command.expires_at is not None and command.expires_at <= now(conn):
            raise ValueInvalid("expires_at", "expected a time to come")
        instance_details.update_instance(conn, instance.id, expires_at=command.expires_at)
        isolated = (InstanceStatus.ISOLATED,)
        if instance_details.set_status(conn, instance.id, InstanceStatus.RUNNING, among=isolated):
            ctx.access.raise_epoch(conn, epochs.ROUTING)
        before = read_details(conn, instance, instance.tenant)
        _put_facts(conn, before, command.facts)
        note(
            conn,
            caller,
            "instance.renew",
            instance.name,
            tenant=instance.tenant,
            until=command.expires_at,
        )
        return read_details(conn, instance, instance.tenant)

    return await change(ctx, caller, "instance.renew", write)


async def delete_instance(ctx: Context, caller: Caller, command: DeleteInstance) -> None:
    """Out of reach at once, gone when its task is done. One that is being deleted already stays so.

    Raises Denied, InstanceUnknown, Protected (the shared one, or protected against deletion), NotEmpty (`Content.REFUSE`).
    """

    def write(conn: Connection) -> None:
        instance = managed(ctx, conn, caller, command)
        if read_details(conn, instance, instance.tenant).is_protected:
            raise Protected(instance.name)
        is_empty = not instances.has_namespaces(conn, instance.id)
        if command.content is Content.REFUSE and not is_empty:
            raise NotEmpty(instance.name)
        if command.dry_run or instance.status is InstanceStatus.DELETING:
            return
        is_kept = command.content is Content.KEEP and not is_empty
        instance_details.update_instance(
            conn, instance.id, kept_at=Micros(now(conn)) if is_kept else None
        )
        instance_details.set_status(conn, instance.id, InstanceStatus.DELETING, among=_DELETABLE)
        _see_to_it(ctx, conn, caller, instance.id, now_=command.at_once and (is_empty or is_kept))
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        note(
            conn,
            caller,
            "instance.delete",
            instance.name,
            tenant=instance.tenant,
            content=command.content.value,
        )

    await change(ctx, caller, "instance.delete", write)


def _see_to_it(
    ctx: Context, conn: Connection, caller: Caller, instance: InstanceId, *, now_: bool
) -> None:
    """End it in this transaction, or defer what will."""
    found = instance_content.ending(conn, instance)
    if now_ and found is not None:
        end_instance(ctx, conn, caller, found)
    else:
        work.defer(conn, delete_task(instance, ctx.settings.instances.step_time.seconds))


def managed(ctx: Context, conn: Connection, caller: Caller, command: AboutInstance) -> Instance:
    """In a transaction: the dedicated instance, for a caller who manages it or runs the deployment. Raises Denied, InstanceUnknown, Protected."""
    found = instances.get_instance(conn, command.instance)
    is_foreign = found is not None and found.tenant not in (None, caller.tenant)
    if (
        found is not None
        and is_foreign
        and ctx.access.allowed(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
    ):
        if command.tenant not in (None, found.tenant):
            raise InstanceUnknown(str(command.instance))
        return found
    return owned_instance(ctx, conn, caller, command)
