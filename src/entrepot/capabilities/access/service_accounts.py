"""Service accounts of an instance: robots with rights of their own, by namespace, with or without an end."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from entrepot.capabilities.access.accounts import (
    MadeAccount,
    check_description,
    check_instance,
    get_account,
    record_change,
    require_management,
    tenant_for,
)
from entrepot.capabilities.access.rights import of_namespace
from entrepot.capabilities.access.secrets import fingerprint, new_secret
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.quotas import admit_in_instance
from entrepot.metadata import accounts, epochs
from entrepot.metadata.accounts import Account, NewAccount
from entrepot.metadata.database import Connection, now
from entrepot.metadata.namespaces import find_namespace, get_namespace
from entrepot.model.access import AccountKind, Caller, Permission
from entrepot.model.errors import (
    AccountUnknown,
    Forbidden,
    NameInvalid,
    NamespaceUnknown,
    NameTaken,
    Protected,
    ValueInvalid,
)
from entrepot.model.ids import Micros, NamespaceId, TenantId
from entrepot.model.tenancy import Instance, InstanceKind

PREFIX: Final = "tcr$"
# What a service account may be given; the rest is for people.
ACTIONS: Final = (
    Permission.PULL,
    Permission.PUSH,
    Permission.REPOSITORY_CREATE,
    Permission.CHART_PULL,
    Permission.CHART_PUSH,
)
_NAME: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_NAME_RULE: Final = "1 to 255 lower-case letters and digits, single . _ or - inside"

_CHOSEN: Final = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[!-~]{8,20}")
_CHOSEN_RULE: Final = (
    "8 to 20 characters, at least one each of upper-case letters, lower-case letters, digits"
)

Permissions = Mapping[str, Sequence[Permission]]  # by namespace's name


@dataclass(frozen=True, slots=True)
class CreateServiceAccount:
    """`name` without the prefix `tcr$`. `expires_at` None: never."""

    instance: Instance
    name: str
    permissions: Permissions
    expires_at: Micros | None = None
    description: str = ""
    enabled: bool = True
    tenant: TenantId | None = None  # for the operator; else the caller's


@dataclass(frozen=True, slots=True)
class ModifyServiceAccount:
    """What is None stays; `expires_at` 0: never."""

    instance: Instance
    name: str
    permissions: Permissions | None = None
    expires_at: Micros | None = None
    description: str | None = None
    enabled: bool | None = None
    tenant: TenantId | None = field(default=None)


@dataclass(frozen=True, slots=True)
class NamedServiceAccount:
    """One service account, to be deleted or given a new random password."""

    instance: Instance
    name: str
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ChosenPassword:
    """A service account and the password somebody chose for it. Never printed."""

    instance: Instance
    name: str
    password: str
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class ListServiceAccounts:
    """All of the tenant's in the instance."""

    instance: Instance
    tenant: TenantId | None = None


async def create_service_account(
    ctx: Context, caller: Caller, command: CreateServiceAccount
) -> MadeAccount:
    """Make one. Raises Forbidden (also for rights the caller does not have), NameTaken, NameInvalid, NamespaceUnknown, ValueInvalid,
    QuotaExceeded."""
    if not _NAME.fullmatch(command.name) or len(command.name) > 255:
        raise NameInvalid(command.name[:300], _NAME_RULE)
    secret = new_secret()

    def make(conn: Connection) -> Account:
        tenant = _managed_tenant(ctx, conn, caller=caller, command=command)
        username = PREFIX + command.name
        if accounts.get_service(conn, command.instance.id, tenant, username) is not None:
            raise NameTaken(username)
        admit_in_instance(conn, command.instance.id, "accounts")
        _check_end(conn, command.expires_at)
        maker = caller.user or accounts.owner_of(conn, tenant)
        if maker is None:
            raise Forbidden(Permission.ACCOUNT_MANAGE, "tenant")
        given = _resolve(ctx, conn, caller=caller, command=command, tenant=tenant)
        new = NewAccount(
            public_id=str(uuid.uuid4()),
            kind=AccountKind.SERVICE,
            instance=command.instance.id,
            tenant=tenant,
            user=maker,
            username=username,
            secret_sha256=fingerprint(secret),
            description=check_description(command.description),
            enabled=command.enabled,
            expires_at=command.expires_at,
        )
        accounts.replace_permissions(conn, accounts.insert(conn, new), given)
        account = get_account(conn, command.instance.id, new.public_id)
        record_change(conn, caller, "create", account=account)
        return account

    return MadeAccount(await ctx.db.write(make), secret)


async def list_service_accounts(
    ctx: Context, caller: Caller, command: ListServiceAccounts
) -> list[Account]:
    """The tenant's service accounts, oldest first. Raises Forbidden, InstanceUnknown."""

    def read(conn: Connection) -> list[Account]:
        tenant = _managed_tenant(ctx, conn, caller=caller, command=command)
        return accounts.list_living(conn, command.instance.id, AccountKind.SERVICE, tenant=tenant)

    return await ctx.db.read(read)


async def modify_service_account(
    ctx: Context, caller: Caller, command: ModifyServiceAccount
) -> Account:
    """Change one. Raises as `create_service_account`, and AccountUnknown."""

    def change(conn: Connection) -> Account:
        account = _get(ctx, conn, caller=caller, command=command)
        values: dict[str, object] = {}
        if command.enabled is not None:
            values["enabled"] = command.enabled
        if command.description is not None:
            values["description"] = check_description(command.description)
        if command.expires_at is not None:
            _check_end(conn, command.expires_at or None)
            values["expires_at"] = command.expires_at or None
        if values:
            accounts.update(conn, account.id, **values)
        if command.permissions is not None:
            given = _resolve(ctx, conn, caller=caller, command=command, tenant=account.tenant)
            accounts.replace_permissions(conn, account.id, given)
        _changed(ctx, conn, caller=caller, account=account, verb="modify")
        return get_account(conn, command.instance.id, account.public_id)

    return await ctx.access.change(change)


