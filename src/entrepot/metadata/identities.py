"""Users and groups of a tenant."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import (
    access_keys,
    accounts,
    grants,
    group_members,
    groups,
    policy_attachments,
    users,
)
from entrepot.metadata.tenants import new_public_id, new_uin
from entrepot.model.access import AccountKind, Role
from entrepot.model.identities import Group, User
from entrepot.model.ids import GroupId, Micros, TenantId, UserId

# What a service account may do is its own: it outlives whoever made it.
_ACTS_FOR_ITS_USER = tuple(kind.value for kind in AccountKind if kind is not AccountKind.SERVICE)

# -- users ------------------------------------------------------------------------------------------------------------


def insert_user(
    conn: Connection,
    tenant: TenantId,
    name: str,
    *,
    role: Role,
    password_hash: str | None,
    uin: str | None = None,
) -> User:
    """A new enabled user. `uin`: the tenant's own for its owner; else a new one."""
    values = {
        "tenant_id": tenant,
        "public_id": new_public_id(),
        "uin": uin or new_uin(conn),
        "name": name,
        "role": role.value,
        "password_hash": password_hash,
        "credential_version": 1,
        "enabled": True,
        "created_at": now(conn),
    }
    return _user_of(conn.execute(sa.insert(users).values(**values).returning(users)).one())


def find_user(conn: Connection, tenant: TenantId, name: str) -> User | None:
    """The living user of that name."""
    query = sa.select(users).where(
        users.c.tenant_id == tenant, users.c.name == name, users.c.deleted_at.is_(None)
    )
    row = conn.execute(query).first()
    return None if row is None else _user_of(row)


def get_user(conn: Connection, user: UserId) -> User | None:
    """The living user of that id."""
    query = sa.select(users).where(users.c.id == user, users.c.deleted_at.is_(None))
    row = conn.execute(query).first()
    return None if row is None else _user_of(row)


def find_user_by_public_id(conn: Connection, tenant: TenantId, public_id: str) -> User | None:
    """The tenant's living user of that public id."""
    query = sa.select(users).where(
        users.c.tenant_id == tenant, users.c.public_id == public_id, users.c.deleted_at.is_(None)
    )
    row = conn.execute(query).first()
    return None if row is None else _user_of(row)


def list_users(
    conn: Connection, tenant: TenantId, *, after: str = "", limit: int = 1000
) -> list[User]:
    """Living users of the tenant in name order, behind `after`."""
    query = (
        sa.select(users)
        .where(users.c.tenant_id == tenant, users.c.deleted_at.is_(None), users.c.name > after)
        .order_by(users.c.name)
        .limit(limit)
    )
    return [_user_of(row) for row in conn.execute(query)]


def password_of(conn: Connection, user: UserId) -> tuple[str | None, int]:
    """The stored hash and the credential version it belongs to."""
    query = sa.select(users.c.password_hash, users.c.credential_version).where(users.c.id == user)
    row = conn.execute(query).one()
    return row.password_hash, row.credential_version


def set_password(conn: Connection, user: UserId, password_hash: str | None) -> None:
    """Store another password (None: none) and end what logged in with the former."""
    conn.execute(
        sa.update(users)
        .where(users.c.id == user)
        .values(password_hash=password_hash, credential_version=users.c.credential_version + 1)
    )


def set_enabled(conn: Connection, user: UserId, *, enabled: bool) -> None:
    """Let the user in, or not."""
    conn.execute(sa.update(users).where(users.c.id == user).values(enabled=enabled))


def set_role(conn: Connection, user: UserId, role: Role) -> None:
    """Change the user's standing in the tenant."""
    conn.execute(sa.update(users).where(users.c.id == user).values(role=role.value))


def tombstone_user(conn: Connection, user: UserId, at: Micros) -> None:
    """Mark the user deleted with their keys, tokens and logins; take back memberships, policies and grants."""
    for table in (group_members, policy_attachments, grants):
        conn.execute(sa.delete(table).where(table.c.user_id == user))
    conn.execute(
        sa.update(accounts)
        .where(
            accounts.c.user_id == user,
            accounts.c.kind.in_(_ACTS_FOR_ITS_USER),
            accounts.c.deleted_at.is_(None),
        )
        .values(deleted_at=at)
    )
    conn.execute(
        sa.update(access_keys)
        .where(access_keys.c.user_id == user, access_keys.c.deleted_at.is_(None))
        .values(deleted_at=at)
    )
    conn.execute(sa.update(users).where(users.c.id == user).values(deleted_at=at))


