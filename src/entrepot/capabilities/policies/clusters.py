"""Clusters of a tenant: taken in with a kubeconfig that nobody is ever shown again.

Who may change the tenant's instances sets them down; for other tenants they do not exist.
"""

import asyncio
import ipaddress
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from entrepot.capabilities.access.sealing import SealBroken, Sealer
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.requested import RegionUnknown
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.policies.kubeconfigs import pack, read_kubeconfig, unpack
from entrepot.config import HostName
from entrepot.metadata import clusters, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.clusters import EVERY_NAMESPACE, Cluster, ClusterUnknown, check_label
from entrepot.model.errors import NameTaken, QuotaExceeded, ValueInvalid
from entrepot.model.identities import Region
from entrepot.model.ids import TenantId
from entrepot.ports.cluster import ClusterAccess

MOST_CLUSTERS: Final = 100  # of a tenant
MOST_NAMESPACES: Final = 100
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_REGISTRY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CreateCluster:
    """`registry`: host, perhaps with a port, that is written before the names of images. `namespaces` of Kubernetes whose workloads
    triggers may change, at least one; `*` alone: all.

    `public_id` "": one is made up; else what triggers call it already. `region` "": the default one.
    """

    tenant: TenantId
    name: str
    registry: str
    kubeconfig: str = field(repr=False)
    namespaces: Sequence[str]
    region: str = ""
    is_default: bool = False
    public_id: str = ""


@dataclass(frozen=True, slots=True)
class NamedCluster:
    """A cluster of the tenant, by public id or name."""

    tenant: TenantId
    cluster: str


@dataclass(frozen=True, slots=True)
class ModifyCluster:
    """What is None stays as it is."""

    which: NamedCluster
    name: str | None = None
    registry: str | None = None
    kubeconfig: str | None = field(default=None, repr=False)
    namespaces: Sequence[str] | None = None
    is_default: bool | None = None


async def create_cluster(ctx: Context, caller: Caller, command: CreateCluster) -> Cluster:
    """Set down a cluster; it is not asked whether it answers. Raises Denied, ValueInvalid, KubeconfigInvalid, NameTaken, RegionUnknown,
    QuotaExceeded."""
    tenant, public_id = command.tenant, command.public_id or str(uuid.uuid4())
    if not _ID.fullmatch(public_id):
        raise ValueInvalid("id", "1 to 64 letters, digits and -, a letter or digit first")
    values = _checked(command.name, command.registry, command.namespaces)
    await ctx.db.read(lambda conn: _require(ctx, conn, caller, tenant))
    access = await _read(ctx, command.kubeconfig)

    def write(conn: Connection) -> Cluster:
        _require(ctx, conn, caller, tenant)
        region = _region(conn, command.region)
        if clusters.count_clusters(conn, tenant) >= MOST_CLUSTERS:
            raise QuotaExceeded("clusters", MOST_CLUSTERS)
        _check_free(conn, tenant, command.name)
        if clusters.find_cluster(conn, tenant, public_id) is not None:
            raise NameTaken(public_id)
        if command.is_default:
            clusters.forget_default(conn, tenant, region.name)
        sealed = _sealed(ctx, access, tenant, public_id=public_id)
        made = clusters.insert_cluster(
            conn,
            tenant,
            public_id,
            region=region.id,
            values={**values, **sealed, "is_default": command.is_default},
        )
        _note(conn, caller, "cluster.create", made)
        return made

    return await change(ctx, caller, "cluster.create", write)


async def list_clusters(ctx: Context, caller: Caller, tenant: TenantId) -> list[Cluster]:
    """The tenant's, by name. Raises Denied."""

    def read(conn: Connection) -> list[Cluster]:
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(tenant))
        return clusters.list_clusters(conn, tenant)

    return await ctx.db.read(read)


async def get_cluster(ctx: Context, caller: Caller, command: NamedCluster) -> Cluster:
    """One of the tenant's. Raises Denied, ClusterUnknown."""

    def read(conn: Connection) -> Cluster:
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(command.tenant))
        return _cluster_for(conn, command)

    return await ctx.db.read(read)


async def modify_cluster(ctx: Context, caller: Caller, command: ModifyCluster) -> Cluster:
    """Change it from the next run of a trigger on. Raises Denied, ClusterUnknown, ValueInvalid, KubeconfigInvalid, NameTaken."""
    tenant = command.which.tenant
    values = _checked(command.name, command.registry, command.namespaces)
    await ctx.db.read(lambda conn: _require(ctx, conn, caller, tenant))
    access = None if command.kubeconfig is None else await _read(ctx, command.kubeconfig)

    def write(conn: Connection) -> Cluster:
        _require(ctx, conn, caller, tenant)
        found = _cluster_for(conn, command.which)
        if command.name not in (None, found.name):
            _check_free(conn, tenant, command.name or "")
        if command.is_default:
            clusters.forget_default(conn, tenant, found.region)
        if command.is_default is not None:
            values["is_default"] = command.is_default
        if access is not None:
            values.update(_sealed(ctx, access, tenant, public_id=found.public_id))
        changed = clusters.change_cluster(conn, found.id, values)
        _note(conn, caller, "cluster.modify", changed)
        return changed

    return await change(ctx, caller, "cluster.modify", write)


