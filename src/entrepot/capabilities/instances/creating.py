"""New dedicated instances: a row in its first status and the task that makes it run, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.deploying import deploy_task
from entrepot.capabilities.instances.editions import edition_named, give_limits
from entrepot.capabilities.instances.naming import free_name
from entrepot.capabilities.instances.tagging import check_tags
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import (
    epochs,
    instance_details,
    instances,
    quotas,
    resource_tags,
    tenants,
    work,
)
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import QuotaExceeded, TenantUnknown, ValueInvalid
from entrepot.model.identities import Region
from entrepot.model.ids import Micros, TenantId
from entrepot.model.network_access import EntryStatus
from entrepot.model.tenancy import Instance, InstanceKind, InstanceStatus


@dataclass(frozen=True, slots=True)
class CreateInstance:
    """A dedicated instance of the tenant; once it runs it answers at `<name>.<suffix>`.

    `edition` and `region` by name, empty: the first edition, the default region. `entry` opened lets everybody in from the start.
    `at_once`: it runs when this returns, without a worker, for operators; else it passes through its first states.
    """

    tenant: TenantId
    name: str
    edition: str = ""
    region: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    expires_at: Micros | None = None
    is_protected: bool = False
    entry: EntryStatus = EntryStatus.CLOSED
    at_once: bool = False


async def create_instance(ctx: Context, caller: Caller, command: CreateInstance) -> Instance:
    """Make one. Raises Denied, TenantUnknown, NameInvalid, NameReserved, NameTaken, ValueInvalid (edition, region, tags, entry), QuotaExceeded."""
    tags = check_tags(command.tags)
    if command.entry is EntryStatus.OPENING:
        raise ValueInvalid("entry", "it is opened or closed when an instance is made")

    def write(conn: Connection) -> Instance:
        _require(ctx, conn, caller, command)
        if tenants.get_tenant(conn, command.tenant) is None:
            raise TenantUnknown(str(command.tenant))
        edition = edition_named(ctx.settings, command.edition)
        region = _region(conn, command.region)
        name = free_name(ctx, conn, command.name)
        _admit(ctx, conn, command.tenant)
        instance = instances.insert_instance(
            conn,
            InstanceKind.DEDICATED,
            name,
            tenant=command.tenant,
            region=region.id,
            edition=edition.name,
            entry=command.entry,
            status=InstanceStatus.RUNNING if command.at_once else InstanceStatus.PENDING,
            facts=command.facts,
            expires_at=command.expires_at,
        )
        give_limits(conn, instance.id, edition)
        if command.is_protected:
            instance_details.update_instance(conn, instance.id, is_protected=True)
        resource_tags.set_tags(
            conn, instance_details.TAGGED, instance.public_id, tags, tenant=command.tenant
        )
        if not command.at_once:
            work.defer(conn, deploy_task(ctx.settings, instance.id))
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        note(conn, caller, "instance.create", name, tenant=command.tenant, edition=edition.name)
        return instance

    return await change(ctx, caller, "instance.create", write)


def _require(ctx: Context, conn: Connection, caller: Caller, command: CreateInstance) -> None:
    """A tenant makes its own; who runs the deployment makes them for others."""
    if command.tenant == caller.tenant:
        resource = Resource(command.tenant, region=command.region)
        ctx.access.require(conn, caller, Permission.INSTANCE_CREATE, resource)
    else:
        ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))


def _region(conn: Connection, name: str) -> Region:
    regions = tenants.list_regions(conn)
    for region in regions:
        if region.is_local and (region.name == name if name else region.is_default):
            return region
    raise ValueInvalid("region", f"no region {name[:64]!r} is served here")


def _admit(ctx: Context, conn: Connection, tenant: TenantId) -> None:
    """Raises QuotaExceeded if the tenant may have no more instances."""
    subject = ("tenant", int(tenant))
    default = ctx.settings.instances.per_tenant or None
    limit = quotas.limits(conn, [subject], "instances").get(subject, default)
    if limit is not None and instance_details.count_owned(conn, tenant) + 1 > limit:
        raise QuotaExceeded("instances", limit)
