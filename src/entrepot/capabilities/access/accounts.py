"""Tokens of an instance: make, list, change, delete. A token acts with the rights of the user who made it.

Logins for a day (made in `logins.py`) are listed and ended here, too. Every change raises the tenant's epoch and is audited. Service accounts are in `service_accounts.py`.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access.identities.standing import require_rank
from entrepot.capabilities.access.secrets import fingerprint, new_secret
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.quotas import admit_in_instance
from entrepot.capabilities.operations.trail import note
from entrepot.metadata import access as standings
from entrepot.metadata import accounts, epochs
from entrepot.metadata.accounts import Account, NewAccount
from entrepot.metadata.database import Connection, now
from entrepot.model.access import AccountKind, Caller, Permission, Resource
from entrepot.model.errors import AccountUnknown, Forbidden, InstanceUnknown, ValueInvalid
from entrepot.model.ids import InstanceId, Micros, TenantId, UserId
from entrepot.model.tenancy import Instance, InstanceKind

TEMPORARY_SECONDS: Final = 3600
MAX_DESCRIPTION: Final = 1024  # characters
_TOKENS: Final = (AccountKind.TEMPORARY, AccountKind.LONGTERM)
_MANAGED: Final = (*_TOKENS, AccountKind.LOGIN)


@dataclass(frozen=True, slots=True)
class CreateToken:
    """A token of the caller, or of `user` by who may manage accounts. Temporary ones end after an hour, long-term ones never."""

    instance: Instance
    kind: AccountKind
    description: str = ""
    user: UserId | None = None


@dataclass(frozen=True, slots=True)
class ListTokens:
    """Long-term tokens of the caller, or with `everybody` of the whole tenant; `logins`: those for a day beside them."""

    instance: Instance
    everybody: bool = False
    tenant: TenantId | None = None  # for the operator; else the caller's
    logins: bool = False


@dataclass(frozen=True, slots=True)
class ModifyToken:
    """What is None stays."""

    instance: Instance
    public_id: str
    enabled: bool | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteToken:
    """End a token for good."""

    instance: Instance
    public_id: str


@dataclass(frozen=True, slots=True, repr=False)
class MadeAccount:
    """A new account with its secret, which is shown this once. Never printed."""

    account: Account
    secret: str


async def create_token(ctx: Context, caller: Caller, command: CreateToken) -> MadeAccount:
    """Make a token. Raises Forbidden, InstanceUnknown, ValueInvalid, QuotaExceeded."""
    if command.kind not in _TOKENS:
        raise ValueInvalid("kind", "expected temporary or longterm")
    secret = new_secret()

    def make(conn: Connection) -> Account:
        maker = _maker(ctx, conn, caller=caller, command=command)
        uin = accounts.uin_of(conn, maker.tenant)
        if uin is None:
            raise Forbidden(Permission.ACCOUNT_MANAGE, "tenant")
        is_temporary = command.kind is AccountKind.TEMPORARY
        if not is_temporary:
            admit_in_instance(conn, command.instance.id, "tokens")
        ends_at = Micros(now(conn) + TEMPORARY_SECONDS * 1_000_000) if is_temporary else None
        new = NewAccount(
            public_id=str(uuid.uuid4()),
            kind=command.kind,
            instance=command.instance.id,
            tenant=maker.tenant,
            user=maker.user,
            username=uin,
            secret_sha256=fingerprint(secret),
            description=check_description(command.description),
            expires_at=ends_at,
        )
        accounts.insert(conn, new)
        account = get_account(conn, command.instance.id, new.public_id)
        record_change(conn, caller, "create", account=account)
        return account

    return MadeAccount(await ctx.db.write(make), secret)


async def list_tokens(ctx: Context, caller: Caller, command: ListTokens) -> list[Account]:
    """Long-term tokens, oldest first; logins, those that ended less than a day ago included. Raises Forbidden, InstanceUnknown."""
    tenant = tenant_for(caller, command.tenant)
    check_instance(command.instance, tenant)
    if not command.everybody and caller.user is None:
        raise Forbidden(Permission.ACCOUNT_MANAGE, "tokens")

    def read(conn: Connection) -> list[Account]:
        if command.everybody:
            require_management(ctx, conn, caller=caller, instance=command.instance, tenant=tenant)
        elif not _is_left(ctx, conn, caller, command.instance):
            raise Forbidden(Permission.ACCOUNT_MANAGE, "tokens")
        user = None if command.everybody else caller.user
        kinds = (AccountKind.LONGTERM, *((AccountKind.LOGIN,) if command.logins else ()))
        return [
            account
            for kind in kinds
            for account in accounts.list_living(
                conn, command.instance.id, kind, tenant=tenant, user=user
            )
        ]

    return await ctx.db.read(read)


async def modify_token(ctx: Context, caller: Caller, command: ModifyToken) -> Account:
    """Enable, disable, describe. Raises AccountUnknown for what is not the caller's to manage, ValueInvalid."""

    def change(conn: Connection) -> Account:
        account = _managed(
            ctx, conn, caller=caller, instance=command.instance, name=command.public_id
        )
        values: dict[str, object] = {}
        if command.enabled is not None:
            if command.enabled:
                _require_rank_of_maker(ctx, conn, caller, account)
            values["enabled"] = command.enabled
        if command.description is not None:
            values["description"] = check_description(command.description)
        if values:
            accounts.update(conn, account.id, **values)
            ctx.access.raise_epoch(conn, epochs.of_tenant(account.tenant))
            record_change(conn, caller, "modify", account=account)
        return get_account(conn, command.instance.id, command.public_id)

    return await ctx.access.change(change)


