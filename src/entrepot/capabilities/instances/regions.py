"""Regions: names with numbers, served here or by a peer."""

import re
from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.config import Settings
from entrepot.metadata import epochs, instances, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import NameTaken, ValueInvalid
from entrepot.model.identities import Region
from entrepot.model.tenancy import InstanceKind, NameRule

REGION_NAME: Final = NameRule(
    re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"), 1, 63, "1 to 63 letters, digits and - inside"
)
_MAX_NUMBER: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ListRegions:
    """All of them."""


@dataclass(frozen=True, slots=True)
class CreateRegion:
    """A region served here too, or (`is_local` False) by a peer. `display_name` empty: the name."""

    name: str
    number: int
    display_name: str = ""
    is_local: bool = True


def found_region(conn: Connection, settings: Settings) -> Region:
    """In the transaction of the first start: the region of the settings, served here, the default one."""
    return tenants.insert_region(
        conn,
        settings.region.id,
        settings.region.name,
        display_name=settings.region_display_name,
        is_local=True,
        is_default=True,
    )


async def list_regions(ctx: Context, caller: Caller, _command: ListRegions) -> list[Region]:
    """All regions, the default one first. Raises Denied."""

    def read(conn: Connection) -> list[Region]:
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(caller.tenant))
        return tenants.list_regions(conn)

    return await ctx.db.read(read)


async def create_region(ctx: Context, caller: Caller, command: CreateRegion) -> Region:
    """Make one; if it is served here, with its shared instance and a project for each tenant. Raises Denied, NameInvalid, ValueInvalid, NameTaken."""
    name = REGION_NAME.check(command.name)
    if not 1 <= command.number <= _MAX_NUMBER:
        raise ValueInvalid("id", f"1 to {_MAX_NUMBER}")

    def write(conn: Connection) -> Region:
        ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
        if any(
            name == one.name or command.number == one.number for one in tenants.list_regions(conn)
        ):
            raise NameTaken(name)
        region = tenants.insert_region(
            conn,
            command.number,
            name,
            display_name=command.display_name or name,
            is_local=command.is_local,
            is_default=False,
        )
        if region.is_local:
            shared = f"swr-{name}"
            instances.insert_instance(
                conn, InstanceKind.SHARED, shared, tenant=None, region=region.id
            )
            tenants.insert_projects(conn, region)
            ctx.access.raise_epoch(conn, epochs.ROUTING)
        note(conn, caller, "region.create", name, tenant=None, local=command.is_local)
        return region

    return await change(ctx, caller, "region.create", write)
