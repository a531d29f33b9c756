"""Groups: users who share policies."""

from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access.identities.standing import (
    group_named,
    require_identities,
    require_rank,
    rights_changed,
    user_named,
)
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import identities
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller
from entrepot.model.errors import NameTaken, QuotaExceeded, UserUnknown
from entrepot.model.identities import IDENTITY_NAME, Group, User
from entrepot.model.ids import Micros, TenantId

MAX_GROUPS: Final = 20  # of one user: the policies of all are read at each request


@dataclass(frozen=True, slots=True)
class NamedGroup:
    """A group of a tenant."""

    tenant: TenantId
    name: str


@dataclass(frozen=True, slots=True)
class ListGroups:
    """In name order, behind `after`."""

    tenant: TenantId
    after: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Membership:
    """A user in a group of the same tenant."""

    tenant: TenantId
    group: str
    user: str


async def create_group(ctx: Context, caller: Caller, command: NamedGroup) -> Group:
    """Raises Denied, NameInvalid, NameTaken, TenantUnknown."""
    IDENTITY_NAME.check(command.name)

    def write(conn: Connection) -> Group:
        require_identities(ctx, conn, caller, command.tenant)
        if identities.find_group(conn, command.tenant, command.name) is not None:
            raise NameTaken(command.name)
        group = identities.insert_group(conn, command.tenant, command.name)
        note(conn, caller, "group.create", group.name, tenant=group.tenant)
        return group

    return await change(ctx, caller, "group.create", write)


async def list_groups(ctx: Context, caller: Caller, command: ListGroups) -> list[Group]:
    """Living groups of the tenant. Raises Denied, TenantUnknown."""

    def read(conn: Connection) -> list[Group]:
        require_identities(ctx, conn, caller, command.tenant)
        return identities.list_groups(
            conn, command.tenant, after=command.after, limit=command.limit
        )

    return await ctx.db.read(read)


async def list_members(ctx: Context, caller: Caller, command: NamedGroup) -> list[User]:
    """Members of a group. Raises Denied, GroupUnknown."""

    def read(conn: Connection) -> list[User]:
        require_identities(ctx, conn, caller, command.tenant)
        return identities.list_members(conn, group_named(conn, command.tenant, command.name).id)

    return await ctx.db.read(read)


async def delete_group(ctx: Context, caller: Caller, command: NamedGroup) -> None:
    """Its members lose what its policies gave, and are no longer bound by what those denied. Raises Denied, GroupUnknown."""

    def write(conn: Connection) -> None:
        require_identities(ctx, conn, caller, command.tenant)
        group = group_named(conn, command.tenant, command.name)
        for member in identities.list_members(conn, group.id):
            require_rank(ctx, conn, caller, tenant=command.tenant, role=member.role)
        identities.tombstone_group(conn, group.id, Micros(now(conn)))
        rights_changed(ctx, conn, group.tenant)
        note(conn, caller, "group.delete", group.name, tenant=group.tenant)

    await change(ctx, caller, "group.delete", write)


async def add_member(ctx: Context, caller: Caller, command: Membership) -> None:
    """Put a user into a group; no matter if they are in it. Raises Denied, GroupUnknown, UserUnknown, QuotaExceeded."""

    def write(conn: Connection) -> None:
        group, user = _pair(ctx, conn, caller, command)
        if identities.add_member(conn, group.id, user.id):
            if identities.count_groups(conn, user.id) > MAX_GROUPS:
                raise QuotaExceeded("groups of a user", MAX_GROUPS)
            rights_changed(ctx, conn, group.tenant)
            note(conn, caller, "group.add", group.name, tenant=group.tenant, user=user.name)

    await change(ctx, caller, "group.add", write)


async def remove_member(ctx: Context, caller: Caller, command: Membership) -> None:
    """Take a user out of a group. Raises Denied, GroupUnknown, UserUnknown (also where they are not in it)."""

    def write(conn: Connection) -> None:
        group, user = _pair(ctx, conn, caller, command)
        if not identities.remove_member(conn, group.id, user.id):
            raise UserUnknown(user.name)
        rights_changed(ctx, conn, group.tenant)
        note(conn, caller, "group.remove", group.name, tenant=group.tenant, user=user.name)

    await change(ctx, caller, "group.remove", write)


def _pair(
    ctx: Context, conn: Connection, caller: Caller, command: Membership
) -> tuple[Group, User]:
    require_identities(ctx, conn, caller, command.tenant)
    group = group_named(conn, command.tenant, command.group)
    user = user_named(conn, command.tenant, command.user)
    require_rank(ctx, conn, caller, tenant=command.tenant, role=user.role)
    return group, user
