"""Instances: a region's shared one, tenants' dedicated ones, and the host names they answer at."""

from collections.abc import Mapping
from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.config import HostName, Settings
from entrepot.metadata import epochs, instances, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import (
    InstanceUnknown,
    NameTaken,
    ValueInvalid,
)
from entrepot.model.identities import HostUnknown, Region
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.instances import InstanceNotRunning
from entrepot.model.tenancy import Instance, InstanceKind


@dataclass(frozen=True, slots=True)
class NamedInstance:
    """An instance by name or public id. `tenant`: who asks for it, for whom others' instances do not exist."""

    name: str
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class InstanceHost:
    """A further host name of an instance."""

    instance: str
    host: str


@dataclass(frozen=True, slots=True)
class InstanceShown:
    """An instance, where it answers, and whose it is (empty: nobody's)."""

    instance: Instance
    tenant_name: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostData:
    """What `http.routing.HostTable` is made of."""

    suffix: str
    default: Instance
    by_name: Mapping[str, Instance]
    hosts: Mapping[str, Instance]
    default_names: frozenset[str]


# -- lookups ----------------------------------------------------------------------------------------------------------


def read_host_table(conn: Connection, settings: Settings) -> HostData | None:
    """In a transaction: the routing table's data; None before the first start. Read it again when the epoch `routing` moves.

    A region's shared instance answers at `swr.<region>.<suffix>`, whatever the suffix is today.
    """
    found = instances.load_hosts(conn)
    if found is None:
        return None
    suffix = str(settings.http.suffix)
    regional = {f"swr.{region}.{suffix}": instance for region, instance in found.regional.items()}
    return HostData(
        suffix=suffix,
        default=found.default,
        by_name=found.by_name,
        hosts={**regional, **found.hosts},
        default_names=frozenset(str(name) for name in settings.http.default_hosts),
    )


async def find_instance(ctx: Context, caller: Caller, command: NamedInstance) -> Instance:
    """An instance by name or public id; an empty name: the default one. Raises InstanceUnknown."""
    tenant = command.tenant or caller.tenant

    def read(conn: Connection) -> Instance:
        name = command.name
        found = instances.find_instance(conn, name) if name else instances.default_instance(conn)
        sees_all = caller.is_system and tenant is None
        if found is None or not (sees_all or _is_seen(found, tenant)):
            raise InstanceUnknown(name[:300] or "default")
        return found

    return await ctx.db.read(read)


def instance_for(conn: Connection, instance: InstanceId, tenant: TenantId) -> Instance:
    """The instance, if the tenant sees it (shared ones, and its own) and it runs. Raises InstanceUnknown, InstanceNotRunning."""
    found = instances.get_instance(conn, instance)
    if found is None or not _is_seen(found, tenant):
        raise InstanceUnknown(str(instance))
    return running(found)


def running(instance: Instance) -> Instance:
    """The instance as it was read, if its content can be reached. Raises InstanceNotRunning."""
    if not instance.status.is_serving:
        raise InstanceNotRunning(instance.name, instance.status)
    return instance


def _is_seen(instance: Instance, tenant: TenantId | None) -> bool:
    return instance.kind is InstanceKind.SHARED or instance.tenant == tenant


async def list_instances(
    ctx: Context, caller: Caller, tenant: TenantId | None = None
) -> list[InstanceShown]:
    """The shared instances and the caller's tenant's own. Who runs the deployment names any tenant, or (None) sees all. Raises Denied."""

    def read(conn: Connection) -> list[InstanceShown]:
        if tenant is None or tenant != caller.tenant:
            _require(ctx, conn, caller)
        elif not ctx.access.judge.rights(conn, caller).is_active:
            return []
        return [_shown(conn, found) for found in instances.list_instances(conn, tenant)]

    return await ctx.db.read(read)


def _shown(conn: Connection, instance: Instance) -> InstanceShown:
    tenant = None if instance.tenant is None else tenants.get_tenant(conn, instance.tenant)
    return InstanceShown(
        instance,
        "" if tenant is None else tenant.name,
        tuple(instances.list_hosts(conn, instance.id)),
    )


# -- changes ----------------------------------------------------------------------------------------------------------


def found_shared_instance(conn: Connection, region: Region) -> Instance:
    """In the transaction of the first start: the shared instance of the region, the default one if the region is."""
    return instances.insert_instance(
        conn,
        InstanceKind.SHARED,
        f"swr-{region.name}",
        tenant=None,
        region=region.id,
        is_default=region.is_default,
    )


async def add_host(ctx: Context, caller: Caller, command: InstanceHost) -> str:
    """Let the instance answer at one more name; the name as stored. Raises Denied, InstanceUnknown, ValueInvalid, NameTaken."""
    host = further_host(ctx.settings, command.host)

    def write(conn: Connection) -> str:
        instance = _managed(ctx, conn, caller, command.instance)
        if not instances.add_host(conn, instance.id, host):
            raise NameTaken(host)
        _routes_changed(ctx, conn, caller, "instance.host.add", instance=instance, host=host)
        return host

    return await change(ctx, caller, "instance.host.add", write)


async def remove_host(ctx: Context, caller: Caller, command: InstanceHost) -> None:
    """Take a further name away. Raises Denied, InstanceUnknown, HostUnknown."""
    host = command.host.strip().lower().removesuffix(".")

    def write(conn: Connection) -> None:
        instance = _managed(ctx, conn, caller, command.instance)
        if not instances.remove_host(conn, instance.id, host):
            raise HostUnknown(host[:300])
        _routes_changed(ctx, conn, caller, "instance.host.remove", instance=instance, host=host)

    await change(ctx, caller, "instance.host.remove", write)


def further_host(settings: Settings, text: str) -> str:
    """A host name outside the suffix, where names follow from instances and services. Raises ValueInvalid."""
    try:
        host = str(HostName.parse(text))
    except ValueError as error:
        raise ValueInvalid("host", str(error)) from error
    suffix = str(settings.http.suffix)
    if host == suffix or host.endswith(f".{suffix}"):
        raise ValueInvalid("host", f"names under {suffix} follow from the instances' own names")
    if host == "localhost" or host in settings.http.default_hosts:
        raise ValueInvalid("host", f"{host} means the default instance")
    return host


def _managed(ctx: Context, conn: Connection, caller: Caller, name: str) -> Instance:
    _require(ctx, conn, caller)
    found = instances.find_instance(conn, name)
    if found is None:
        raise InstanceUnknown(name[:300])
    return found


def _require(ctx: Context, conn: Connection, caller: Caller) -> None:
    ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))


def _routes_changed(
    ctx: Context,
    conn: Connection,
    caller: Caller,
    action: str,
    *,
    instance: Instance,
    host: str | None = None,
) -> None:
    ctx.access.raise_epoch(conn, epochs.ROUTING)
    note(conn, caller, action, instance.name, tenant=instance.tenant, host=host)
