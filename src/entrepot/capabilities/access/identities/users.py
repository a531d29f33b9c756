"""Users: who they are, whether they may log in, their passwords and roles."""

from dataclasses import dataclass

from entrepot.capabilities.access.identities.standing import (
    is_themselves,
    require_identities,
    require_own_or_managed,
    require_rank,
    rights_changed,
    user_named,
)
from entrepot.capabilities.access.secrets import new_secret
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import accounts, identities
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Role
from entrepot.model.errors import (
    Forbidden,
    NameTaken,
    Protected,
    Unauthenticated,
    UserUnknown,
    ValueInvalid,
)
from entrepot.model.identities import IDENTITY_NAME, MINIMUM_PASSWORD, User
from entrepot.model.ids import Micros, TenantId


@dataclass(frozen=True, slots=True)
class CreateUser:
    """`password` None: the user has none, and cannot log in with one. `generate`: one is made up."""

    tenant: TenantId
    name: str
    role: Role = Role.MEMBER
    password: str | None = None
    generate: bool = False

    def __repr__(self) -> str:
        return f"CreateUser({self.tenant}, {self.name}, {self.role}, ***)"


@dataclass(frozen=True, slots=True, repr=False)
class UserMade:
    """`password`: if it was made up; shown this once."""

    user: User
    password: str | None


@dataclass(frozen=True, slots=True)
class NamedUser:
    """A user of a tenant."""

    tenant: TenantId
    name: str


@dataclass(frozen=True, slots=True)
class ListUsers:
    """In name order, behind `after`."""

    tenant: TenantId
    after: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class EnableUser:
    """Let the user in, or not."""

    tenant: TenantId
    name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class SetRole:
    """`role`: administrator or member."""

    tenant: TenantId
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class SetPassword:
    """`password` None: one is made up. `current`: asked of whoever changes their own."""

    tenant: TenantId
    name: str
    password: str | None = None
    current: str | None = None

    def __repr__(self) -> str:
        return f"SetPassword({self.tenant}, {self.name}, ***)"


async def create_user(ctx: Context, caller: Caller, command: CreateUser) -> UserMade:
    """Raises Denied, NameInvalid, NameTaken, ValueInvalid, TenantUnknown, Protected (an owner is made with the tenant)."""
    IDENTITY_NAME.check(command.name)
    if command.role is Role.OWNER:
        raise Protected("the owner's role")

    def permitted(conn: Connection) -> None:
        require_identities(ctx, conn, caller, command.tenant)
        require_rank(ctx, conn, caller, tenant=command.tenant, role=command.role)

    await ctx.db.read(permitted)  # before a hash is spent on somebody who may not
    generated = new_secret() if command.generate else None
    password = generated or command.password
    password_hash = None if password is None else await hash_password(ctx, password)

    def write(conn: Connection) -> UserMade:
        permitted(conn)
        if identities.find_user(conn, command.tenant, command.name) is not None:
            raise NameTaken(command.name)
        user = identities.insert_user(
            conn, command.tenant, command.name, role=command.role, password_hash=password_hash
        )
        note(conn, caller, "user.create", user.name, tenant=user.tenant, role=user.role.value)
        return UserMade(user, generated)

    return await change(ctx, caller, "user.create", write)


async def get_user(ctx: Context, caller: Caller, command: NamedUser) -> User:
    """One user; everybody may see themselves. Raises Denied, UserUnknown."""

    def read(conn: Connection) -> User:
        user = identities.find_user(conn, command.tenant, command.name)
        is_own = user is not None and caller.user == user.id
        if not (is_own and ctx.access.judge.rights(conn, caller).is_active):
            require_identities(ctx, conn, caller, command.tenant)
        if user is None:
            raise UserUnknown(command.name[:300])
        return user

    return await ctx.db.read(read)


async def get_user_by_id(ctx: Context, caller: Caller, public_id: str) -> User:
    """A user of the caller's tenant by public id; everybody may see themselves. Raises Denied, UserUnknown."""
    tenant = caller.tenant
    if tenant is None:
        raise Forbidden("identity:manage", "users")

    def read(conn: Connection) -> User:
        user = identities.find_user_by_public_id(conn, tenant, public_id)
        is_own = user is not None and caller.user == user.id
        if not (is_own and ctx.access.judge.rights(conn, caller).is_active):
            require_identities(ctx, conn, caller, tenant)
        if user is None:
            raise UserUnknown(public_id[:300])
        return user

    return await ctx.db.read(read)


async def list_users(ctx: Context, caller: Caller, command: ListUsers) -> list[User]:
    """Living users of the tenant. Raises Denied, TenantUnknown."""

    def read(conn: Connection) -> list[User]:
        require_identities(ctx, conn, caller, command.tenant)
        return identities.list_users(conn, command.tenant, after=command.after, limit=command.limit)

    return await ctx.db.read(read)


