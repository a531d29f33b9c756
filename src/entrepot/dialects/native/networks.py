"""Private networks: address ranges that instances can be linked to. Who runs the deployment sets them down."""

from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access.identities.tenants import get_tenant, names_of_tenants
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import networks
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Asks,
    Limit,
    Nothing,
    OfTenant,
    Paged,
    Windowed,
    on,
    windowed,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.access import Caller
from entrepot.model.ids import TenantId
from entrepot.model.network_access import PrivateNetwork


@dataclass(frozen=True, slots=True)
class Named:
    """A network, and what the tenant it belongs to is called."""

    network: PrivateNetwork
    tenant: str | None


class ListEveryNetwork(Asks, frozen=True, kw_only=True):
    """List all networks, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, _asked: Asked) -> Windowed[None]:
        """Everybody's."""
        return on(self, None)


class ListNetworks(OfTenant, frozen=True, kw_only=True):
    """List the networks that the tenant may name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[tuple[TenantId, str]]:
        """Of the tenant."""
        return on(self, (asked.tenant, asked.tenant_name))


class CreateNetwork(Asks, frozen=True, kw_only=True):
    """Set down a network, called by an id such as `vpc-factory`. Without `owner`, a tenant's name, every tenant may name it."""

    name: str
    cidrs: list[str]
    owner: str | None = None

    def to_command(self, _asked: Asked) -> "CreateNetwork":
        """The owner is looked up by the use case."""
        return self


class DeleteNetwork(Asks, frozen=True, kw_only=True):
    """Forget a network, which no instance may be linked to."""

    network: str

    def to_command(self, _asked: Asked) -> str:
        """By name."""
        return self.network


class NetworkShown(Answers, frozen=True, kw_only=True):
    """A network. `owner`: the tenant that may name it; None: every one."""

    name: str
    owner: str | None
    cidrs: list[str]

    @classmethod
    def of(cls, result: Named, _asked: Asked) -> "NetworkShown":
        """As it is."""
        found = result.network
        return cls(name=found.public_id, owner=result.tenant, cidrs=list(found.cidrs))


class NetworkList(Answers, frozen=True, kw_only=True):
    """A page of networks."""

    items: list[NetworkShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Named], asked: Asked) -> "NetworkList":
        """By name."""
        return cls(items=[NetworkShown.of(row, asked) for row in result.rows], next=result.next)


async def list_every(ctx: Context, caller: Caller, _command: None) -> list[Named]:
    """All of them. Raises Denied."""
    found = await networks.list_networks(ctx, caller)
    owners = {one.tenant for one in found if one.tenant is not None}
    names = await names_of_tenants(ctx, caller, owners)
    return [Named(one, None if one.tenant is None else names.get(one.tenant)) for one in found]


async def list_own(ctx: Context, caller: Caller, command: tuple[TenantId, str]) -> list[Named]:
    """What the tenant may name. Raises Denied."""
    tenant, name = command
    found = await networks.list_networks(ctx, caller, tenant)
    return [Named(one, None if one.tenant is None else name) for one in found]


async def create(ctx: Context, caller: Caller, command: CreateNetwork) -> Named:
    """Raises as `get_tenant` and `create_network`."""
    owner = None if command.owner is None else (await get_tenant(ctx, caller, command.owner)).id
    new = networks.CreateNetwork(command.name, command.cidrs, owner)
    return Named(await networks.create_network(ctx, caller, new), command.owner)


def _name(found: Named) -> str:
    return found.network.public_id


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/networks",
        Operation("ListEveryNetwork", ListEveryNetwork, windowed(list_every, _name), NetworkList),
    ),
    Endpoint(
        "GET",
        "/tenants/{tenant}/networks",
        Operation("ListNetworks", ListNetworks, windowed(list_own, _name), NetworkList),
    ),
    Endpoint(
        "POST",
        "/networks",
        Operation("CreateNetwork", CreateNetwork, create, NetworkShown, changes=True),
        201,
    ),
    Endpoint(
        "DELETE",
        "/networks/{network}",
        Operation("DeleteNetwork", DeleteNetwork, networks.delete_network, Nothing, changes=True),
        204,
    ),
)
