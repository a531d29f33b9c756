"""Policies that bind a user or a tenant: what is read at every decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.schema import (
    group_members,
    groups,
    policies,
    policy_attachments,
    projects,
    regions,
)
from entrepot.model.ids import TenantId, UserId


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
