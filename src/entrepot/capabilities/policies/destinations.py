"""What a region's name means to whoever copies an image there: a region served here, or a peer of the tenant."""

from dataclasses import dataclass
from typing import TypeAlias

from msgspec.structs import replace

from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.access.sealing import SealBroken
from entrepot.capabilities.access.targets import Target, permitted
from entrepot.capabilities.content.place import NewRepository, Place, in_making, resource_of
from entrepot.capabilities.context import Context
from entrepot.capabilities.policies.peers import peer_address
from entrepot.metadata import identities, instances, namespaces, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import SYSTEM, Caller, Fact, Permission
from entrepot.model.content import Repository
from entrepot.model.errors import NamespaceUnknown, ValueInvalid
from entrepot.model.ids import TenantId, UserId
from entrepot.model.syncing import RegionUnserved, SyncTarget
from entrepot.model.tenancy import Instance, check_repository_name
from entrepot.oci.reference import NameSyntaxError, RepositoryName
from entrepot.ports.registry import RegistryAddress


@dataclass(frozen=True, slots=True)
class AtPeer:
    """A repository of a registry elsewhere."""

    address: RegistryAddress
    name: RepositoryName


Destination: TypeAlias = Place | AtPeer


def destination(
    ctx: Context,
    conn: Connection,
    repository: Repository,
    *,
    target: SyncTarget,
    tenant: TenantId,
) -> Destination:
    """In a transaction: where the repository's images go. `tenant`: whose peers may be named.

    Raises RegionUnserved, ValueInvalid (a namespace that is none, or the repository itself).
    """
    try:
        name = RepositoryName.parse(f"{target.namespace}/{repository.path}")
    except NameSyntaxError:
        raise ValueInvalid("namespace", "together with the repository it is no name") from None
    if name.namespace != target.namespace:
        raise ValueInvalid("namespace", "it has no slash")
    instance = _shared(conn, target.region)
    if instance is not None:
        if instance.id == repository.instance and str(name) == repository.full_name:
            raise ValueInvalid("namespace", "it is the repository itself")
        return Place(instance, name)
    try:
        address = peer_address(conn, ctx.access.sealer, tenant, target.region)
    except SealBroken:
        raise RegionUnserved(target.region[:300]) from None
    if address is None:
        raise RegionUnserved(target.region[:300])
    return AtPeer(address, name)


def source(
    ctx: Context,
    conn: Connection,
    caller: Caller,
    place: Place,
    *,
    region: str,
    is_read: bool = True,
) -> Repository:
    """In a transaction: the repository, for a caller who may have its images copied to that region: who can read and change them.
    `is_read`: they will be, so nothing may deny pulling either.

    Raises Denied, NamespaceUnknown, RepositoryUnknown.
    """
    wanted = Target(place.instance.id, place.name.namespace, place.name.path)
    about = {Fact.TARGET_REGION: region}
    for permission in (Permission.PUSH, Permission.PULL):
        found = permitted(ctx, conn, caller, wanted, permission, about=about).repository
    assert found is not None  # noqa: S101  (it has a path)
    if is_read:
        resource = replace(of_repository(found), about=about)
        ctx.access.judge.require_undenied(conn, caller, Permission.PULL, resource)
    return found


def goal(
    ctx: Context, conn: Connection, caller: Caller, place: Place, *, region: str
) -> Repository | NewRepository:
    """In a transaction: what a copy within the deployment is pushed to, for a caller who may push there, and to whom nothing denies what
    pushing takes. Raises NamespaceUnknown, NameInvalid, Denied."""
    about = {Fact.TARGET_REGION: region}
    present = namespaces.find_repository(conn, place.instance.id, str(place.name))
    if present is not None:
        resource = replace(of_repository(present), about=about)
        ctx.access.require(conn, caller, Permission.PUSH, resource)
        ctx.access.judge.require_undenied(conn, caller, Permission.PUSH, resource)
        return present
    namespace = namespaces.find_namespace(conn, place.instance.id, place.name.namespace)
    if namespace is None:
        raise NamespaceUnknown(place.name.namespace)
    path = check_repository_name(place.instance.kind, place.name.path)
    to_make = NewRepository(namespace, path)
    for permission, on in (
        (Permission.PUSH, resource_of(to_make)),
        (Permission.REPOSITORY_CREATE, in_making(to_make)),
    ):
        resource = replace(on, about={**on.about, **about})
        ctx.access.require(conn, caller, permission, resource)
        ctx.access.judge.require_undenied(conn, caller, permission, resource)
    return to_make


def _shared(conn: Connection, region: str) -> Instance | None:
    """The shared instance of a region served here."""
    number = next(
        (one.id for one in tenants.list_regions(conn) if one.name == region and one.is_local), None
    )
    return None if number is None else instances.shared_of(conn, number)


def actor(conn: Connection, user: UserId | None, operation: str) -> Caller:
    """In a transaction: a caller with the rights of the user (None: the operator) as they are now, doing what policies call so."""
    if user is None:
        return SYSTEM
    found = identities.get_user(conn, user)
    if found is None:  # deleted: a caller who may nothing
        return Caller(f"user:{user}", f"user {user}", user=user, operation=operation)
    return Caller(f"user:{user}", found.name, tenant=found.tenant, user=user, operation=operation)
