"""For several private links at once: whether the host names of their instances are given out there."""

from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.managed import OfInstance, is_seen, read_instance
from entrepot.metadata import instances, links
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.errors import InstanceUnknown
from entrepot.model.ids import TenantId


@dataclass(frozen=True, slots=True)
class AskNames:
    """Pairs of an instance's and a network's public id."""

    pairs: tuple[tuple[str, str], ...]
    tenant: TenantId


@dataclass(frozen=True, slots=True)
class LinkEnds:
    """An instance and a network, and whether any link between them gives out names."""

    instance: str
    network: str
    has_names: bool


async def ask_names(ctx: Context, caller: Caller, command: AskNames) -> list[LinkEnds]:
    """One row a pair; a network that is not linked has none. Raises Denied, InstanceUnknown."""

    def read(conn: Connection) -> list[LinkEnds]:
        return [
            LinkEnds(public_id, network, network in _named(ctx, conn, caller, public_id, command))
            for public_id, network in command.pairs
        ]

    return await ctx.db.read(read)


def _named(
    ctx: Context, conn: Connection, caller: Caller, public_id: str, command: AskNames
) -> set[str]:
    found = instances.find_instance(conn, public_id)
    if found is None or found.public_id != public_id or not is_seen(found, command.tenant):
        raise InstanceUnknown(public_id[:100])
    instance = read_instance(ctx, conn, caller, OfInstance(found.id, command.tenant))
    return {link.network for link in links.list_links(conn, instance.id) if link.has_names}
