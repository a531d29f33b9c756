"""What logs in: users by name, tokens and service accounts by secret, access keys by id. And the accounts' own rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.access import (
    ACCOUNT_COLUMNS,
    USER_COLUMNS,
    AccountStanding,
    UserStanding,
    standing_of_account,
    standing_of_user,
)
from entrepot.metadata.among import among
from entrepot.metadata.database import now
from entrepot.metadata.schema import (
    access_keys,
    account_permissions,
    accounts,
    instances,
    namespaces,
    projects,
    regions,
    tenants,
    users,
)
from entrepot.model.access import AccountKind, Permission, Role
from entrepot.model.ids import AccountId, InstanceId, Micros, NamespaceId, TenantId, UserId

# -- logins -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyLogin:
    """A living, enabled, permanent access key and its user."""

    key: int
    secret_sealed: bytes
    expires_at: Micros | None
    user: UserStanding


def find_by_secret(
    conn: Connection, instance: InstanceId, username: str, *, secret_sha256: bytes
) -> AccountStanding | None:
    """The account of this instance, name and secret."""
    query = (
        sa.select(*ACCOUNT_COLUMNS)
        .join_from(accounts, tenants)
        .where(
            accounts.c.instance_id == instance,
            accounts.c.username == username,
            accounts.c.secret_sha256 == secret_sha256,
            accounts.c.deleted_at.is_(None),
        )
    )
    row = conn.execute(query).first()
    return None if row is None else standing_of_account(row)


def find_by_name(
    conn: Connection, instance: InstanceId, username: str
) -> tuple[AccountStanding, str] | None:
    """The service account of this dedicated instance and name whose password somebody chose, with the password's hash."""
    query = (
        sa.select(*ACCOUNT_COLUMNS, accounts.c.password_hash)
        .join_from(accounts, tenants)
        .where(
            accounts.c.instance_id == instance,
            accounts.c.username == username,
            accounts.c.kind == AccountKind.SERVICE.value,
            accounts.c.password_hash.is_not(None),
            accounts.c.deleted_at.is_(None),
        )
    )
    row = conn.execute(query).first()
    return None if row is None else (standing_of_account(row), row.password_hash)


def find_user(
    conn: Connection, tenant: str | None, name: str
) -> tuple[UserStanding, str | None] | None:
    """The living user of that name in the tenant of that name (None: the root tenant), with the password's hash."""
    where = tenants.c.is_root if tenant is None else tenants.c.name == tenant
    return _user(conn, where, users.c.name == name)


def find_user_by_uin(conn: Connection, uin: str) -> tuple[UserStanding, str | None] | None:
    """The living user of that account number, with the password's hash."""
    return _user(conn, users.c.uin == uin)


def find_user_by_public_id(
    conn: Connection, public_id: str
) -> tuple[UserStanding, str | None] | None:
    """The living user of that public id, with the password's hash."""
    return _user(conn, users.c.public_id == public_id)


def find_user_of(
    conn: Connection, tenant: str, name: str
) -> tuple[UserStanding, str | None] | None:
    """The living user of that name in the tenant of that public id, with the password's hash."""
    return _user(conn, tenants.c.public_id == tenant, users.c.name == name)


def _user(
    conn: Connection, *conditions: sa.ColumnElement[bool]
) -> tuple[UserStanding, str | None] | None:
    query = (
        sa.select(*USER_COLUMNS, users.c.password_hash)
        .join_from(users, tenants)
        .where(*conditions, users.c.deleted_at.is_(None), tenants.c.deleted_at.is_(None))
    )
    row = conn.execute(query).first()
    return None if row is None else (standing_of_user(row), row.password_hash)


def find_key(conn: Connection, access_key_id: str) -> KeyLogin | None:
    """The enabled permanent key of that id."""
    query = (
        sa.select(
            *USER_COLUMNS,
            access_keys.c.id.label("key_id"),
            access_keys.c.secret_sealed,
            access_keys.c.expires_at,
        )
        .select_from(access_keys.join(users).join(tenants))
        .where(
            access_keys.c.access_key_id == access_key_id,
            access_keys.c.session_token_sha256.is_(None),
            access_keys.c.enabled,
            access_keys.c.deleted_at.is_(None),
        )
    )
    row = conn.execute(query).first()
    if row is None:
        return None
    return KeyLogin(
        key=row.key_id,
        secret_sealed=bytes(row.secret_sealed),
        expires_at=None if row.expires_at is None else Micros(row.expires_at),
        user=standing_of_user(row),
    )


