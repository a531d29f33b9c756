"""Whether an instance may have a name, asked before it is made or while it is."""

from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.metadata import instances
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import NameInvalid, NameTaken
from entrepot.model.ids import TenantId
from entrepot.model.instances import NameReserved, NameVerdict, check_instance_name


@dataclass(frozen=True, slots=True)
class CheckName:
    """A name for a new instance of the tenant (None: the caller's). Upper case counts as lower."""

    name: str
    tenant: TenantId | None = None


async def check_name(ctx: Context, caller: Caller, command: CheckName) -> NameVerdict:
    """Whether it is free now. Raises Denied."""

    def read(conn: Connection) -> NameVerdict:
        tenant = command.tenant or caller.tenant
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(tenant))
        try:
            free_name(ctx, conn, command.name)
        except NameInvalid:
            return NameVerdict.ILLEGAL
        except NameReserved:
            return NameVerdict.RESERVED
        except NameTaken:
            return NameVerdict.TAKEN
        return NameVerdict.FREE

    return await ctx.db.read(read)


def free_name(ctx: Context, conn: Connection, name: str) -> str:
    """In a transaction: the name as it will be kept. Raises NameInvalid, NameReserved, NameTaken."""
    reserved = frozenset(one.lower() for one in ctx.settings.instances.reserved_names)
    folded = check_instance_name(name, reserved)
    if instances.find_instance(conn, folded) is not None:
        raise NameTaken(folded)
    return folded
