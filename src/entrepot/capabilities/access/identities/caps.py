"""Caps: policies of the root tenant that limit another tenant, its owner included. They never give anything.

What none of a tenant's caps allows, nobody of that tenant may do, and what one of them denies neither. Whoever runs the deployment
attaches them. The root tenant has none: it could lock everybody out.
"""

from collections.abc import Callable
from dataclasses import dataclass

from entrepot.capabilities.access.identities.policies import check_together, policy_named, stored
from entrepot.capabilities.access.identities.standing import living_tenant, rights_changed
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import attached, tenants
from entrepot.metadata.attached import Principal
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import Protected, TenantUnknown
from entrepot.model.identities import Policy, PolicyUnknown
from entrepot.model.ids import TenantId


@dataclass(frozen=True, slots=True)
class Cap:
    """A policy of the root tenant, or a preset, by name, and the tenant that it limits."""

    tenant: TenantId
    policy: str


async def cap_tenant(ctx: Context, caller: Caller, command: Cap) -> None:
    """Limit the tenant; no matter if it was. Raises Denied, TenantUnknown, PolicyUnknown, Protected (the root tenant), QuotaExceeded."""

    def do(conn: Connection, policy: Policy) -> bool:
        number = stored(conn, policy).id
        is_new = attached.attach(conn, number, Principal(tenant=command.tenant))
        check_together(conn, number)
        return is_new

    await _change(ctx, caller, "tenant.cap", command, do)


async def uncap_tenant(ctx: Context, caller: Caller, command: Cap) -> None:
    """Limit it no more. Raises Denied, TenantUnknown, PolicyUnknown (also where it does not cap the tenant), Protected."""

    def do(conn: Connection, policy: Policy) -> bool:
        if not attached.detach(conn, policy.id, Principal(tenant=command.tenant)):
            raise PolicyUnknown(policy.name)
        return True

    await _change(ctx, caller, "tenant.uncap", command, do)


async def list_caps(ctx: Context, caller: Caller, tenant: TenantId) -> list[Policy]:
    """What limits the tenant, by name; for those who run the deployment, and for its own administrators. Raises Denied, TenantUnknown."""

    def read(conn: Connection) -> list[Policy]:
        if not ctx.access.allowed(conn, caller, Permission.IDENTITY_MANAGE, Resource(tenant)):
            _require(ctx, conn, caller)
        living_tenant(conn, tenant)
        return attached.caps_of(conn, tenant)

    return await ctx.db.read(read)


async def _change(
    ctx: Context,
    caller: Caller,
    action: str,
    command: Cap,
    do: Callable[[Connection, Policy], bool],
) -> None:
    def write(conn: Connection) -> None:
        _require(ctx, conn, caller)
        tenant = living_tenant(conn, command.tenant)
        if tenant.is_root:
            raise Protected(f"tenant {tenant.name}")
        root = tenants.root_tenant(conn)
        if root is None:
            raise TenantUnknown("root")
        if do(conn, policy_named(ctx, conn, root.id, command.policy)):
            rights_changed(ctx, conn, tenant.id)
            note(conn, caller, action, tenant.name, tenant=tenant.id, policy=command.policy)

    await change(ctx, caller, action, write)


def _require(ctx: Context, conn: Connection, caller: Caller) -> None:
    ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
