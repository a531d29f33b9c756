"""Policies: documents in the words of a dialect, attached to users and groups of the tenant."""

from dataclasses import dataclass

from entrepot.capabilities.access.documents import DocumentInvalid
from entrepot.capabilities.access.identities.standing import (
    group_named,
    require_identities,
    require_rank,
    rights_changed,
    user_named,
)
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import identities, policies
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller
from entrepot.model.errors import NameTaken, ValueInvalid
from entrepot.model.identities import (
    MAX_DESCRIPTION,
    POLICY_NAME,
    Attachment,
    Policy,
    PolicyUnknown,
)
from entrepot.model.ids import GroupId, Micros, TenantId, UserId


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """A policy's whole text; `dialect` says in whose words: `entrepot`, `tcr`, `swr`."""

    tenant: TenantId
    name: str
    document: str
    dialect: str = "entrepot"
    description: str = ""


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy of a tenant."""

    tenant: TenantId
    name: str


@dataclass(frozen=True, slots=True)
class ListPolicies:
    """In name order, behind `after`."""

    tenant: TenantId
    after: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class AttachPolicy:
    """A policy and a user or a group of the same tenant: exactly one of the two."""

    tenant: TenantId
    policy: str
    user: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyShown:
    """A policy and to whom it is attached."""

    policy: Policy
    attachments: tuple[Attachment, ...]


async def create_policy(ctx: Context, caller: Caller, command: WritePolicy) -> Policy:
    """A policy attached to nobody. Raises Denied, NameInvalid, NameTaken, ValueInvalid (the document says nothing clear)."""
    POLICY_NAME.check(command.name)
    _check(ctx, command)

    def write(conn: Connection) -> Policy:
        require_identities(ctx, conn, caller, command.tenant)
        if policies.find_policy(conn, command.tenant, command.name) is not None:
            raise NameTaken(command.name)
        policy = policies.insert_policy(
            conn,
            command.tenant,
            command.name,
            dialect=command.dialect,
            document=command.document,
            description=command.description,
        )
        note(conn, caller, "policy.create", policy.name, tenant=policy.tenant)
        return policy

    return await change(ctx, caller, "policy.create", write)


async def update_policy(ctx: Context, caller: Caller, command: WritePolicy) -> Policy:
    """Replace document, dialect and description. Raises Denied, PolicyUnknown, ValueInvalid."""
    _check(ctx, command)

    def write(conn: Connection) -> Policy:
        policy = _managed(ctx, conn, caller, tenant=command.tenant, name=command.name)
        policies.set_document(
            conn,
            policy.id,
            dialect=command.dialect,
            document=command.document,
            description=command.description,
        )
        rights_changed(ctx, conn, policy.tenant)
        note(conn, caller, "policy.update", policy.name, tenant=policy.tenant)
        return policy_named(conn, command.tenant, command.name)

    return await change(ctx, caller, "policy.update", write)


async def get_policy(ctx: Context, caller: Caller, command: NamedPolicy) -> PolicyShown:
    """A policy and to whom it is attached. Raises Denied, PolicyUnknown."""

    def read(conn: Connection) -> PolicyShown:
        require_identities(ctx, conn, caller, command.tenant)
        policy = policy_named(conn, command.tenant, command.name)
        return PolicyShown(policy, tuple(policies.list_attachments(conn, policy.id)))

    return await ctx.db.read(read)


async def list_policies(ctx: Context, caller: Caller, command: ListPolicies) -> list[Policy]:
    """Living policies of the tenant. Raises Denied, TenantUnknown."""

    def read(conn: Connection) -> list[Policy]:
        require_identities(ctx, conn, caller, command.tenant)
        return policies.list_policies(
            conn, command.tenant, after=command.after, limit=command.limit
        )

    return await ctx.db.read(read)


async def delete_policy(ctx: Context, caller: Caller, command: NamedPolicy) -> None:
    """Delete it; what it gave and what it denied ends at once. Raises Denied, PolicyUnknown."""

    def write(conn: Connection) -> None:
        policy = _managed(ctx, conn, caller, tenant=command.tenant, name=command.name)
        policies.tombstone_policy(conn, policy.id, Micros(now(conn)))
        rights_changed(ctx, conn, policy.tenant)
        note(conn, caller, "policy.delete", policy.name, tenant=policy.tenant)

    await change(ctx, caller, "policy.delete", write)


async def attach_policy(ctx: Context, caller: Caller, command: AttachPolicy) -> None:
    """Attach; no matter if it was. Raises Denied, PolicyUnknown, UserUnknown, GroupUnknown, ValueInvalid."""

    def write(conn: Connection) -> None:
        policy, user, group = _resolve(ctx, conn, caller, command)
        if policies.attach(conn, policy.id, user=user, group=group):
            rights_changed(ctx, conn, policy.tenant)
            _note(conn, caller, "policy.attach", command)

    await change(ctx, caller, "policy.attach", write)


async def detach_policy(ctx: Context, caller: Caller, command: AttachPolicy) -> None:
    """Detach. Raises Denied, PolicyUnknown (also where it is not attached), UserUnknown, GroupUnknown, ValueInvalid."""

    def write(conn: Connection) -> None:
        policy, user, group = _resolve(ctx, conn, caller, command)
        if not policies.detach(conn, policy.id, user=user, group=group):
            raise PolicyUnknown(policy.name)
        rights_changed(ctx, conn, policy.tenant)
        _note(conn, caller, "policy.detach", command)

    await change(ctx, caller, "policy.detach", write)


def policy_named(conn: Connection, tenant: TenantId, name: str) -> Policy:
    """The living policy. Raises PolicyUnknown."""
    policy = policies.find_policy(conn, tenant, name)
    if policy is None:
        raise PolicyUnknown(name[:300])
    return policy


def _check(ctx: Context, command: WritePolicy) -> None:
    if len(command.description) > MAX_DESCRIPTION:
        raise ValueInvalid("description", f"at most {MAX_DESCRIPTION} characters")
    try:
        ctx.access.vocabularies.check(command.dialect, command.document)
    except DocumentInvalid as error:
        raise ValueInvalid("document", str(error)[:500]) from error


def _managed(
    ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId, name: str
) -> Policy:
    """A policy the caller may change: one that binds administrators is theirs to change."""
    require_identities(ctx, conn, caller, tenant)
    policy = policy_named(conn, tenant, name)
    for role in policies.bound_roles(conn, policy.id):
        require_rank(ctx, conn, caller, tenant=tenant, role=role)
    return policy


def _resolve(
    ctx: Context, conn: Connection, caller: Caller, command: AttachPolicy
) -> tuple[Policy, UserId | None, GroupId | None]:
    require_identities(ctx, conn, caller, command.tenant)
    policy = policy_named(conn, command.tenant, command.policy)
    if command.user is not None and command.group is None:
        user = user_named(conn, command.tenant, command.user)
        require_rank(ctx, conn, caller, tenant=command.tenant, role=user.role)
        return policy, user.id, None
    if command.group is not None and command.user is None:
        group = group_named(conn, command.tenant, command.group)
        for member in identities.list_members(conn, group.id):
            require_rank(ctx, conn, caller, tenant=command.tenant, role=member.role)
        return policy, None, group.id
    raise ValueInvalid("principal", "expected a user or a group")


def _note(conn: Connection, caller: Caller, action: str, command: AttachPolicy) -> None:
    note(
        conn,
        caller,
        action,
        command.policy,
        tenant=command.tenant,
        user=command.user,
        group=command.group,
    )
