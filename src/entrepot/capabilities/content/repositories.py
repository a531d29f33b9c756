"""Repositories as things of their own: made before the first push, described, made public or private by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from msgspec.structs import replace

from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.content.place import (
    NewRepository,
    Place,
    absent,
    create,
    in_making,
    settle,
)
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import epochs, namespaces
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Fact, Permission, Resource, to_be_public
from entrepot.model.content import Repository
from entrepot.model.errors import NamespaceUnknown, NameTaken, TextTooLong
from entrepot.model.ids import Micros
from entrepot.model.tenancy import Namespace, check_repository_name

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
MOST: Final = MappingProxyType({"brief": 100, "description": 10_000, "category": 64})
"""Characters of what is said about a repository."""


@dataclass(frozen=True, slots=True)
class Described:
    """A repository, and what is said about it.

    `said`: `brief` (a line), `description`, `category`, `is_public` (instead of what its namespace is). What is not in it stays as it
    is, or of a new repository empty.
    """

    place: Place
    said: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


async def create_repository(ctx: Context, caller: Caller, command: Described) -> Repository:
    """Make an empty one. Raises Denied, NamespaceUnknown, NameInvalid, NameTaken, QuotaExceeded, TextTooLong."""
    _check(command)
    place = command.place
    path = check_repository_name(place.instance.kind, place.name.path)

    def write(conn: Connection) -> Repository:
        namespace = _namespace(ctx, conn, caller, place)
        resource = _saying(command, in_making(NewRepository(namespace, path)))
        ctx.access.require(conn, caller, Permission.REPOSITORY_CREATE, resource)
        if namespaces.find_repository(conn, namespace.instance, str(place.name)) is not None:
            raise NameTaken(str(place.name))
        repository = create(conn, namespace, path, caller=caller, said=command.said)
        note(
            conn,
            caller,
            "repository.create",
            repository.full_name,
            tenant=repository.tenant,
            public=repository.is_public,
        )
        return repository

    return await change(ctx, caller, "repository.create", write)


async def describe_repository(ctx: Context, caller: Caller, command: Described) -> None:
    """Say something else about it. Raises Denied, RepositoryUnknown, TextTooLong."""
    _check(command)
    place = command.place
    found = await ctx.hot.repository(place.instance.id, str(place.name))
    if found is None:
        raise await absent(ctx, caller, Permission.REPOSITORY_EDIT, place)

    def write(conn: Connection) -> None:
        resource = _saying(command, of_repository(found))
        ctx.access.require(conn, caller, Permission.REPOSITORY_EDIT, resource)
        repository = settle(conn, found, caller)
        namespaces.describe_repository(conn, repository.id, command.said, Micros(now(conn)))
        note(conn, caller, "repository.describe", repository.full_name, tenant=repository.tenant)
        is_public = command.said.get("is_public", repository.is_public)
        if is_public != repository.is_public:
            ctx.access.raise_epoch(conn, epochs.of_tenant(repository.tenant))
            verb = "publish" if is_public else "unpublish"
            note(conn, caller, f"repository.{verb}", repository.full_name, tenant=repository.tenant)

    await change(ctx, caller, "repository.describe", write)


def _saying(command: Described, resource: Resource) -> Resource:
    """With what the request says of its visibility, if it does."""
    is_public = command.said.get("is_public")
    if is_public is None:
        return resource
    return replace(resource, about=to_be_public(Fact.PUBLIC, is_public))


def _namespace(ctx: Context, conn: Connection, caller: Caller, place: Place) -> Namespace:
    """The namespace; where it is not there, only who might have it is told so."""
    namespace = namespaces.find_namespace(conn, place.instance.id, place.name.namespace)
    if namespace is not None:
        return namespace
    resource = Resource(caller.tenant, place.instance.id, namespace_name=place.name.namespace)
    ctx.access.require(conn, caller, Permission.REPOSITORY_CREATE, resource)
    raise NamespaceUnknown(place.name.namespace)


def _check(command: Described) -> None:
    for name, most in MOST.items():
        if len(command.said.get(name) or "") > most:
            raise TextTooLong(name, f"at most {most} characters")
