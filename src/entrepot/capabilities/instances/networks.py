"""Private networks: what a vendor calls a VPC is here a named set of address ranges that the operator sets down."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import epochs, networks, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import NameTaken, TenantUnknown, ValueInvalid
from entrepot.model.ids import TenantId
from entrepot.model.network_access import Cidr, NetworkLinked, NetworkUnknown, PrivateNetwork

MOST_RANGES: Final = 100
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """`name` is what clients send as its id, such as `vpc-factory`. `tenant` None: every tenant may name it."""

    name: str
    cidrs: Sequence[str]
    tenant: TenantId | None = None


async def create_network(ctx: Context, caller: Caller, command: CreateNetwork) -> PrivateNetwork:
    """Set down a network. Raises Denied, ValueInvalid, NameTaken, TenantUnknown."""
    if not _NAME.fullmatch(command.name):
        raise ValueInvalid("name", "1 to 64 letters, digits, . _ -, a letter or digit first")
    if not 1 <= len(command.cidrs) <= MOST_RANGES:
        raise ValueInvalid("cidrs", f"1 to {MOST_RANGES} address ranges")
    cidrs = tuple(dict.fromkeys(Cidr.parse(text).network for text in command.cidrs))

    def write(conn: Connection) -> PrivateNetwork:
        ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
        if command.tenant is not None and tenants.get_tenant(conn, command.tenant) is None:
            raise TenantUnknown(str(command.tenant))
        if networks.find_network(conn, command.name) is not None:
            raise NameTaken(command.name)
        made = networks.insert_network(conn, command.name, tenant=command.tenant, cidrs=cidrs)
        ranges = ", ".join(cidrs)[:1000]
        note(conn, caller, "network.create", made.public_id, tenant=made.tenant, ranges=ranges)
        return made

    return await change(ctx, caller, "network.create", write)


async def list_networks(
    ctx: Context, caller: Caller, tenant: TenantId | None = None
) -> list[PrivateNetwork]:
    """What the caller's tenant may name. Who runs the deployment names any tenant, or (None) sees all. Raises Denied."""

    def read(conn: Connection) -> list[PrivateNetwork]:
        if tenant is not None and tenant == caller.tenant:
            ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(tenant))
        else:
            ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
        return networks.list_networks(conn, tenant)

    return await ctx.db.read(read)


async def delete_network(ctx: Context, caller: Caller, name: str) -> None:
    """Forget a network that no instance is linked to. Raises Denied, NetworkUnknown, NetworkLinked."""

    def write(conn: Connection) -> None:
        ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
        found = networks.find_network(conn, name)
        if found is None:
            raise NetworkUnknown(name[:300])
        if networks.is_linked(conn, found.id):
            raise NetworkLinked(name)
        networks.tombstone_network(conn, found.id)
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        note(conn, caller, "network.delete", found.public_id, tenant=found.tenant)

    await change(ctx, caller, "network.delete", write)


def network_for(conn: Connection, name: str, tenant: TenantId | None) -> PrivateNetwork:
    """In a transaction: the network, if the tenant may name it. Raises NetworkUnknown."""
    found = networks.find_network(conn, name)
    if found is None or found.tenant not in (None, tenant):
        raise NetworkUnknown(name[:300])
    return found
