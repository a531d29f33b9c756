"""Regions: names with numbers, served here or by a peer."""

from entrepot.capabilities.context import Context
from entrepot.config import Settings
from entrepot.metadata import tenants
from entrepot.metadata.database import Connection
from entrepot.model.identities import Region


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


async def list_regions(ctx: Context) -> list[Region]:
    """All regions, the default one first; everybody may know them."""
    return await ctx.db.read(tenants.list_regions)
