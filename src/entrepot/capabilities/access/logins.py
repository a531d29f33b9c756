"""Logins for a day: a pair of name and secret that pushes and pulls at one instance with the rights of the user who made it.

It is named after an access key where there is one, as clients expect (`<project>@<access key>`), and ends with that key, with the
user's password, the user and the tenant.
"""

import secrets
import uuid
from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access.accounts import check_instance
from entrepot.capabilities.access.callers import CredentialKind, LoggedIn
from entrepot.capabilities.access.identities.projects import project_named
from entrepot.capabilities.access.secrets import fingerprint
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import note
from entrepot.metadata import access as standings
from entrepot.metadata import access_keys, accounts
from entrepot.metadata.accounts import NewAccount
from entrepot.metadata.database import Connection, now
from entrepot.model.access import AccountKind, Caller, Permission, Resource
from entrepot.model.errors import Forbidden
from entrepot.model.identities import ProjectUnknown, UserKey
from entrepot.model.ids import Micros
from entrepot.model.tenancy import Instance

LIFETIME_SECONDS: Final = 86_400
MOST: Final = 1000  # of a user at once


@dataclass(frozen=True, slots=True)
class CreateLogin:
    """A login of the caller. `project`: the name of one of the tenant's, or one that means it (`AccessState.aliases`)."""

    instance: Instance
    project: str


@dataclass(frozen=True, slots=True, repr=False)
class MadeLogin:
    """A new login with its secret, which is shown this once. Never printed."""

    username: str
    secret: str
    expires_at: Micros


async def create_login(ctx: Context, caller: Caller, command: CreateLogin) -> MadeLogin:
    """Make one that ends after a day, or with the temporary key that asks; of more than `MOST` of a user the oldest end.

    Raises Forbidden, InstanceUnknown, ProjectUnknown.
    """
    secret = secrets.token_hex(32)

    def make(conn: Connection) -> MadeLogin:
        user = _maker(ctx, conn, caller, command.instance)
        project = project_named(conn, user.tenant, command.project, ctx.access.aliases)
        if project is None:
            raise ProjectUnknown(command.project[:100])
        key = _key(conn, caller, user)
        new = NewAccount(
            public_id=str(uuid.uuid4()),
            kind=AccountKind.LOGIN,
            instance=command.instance.id,
            tenant=user.tenant,
            user=user.user,
            username=f"{project.name}@{_random_name() if key is None else key.access_key_id}",
            secret_sha256=fingerprint(secret),
            expires_at=_end(conn, key),
        )
        accounts.insert(conn, new)
        accounts.end_oldest_logins(conn, user.user, keep=MOST)
        note(conn, caller, "account.create", f"login {new.username}", tenant=user.tenant)
        return MadeLogin(new.username, secret, new.expires_at or Micros(0))

    return await ctx.db.write(make)


def _maker(
    ctx: Context, conn: Connection, caller: Caller, instance: Instance
) -> standings.UserStanding:
    """The living user whose login it will be. One's own need no rule, yet a policy may deny them; a token makes none: it would outlive itself."""
    user = None if caller.user is None else standings.user_standing(conn, caller.user)
    if user is None or not user.is_active or caller.account is not None:
        raise Forbidden(Permission.ACCOUNT_MANAGE, "logins")
    check_instance(instance, user.tenant)
    resource = Resource(tenant=user.tenant, instance=instance.id)
    if not ctx.access.judge.leaves(conn, caller, Permission.ACCOUNT_MANAGE, resource):
        raise Forbidden(Permission.ACCOUNT_MANAGE, "logins")
    return user


def _key(conn: Connection, caller: Caller, user: standings.UserStanding) -> UserKey | None:
    """The key that signed the request, else a lasting one of the user's."""
    if isinstance(caller, LoggedIn) and caller.credential.kind is CredentialKind.KEY:
        return access_keys.key_of_row(conn, caller.credential.id)
    lasting = (
        key
        for key in access_keys.list_keys(conn, user.user)
        if key.enabled and key.expires_at is None
    )
    return next(lasting, None)


def _end(conn: Connection, key: UserKey | None) -> Micros:
    end = Micros(now(conn) + LIFETIME_SECONDS * 1_000_000)
    return end if key is None or key.expires_at is None else min(end, key.expires_at)


def _random_name() -> str:
    """In the place of a key's id."""
    return secrets.token_hex(10).upper()
