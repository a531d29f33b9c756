"""Grants of several users at once, by their public ids: all of them, or none.

On a namespace whoever manages it gives them; on a repository whoever was granted to edit the namespace or manages the repository, but
not for themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access.evaluator import level_on
from entrepot.capabilities.access.identities.standing import rights_changed
from entrepot.capabilities.access.targets import Found, Target, grantable, permitted, require_own
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import identities, namespaces, policies
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Level, Permission
from entrepot.model.errors import UserUnknown, ValueInvalid
from entrepot.model.identities import (
    Grant,
    GrantTaken,
    GrantUnknown,
    LevelInvalid,
    OwnGrant,
    User,
    UserMisnamed,
)

P = Permission
MAX_USERS: Final = 500  # of one request


@dataclass(frozen=True, slots=True)
class UserLevel:
    """A user by public id and name, and a level."""

    user_id: str
    user_name: str
    level: Level


@dataclass(frozen=True, slots=True)
class WriteGrants:
    """What these users are to have on a namespace or repository."""

    target: Target
    users: tuple[UserLevel, ...]


@dataclass(frozen=True, slots=True)
class RevokeGrants:
    """Whose grants on a namespace or repository end, by public ids."""

    target: Target
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GrantsShown:
    """Who has what on a namespace or repository. `own`: the caller's level, which need not be a grant; `others`: grants, by name.

    `number`: of the namespace, counted in its instance; `creator`: name of who made it, "" where nobody in particular did.
    """

    found: Found
    number: int
    creator: str
    own: UserLevel
    others: tuple[UserLevel, ...]


async def give_grants(ctx: Context, caller: Caller, command: WriteGrants) -> None:
    """To users who have none there. Raises Denied, NamespaceUnknown, RepositoryUnknown, UserUnknown, UserMisnamed, GrantTaken, OwnGrant,
    ValueInvalid."""

    def check(conn: Connection, found: Found, user: User) -> None:
        if _held(conn, found, user) is not None:
            raise GrantTaken(user.name)

    await _write(ctx, caller, "grant.give", command, check)


async def change_grants(ctx: Context, caller: Caller, command: WriteGrants) -> None:
    """Of users who have one. Raises Denied, NamespaceUnknown, RepositoryUnknown, UserUnknown, UserMisnamed, GrantUnknown, OwnGrant,
    ValueInvalid."""

    def check(conn: Connection, found: Found, user: User) -> None:
        if _held(conn, found, user) is None:
            raise GrantUnknown(user.name)

    await _write(ctx, caller, "grant.change", command, check)


async def revoke_grants(ctx: Context, caller: Caller, command: RevokeGrants) -> None:
    """Of all of them who have one. Raises Denied, NamespaceUnknown, RepositoryUnknown, GrantUnknown (nobody had one), OwnGrant,
    ValueInvalid."""
    _check_number(command.users)

    def write(conn: Connection) -> None:
        found = grantable(ctx, conn, caller, command.target)
        tenant = found.namespace.tenant
        wanted = dict.fromkeys(command.users)
        known = (identities.find_user_by_public_id(conn, tenant, one) for one in wanted)
        ended = [one for one in known if one is not None and _take(conn, caller, found, one)]
        if not ended:
            raise GrantUnknown(", ".join(command.users)[:300])
        rights_changed(ctx, conn, tenant)
        for user in ended:
            _note(conn, caller, "grant.revoke", found, user=user, level=None)

    await change(ctx, caller, "grant.revoke", write)


async def show_grants(ctx: Context, caller: Caller, target: Target) -> GrantsShown:
    """For users of the owning tenant who may read there. Raises Denied, NamespaceUnknown, RepositoryUnknown."""
    asked = P.NAMESPACE_READ if target.path is None else P.PULL

    def read(conn: Connection) -> GrantsShown:
        found = permitted(ctx, conn, caller, target, asked)
        require_own(caller, found, asked)
        rights = ctx.access.judge.rights(conn, caller, found.resource)
        level = level_on(rights, found.resource)
        rows = policies.list_grants(
            conn, found.namespace.id, None if found.repository is None else found.repository.id
        )
        of_it = [row for row in rows if row.user != caller.user and _is_of(row, found)]
        creator = found.namespace.created_by
        made_by = {} if creator is None else identities.names_of_users(conn, {creator})
        return GrantsShown(
            found,
            namespaces.number_of(conn, found.namespace.id),
            "".join(made_by.values()),
            UserLevel(rights.principal.user_id, rights.principal.user_name, level),
            tuple(UserLevel(row.user_public_id, row.user_name, row.level) for row in of_it),
        )

    return await ctx.db.read(read)


# -- writing ----------------------------------------------------------------------------------------------------------


async def _write(
    ctx: Context,
    caller: Caller,
    action: str,
    command: WriteGrants,
    check: Callable[[Connection, Found, User], None],
) -> None:
    _check_number(command.users)
    if any(one.level is Level.NONE for one in command.users):
        raise LevelInvalid(0)

    def write(conn: Connection) -> None:
        found = grantable(ctx, conn, caller, command.target)
        seen: set[str] = set()
        for one in command.users:
            user = _user(conn, found, one)
            _check_own(caller, found, user)
            if one.user_id in seen:
                raise GrantTaken(user.name)
            seen.add(one.user_id)
            check(conn, found, user)
            _set(conn, found, user, one.level)
            _note(conn, caller, action, found, user=user, level=one.level)
        rights_changed(ctx, conn, found.namespace.tenant)

    await change(ctx, caller, action, write)


def _check_number(users: Sequence[object]) -> None:
    if not 0 < len(users) <= MAX_USERS:
        raise ValueInvalid("users", f"1 to {MAX_USERS} of them")


def _user(conn: Connection, found: Found, asked: UserLevel) -> User:
    """The user, of the tenant that owns the place. Those of others are not there."""
    user = identities.find_user_by_public_id(conn, found.namespace.tenant, asked.user_id)
    if user is None:
        raise UserUnknown(asked.user_id[:300])
    if user.name != asked.user_name:
        raise UserMisnamed(asked.user_name[:300])
    return user


def _check_own(caller: Caller, found: Found, user: User) -> None:
    if found.repository is not None and caller.user == user.id:
        raise OwnGrant(user.name)


def _held(conn: Connection, found: Found, user: User) -> Level | None:
    return policies.find_grant(
        conn,
        user.id,
        found.namespace.id,
        repository=None if found.repository is None else found.repository.id,
    )


def _set(conn: Connection, found: Found, user: User, level: Level) -> None:
    policies.set_grant(
        conn,
        user.id,
        found.namespace.id,
        repository=None if found.repository is None else found.repository.id,
        level=level,
    )


def _take(conn: Connection, caller: Caller, found: Found, user: User) -> bool:
    _check_own(caller, found, user)
    number = None if found.repository is None else found.repository.id
    return policies.remove_grant(conn, user.id, found.namespace.id, repository=number)


def _is_of(row: Grant, found: Found) -> bool:
    """Of the namespace itself, not of its repositories; of the repository itself."""
    return found.repository is not None or row.repository is None


def _note(
    conn: Connection, caller: Caller, action: str, found: Found, *, user: User, level: Level | None
) -> None:
    note(
        conn,
        caller,
        action,
        str(found.resource),
        tenant=found.namespace.tenant,
        user=user.name,
        level=None if level is None else level.value,
    )
