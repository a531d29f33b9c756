"""Tenants: made with an owner and a project in each region, deleted with everything that gave rights in them."""

from collections.abc import Collection
from dataclasses import dataclass

from entrepot.capabilities.access.identities.standing import living_tenant, rights_changed
from entrepot.capabilities.access.identities.users import hash_password
from entrepot.capabilities.access.secrets import new_secret
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.namespaces import remove_namespace
from entrepot.capabilities.instances.removing import end_instance
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import (
    identities,
    instance_content,
    instance_details,
    instances,
    namespaces,
    peers,
    tenants,
)
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Permission, Resource, Role
from entrepot.model.errors import NameTaken, NotEmpty, Protected, TenantUnknown
from entrepot.model.identities import IDENTITY_NAME, Project, User
from entrepot.model.ids import Micros, TenantId
from entrepot.model.tenancy import InstanceKind, Tenant

_PAGE = 500


@dataclass(frozen=True, slots=True)
class CreateTenant:
    """`password` None: one is made up. The owner logs in as `<tenant>/<owner>`."""

    name: str
    owner: str = "owner"
    password: str | None = None

    def __repr__(self) -> str:
        return f"CreateTenant({self.name}, {self.owner}, ***)"


@dataclass(frozen=True, slots=True, repr=False)
class TenantMade:
    """`password`: of the owner if it was made up; shown this once."""

    tenant: Tenant
    owner: User
    password: str | None


@dataclass(frozen=True, slots=True)
class ListTenants:
    """In name order, behind `after`."""

    after: str = ""
    limit: int = 1000


async def create_tenant(ctx: Context, caller: Caller, command: CreateTenant) -> TenantMade:
    """A tenant with its owner and a project in each region served here. Raises Denied, NameInvalid, NameTaken, ValueInvalid."""
    IDENTITY_NAME.check(command.name)
    IDENTITY_NAME.check(command.owner)
    await ctx.db.read(lambda conn: _require(ctx, conn, caller))
    generated = new_secret() if command.password is None else None
    password_hash = await hash_password(ctx, generated or command.password or "")

    def write(conn: Connection) -> TenantMade:
        _require(ctx, conn, caller)
        if tenants.find_tenant(conn, command.name) is not None:
            raise NameTaken(command.name)
        tenant, owner = found_tenant(
            conn, command.name, owner=command.owner, password_hash=password_hash
        )
        note(
            conn, caller, "tenant.create", tenant.name, tenant=tenant.id, public_id=tenant.public_id
        )
        return TenantMade(tenant, owner, generated)

    return await change(ctx, caller, "tenant.create", write)


def found_tenant(
    conn: Connection, name: str, *, owner: str, password_hash: str, is_root: bool = False
) -> tuple[Tenant, User]:
    """In a transaction: tenant, owner (with the tenant's own account number, as Tencent's owners), projects."""
    tenant = tenants.insert_tenant(conn, name, is_root=is_root)
    user = identities.insert_user(
        conn, tenant.id, owner, role=Role.OWNER, password_hash=password_hash, uin=tenant.uin
    )
    for region in tenants.list_regions(conn):
        if region.is_local:
            tenants.insert_project(conn, tenant.id, region)
    return tenant, user


async def list_tenants(ctx: Context, caller: Caller, command: ListTenants) -> list[Tenant]:
    """Living tenants. Raises Denied."""

    def read(conn: Connection) -> list[Tenant]:
        _require(ctx, conn, caller)
        return tenants.list_tenants(conn, after=command.after, limit=command.limit)

    return await ctx.db.read(read)


async def names_of_tenants(
    ctx: Context, caller: Caller, wanted: Collection[TenantId]
) -> dict[TenantId, str]:
    """What those of them that live are called. Raises Denied."""

    def read(conn: Connection) -> dict[TenantId, str]:
        _require(ctx, conn, caller)
        found = (tenants.get_tenant(conn, one) for one in wanted)
        return {tenant.id: tenant.name for tenant in found if tenant is not None}

    return await ctx.db.read(read)


async def get_tenant(ctx: Context, caller: Caller, name: str) -> Tenant:
    """The tenant of that name, for those who run the deployment, and their own for its users. Raises Denied, TenantUnknown."""

    def read(conn: Connection) -> Tenant:
        tenant = tenants.find_tenant(conn, name)
        is_own = tenant is not None and tenant.id == caller.tenant
        if not (is_own and ctx.access.judge.rights(conn, caller).is_active):
            _require(ctx, conn, caller)
        if tenant is None:
            raise TenantUnknown(name[:300])
        return tenant

    return await ctx.db.read(read)


async def list_projects(ctx: Context, caller: Caller, tenant: TenantId) -> list[Project]:
    """Projects of the tenant, for those who run the deployment and for its users. Raises Denied."""

    def read(conn: Connection) -> list[Project]:
        if caller.tenant != tenant or not ctx.access.judge.rights(conn, caller).is_active:
            _require(ctx, conn, caller)
        living_tenant(conn, tenant)
        return tenants.list_projects(conn, tenant)

    return await ctx.db.read(read)


async def delete_tenant(ctx: Context, caller: Caller, tenant: TenantId) -> None:
    """End the tenant: its users, keys, accounts, instances and empty namespaces. Raises Denied, TenantUnknown, Protected, NotEmpty.

    The root tenant is protected; while a repository is left nothing is deleted.
    """

    def write(conn: Connection) -> None:
        _require(ctx, conn, caller)
        found = living_tenant(conn, tenant)
        if found.is_root:
            raise Protected(f"tenant {found.name}")
        if tenants.has_repositories(conn, tenant):
            raise NotEmpty(f"tenant {found.name}")
        _delete_places(ctx, conn, caller, tenant)
        peers.tombstone_all(conn, tenant)
        tenants.tombstone_tenant(conn, tenant, Micros(now(conn)))
        rights_changed(ctx, conn, tenant)
        note(conn, caller, "tenant.delete", found.name, tenant=tenant)

    await change(ctx, caller, "tenant.delete", write)


def _delete_places(ctx: Context, conn: Connection, caller: Caller, tenant: TenantId) -> None:
    for instance in instances.list_instances(conn, tenant):
        while page := namespaces.list_namespaces(conn, instance.id, tenant=tenant, limit=_PAGE):
            for namespace in page:
                remove_namespace(conn, caller, namespace)
        if instance.kind is InstanceKind.DEDICATED:
            instance_details.update_instance(conn, instance.id, kept_at=None)
            found = instance_content.ending(conn, instance.id)
            if found is not None:
                end_instance(ctx, conn, caller, found)


def _require(ctx: Context, conn: Connection, caller: Caller) -> None:
    ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
