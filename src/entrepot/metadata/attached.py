"""Policies that bind users, groups and tenants: what is read at every decision, and how it came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.policies import policy_of
from entrepot.metadata.schema import (
    group_members,
    groups,
    policies,
    policy_attachments,
    projects,
    regions,
    tenants,
    users,
)
from entrepot.model.access import Role
from entrepot.model.identities import Attachment, Policy
from entrepot.model.ids import GroupId, PolicyId, TenantId, UserId


@dataclass(frozen=True, slots=True)
class AttachedDocument:
    """A policy's text. `region`: it counts only there, "": everywhere. `is_cap`: it limits the tenant, and gives nothing."""

    dialect: str
    document: str
    region: str
    is_cap: bool


def _attached(which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return (
        sa.select(
            policies.c.dialect,
            policies.c.document,
            regions.c.name.label("region"),
            policy_attachments.c.tenant_id.is_not(None).label("is_cap"),
        )
        .select_from(
            policy_attachments.join(policies, policies.c.id == policy_attachments.c.policy_id)
            .outerjoin(projects, projects.c.id == policy_attachments.c.project_id)
            .outerjoin(regions, regions.c.id == projects.c.region_id)
        )
        .where(which, policies.c.deleted_at.is_(None))
        .order_by(policies.c.id)
    )


def _of_user() -> sa.ColumnElement[bool]:
    user = sa.bindparam("user", type_=sa.BigInteger)
    in_groups = (
        sa.select(group_members.c.group_id)
        .join(groups, groups.c.id == group_members.c.group_id)
        .where(group_members.c.user_id == user, groups.c.deleted_at.is_(None))
    )
    return sa.or_(
        policy_attachments.c.user_id == user,
        policy_attachments.c.group_id.in_(in_groups),
        policy_attachments.c.tenant_id == sa.bindparam("tenant", type_=sa.BigInteger),
    )


# Built once: every decision runs one of them.
_DOCUMENTS = _attached(_of_user())
_CAPS = _attached(policy_attachments.c.tenant_id == sa.bindparam("tenant"))


def policy_documents(conn: Connection, user: UserId, tenant: TenantId) -> list[AttachedDocument]:
    """Living policies attached to the user or a living group of theirs, and those that cap the user's tenant."""
    return _documents_of(conn.execute(_DOCUMENTS, {"user": user, "tenant": tenant}).all())


def caps(conn: Connection, tenant: TenantId) -> list[AttachedDocument]:
    """Living policies that cap the tenant."""
    return _documents_of(conn.execute(_CAPS, {"tenant": tenant}).all())


def _documents_of(rows: Sequence[Any]) -> list[AttachedDocument]:
    return [
        AttachedDocument(row.dialect, row.document, row.region or "", bool(row.is_cap))
        for row in rows
    ]


# -- attaching --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a policy is attached to: exactly one of user, group and tenant. `project`: of a group's, the one where it counts."""

    user: UserId | None = None
    group: GroupId | None = None
    tenant: TenantId | None = None
    project: int | None = None


def attach(conn: Connection, policy: PolicyId, to: Principal) -> bool:
    """Attach it; False if it was."""
    present = sa.select(policy_attachments.c.id).where(*_attachment(policy, to))
    if conn.execute(present).first() is not None:
        return False
    values = {
        "policy_id": policy,
        "user_id": to.user,
        "group_id": to.group,
        "tenant_id": to.tenant,
        "project_id": to.project,
    }
    conn.execute(sa.insert(policy_attachments).values(**values))
    return True


def detach(conn: Connection, policy: PolicyId, to: Principal) -> bool:
    """Detach it; False if it was not attached."""
    done = conn.execute(sa.delete(policy_attachments).where(*_attachment(policy, to)))
    return done.rowcount > 0


def _attachment(policy: PolicyId, to: Principal) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        policy_attachments.c.policy_id == policy,
        policy_attachments.c.user_id.is_not_distinct_from(to.user),
        policy_attachments.c.group_id.is_not_distinct_from(to.group),
        policy_attachments.c.tenant_id.is_not_distinct_from(to.tenant),
        policy_attachments.c.project_id.is_not_distinct_from(to.project),
    )


def list_attachments(conn: Connection, policy: PolicyId) -> list[Attachment]:
    """To whom it is attached: users by name, then groups, then tenants that it caps."""
    found: list[Attachment] = []
    for kind, table, column in (
        ("user", users, policy_attachments.c.user_id),
        ("group", groups, policy_attachments.c.group_id),
        ("tenant", tenants, policy_attachments.c.tenant_id),
    ):
        project = sa.func.coalesce(projects.c.name, "")
        query = (
            sa.select(table.c.name, project.label("project"))
            .select_from(
                policy_attachments.join(table, column == table.c.id).outerjoin(
                    projects, projects.c.id == policy_attachments.c.project_id
                )
            )
            .where(policy_attachments.c.policy_id == policy)
            .order_by(table.c.name, project)
        )
        found += [Attachment(kind, row.name, row.project) for row in conn.execute(query)]
    return found


def most_together(conn: Connection, policy: PolicyId) -> int:
    """Characters of the living policies that one user, group or tenant has, the most of those that this one is attached to."""
    most = 0
    for column in (
        policy_attachments.c.user_id,
        policy_attachments.c.group_id,
        policy_attachments.c.tenant_id,
    ):
        bound = sa.select(column).where(
            policy_attachments.c.policy_id == policy, column.is_not(None)
        )
        together = sa.func.sum(sa.func.length(policies.c.document))
        query = (
            sa.select(together)
            .select_from(
                policy_attachments.join(policies, policies.c.id == policy_attachments.c.policy_id)
            )
            .where(column.in_(bound), policies.c.deleted_at.is_(None))
            .group_by(column)
            .order_by(together.desc())
            .limit(1)
        )
        most = max(most, int(conn.scalar(query) or 0))
    return most


def capped_by(conn: Connection, policy: PolicyId) -> list[TenantId]:
    """The tenants that it caps."""
    query = sa.select(policy_attachments.c.tenant_id).where(
        policy_attachments.c.policy_id == policy, policy_attachments.c.tenant_id.is_not(None)
    )
    return [TenantId(number) for number in conn.scalars(query)]


def caps_of(conn: Connection, tenant: TenantId) -> list[Policy]:
    """Living policies that cap the tenant, by name."""
    query = (
        sa.select(policies)
        .join(policy_attachments, policy_attachments.c.policy_id == policies.c.id)
        .where(policy_attachments.c.tenant_id == tenant, policies.c.deleted_at.is_(None))
        .order_by(policies.c.name)
    )
    return [policy_of(row) for row in conn.execute(query)]


def bound_roles(conn: Connection, policy: PolicyId) -> set[Role]:
    """Roles of the living users it is attached to, themselves or by a group."""
    members = (
        sa.select(group_members.c.user_id)
        .join(policy_attachments, policy_attachments.c.group_id == group_members.c.group_id)
        .where(policy_attachments.c.policy_id == policy)
    )
    direct = sa.select(policy_attachments.c.user_id).where(
        policy_attachments.c.policy_id == policy, policy_attachments.c.user_id.is_not(None)
    )
    query = (
        sa.select(users.c.role)
        .distinct()
        .where(
            sa.or_(users.c.id.in_(members), users.c.id.in_(direct)), users.c.deleted_at.is_(None)
        )
    )
    return {Role(role) for role in conn.scalars(query)}
