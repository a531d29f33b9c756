"""Policies: documents in the words of a dialect, attached to users and groups of the tenant.

A policy of the root tenant may also cap another tenant (`caps`). Presets are every tenant's from the start: they come with the dialects, and become a row of the tenant when they are first attached.
"""

import asyncio
from dataclasses import dataclass, replace

from entrepot.capabilities.access.documents import MAX_DOCUMENT, DocumentInvalid
from entrepot.capabilities.access.identities.standing import (
    group_named,
    require_identities,
    require_rank,
    rights_changed,
    user_named,
)
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import access, attached, identities, policies, tenants
from entrepot.metadata.attached import Principal
from entrepot.metadata.database import Connection, now
from entrepot.model.access import NO_NAMES, Caller, Permission, Resource
from entrepot.model.errors import NameTaken, Protected, QuotaExceeded, ValueInvalid
from entrepot.model.identities import (
    MAX_DESCRIPTION,
    POLICY_NAME,
    Attachment,
    Policy,
    PolicyUnknown,
    ProjectUnknown,
)
from entrepot.model.ids import Micros, PolicyId, TenantId

MAX_TOGETHER = (
    2 * MAX_DOCUMENT
)  # characters of what is attached to one user, group or tenant: each request reads it
_NOT_STORED = PolicyId(0)


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
    """A policy and a user or a group of the same tenant: exactly one of the two. `project`: of a group's, the only one where it counts."""

    tenant: TenantId
    policy: str
    user: str | None = None
    group: str | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyShown:
    """A policy and to whom it is attached."""

    policy: Policy
    attachments: tuple[Attachment, ...]


async def create_policy(ctx: Context, caller: Caller, command: WritePolicy) -> Policy:
    """A policy attached to nobody. Raises Denied, NameInvalid, NameTaken, ValueInvalid (the document says nothing clear)."""
    POLICY_NAME.check(command.name)
    await _check(ctx, caller, command)

    def write(conn: Connection) -> Policy:
        require_identities(ctx, conn, caller, command.tenant)
        if _find(ctx, conn, command.tenant, command.name) is not None:
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
    """Replace document, dialect and description. Raises Denied, PolicyUnknown, Protected (a preset), ValueInvalid, QuotaExceeded."""
    await _check(ctx, caller, command)

    def write(conn: Connection) -> Policy:
        policy = _managed(ctx, conn, caller, tenant=command.tenant, name=command.name)
        policies.set_document(
            conn,
            policy.id,
            dialect=command.dialect,
            document=command.document,
            description=command.description,
        )
        if len(command.document) > len(policy.document):
            check_together(conn, policy.id)
        _changed(ctx, conn, policy)
        note(conn, caller, "policy.update", policy.name, tenant=policy.tenant)
        return policy_named(ctx, conn, command.tenant, command.name)

    return await change(ctx, caller, "policy.update", write)


async def get_policy(ctx: Context, caller: Caller, command: NamedPolicy) -> PolicyShown:
    """A policy and to whom it is attached. Raises Denied, PolicyUnknown."""

    def read(conn: Connection) -> PolicyShown:
        require_identities(ctx, conn, caller, command.tenant)
        policy = policy_named(ctx, conn, command.tenant, command.name)
        return PolicyShown(policy, tuple(attached.list_attachments(conn, policy.id)))

    return await ctx.db.read(read)


async def list_policies(ctx: Context, caller: Caller, command: ListPolicies) -> list[Policy]:
    """Presets and the tenant's own living policies. Raises Denied, TenantUnknown."""

    def read(conn: Connection) -> list[Policy]:
        require_identities(ctx, conn, caller, command.tenant)
        found = policies.list_policies(
            conn, command.tenant, after=command.after, limit=command.limit
        )
        by_name = {
            name: _preset(ctx, command.tenant, name)
            for name in ctx.access.vocabularies.presets
            if name > command.after
        }
        by_name |= {policy.name: _marked(ctx, policy) for policy in found}
        return [by_name[name] for name in sorted(by_name)][: command.limit]

    return await ctx.db.read(read)


async def delete_policy(ctx: Context, caller: Caller, command: NamedPolicy) -> None:
    """Delete it; what it gave and what it denied ends at once. Raises Denied, PolicyUnknown, Protected (a preset)."""

    def write(conn: Connection) -> None:
        policy = _managed(ctx, conn, caller, tenant=command.tenant, name=command.name)
        _changed(ctx, conn, policy)
        policies.tombstone_policy(conn, policy.id, Micros(now(conn)))
        note(conn, caller, "policy.delete", policy.name, tenant=policy.tenant)

    await change(ctx, caller, "policy.delete", write)


async def attach_policy(ctx: Context, caller: Caller, command: AttachPolicy) -> None:
    """Attach; no matter if it was. Raises Denied, PolicyUnknown, UserUnknown, GroupUnknown, ProjectUnknown, ValueInvalid, QuotaExceeded."""

    def write(conn: Connection) -> None:
        policy, to = _resolve(ctx, conn, caller, command)
        policy = stored(conn, policy)
        if attached.attach(conn, policy.id, to):
            check_together(conn, policy.id)
            rights_changed(ctx, conn, policy.tenant)
            _note(conn, caller, "policy.attach", command)

    await change(ctx, caller, "policy.attach", write)