async def delete_cluster(ctx: Context, caller: Caller, command: NamedCluster) -> None:
    """Forget it with its kubeconfig; triggers that name it fail from now on. Raises Denied, ClusterUnknown."""

    def write(conn: Connection) -> None:
        _require(ctx, conn, caller, command.tenant)
        found = _cluster_for(conn, command)
        clusters.tombstone_cluster(conn, found.id)
        _note(conn, caller, "cluster.delete", found)

    await change(ctx, caller, "cluster.delete", write)


def _cluster_for(conn: Connection, command: NamedCluster) -> Cluster:
    found = clusters.find_cluster(conn, command.tenant, command.cluster)
    found = found or clusters.named_cluster(conn, command.tenant, command.cluster)
    if found is None:
        raise ClusterUnknown(command.cluster[:300])
    return found


def _require(ctx: Context, conn: Connection, caller: Caller, tenant: TenantId) -> None:
    ctx.access.require(conn, caller, Permission.INSTANCE_MANAGE, Resource(tenant))


def _region(conn: Connection, name: str) -> Region:
    """The region served here; "": the default one."""
    for region in tenants.list_regions(conn):
        if region.is_local and (region.name == name or (region.is_default and not name)):
            return region
    raise RegionUnknown(name[:100])


def _check_free(conn: Connection, tenant: TenantId, name: str) -> None:
    if clusters.named_cluster(conn, tenant, name) is not None:
        raise NameTaken(name)


def _note(conn: Connection, caller: Caller, action: str, found: Cluster) -> None:
    note(conn, caller, action, found.name, tenant=found.tenant, server=found.server)


# -- what is given ----------------------------------------------------------------------------------------------------


def _checked(
    name: str | None, registry: str | None, namespaces: Sequence[str] | None
) -> dict[str, Any]:
    """Columns of what is given."""
    values: dict[str, Any] = {}
    if name is not None:
        if not _NAME.fullmatch(name):
            raise ValueInvalid("name", "1 to 128 letters, digits, . _ -, a letter or digit first")
        values["name"] = name
    if registry is not None:
        values["registry"] = _registry(registry)
    if namespaces is not None:
        values["namespaces"] = _namespaces(namespaces)
    return values


def _namespaces(given: Sequence[str]) -> list[str]:
    """Each once. That all may be changed has to be said: whoever may push to one repository can make a trigger."""
    if list(given) == [EVERY_NAMESPACE]:
        return [EVERY_NAMESPACE]
    if not 1 <= len(given) <= MOST_NAMESPACES:
        reason = f"1 to {MOST_NAMESPACES} namespaces of Kubernetes, or {EVERY_NAMESPACE} for all"
        raise ValueInvalid("namespaces", reason)
    return list(dict.fromkeys(check_label("namespaces", one) for one in given))


def _registry(text: str) -> str:
    """A host that a reference to an image can begin with: one without dot or port would be read as a part of the name."""
    match = _REGISTRY.fullmatch(text)
    host, port = (match[1], match[2]) if match else ("", None)
    is_host = port is not None or "." in host or host == "localhost" or host.startswith("[")
    if not is_host or not _is_host(host) or not 0 < int(port or 1) < 65536:
        raise ValueInvalid("registry", "a host such as registry.example or registry:5000")
    return f"{host}:{port}" if port else host


def _is_host(text: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
        return True
    with suppress(ValueError):
        return HostName.parse(text) == text
    return False


async def _read(ctx: Context, kubeconfig: str) -> ClusterAccess:
    forbidden = ctx.settings.outbound.forbidden_networks
    return await asyncio.to_thread(read_kubeconfig, kubeconfig, forbidden=forbidden)


# -- what is sealed ---------------------------------------------------------------------------------------------------


def _sealed(
    ctx: Context, access: ClusterAccess, tenant: TenantId, *, public_id: str
) -> dict[str, Any]:
    sealed = ctx.access.sealer.seal(pack(access), _context(tenant, public_id))
    return {"server": access.server, "access_sealed": sealed}


def open_access(conn: Connection, sealer: Sealer, found: Cluster) -> ClusterAccess | None:
    """In a transaction: how to reach the cluster; None where no master key here opens that."""
    try:
        sealed = clusters.sealed_access(conn, found.id)
        return unpack(sealer.open(sealed, _context(found.tenant, found.public_id)))
    except SealBroken:
        log.error("cluster_not_opened", cluster=found.public_id)  # noqa: TRY400  (its trace says no more)
        return None


def reseal_clusters(
    conn: Connection, *, sealer: Sealer, after: int, limit: int
) -> tuple[int | None, int]:
    """In a transaction: seal a batch with the newest master key. The last id, None behind the end; and how many were resealed."""
    batch = clusters.sealed_accesses(conn, after=after, limit=limit)
    done = 0
    for number, tenant, public_id, sealed in batch:
        if sealer.is_newest(sealed):
            continue
        try:
            resealed = sealer.reseal(sealed, _context(tenant, public_id))
        except SealBroken:
            log.warning("cluster_not_resealed", cluster=public_id)
            continue
        clusters.set_sealed(conn, number, resealed)
        done += 1
    return (batch[-1][0] if batch else None), done


def _context(tenant: TenantId, public_id: str) -> str:
    """The context under which it is sealed."""
    return f"cluster:{tenant}:{public_id}"
