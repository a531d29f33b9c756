"""Grants: levels (1 read, 3 edit, 7 manage) given to a user on a namespace or on one repository, as in SWR.

Whoever manages the namespace or the repository gives them, and only to users of the tenant that owns it.
"""

from dataclasses import dataclass

from entrepot.capabilities.access.identities.standing import rights_changed, user_named
from entrepot.capabilities.access.rights import of_namespace, of_repository
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import namespaces, policies
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Level, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import (
    NamespaceUnknown,
    RegistryError,
    RepositoryUnknown,
    ValueInvalid,
)
from entrepot.model.identities import Grant, GrantUnknown
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.tenancy import Namespace


@dataclass(frozen=True, slots=True)
class Target:
    """A namespace of an instance, or with `path` one repository of it. `tenant`: whose it must be, if that matters."""

    instance: InstanceId
    namespace: str
    path: str | None = None
    tenant: TenantId | None = None

    def __str__(self) -> str:
        return self.namespace if self.path is None else f"{self.namespace}/{self.path}"


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
        namespace, repository = _managed(ctx, conn, caller, command.target)
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
        namespace, repository = _managed(ctx, conn, caller, command.target)
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
        namespace, repository = _managed(ctx, conn, caller, target)
        return policies.list_grants(
            conn, namespace.id, None if repository is None else repository.id
        )

    return await ctx.db.read(read)


def _managed(
    ctx: Context, conn: Connection, caller: Caller, target: Target
) -> tuple[Namespace, Repository | None]:
    """What the caller manages. To others it does not matter whether it is there."""
    namespace = namespaces.find_namespace(conn, target.instance, target.namespace)
    if namespace is None or target.tenant not in (None, namespace.tenant):
        raise _absent(ctx, conn, caller, target, NamespaceUnknown(target.namespace[:300]))
    if target.path is None:
        ctx.access.require(conn, caller, Permission.NAMESPACE_MANAGE, of_namespace(namespace))
        return namespace, None
    repository = namespaces.find_repository(conn, target.instance, str(target))
    if repository is None:
        raise _absent(
            ctx, conn, caller, target, RepositoryUnknown(str(target)[:300]), namespace=namespace
        )
    ctx.access.require(conn, caller, Permission.REPOSITORY_MANAGE, of_repository(repository))
    return namespace, repository


def _absent(
    ctx: Context,
    conn: Connection,
    caller: Caller,
    target: Target,
    error: RegistryError,
    *,
    namespace: Namespace | None = None,
) -> RegistryError:
    """`error` for those who could manage such a thing of their tenant; Denied for others, as if it were there."""
    resource = (
        Resource(caller.tenant, target.instance, namespace_name=target.namespace)
        if namespace is None
        else of_namespace(namespace, target.path or "")
    )
    permission = (
        Permission.NAMESPACE_MANAGE if target.path is None else Permission.REPOSITORY_MANAGE
    )
    ctx.access.require(conn, caller, permission, resource)
    return error