async def detach_policy(ctx: Context, caller: Caller, command: AttachPolicy) -> None:
    """Detach. Raises Denied, PolicyUnknown (also where it is not attached), UserUnknown, GroupUnknown, ProjectUnknown,
    ValueInvalid."""

    def write(conn: Connection) -> None:
        policy, to = _resolve(ctx, conn, caller, command)
        if not attached.detach(conn, policy.id, to):
            raise PolicyUnknown(policy.name)
        rights_changed(ctx, conn, policy.tenant)
        _note(conn, caller, "policy.detach", command)

    await change(ctx, caller, "policy.detach", write)


def policy_named(ctx: Context, conn: Connection, tenant: TenantId, name: str) -> Policy:
    """The living policy, or the preset. Raises PolicyUnknown."""
    policy = _find(ctx, conn, tenant, name)
    if policy is None:
        raise PolicyUnknown(name[:300])
    return policy


def _find(ctx: Context, conn: Connection, tenant: TenantId, name: str) -> Policy | None:
    policy = policies.find_policy(conn, tenant, name)
    if policy is not None:
        return _marked(ctx, policy)
    return _preset(ctx, tenant, name) if name in ctx.access.vocabularies.presets else None


def _marked(ctx: Context, policy: Policy) -> Policy:
    return replace(policy, is_preset=policy.name in ctx.access.vocabularies.presets)


def _preset(ctx: Context, tenant: TenantId, name: str) -> Policy:
    preset = ctx.access.vocabularies.presets[name]
    return Policy(
        id=_NOT_STORED,
        tenant=tenant,
        public_id="",
        name=name,
        dialect=preset.dialect,
        document=preset.document,
        description=preset.description,
        created_at=Micros(0),
        is_preset=True,
    )


def stored(conn: Connection, policy: Policy) -> Policy:
    """The policy, with a row: a preset gets one when it is first attached."""
    if policy.id != _NOT_STORED:
        return policy
    return policies.insert_policy(
        conn,
        policy.tenant,
        policy.name,
        dialect=policy.dialect,
        document=policy.document,
        description=policy.description,
    )


def check_together(conn: Connection, policy: PolicyId) -> None:
    """In the transaction that attached or changed it: raise QuotaExceeded where somebody has too much to be read at each request."""
    if attached.most_together(conn, policy) > MAX_TOGETHER:
        raise QuotaExceeded("characters of policies attached together", MAX_TOGETHER)


async def _check(ctx: Context, caller: Caller, command: WritePolicy) -> None:
    if len(command.description) > MAX_DESCRIPTION:
        raise ValueInvalid("description", f"at most {MAX_DESCRIPTION} characters")
    naming = NO_NAMES
    if caller.is_system or caller.tenant == command.tenant:  # nobody else learns them
        naming = await ctx.db.read(lambda conn: access.naming(conn, command.tenant, None))
    check = ctx.access.vocabularies.check
    try:
        await asyncio.to_thread(check, command.dialect, command.document, naming)
    except DocumentInvalid as error:
        raise ValueInvalid("document", str(error)[:500]) from error


def _managed(
    ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId, name: str
) -> Policy:
    """A policy the caller may change: no preset; one that binds administrators is theirs to change, one that caps tenants is for those
    who run the deployment."""
    require_identities(ctx, conn, caller, tenant)
    policy = policy_named(ctx, conn, tenant, name)
    if policy.is_preset:
        raise Protected(name)
    for role in attached.bound_roles(conn, policy.id):
        require_rank(ctx, conn, caller, tenant=tenant, role=role)
    if attached.capped_by(conn, policy.id):
        ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
    return policy


def _changed(ctx: Context, conn: Connection, policy: Policy) -> None:
    """The rights of its tenant change, and of those that it caps."""
    for tenant in {policy.tenant, *attached.capped_by(conn, policy.id)}:
        rights_changed(ctx, conn, tenant)


def _resolve(
    ctx: Context, conn: Connection, caller: Caller, command: AttachPolicy
) -> tuple[Policy, Principal]:
    require_identities(ctx, conn, caller, command.tenant)
    policy = policy_named(ctx, conn, command.tenant, command.policy)
    if command.user is not None and command.group is None and command.project is None:
        user = user_named(conn, command.tenant, command.user)
        require_rank(ctx, conn, caller, tenant=command.tenant, role=user.role)
        return policy, Principal(user=user.id)
    if command.group is not None and command.user is None:
        group = group_named(conn, command.tenant, command.group)
        for member in identities.list_members(conn, group.id):
            require_rank(ctx, conn, caller, tenant=command.tenant, role=member.role)
        return policy, Principal(group=group.id, project=_project(conn, command))
    raise ValueInvalid("principal", "expected a user, or a group and at most a project")


def _project(conn: Connection, command: AttachPolicy) -> int | None:
    if command.project is None:
        return None
    number = tenants.project_number(conn, command.tenant, command.project)
    if number is None:
        raise ProjectUnknown(command.project[:300])
    return number


def _note(conn: Connection, caller: Caller, action: str, command: AttachPolicy) -> None:
    note(
        conn,
        caller,
        action,
        command.policy,
        tenant=command.tenant,
        user=command.user,
        group=command.group,
        project=command.project,
    )
