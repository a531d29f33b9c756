"""Kept buckets: the content of deleted instances, out of reach until an operator restores or purges it."""

from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.editions import edition_named, give_limits
from entrepot.capabilities.instances.naming import free_name
from entrepot.capabilities.instances.removing import delete_task
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import (
    epochs,
    instance_content,
    instance_details,
    instances,
    tenants,
    work,
)
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import InstanceUnknown, TenantUnknown
from entrepot.model.ids import TenantId
from entrepot.model.instances import BucketUnknown, KeptBucket
from entrepot.model.tenancy import Instance, InstanceStatus

_GONE = (InstanceStatus.DELETED,)


@dataclass(frozen=True, slots=True)
class RestoreBucket:
    """By the id that the instance had. `name`: a new one; empty: the one it had."""

    bucket: str
    name: str = ""


async def list_buckets(
    ctx: Context, caller: Caller, tenant: TenantId | None = None
) -> list[KeptBucket]:
    """The oldest first, of one tenant or of all. Raises Denied."""

    def read(conn: Connection) -> list[KeptBucket]:
        _require(ctx, conn, caller)
        return instance_content.kept_buckets(conn, tenant)

    return await ctx.db.read(read)


async def restore_bucket(ctx: Context, caller: Caller, command: RestoreBucket) -> Instance:
    """The instance runs again with its namespaces and its id; its entry is closed, its accounts and further hosts stay ended.

    Raises Denied, BucketUnknown, TenantUnknown (deleted), NameInvalid, NameReserved, NameTaken.
    """

    def write(conn: Connection) -> Instance:
        bucket = _bucket(ctx, conn, caller, command.bucket)
        if tenants.get_tenant(conn, bucket.tenant) is None:
            raise TenantUnknown(str(bucket.tenant))
        name = free_name(ctx, conn, command.name or bucket.name)
        known = {edition.name for edition in ctx.settings.instances.editions}
        edition = edition_named(ctx.settings, bucket.edition if bucket.edition in known else "")
        instance_details.update_instance(
            conn,
            bucket.instance,
            name=name,
            edition=edition.name,
            deleted_at=None,
            kept_at=None,
        )
        instance_details.set_status(conn, bucket.instance, InstanceStatus.RUNNING, among=_GONE)
        give_limits(conn, bucket.instance, edition)
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        ctx.access.raise_epoch(conn, epochs.of_tenant(bucket.tenant))
        note(conn, caller, "bucket.restore", name, tenant=bucket.tenant)
        instance = instances.get_instance(conn, bucket.instance)
        if instance is None:
            raise InstanceUnknown(name)
        return instance

    return await change(ctx, caller, "bucket.restore", write)


async def purge_bucket(ctx: Context, caller: Caller, bucket: str) -> None:
    """Its content goes for good, by a task. Raises Denied, BucketUnknown."""

    def write(conn: Connection) -> None:
        found = _bucket(ctx, conn, caller, bucket)
        instance_details.update_instance(conn, found.instance, kept_at=None)
        instance_details.set_status(conn, found.instance, InstanceStatus.DELETING, among=_GONE)
        work.defer(conn, delete_task(found.instance))
        note(conn, caller, "bucket.purge", found.name, tenant=found.tenant)

    await change(ctx, caller, "bucket.purge", write)


def _bucket(ctx: Context, conn: Connection, caller: Caller, public_id: str) -> KeptBucket:
    _require(ctx, conn, caller)
    found = instance_content.find_kept(conn, public_id)
    if found is None:
        raise BucketUnknown(public_id[:100])
    return found


def _require(ctx: Context, conn: Connection, caller: Caller) -> None:
    ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
