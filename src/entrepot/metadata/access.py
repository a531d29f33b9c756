"""What decides who may do what: standing, policies, grants, accounts' permissions; and the same as a condition for lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.among import among
from entrepot.metadata.schema import (
    access_keys,
    account_permissions,
    accounts,
    grants,
    instances,
    namespaces,
    policy_attachments,
    regions,
    repositories,
    tenants,
    users,
)
from entrepot.model.access import (
    AccountKind,
    InstanceNames,
    Level,
    Naming,
    Permission,
    Principal,
    Role,
)
from entrepot.model.ids import (
    AccountId,
    InstanceId,
    Micros,
    NamespaceId,
    RepositoryId,
    TenantId,
    UserId,
)
from entrepot.model.tenancy import InstanceKind


@dataclass(frozen=True, slots=True)
class UserStanding:
    """A user, living or not. `is_active`: enabled, and neither the user nor the tenant deleted."""

    user: UserId
    tenant: TenantId
    name: str
    role: Role
    is_active: bool
    is_root_tenant: bool
    credential_version: int
    principal: Principal


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """An account, living or not. `is_active`: enabled, and neither it nor the tenant deleted; expiry is apart. `is_capped`: a policy
    limits the tenant."""

    account: AccountId
    kind: AccountKind
    instance: InstanceId
    tenant: TenantId
    user: UserId  # who made it
    username: str
    is_active: bool
    expires_at: Micros | None
    version: int  # changes with the secret
    principal: Principal
    is_capped: bool

    def is_good_at(self, moment: Micros) -> bool:
        """Whether it may log in at that moment, as far as its own row tells."""
        return self.is_active and (self.expires_at is None or moment < self.expires_at)


_TENANT_NAMES = (tenants.c.public_id.label("tenant_public_id"), tenants.c.name.label("tenant_name"))
USER_COLUMNS = (
    *_TENANT_NAMES,
    users.c.public_id.label("user_public_id"),
    users.c.id.label("user_id"),
    users.c.tenant_id,
    users.c.name.label("user_name"),
    users.c.role,
    sa.and_(users.c.enabled, users.c.deleted_at.is_(None), tenants.c.deleted_at.is_(None)).label(
        "is_active"
    ),
    tenants.c.is_root,
    users.c.credential_version,
)
_CAPPED = sa.exists().where(policy_attachments.c.tenant_id == tenants.c.id)
ACCOUNT_COLUMNS = (
    *_TENANT_NAMES,
    _CAPPED.correlate(tenants).label("is_capped"),
    accounts.c.id.label("account_id"),
    accounts.c.kind,
    accounts.c.instance_id,
    accounts.c.tenant_id,
    accounts.c.user_id,
    accounts.c.username,
    sa.and_(
        accounts.c.enabled, accounts.c.deleted_at.is_(None), tenants.c.deleted_at.is_(None)
    ).label("is_active"),
    accounts.c.expires_at,
    accounts.c.secret_sha256,
)


def _named(which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The tenant, once for each of these instances, or with none."""
    return (
        sa.select(
            tenants.c.uin,
            tenants.c.app_id,
            tenants.c.public_id.label("tenant_public_id"),
            instances.c.kind,
            instances.c.id.label("instance_id"),
            instances.c.public_id,
            regions.c.name.label("region"),
        )
        .select_from(
            tenants.outerjoin(instances, which).outerjoin(
                regions, regions.c.id == instances.c.region_id
            )
        )
        .where(tenants.c.id == sa.bindparam("tenant"))
    )


# Built once: every decision runs them.
_USER = sa.select(*USER_COLUMNS).join_from(users, tenants).where(users.c.id == sa.bindparam("user"))
_GRANTS = sa.select(grants.c.namespace_id, grants.c.repository_id, grants.c.level).where(
    grants.c.user_id == sa.bindparam("user")
)
_GRANTS_IN = _GRANTS.where(grants.c.namespace_id == sa.bindparam("namespace"))
_NAMED_ONE = _named(instances.c.id == sa.bindparam("instance", type_=sa.BigInteger))
_NAMED_ALL = _named(
    sa.and_(
        instances.c.deleted_at.is_(None),
        sa.or_(instances.c.tenant_id == tenants.c.id, instances.c.tenant_id.is_(None)),
    )
)


def user_standing(conn: Connection, user: UserId) -> UserStanding | None:
    """The user's standing; None where there never was one."""
    row = conn.execute(_USER, {"user": user}).first()
    return None if row is None else standing_of_user(row)


def account_standing(conn: Connection, account: AccountId) -> AccountStanding | None:
    """The account's standing; None where there never was one."""
    query = sa.select(*ACCOUNT_COLUMNS).join_from(accounts, tenants).where(accounts.c.id == account)
    row = conn.execute(query).first()
    return None if row is None else standing_of_account(row)


