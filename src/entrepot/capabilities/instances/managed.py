"""The dedicated instance that a use case is about, for a caller who may: foreign ones do not exist, the shared one cannot be changed."""

from dataclasses import dataclass
from typing import Protocol

from entrepot.capabilities.context import Context
from entrepot.metadata import instances
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import InstanceUnknown, Protected
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.instances import InstanceNotRunning
from entrepot.model.tenancy import Instance, InstanceKind


class AboutInstance(Protocol):
    """A command about one instance. `tenant`: on whose behalf the operator asks; None: the caller's, and for the operator anybody's."""

    @property
    def instance(self) -> InstanceId: ...
    @property
    def tenant(self) -> TenantId | None: ...


@dataclass(frozen=True, slots=True)
class OfInstance:
    """What there is of one instance."""

    instance: InstanceId
    tenant: TenantId | None = None


def read_instance(
    ctx: Context, conn: Connection, caller: Caller, command: AboutInstance
) -> Instance:
    """In a transaction: the instance, for a caller who may read about it. Raises Denied, InstanceUnknown."""
    return _instance(ctx, conn, caller, about=command, permission=Permission.INSTANCE_READ)


def managed_instance(
    ctx: Context, conn: Connection, caller: Caller, command: AboutInstance
) -> Instance:
    """In a transaction: the dedicated instance, for a caller who manages it. Raises Denied, InstanceUnknown, Protected (the shared one), InstanceNotRunning."""
    found = owned_instance(ctx, conn, caller, command)
    if not found.status.is_serving:
        raise InstanceNotRunning(found.name, found.status)
    return found


def owned_instance(
    ctx: Context, conn: Connection, caller: Caller, command: AboutInstance
) -> Instance:
    """Likewise, whether it runs or not. Raises Denied, InstanceUnknown, Protected."""
    found = _instance(ctx, conn, caller, about=command, permission=Permission.INSTANCE_MANAGE)
    if found.kind is InstanceKind.SHARED:
        raise Protected(found.name)
    return found


def _instance(
    ctx: Context,
    conn: Connection,
    caller: Caller,
    *,
    about: AboutInstance,
    permission: Permission,
) -> Instance:
    tenant = about.tenant or caller.tenant
    found = instances.get_instance(conn, about.instance)
    if found is None or not (is_seen(found, tenant) or (caller.is_system and tenant is None)):
        ctx.access.require(conn, caller, permission, Resource(tenant))
        raise InstanceUnknown(str(about.instance))
    owner = found.tenant or tenant
    ctx.access.require(conn, caller, permission, Resource(owner, instance=found.id))
    return found


def is_seen(instance: Instance, tenant: TenantId | None) -> bool:
    """Whether it exists for that tenant."""
    return instance.kind is InstanceKind.SHARED or instance.tenant == tenant
