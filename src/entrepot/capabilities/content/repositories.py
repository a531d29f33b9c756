"""Repositories as things of their own: made before the first push, described."""

from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access.rights import of_namespace, of_repository
from entrepot.capabilities.content.place import Place, create, existing, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import namespaces
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import NamespaceUnknown, NameTaken, ValueInvalid
from entrepot.model.ids import Micros
from entrepot.model.tenancy import Namespace, check_repository_name

MAX_BRIEF: Final = 100  # characters
MAX_DESCRIPTION: Final = 10_000


@dataclass(frozen=True, slots=True)
class Described:
    """A repository, and what is said about it: a line, and a text."""

    place: Place
    brief: str = ""
    description: str = ""


async def create_repository(ctx: Context, caller: Caller, command: Described) -> Repository:
    """Make an empty one. Raises Denied, NamespaceUnknown, NameInvalid, NameTaken, QuotaExceeded, ValueInvalid."""
    _check(command)
    place = command.place
    path = check_repository_name(place.instance.kind, place.name.path)

    def write(conn: Connection) -> Repository:
        namespace = _namespace(ctx, conn, caller, place)
        resource = of_namespace(namespace, path)
        ctx.access.require(conn, caller, Permission.REPOSITORY_CREATE, resource)
        if namespaces.find_repository(conn, namespace.instance, str(place.name)) is not None:
            raise NameTaken(str(place.name))
        repository = create(
            conn,
            namespace,
            path,
            caller=caller,
            brief=command.brief,
            description=command.description,
        )
        note(conn, caller, "repository.create", repository.full_name, tenant=repository.tenant)
        return repository

    return await change(ctx, caller, "repository.create", write)


async def describe_repository(ctx: Context, caller: Caller, command: Described) -> None:
    """Say something else about it. Raises Denied, RepositoryUnknown, ValueInvalid."""
    _check(command)
    found = await existing(ctx, caller, Permission.REPOSITORY_MANAGE, command.place)

    def write(conn: Connection) -> None:
        repository = settle(conn, found, caller)
        ctx.access.require(conn, caller, Permission.REPOSITORY_MANAGE, of_repository(repository))
        namespaces.describe_repository(
            conn,
            repository.id,
            brief=command.brief,
            description=command.description,
            at=Micros(now(conn)),
        )
        note(conn, caller, "repository.describe", repository.full_name, tenant=repository.tenant)

    await change(ctx, caller, "repository.describe", write)


def _namespace(ctx: Context, conn: Connection, caller: Caller, place: Place) -> Namespace:
    """The namespace; where it is not there, only who might have it is told so."""
    namespace = namespaces.find_namespace(conn, place.instance.id, place.name.namespace)
    if namespace is not None:
        return namespace
    resource = Resource(caller.tenant, place.instance.id, namespace_name=place.name.namespace)
    ctx.access.require(conn, caller, Permission.REPOSITORY_CREATE, resource)
    raise NamespaceUnknown(place.name.namespace)


def _check(command: Described) -> None:
    for field, text, most in (
        ("brief description", command.brief, MAX_BRIEF),
        ("description", command.description, MAX_DESCRIPTION),
    ):
        if len(text) > most:
            raise ValueInvalid(field, f"at most {most} characters")
