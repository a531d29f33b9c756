"""Grants: levels (1 read, 3 edit, 7 manage) given to a user on a namespace or on one repository, as in SWR.

Whoever manages the namespace or the repository gives them, and only to users of the tenant that owns it.
"""

from dataclasses import dataclass

from entrepot.capabilities.access.identities.standing import rights_changed, user_named
from entrepot.capabilities.access.targets import Target, managed
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import policies
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Level
from entrepot.model.errors import ValueInvalid
from entrepot.model.identities import Grant, GrantUnknown


@dataclass(frozen=True, slots=True)
class SetGrant:
    """Give a user of the owning tenant a level, in place of the former."""

    target: Target
    user: str
    level: Level


@dataclass(frozen=True, slots=True)
class RemoveGrant:
    """Take a user's level back."""

    target: Target
    user: str


async def set_grant(ctx: Context, caller: Caller, command: SetGrant) -> None:
    """Raises Denied, NamespaceUnknown, RepositoryUnknown, UserUnknown, ValueInvalid (level 0)."""
    if command.level is Level.NONE:
        raise ValueInvalid("level", "expected 1, 3 or 7")

    def write(conn: Connection) -> None:
        found = managed(ctx, conn, caller, command.target)
        namespace, repository = found.namespace, found.repository
        user = user_named(conn, namespace.tenant, command.user)
        policies.set_grant(
            conn,
            user.id,
            namespace.id,
            repository=None if repository is None else repository.id,
            level=command.level,
        )
        rights_changed(ctx, conn, namespace.tenant)
        note(
            conn,
            caller,
            "grant.set",
            str(command.target),
            tenant=namespace.tenant,
            user=user.name,
            level=command.level.value,
        )

    await change(ctx, caller, "grant.set", write)


async def remove_grant(ctx: Context, caller: Caller, command: RemoveGrant) -> None:
    """Raises Denied, NamespaceUnknown, RepositoryUnknown, UserUnknown, GrantUnknown."""

    def write(conn: Connection) -> None:
        found = managed(ctx, conn, caller, command.target)
        namespace, repository = found.namespace, found.repository
        user = user_named(conn, namespace.tenant, command.user)
        number = None if repository is None else repository.id
        if not policies.remove_grant(conn, user.id, namespace.id, repository=number):
            raise GrantUnknown(user.name)
        rights_changed(ctx, conn, namespace.tenant)
        note(
            conn,
            caller,
            "grant.remove",
            str(command.target),
            tenant=namespace.tenant,
            user=user.name,
        )

    await change(ctx, caller, "grant.remove", write)


async def list_grants(ctx: Context, caller: Caller, target: Target) -> list[Grant]:
    """Grants on the namespace and its repositories, or on the one repository. Raises Denied, NamespaceUnknown, RepositoryUnknown."""

    def read(conn: Connection) -> list[Grant]:
        found = managed(ctx, conn, caller, target)
        namespace, repository = found.namespace, found.repository
        return policies.list_grants(
            conn, namespace.id, None if repository is None else repository.id
        )

    return await ctx.db.read(read)