async def renew_service_account(
    ctx: Context, caller: Caller, command: NamedServiceAccount
) -> MadeAccount:
    """Give it a new password; the old one and its bearer tokens end. Raises AccountUnknown, Forbidden."""
    secret = new_secret()

    def change(conn: Connection) -> Account:
        account = _held(ctx, conn, caller=caller, command=command)
        accounts.update(conn, account.id, secret_sha256=fingerprint(secret), password_hash=None)
        _changed(ctx, conn, caller=caller, account=account, verb="renew")
        return account

    return MadeAccount(await ctx.access.change(change), secret)


async def choose_password(ctx: Context, caller: Caller, command: ChosenPassword) -> MadeAccount:
    """Give it the password; the old one and its bearer tokens end.

    Only in a dedicated instance: in a shared one several tenants' accounts have the same name, and only made-up passwords tell them
    apart. Raises AccountUnknown, Forbidden, Protected (shared), ValueInvalid, RateLimited.
    """
    if command.instance.kind is InstanceKind.SHARED:
        raise Protected(command.instance.name)
    if not _CHOSEN.fullmatch(command.password):
        raise ValueInvalid("password", _CHOSEN_RULE)
    named = NamedServiceAccount(command.instance, command.name, command.tenant)
    await ctx.db.read(lambda conn: _held(ctx, conn, caller=caller, command=named))
    hashed = await ctx.access.passwords.hash(command.password)
    nobody_knows = new_secret()  # its fingerprint tells this password from the one before

    def change(conn: Connection) -> Account:
        account = _held(ctx, conn, caller=caller, command=named)
        accounts.update(
            conn, account.id, secret_sha256=fingerprint(nobody_knows), password_hash=hashed
        )
        _changed(ctx, conn, caller=caller, account=account, verb="renew")
        return account

    return MadeAccount(await ctx.access.change(change), command.password)


async def delete_service_account(
    ctx: Context, caller: Caller, command: NamedServiceAccount
) -> None:
    """End it. Raises AccountUnknown, Forbidden."""

    def change(conn: Connection) -> None:
        account = _get(ctx, conn, caller=caller, command=command)
        accounts.update(conn, account.id, deleted_at=now(conn))
        _changed(ctx, conn, caller=caller, account=account, verb="delete")

    await ctx.access.change(change)


def _managed_tenant(
    ctx: Context,
    conn: Connection,
    *,
    caller: Caller,
    command: CreateServiceAccount
    | ModifyServiceAccount
    | NamedServiceAccount
    | ListServiceAccounts,
) -> TenantId:
    tenant = tenant_for(caller, command.tenant)
    check_instance(command.instance, tenant)
    require_management(ctx, conn, caller=caller, instance=command.instance, tenant=tenant)
    return tenant


def _get(
    ctx: Context,
    conn: Connection,
    *,
    caller: Caller,
    command: ModifyServiceAccount | NamedServiceAccount,
) -> Account:
    tenant = _managed_tenant(ctx, conn, caller=caller, command=command)
    username = PREFIX + command.name.removeprefix(PREFIX)
    account = accounts.get_service(conn, command.instance.id, tenant, username)
    if account is None:
        raise AccountUnknown(command.name[:64])
    return account


def _held(
    ctx: Context, conn: Connection, *, caller: Caller, command: NamedServiceAccount
) -> Account:
    """One whose secret the caller may come to know: who gets it can do all that the robot can."""
    account = _get(ctx, conn, caller=caller, command=command)
    own = replace(caller, operation="")
    for number, permissions in account.permissions.items():
        namespace = get_namespace(conn, number)
        if namespace is None:
            continue
        for permission in permissions:
            ctx.access.require(conn, own, permission, of_namespace(namespace, "*"))
    return account


def _resolve(
    ctx: Context,
    conn: Connection,
    *,
    caller: Caller,
    command: CreateServiceAccount | ModifyServiceAccount,
    tenant: TenantId,
) -> dict[NamespaceId, list[Permission]]:
    """Namespaces' names to ids. Nobody gives a robot what they do not have themselves, whatever they may call."""
    own = replace(caller, operation="")
    given: dict[NamespaceId, list[Permission]] = {}
    for name, permissions in (command.permissions or {}).items():
        namespace = find_namespace(conn, command.instance.id, name)
        if namespace is None or namespace.tenant != tenant:
            raise NamespaceUnknown(name[:300])
        for permission in permissions:
            if permission not in ACTIONS:
                raise ValueInvalid("permissions", f"{permission} is not for service accounts")
            ctx.access.require(conn, own, permission, of_namespace(namespace, "*"))
        given[namespace.id] = list(dict.fromkeys(permissions))
    return given


def _check_end(conn: Connection, expires_at: Micros | None) -> None:
    if expires_at is not None and expires_at <= now(conn):
        raise ValueInvalid("expires_at", "lies in the past")


def _changed(
    ctx: Context, conn: Connection, *, caller: Caller, account: Account, verb: str
) -> None:
    ctx.access.raise_epoch(conn, epochs.of_tenant(account.tenant))
    record_change(conn, caller, verb, account=account)