def has_project(conn: Connection, tenant: TenantId, name: str) -> bool:
    """Whether the tenant has a project of that name, or a region served here is called so."""
    project = sa.select(projects.c.id).where(
        projects.c.tenant_id == tenant, projects.c.name == name
    )
    region = sa.select(regions.c.id).where(regions.c.name == name, regions.c.kind == "local")
    return conn.execute(sa.union_all(project, region).limit(1)).first() is not None


# -- accounts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """A living token or service account. `permissions` only of service accounts, in the order they were given."""

    id: AccountId
    public_id: str
    kind: AccountKind
    instance: InstanceId
    tenant: TenantId
    user: UserId
    username: str
    description: str
    enabled: bool
    created_at: Micros
    updated_at: Micros
    expires_at: Micros | None
    permissions: Mapping[NamespaceId, tuple[Permission, ...]]


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a new account consists of."""

    public_id: str
    kind: AccountKind
    instance: InstanceId
    tenant: TenantId
    user: UserId
    username: str
    secret_sha256: bytes
    description: str = ""
    enabled: bool = True
    expires_at: Micros | None = None
    password_hash: str | None = None  # where somebody chose the password


def insert(conn: Connection, account: NewAccount) -> AccountId:
    """A new account. The uniqueness of service accounts' names is the index's to enforce."""
    number = conn.execute(
        sa.insert(accounts)
        .values(
            public_id=account.public_id,
            kind=account.kind.value,
            instance_id=account.instance,
            tenant_id=account.tenant,
            user_id=account.user,
            username=account.username,
            secret_sha256=account.secret_sha256,
            password_hash=account.password_hash,
            description=account.description,
            enabled=account.enabled,
            created_at=now(conn),
            expires_at=account.expires_at,
        )
        .returning(accounts.c.id)
    ).scalar_one()
    return AccountId(number)


def get(conn: Connection, instance: InstanceId, public_id: str) -> Account | None:
    """The living account of that public id in the instance."""
    return _first(conn, accounts.c.instance_id == instance, accounts.c.public_id == public_id)


def get_service(
    conn: Connection, instance: InstanceId, tenant: TenantId, username: str
) -> Account | None:
    """The tenant's living service account of that name in the instance."""
    return _first(
        conn,
        accounts.c.instance_id == instance,
        accounts.c.tenant_id == tenant,
        accounts.c.username == username,
        accounts.c.kind == AccountKind.SERVICE.value,
    )


def list_living(
    conn: Connection,
    instance: InstanceId,
    kind: AccountKind,
    *,
    tenant: TenantId,
    user: UserId | None = None,
) -> list[Account]:
    """Living accounts of a tenant (of one user, if given) in the instance, oldest first; expired ones included."""
    conditions = [
        accounts.c.instance_id == instance,
        accounts.c.kind == kind.value,
        accounts.c.tenant_id == tenant,
    ]
    if user is not None:
        conditions.append(accounts.c.user_id == user)
    return _all(conn, *conditions)


def update(conn: Connection, account: AccountId, **values: Any) -> None:
    """Set columns: enabled, description, expires_at, secret_sha256, password_hash, deleted_at."""
    values = {"updated_at": now(conn), **values}
    conn.execute(sa.update(accounts).where(accounts.c.id == account).values(**values))


def end_logins(conn: Connection, user: UserId, *, key: str | None = None) -> None:
    """End the user's logins, or only those named after the access key of that id."""
    change = sa.update(accounts).where(*_logins_of(user))
    if (
        key is not None
    ):  # `<project>@<key>`; LIKE would not tell upper from lower case on every engine
        start = sa.func.length(accounts.c.username) - len(key)
        change = change.where(sa.func.substr(accounts.c.username, start) == f"@{key}")
    conn.execute(change.values(deleted_at=now(conn)))


def end_oldest_logins(conn: Connection, user: UserId, *, keep: int) -> None:
    """End all of the user's logins but the newest `keep`."""
    newest = sa.select(accounts.c.id).where(*_logins_of(user)).order_by(accounts.c.id.desc())
    oldest_kept = conn.execute(newest.offset(keep - 1).limit(1)).scalar()
    if oldest_kept is not None:
        older = sa.update(accounts).where(*_logins_of(user), accounts.c.id < oldest_kept)
        conn.execute(older.values(deleted_at=now(conn)))