async def enable_user(ctx: Context, caller: Caller, command: EnableUser) -> User:
    """A disabled user, their keys and their tokens are refused at once. Raises Denied, UserUnknown, Protected (the owner)."""

    def write(conn: Connection) -> User:
        user = _managed(ctx, conn, caller, tenant=command.tenant, name=command.name)
        if user.role is Role.OWNER and not command.enabled and not caller.is_system:
            raise Protected(f"owner {user.name}")
        identities.set_enabled(conn, user.id, enabled=command.enabled)
        rights_changed(ctx, conn, user.tenant)
        verb = "enable" if command.enabled else "disable"
        note(conn, caller, f"user.{verb}", user.name, tenant=user.tenant)
        return user_named(conn, command.tenant, command.name)

    return await change(ctx, caller, "user.enable", write)


async def set_role(ctx: Context, caller: Caller, command: SetRole) -> User:
    """Make an administrator or a member. Raises Denied, UserUnknown, Protected (ownership does not change hands)."""

    def write(conn: Connection) -> User:
        user = _managed(ctx, conn, caller, tenant=command.tenant, name=command.name)
        require_rank(ctx, conn, caller, tenant=command.tenant, role=command.role)
        if Role.OWNER in (user.role, command.role):
            raise Protected("the owner's role")
        identities.set_role(conn, user.id, command.role)
        rights_changed(ctx, conn, user.tenant)
        note(conn, caller, "user.role", user.name, tenant=user.tenant, role=command.role.value)
        return user_named(conn, command.tenant, command.name)

    return await change(ctx, caller, "user.role", write)


async def delete_user(ctx: Context, caller: Caller, command: NamedUser) -> None:
    """End the user with keys, tokens, grants and memberships; service accounts they made stay. Raises Denied, UserUnknown, Protected."""

    def write(conn: Connection) -> None:
        user = _managed(ctx, conn, caller, tenant=command.tenant, name=command.name)
        if user.role is Role.OWNER:
            raise Protected(f"owner {user.name}")
        identities.tombstone_user(conn, user.id, Micros(now(conn)))
        rights_changed(ctx, conn, user.tenant)
        note(conn, caller, "user.delete", user.name, tenant=user.tenant)

    await change(ctx, caller, "user.delete", write)


async def set_password(ctx: Context, caller: Caller, command: SetPassword) -> str | None:
    """Change a password; what logged in with the former ends. The new one if it was made up, to be shown once.

    Whoever changes their own gives the current one too. Raises Denied, UserUnknown, ValueInvalid, RateLimited.
    """

    def permitted(conn: Connection) -> tuple[User, str | None, int]:
        user = require_own_or_managed(ctx, conn, caller, tenant=command.tenant, name=command.name)
        return user, *identities.password_of(conn, user.id)

    user, stored, version = await ctx.db.read(permitted)
    if is_themselves(caller, user) and stored is not None:
        await _check_current(ctx, caller, command, stored=stored)
    generated = new_secret() if command.password is None else None
    password_hash = await hash_password(ctx, generated or command.password or "")

    def write(conn: Connection) -> None:
        user, _, now_version = permitted(conn)
        if is_themselves(caller, user) and now_version != version:
            raise Unauthenticated("the password was changed meanwhile")
        identities.set_password(conn, user.id, password_hash)
        accounts.end_logins(conn, user.id)
        rights_changed(ctx, conn, user.tenant)
        note(conn, caller, "user.password", user.name, tenant=user.tenant)

    await change(ctx, caller, "user.password", write)
    return generated


async def hash_password(ctx: Context, password: str) -> str:
    """What is stored of a password of 8 characters or more. Raises ValueInvalid, RateLimited."""
    if len(password) < MINIMUM_PASSWORD:
        raise ValueInvalid("password", f"at least {MINIMUM_PASSWORD} characters")
    return await ctx.access.passwords.hash(password)


async def _check_current(
    ctx: Context, caller: Caller, command: SetPassword, *, stored: str
) -> None:
    account = f"password:{caller.user}"
    ctx.access.throttle.check(caller.source, account)
    if not await ctx.access.passwords.verify(stored, command.current or ""):
        ctx.access.throttle.failed(caller.source, account)
        raise Forbidden("user.password", "the current password is not right")
    ctx.access.throttle.succeeded(caller.source, account)


def _managed(
    ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId, name: str
) -> User:
    require_identities(ctx, conn, caller, tenant)
    user = user_named(conn, tenant, name)
    require_rank(ctx, conn, caller, tenant=tenant, role=user.role)
    return user