def _user_of(row: Any) -> User:
    return User(
        id=UserId(row.id),
        tenant=TenantId(row.tenant_id),
        public_id=row.public_id,
        uin=row.uin,
        name=row.name,
        role=Role(row.role),
        enabled=bool(row.enabled),
        has_password=row.password_hash is not None,
        created_at=Micros(row.created_at),
    )


# -- groups -----------------------------------------------------------------------------------------------------------


def insert_group(conn: Connection, tenant: TenantId, name: str) -> Group:
    """A new group without members."""
    values = {
        "tenant_id": tenant,
        "public_id": new_public_id(),
        "name": name,
        "created_at": now(conn),
    }
    return _group_of(conn.execute(sa.insert(groups).values(**values).returning(groups)).one())


def find_group(conn: Connection, tenant: TenantId, name: str) -> Group | None:
    """The living group of that name."""
    query = sa.select(groups).where(
        groups.c.tenant_id == tenant, groups.c.name == name, groups.c.deleted_at.is_(None)
    )
    row = conn.execute(query).first()
    return None if row is None else _group_of(row)


def list_groups(
    conn: Connection, tenant: TenantId, *, after: str = "", limit: int = 1000
) -> list[Group]:
    """Living groups of the tenant in name order, behind `after`."""
    query = (
        sa.select(groups)
        .where(groups.c.tenant_id == tenant, groups.c.deleted_at.is_(None), groups.c.name > after)
        .order_by(groups.c.name)
        .limit(limit)
    )
    return [_group_of(row) for row in conn.execute(query)]


def tombstone_group(conn: Connection, group: GroupId, at: Micros) -> None:
    """Mark it deleted; its members and policies leave it."""
    conn.execute(sa.delete(group_members).where(group_members.c.group_id == group))
    conn.execute(sa.delete(policy_attachments).where(policy_attachments.c.group_id == group))
    conn.execute(sa.update(groups).where(groups.c.id == group).values(deleted_at=at))


def add_member(conn: Connection, group: GroupId, user: UserId) -> bool:
    """Put the user into the group; False if they were in it."""
    pair = sa.select(group_members.c.user_id).where(
        group_members.c.group_id == group, group_members.c.user_id == user
    )
    if conn.execute(pair).first() is not None:
        return False
    conn.execute(sa.insert(group_members).values(group_id=group, user_id=user))
    return True


def count_groups(conn: Connection, user: UserId) -> int:
    """How many living groups the user is in."""
    query = (
        sa.select(sa.func.count())
        .select_from(group_members.join(groups, groups.c.id == group_members.c.group_id))
        .where(group_members.c.user_id == user, groups.c.deleted_at.is_(None))
    )
    return int(conn.scalar(query) or 0)


def remove_member(conn: Connection, group: GroupId, user: UserId) -> bool:
    """Take the user out of the group; False if they were not in it."""
    done = conn.execute(
        sa.delete(group_members).where(
            group_members.c.group_id == group, group_members.c.user_id == user
        )
    )
    return done.rowcount > 0


def list_members(conn: Connection, group: GroupId) -> list[User]:
    """Living members, in name order."""
    query = (
        sa.select(users)
        .join(group_members, group_members.c.user_id == users.c.id)
        .where(group_members.c.group_id == group, users.c.deleted_at.is_(None))
        .order_by(users.c.name)
    )
    return [_user_of(row) for row in conn.execute(query)]


def _group_of(row: Any) -> Group:
    return Group(
        id=GroupId(row.id),
        tenant=TenantId(row.tenant_id),
        public_id=row.public_id,
        name=row.name,
        created_at=Micros(row.created_at),
    )


def names_of_users(conn: Connection, numbers: Collection[UserId]) -> dict[UserId, str]:
    """Names of users, also deleted ones."""
    found: dict[UserId, str] = {}
    ids = sorted(numbers)
    for start in range(0, len(ids), 400):
        query = sa.select(users.c.id, users.c.name).where(users.c.id.in_(ids[start : start + 400]))
        found.update({UserId(row.id): str(row.name) for row in conn.execute(query)})
    return found
