"""Where a request works: an instance and a repository name in it, and whether the caller may.

Absent and forbidden look alike to whoever may not read: an anonymous caller is asked to log in, any other is denied. Only a caller
who could read a repository of that name is told that it is not there. A missing namespace is told to everybody who logged in
(names are unique in the instance, so creating it would tell as well), with what to do about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from entrepot.capabilities.content import gate
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import quotas
from entrepot.metadata import counters, events, namespaces
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Fact, Permission, Resource, to_be_public
from entrepot.model.content import Repository
from entrepot.model.errors import (
    Forbidden,
    NamespaceUnknown,
    RepositoryUnknown,
    Unauthenticated,
)
from entrepot.model.events import Event, EventKind
from entrepot.model.ids import Micros
from entrepot.model.tenancy import Instance, Namespace, check_repository_name
from entrepot.oci.reference import RepositoryName


class Place(Struct, frozen=True):
    """A repository's address: it need not exist."""

    instance: Instance
    name: RepositoryName


@dataclass(frozen=True, slots=True)
class NewRepository:
    """A repository that the first push will make."""

    namespace: Namespace
    path: str


Target: TypeAlias = Repository | NewRepository


def resource_of(target: Target) -> Resource:
    """What the evaluator needs to know of it."""
    if isinstance(target, Repository):
        return Resource(
            tenant=target.tenant,
            instance=target.instance,
            namespace=target.namespace,
            namespace_name=target.namespace_name,
            repository=target.id,
            path=target.path,
            is_public=target.is_public,
        )
    return Resource(
        tenant=target.namespace.tenant,
        instance=target.namespace.instance,
        namespace=target.namespace.id,
        namespace_name=target.namespace.name,
        path=target.path,
        is_public=target.namespace.is_public,
    )


def in_making(target: NewRepository) -> Resource:
    """Likewise for the right to make it: in a public namespace that makes something public."""
    resource = resource_of(target)
    if not resource.is_public:
        return resource
    return replace(resource, about=to_be_public(Fact.PUBLIC, is_public=True))


async def require(ctx: Context, caller: Caller, permission: Permission, target: Target) -> None:
    """Raises Unauthenticated (log in, or with more scope) or Forbidden."""
    await gate.require(ctx, caller, permission, resource_of(target))


async def existing(
    ctx: Context, caller: Caller, permission: Permission, place: Place
) -> Repository:
    """The repository, if it is there and the caller may. Raises RepositoryUnknown, NamespaceUnknown, Denied."""
    repository = await ctx.hot.repository(place.instance.id, str(place.name))
    if repository is None:
        raise await absent(ctx, caller, permission, place)
    await require(ctx, caller, permission, repository)
    return repository


async def absent(
    ctx: Context, caller: Caller, permission: Permission, place: Place
) -> RepositoryUnknown | NamespaceUnknown | Unauthenticated | Forbidden:
    """What to answer this caller about a repository that is not there."""
    if caller.is_anonymous:
        return Unauthenticated("no credentials")
    namespace = await ctx.hot.namespace(place.instance.id, place.name.namespace)
    if namespace is None:
        return NamespaceUnknown(place.name.namespace)
    target = NewRepository(namespace, place.name.path)
    if await gate.allowed(ctx, caller, permission, resource_of(target)):
        return RepositoryUnknown(str(place.name))
    return gate.refusal(caller, permission, resource_of(target))


async def for_push(ctx: Context, caller: Caller, place: Place) -> Target:
    """Where to push: the repository, or what its first push makes. Raises NamespaceUnknown, NameInvalid, Denied."""
    repository = await ctx.hot.repository(place.instance.id, str(place.name))
    if repository is not None:
        await require(ctx, caller, Permission.PUSH, repository)
        return repository
    if caller.is_anonymous:
        raise Unauthenticated("no credentials")
    namespace = await ctx.hot.namespace(place.instance.id, place.name.namespace)
    if namespace is None:
        raise NamespaceUnknown(place.name.namespace)
    path = check_repository_name(place.instance.kind, place.name.path)
    target = NewRepository(namespace, path)
    await require(ctx, caller, Permission.PUSH, target)
    await gate.require_right(ctx, caller, Permission.REPOSITORY_CREATE, in_making(target))
    return target


def settle(conn: Connection, target: Target, caller: Caller) -> Repository:
    """The living repository of `target` inside a writing transaction, made now if need be.

    Raises RepositoryUnknown if it was deleted, NamespaceUnknown if the namespace was, QuotaExceeded.
    """
    if isinstance(target, Repository):
        repository = namespaces.get_repository(conn, target.id)
        if repository is None:
            raise RepositoryUnknown(target.full_name)
        return repository
    namespace = namespaces.find_namespace(conn, target.namespace.instance, target.namespace.name)
    if namespace is None or namespace.id != target.namespace.id:
        raise NamespaceUnknown(target.namespace.name)
    name = f"{namespace.name}/{target.path}"
    present = namespaces.find_repository(conn, namespace.instance, name)
    return present if present is not None else create(conn, namespace, target.path, caller=caller)


def standing(
    ctx: Context, conn: Connection, caller: Caller, permission: Permission, found: Repository
) -> Repository:
    """In the transaction of a change: the repository, for a caller who was let through before and still may.

    Raises RepositoryUnknown, Denied: a right that was taken back meanwhile changes nothing any more.
    """
    repository = settle(conn, found, caller)
    ctx.access.require(conn, caller, permission, resource_of(repository))
    return repository


def create(
    conn: Connection,
    namespace: Namespace,
    path: str,
    *,
    caller: Caller,
    said: Mapping[str, Any] = MappingProxyType({}),
) -> Repository:
    """In a transaction that was permitted: a new repository, counted and told of. Raises QuotaExceeded."""
    quotas.admit(conn, namespace, "repositories", 1)
    repository = namespaces.insert_repository(
        conn, namespace, path, created_by=caller.user, said=said
    )
    counters.add(conn, "namespace", namespace.id, "repositories", 1)
    note(conn, repository, caller, EventKind.REPOSITORY_CREATED)
    return repository


def note(
    conn: Connection,
    repository: Repository,
    caller: Caller,
    kind: EventKind,
    *,
    digest: str | None = None,
    tag: str | None = None,
    details: dict[str, object] | None = None,
) -> None:
    """Record what happened in the repository, in the transaction that did it."""
    told = event_in(conn, repository, caller, kind, digest=digest, tag=tag, details=details)
    events.record(conn, told)


def event_in(
    conn: Connection,
    repository: Repository,
    caller: Caller,
    kind: EventKind,
    *,
    digest: str | None = None,
    tag: str | None = None,
    details: dict[str, object] | None = None,
) -> Event:
    """What happens in the repository now, to be recorded."""
    return Event(
        kind=kind,
        actor=caller.name,
        happened_at=Micros(now(conn)),
        tenant=repository.tenant,
        instance=repository.instance,
        namespace=repository.namespace,
        repository=repository.id,
        repository_name=repository.full_name,
        digest=digest,
        tag=tag,
        details=details or {},
    )