def key_is_good(conn: Connection, key: int, moment: Micros) -> bool:
    """Whether the access key is enabled, living and not expired; says nothing of its user."""
    query = sa.select(access_keys.c.id).where(
        access_keys.c.id == key,
        access_keys.c.enabled,
        access_keys.c.deleted_at.is_(None),
        sa.or_(access_keys.c.expires_at.is_(None), access_keys.c.expires_at > moment),
    )
    return conn.execute(query).first() is not None


def naming(conn: Connection, tenant: TenantId, instance: InstanceId | None) -> Naming:
    """The names of the tenant and of one instance, whosever it is; of no instance where None is given."""
    found = conn.execute(_NAMED_ONE, {"tenant": tenant, "instance": instance})
    return _naming_of(tenant, found.all())


def naming_of_all(conn: Connection, tenant: TenantId) -> Naming:
    """The names of the tenant, of its own living instances and of the shared ones."""
    return _naming_of(tenant, conn.execute(_NAMED_ALL, {"tenant": tenant}).all())


def _naming_of(tenant: TenantId, rows: Sequence[Any]) -> Naming:
    if not rows:
        return Naming(tenant)
    named = {
        InstanceId(row.instance_id): InstanceNames(
            row.public_id, row.region, row.kind == InstanceKind.SHARED
        )
        for row in rows
        if row.instance_id is not None
    }
    first = rows[0]
    return Naming(tenant, first.uin, first.app_id, named, first.tenant_public_id)


def grant_levels(
    conn: Connection, user: UserId, namespace: NamespaceId | None = None
) -> tuple[Mapping[NamespaceId, Level], Mapping[RepositoryId, Level]]:
    """The user's grants by namespace and by repository; of one namespace only, if given."""
    by_namespace: dict[NamespaceId, Level] = {}
    by_repository: dict[RepositoryId, Level] = {}
    found = (
        conn.execute(_GRANTS, {"user": user})
        if namespace is None
        else conn.execute(_GRANTS_IN, {"user": user, "namespace": namespace})
    )
    for namespace_id, repository_id, level in found:
        if repository_id is None:
            by_namespace[NamespaceId(namespace_id)] = Level(level)
        else:
            by_repository[RepositoryId(repository_id)] = Level(level)
    return by_namespace, by_repository


def account_actions(
    conn: Connection, account: AccountId
) -> Mapping[NamespaceId, frozenset[Permission]]:
    """What a service account may do, by namespace. Names that are no permission give nothing."""
    query = sa.select(account_permissions.c.namespace_id, account_permissions.c.actions).where(
        account_permissions.c.account_id == account
    )
    known = frozenset(Permission)
    return {
        NamespaceId(namespace): frozenset(Permission(name) for name in actions if name in known)
        for namespace, actions in conn.execute(query)
    }


@dataclass(frozen=True, slots=True)
class Visibility:
    """Which repositories a list may show, in a form that SQL can use. The empty one shows nothing."""

    everything: bool = False
    tenants: frozenset[TenantId] = frozenset()  # all of these tenants' repositories
    namespaces: frozenset[NamespaceId] = frozenset()
    repositories: frozenset[RepositoryId] = frozenset()
    public: bool = False


def visible(visibility: Visibility) -> sa.ColumnElement[bool]:
    """A condition for a query over `repositories` joined with `namespaces`."""
    if visibility.everything:
        return sa.true()
    choices: list[sa.ColumnElement[bool]] = []
    if visibility.tenants:
        choices.append(namespaces.c.tenant_id.in_(sorted(visibility.tenants)))
    if visibility.namespaces:
        choices.append(among(repositories.c.namespace_id, visibility.namespaces))
    if visibility.repositories:
        choices.append(among(repositories.c.id, visibility.repositories))
    if visibility.public:
        choices.append(sa.func.coalesce(repositories.c.is_public, namespaces.c.is_public))
    return sa.or_(sa.false(), *choices)


def standing_of_user(row: Any) -> UserStanding:
    """The record of a row with `USER_COLUMNS`."""
    return UserStanding(
        user=UserId(row.user_id),
        tenant=TenantId(row.tenant_id),
        name=row.user_name,
        role=Role(row.role),
        is_active=bool(row.is_active),
        is_root_tenant=bool(row.is_root),
        credential_version=row.credential_version,
        principal=Principal(
            row.user_public_id,
            row.user_name,
            row.tenant_public_id,
            row.tenant_name,
            is_owner=row.role == Role.OWNER,
        ),
    )


def standing_of_account(row: Any) -> AccountStanding:
    """The record of a row with `ACCOUNT_COLUMNS`."""
    return AccountStanding(
        account=AccountId(row.account_id),
        kind=AccountKind(row.kind),
        instance=InstanceId(row.instance_id),
        tenant=TenantId(row.tenant_id),
        user=UserId(row.user_id),
        username=row.username,
        is_active=bool(row.is_active),
        expires_at=None if row.expires_at is None else Micros(row.expires_at),
        version=int.from_bytes(bytes(row.secret_sha256)[:6], "big"),
        principal=Principal(tenant_id=row.tenant_public_id, tenant_name=row.tenant_name),
        is_capped=bool(row.is_capped),
    )
