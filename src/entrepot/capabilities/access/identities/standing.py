"""What every use case on identities asks first: may the caller manage this tenant's people, and this person.

A member whom a policy lets manage identities may not touch administrators, nor make any: only they have what no document can give.
"""

from entrepot.capabilities.access.callers import CredentialKind, LoggedIn, TokenCaller
from entrepot.capabilities.context import Context
from entrepot.metadata import epochs, identities, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource, Role
from entrepot.model.errors import Forbidden, GroupUnknown, TenantUnknown, UserUnknown
from entrepot.model.identities import Group, User
from entrepot.model.ids import TenantId
from entrepot.model.tenancy import Tenant

_RANK = {Role.MEMBER: 0, Role.ADMINISTRATOR: 1, Role.OWNER: 2}


def require_identities(ctx: Context, conn: Connection, caller: Caller, tenant: TenantId) -> Tenant:
    """The tenant, if the caller manages its identities. Raises Denied, TenantUnknown."""
    ctx.access.require(conn, caller, Permission.IDENTITY_MANAGE, Resource(tenant))
    return living_tenant(conn, tenant)


def require_own_or_managed(
    ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId, name: str
) -> User:
    """A user who is the caller, or whom the caller manages. Raises Denied, UserUnknown.

    Own matters need a password or an access key: a registry token, which lies about in configuration files, must not take over the
    user who made it. A policy may deny `identity:manage`, and then own matters too.
    """
    user = identities.find_user(conn, tenant, name)
    if user is not None and is_themselves(caller, user):
        judge = ctx.access.judge
        if judge.leaves(conn, caller, Permission.IDENTITY_MANAGE, Resource(tenant)):
            return user
    require_identities(ctx, conn, caller, tenant)
    if user is None:
        raise UserUnknown(name[:300])
    require_rank(ctx, conn, caller, tenant=tenant, role=user.role)
    return user


def is_themselves(caller: Caller, user: User) -> bool:
    """Whether the caller is that user in person."""
    if caller.user != user.id or isinstance(caller, TokenCaller):
        return False
    return not isinstance(caller, LoggedIn) or caller.credential.kind is not CredentialKind.ACCOUNT


def require_rank(
    ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId, role: Role
) -> None:
    """Raise Forbidden unless the caller stands at least as high as `role`; members may manage members."""
    if caller.is_system or role is Role.MEMBER:
        return
    own = ctx.access.judge.rights(conn, caller).role
    if own is None or _RANK[own] < _RANK[role]:
        raise Forbidden(Permission.IDENTITY_MANAGE, f"{role} of tenant {tenant}")


def living_tenant(conn: Connection, tenant: TenantId) -> Tenant:
    """The tenant. Raises TenantUnknown."""
    found = tenants.get_tenant(conn, tenant)
    if found is None:
        raise TenantUnknown(str(tenant))
    return found


def user_named(conn: Connection, tenant: TenantId, name: str) -> User:
    """The living user. Raises UserUnknown."""
    user = identities.find_user(conn, tenant, name)
    if user is None:
        raise UserUnknown(name[:300])
    return user


def group_named(conn: Connection, tenant: TenantId, name: str) -> Group:
    """The living group. Raises GroupUnknown."""
    group = identities.find_group(conn, tenant, name)
    if group is None:
        raise GroupUnknown(name[:300])
    return group


def rights_changed(ctx: Context, conn: Connection, tenant: TenantId) -> None:
    """In the transaction of a change of the tenant's rights: nothing that was remembered of it counts any more."""
    ctx.access.raise_epoch(conn, epochs.of_tenant(tenant))
