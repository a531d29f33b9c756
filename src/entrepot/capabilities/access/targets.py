"""What a grant or a share is about: a namespace or a repository by name. To whoever may not, it does not matter whether it is there."""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from entrepot.capabilities.access.evaluator import NO_RULE
from entrepot.capabilities.access.rights import of_namespace, of_repository
from entrepot.capabilities.context import Context
from entrepot.metadata import namespaces
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Fact, Level, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import Forbidden, NamespaceUnknown, RegistryError, RepositoryUnknown
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
class Found:
    """What a target names: a namespace, or (`repository`) one of its repositories."""

    namespace: Namespace
    repository: Repository | None

    @property
    def resource(self) -> Resource:
        """As what a permission is asked on."""
        if self.repository is None:
            return of_namespace(self.namespace)
        return of_repository(self.repository)


def managed(ctx: Context, conn: Connection, caller: Caller, target: Target) -> Found:
    """What the caller manages. Raises Denied, NamespaceUnknown, RepositoryUnknown."""
    if target.path is None:
        return permitted(ctx, conn, caller, target, Permission.NAMESPACE_MANAGE)
    return permitted(ctx, conn, caller, target, Permission.REPOSITORY_MANAGE)


def permitted(
    ctx: Context,
    conn: Connection,
    caller: Caller,
    target: Target,
    permission: Permission,
    *,
    about: Mapping[Fact, str] | None = None,
) -> Found:
    """What the target names, where the caller has the permission. `about`: what else the request says.

    Raises Denied, NamespaceUnknown, RepositoryUnknown.
    """
    found, resource, absent = _look(conn, caller, target)
    resource = replace(resource, about=about) if about else resource
    ctx.access.require(conn, caller, permission, resource)
    if found is None:
        raise absent
    return found


def grantable(ctx: Context, conn: Connection, caller: Caller, target: Target) -> Found:
    """Where the caller may give others rights: what they manage, and repositories of a namespace that they were granted to edit, unless
    something denies it. A policy that lets them push or make repositories is no such grant.

    Raises Denied, NamespaceUnknown, RepositoryUnknown.
    """
    found, resource, absent = _look(conn, caller, target)
    if target.path is None or not _edits_around(ctx, conn, caller, resource):
        return managed(ctx, conn, caller, target)
    if found is None:
        raise absent
    return found


def _edits_around(ctx: Context, conn: Connection, caller: Caller, resource: Resource) -> bool:
    """Whether the caller's only lack is a rule by which they manage it, and they have a grant of edit on its namespace."""
    decision = ctx.access.judge.decide(conn, caller, Permission.REPOSITORY_MANAGE, resource)
    if decision.reason != NO_RULE or resource.namespace is None:
        return False
    granted = ctx.access.judge.rights(conn, caller, resource).namespace_grants
    return granted.get(resource.namespace, Level.NONE) >= Level.EDIT


def require_own(caller: Caller, found: Found, permission: Permission) -> None:
    """Raise Forbidden unless the place is the caller's own tenant's: who else has rights there is no business of those who may only read it
    since it is public or shared."""
    if not caller.is_system and caller.tenant != found.namespace.tenant:
        raise Forbidden(permission.value, str(found.resource))


def _look(
    conn: Connection, caller: Caller, target: Target
) -> tuple[Found | None, Resource, RegistryError]:
    """What is there, what to ask permissions on, and what to say where it is not there."""
    namespace = namespaces.find_namespace(conn, target.instance, target.namespace)
    absent: RegistryError = NamespaceUnknown(target.namespace[:300])
    if namespace is None or target.tenant not in (None, namespace.tenant):
        own = Resource(caller.tenant, target.instance, namespace_name=target.namespace)
        return None, own, absent
    if target.path is None:
        return Found(namespace, None), of_namespace(namespace), absent
    repository = namespaces.find_repository(conn, target.instance, str(target))
    absent = RepositoryUnknown(str(target)[:300])
    if repository is None:
        return None, of_namespace(namespace, target.path), absent
    return Found(namespace, repository), of_repository(repository), absent