async def delete_token(ctx: Context, caller: Caller, command: DeleteToken) -> None:
    """End it: logins and bearer tokens made with it stop within a second. Raises AccountUnknown."""

    def change(conn: Connection) -> None:
        account = _managed(
            ctx, conn, caller=caller, instance=command.instance, name=command.public_id
        )
        accounts.update(conn, account.id, deleted_at=now(conn))
        ctx.access.raise_epoch(conn, epochs.of_tenant(account.tenant))
        record_change(conn, caller, "delete", account=account)

    await ctx.access.change(change)


# -- shared with service accounts -------------------------------------------------------------------------------------


def tenant_for(caller: Caller, named: TenantId | None) -> TenantId:
    """The tenant a command is about: the caller's own; the operator names one. Raises Forbidden."""
    if caller.is_system and named is not None:
        return named
    if caller.tenant is None or named not in (None, caller.tenant):
        raise Forbidden(Permission.ACCOUNT_MANAGE, "tenant")
    return caller.tenant


def check_instance(instance: Instance, tenant: TenantId) -> None:
    """Raise InstanceUnknown where the tenant does not see the instance."""
    if instance.kind is InstanceKind.DEDICATED and instance.tenant != tenant:
        raise InstanceUnknown(instance.public_id)


def check_description(text: str) -> str:
    """`text` if it is no longer than allowed. Raises ValueInvalid."""
    if len(text) > MAX_DESCRIPTION:
        raise ValueInvalid("description", f"at most {MAX_DESCRIPTION} characters")
    return text


def require_management(
    ctx: Context, conn: Connection, *, caller: Caller, instance: Instance, tenant: TenantId
) -> None:
    """Raise Forbidden unless the caller manages the tenant's accounts here."""
    ctx.access.require(
        conn, caller, Permission.ACCOUNT_MANAGE, Resource(tenant=tenant, instance=instance.id)
    )


def get_account(conn: Connection, instance: InstanceId, public_id: str) -> Account:
    """The living account. Raises AccountUnknown."""
    account = accounts.get(conn, instance, public_id)
    if account is None:
        raise AccountUnknown(public_id[:64])
    return account


def record_change(conn: Connection, caller: Caller, verb: str, *, account: Account) -> None:
    """Audit a change of an account."""
    name = f"{account.kind} {account.public_id}"
    note(conn, caller, f"account.{verb}", name, tenant=account.tenant)


def _maker(
    ctx: Context, conn: Connection, *, caller: Caller, command: CreateToken
) -> standings.UserStanding:
    """The living user whose token it will be. A token makes no tokens: it would outlive itself. Own ones a policy may deny."""
    if caller.account is not None:
        raise Forbidden(Permission.ACCOUNT_MANAGE, "tokens")
    user = caller.user if command.user is None else command.user
    maker = None if user is None else standings.user_standing(conn, user)
    if maker is None or not maker.is_active:
        raise Forbidden(Permission.ACCOUNT_MANAGE, "tokens")
    check_instance(command.instance, maker.tenant)
    if maker.user != caller.user:
        require_management(ctx, conn, caller=caller, instance=command.instance, tenant=maker.tenant)
        require_rank(ctx, conn, caller, tenant=maker.tenant, role=maker.role)
    elif not _is_left(ctx, conn, caller, command.instance):
        raise Forbidden(Permission.ACCOUNT_MANAGE, "tokens")
    return maker


def _require_rank_of_maker(
    ctx: Context, conn: Connection, caller: Caller, account: Account
) -> None:
    """A token that works again is one that acts with its maker's rights."""
    maker = standings.user_standing(conn, account.user)
    if maker is not None and account.user != caller.user:
        require_rank(ctx, conn, caller, tenant=maker.tenant, role=maker.role)


def _is_left(ctx: Context, conn: Connection, caller: Caller, instance: Instance) -> bool:
    """Whether the caller's own tokens are still the caller's to manage."""
    resource = Resource(tenant=caller.tenant, instance=instance.id)
    return ctx.access.judge.leaves(conn, caller, Permission.ACCOUNT_MANAGE, resource)


def _managed(
    ctx: Context, conn: Connection, *, caller: Caller, instance: Instance, name: str
) -> Account:
    """A token or login the caller may change: their own, or any where they manage accounts. For others it does not exist."""
    account = get_account(conn, instance.id, name)
    if account.kind not in _MANAGED:
        raise AccountUnknown(name[:64])
    if caller.user == account.user and _is_left(ctx, conn, caller, instance):
        return account
    resource = Resource(tenant=account.tenant, instance=instance.id)
    if not ctx.access.allowed(conn, caller, Permission.ACCOUNT_MANAGE, resource):
        raise AccountUnknown(name[:64])
    return account