def _logins_of(user: UserId) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        accounts.c.user_id == user,
        accounts.c.kind == AccountKind.LOGIN.value,
        accounts.c.deleted_at.is_(None),
    )


def replace_permissions(
    conn: Connection,
    account: AccountId,
    permissions: Mapping[NamespaceId, Sequence[Permission]],
) -> None:
    """What a service account may do, whole."""
    conn.execute(sa.delete(account_permissions).where(account_permissions.c.account_id == account))
    rows = [
        {
            "account_id": account,
            "namespace_id": namespace,
            "actions": [permission.value for permission in given],
        }
        for namespace, given in permissions.items()
    ]
    if rows:
        conn.execute(sa.insert(account_permissions), rows)


def owner_of(conn: Connection, tenant: TenantId) -> UserId | None:
    """The tenant's owner."""
    query = (
        sa.select(users.c.id)
        .where(
            users.c.tenant_id == tenant,
            users.c.role == Role.OWNER.value,
            users.c.deleted_at.is_(None),
        )
        .order_by(users.c.id)
    )
    number = conn.execute(query).scalar()
    return None if number is None else UserId(number)


def uin_of(conn: Connection, tenant: TenantId) -> str | None:
    """The account number of a living tenant: the user name of its tokens."""
    query = sa.select(tenants.c.uin).where(tenants.c.id == tenant, tenants.c.deleted_at.is_(None))
    return conn.execute(query).scalar()


def list_ended(conn: Connection, before: Micros, *, limit: int = 1000) -> list[AccountId]:
    """Living temporary tokens and logins that expired before that moment, for housekeeping."""
    query = (
        sa.select(accounts.c.id)
        .where(
            accounts.c.kind.in_((AccountKind.TEMPORARY.value, AccountKind.LOGIN.value)),
            accounts.c.deleted_at.is_(None),
            accounts.c.expires_at < before,
        )
        .order_by(accounts.c.id)
        .limit(limit)
    )
    return [AccountId(number) for number in conn.execute(query).scalars()]


def _first(conn: Connection, *conditions: sa.ColumnElement[bool]) -> Account | None:
    found = _all(conn, *conditions)
    return found[0] if found else None


def _all(conn: Connection, *conditions: sa.ColumnElement[bool]) -> list[Account]:
    query = (
        sa.select(accounts)
        .join(instances, instances.c.id == accounts.c.instance_id)
        .where(*conditions, accounts.c.deleted_at.is_(None), instances.c.deleted_at.is_(None))
        .order_by(accounts.c.id)
    )
    found = conn.execute(query).all()
    given = _permissions(conn, [r.id for r in found if r.kind == AccountKind.SERVICE.value])
    return [_account(row, given.get(row.id, {})) for row in found]


def _permissions(
    conn: Connection, numbers: Sequence[int]
) -> dict[int, dict[NamespaceId, tuple[Permission, ...]]]:
    """By account; of living namespaces."""
    if not numbers:
        return {}
    query = (
        sa.select(account_permissions)
        .join(namespaces, namespaces.c.id == account_permissions.c.namespace_id)
        .where(among(account_permissions.c.account_id, numbers), namespaces.c.deleted_at.is_(None))
        .order_by(account_permissions.c.id)
    )
    result: dict[int, dict[NamespaceId, tuple[Permission, ...]]] = {}
    for row in conn.execute(query):
        actions = tuple(Permission(name) for name in row.actions)
        result.setdefault(row.account_id, {})[NamespaceId(row.namespace_id)] = actions
    return result


def _account(row: Any, permissions: Mapping[NamespaceId, tuple[Permission, ...]]) -> Account:
    return Account(
        id=AccountId(row.id),
        public_id=row.public_id,
        kind=AccountKind(row.kind),
        instance=InstanceId(row.instance_id),
        tenant=TenantId(row.tenant_id),
        user=UserId(row.user_id),
        username=row.username,
        description=row.description,
        enabled=bool(row.enabled),
        created_at=Micros(row.created_at),
        updated_at=Micros(row.updated_at or row.created_at),
        expires_at=None if row.expires_at is None else Micros(row.expires_at),
        permissions=permissions,
    )
