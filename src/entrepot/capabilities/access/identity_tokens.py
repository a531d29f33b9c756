"""Tokens of the identity service: a user's password for a day of requests to the management APIs, with the rights the user has then.

Signed with the keys of bearer tokens, of a kind of their own: neither serves as the other. What a token says of its user is looked at
again with every use, so it ends with the user, the tenant and the password.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from entrepot.capabilities.access import jws
from entrepot.capabilities.access.bearer import ISSUER
from entrepot.capabilities.access.callers import Credential, CredentialKind, LoggedIn
from entrepot.capabilities.access.identities.projects import Place, place_of, project_named
from entrepot.capabilities.access.login import Person, authenticate_password
from entrepot.capabilities.context import Context
from entrepot.metadata import access as standings
from entrepot.metadata import audit, epochs, identities, tenants
from entrepot.metadata.audit import AuditEntry, Outcome
from entrepot.metadata.database import Connection
from entrepot.model.errors import TenantUnknown, Unauthenticated
from entrepot.model.identities import IdentityTokenRefused, Project, ProjectUnknown, User
from entrepot.model.ids import Micros, UserId
from entrepot.model.tenancy import Tenant

LIFETIME_SECONDS: Final = 86_400
KIND: Final = "entrepot-identity+jwt"
_AUDIENCE: Final = "identity"
_LEEWAY_SECONDS: Final = 10  # clocks of replicas differ a little


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    iss: str
    aud: str
    iat: int  # microseconds, as all times of ours and of the identity service
    exp: int
    jti: str
    cred: str
    project: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is to be for: a project of the tenant by id or name, else the tenant, which may be named, too."""

    project_id: str = ""
    project: str = ""
    tenant_id: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class IssueToken:
    """Never printed."""

    person: Person
    password: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose token it is, and what it is for. `projects`: that one, or all of the tenant's."""

    user: User
    place: Place
    projects: Sequence[Project]


@dataclass(frozen=True, slots=True)
class Validity:
    """When a token began and when it ends."""

    issued_at: Micros
    expires_at: Micros


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A new token. Never printed."""

    token: str
    validity: Validity
    holder: Holder


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """Who a token lets in. `project`: the public id of the one it is for, empty for the tenant."""

    caller: LoggedIn
    project: str
    validity: Validity


async def issue_identity_token(
    ctx: Context, command: IssueToken, *, source: str, request_id: str = ""
) -> Issued:
    """A token for a user with a password, which the audit trail tells of, as of scopes that are not the user's.

    Raises Unauthenticated, RateLimited, RightsStale, ProjectUnknown, TenantUnknown.
    """
    caller = await authenticate_password(
        ctx.access, command.person, command.password, source=source, request_id=request_id
    )
    try:
        holder = await ctx.db.read(lambda conn: _holder(ctx, conn, caller, command.scope))
    except (ProjectUnknown, TenantUnknown) as error:
        kind = "project" if isinstance(error, ProjectUnknown) else "tenant"
        denied = _entry(caller, f"{kind} {error.name}"[:300], Outcome.DENIED)
        await ctx.db.write(lambda conn: audit.record(conn, denied))
        raise
    now = _now()
    validity = Validity(now, Micros(now + LIFETIME_SECONDS * 1_000_000))
    project = holder.place.project
    claims = _Claims(
        iss=ISSUER,
        aud=_AUDIENCE,
        iat=validity.issued_at,
        exp=validity.expires_at,
        jti=secrets.token_urlsafe(12),
        cred=str(caller.credential),
        project="" if project is None else project.public_id,
    )
    token = jws.sign(ctx.access.ring, msgspec.to_builtins(claims), kind=KIND)
    made = _entry(caller, f"identity token {claims.jti}", Outcome.DONE, project)
    await ctx.db.write(lambda conn: audit.record(conn, made))
    return Issued(token, validity, holder)


def _entry(
    caller: LoggedIn, resource: str, outcome: Outcome, project: Project | None = None
) -> AuditEntry:
    return AuditEntry(
        actor=caller.name,
        action="token.issue",
        resource=resource,
        outcome=outcome,
        tenant=caller.tenant,
        source=caller.source,
        request_id=caller.request_id,
        details={} if project is None else {"project": project.name},
    )


async def check_identity_token(
    ctx: Context, token: str, *, source: str, request_id: str = "", operation: str = ""
) -> TokenLogin:
    """The user of a token, whose rights count. Raises IdentityTokenRefused."""
    claims, credential = await _read(ctx, token)

    def look(conn: Connection) -> tuple[int, standings.UserStanding | None]:
        return epochs.current(conn), standings.user_standing(conn, UserId(credential.id))

    epoch, user = await ctx.db.read(look)
    if user is None or not user.is_active:
        raise IdentityTokenRefused("user disabled or deleted")
    if user.credential_version != credential.version:
        raise IdentityTokenRefused("the password has changed")
    caller = LoggedIn(
        subject=f"user:{user.user}",
        name=user.name,
        tenant=user.tenant,
        user=user.user,
        source=source,
        request_id=request_id,
        operation=operation,
        credential=credential,
        epoch=epoch,
    )
    return TokenLogin(caller, claims.project, Validity(Micros(claims.iat), Micros(claims.exp)))


async def holder_of(ctx: Context, login: TokenLogin) -> Holder:
    """Whose token it is that let this login in. Raises Unauthenticated, ProjectUnknown."""
    return await ctx.db.read(
        lambda conn: _holder(ctx, conn, login.caller, Scope(project_id=login.project))
    )


async def _read(ctx: Context, token: str) -> tuple[_Claims, Credential]:
    """What a token of ours says, while it lasts."""
    now = _now()
    try:
        payload = await ctx.access.with_keys(
            lambda: jws.claims_of(ctx.access.ring, token, now, kind=KIND)
        )
        claims = msgspec.convert(payload, _Claims)
        credential = Credential.parse(claims.cred)
    except (Unauthenticated, ValueError) as error:  # msgspec's errors are ValueErrors
        raise IdentityTokenRefused("no token of ours") from error
    is_ours = claims.iss == ISSUER and claims.aud == _AUDIENCE
    if not is_ours or credential.kind is not CredentialKind.USER:
        raise IdentityTokenRefused("no token of ours")
    if claims.iat > now + _LEEWAY_SECONDS * 1_000_000:
        raise IdentityTokenRefused("token not valid yet")
    if now >= claims.exp:
        raise IdentityTokenRefused("token expired")
    return claims, credential


def _holder(ctx: Context, conn: Connection, caller: LoggedIn, scope: Scope) -> Holder:
    user = None if caller.user is None else identities.get_user(conn, caller.user)
    if user is None:
        raise Unauthenticated("the user is gone")
    place = place_of(conn, user.tenant, scope.project_id)
    _require_own(place.tenant, scope)
    if scope.project and not scope.project_id:
        project = project_named(conn, user.tenant, scope.project, ctx.access.aliases)
        if project is None:
            raise ProjectUnknown(scope.project[:100])
        place = Place(place.tenant, project)
    every = [place.project] if place.project else tenants.list_projects(conn, user.tenant)
    return Holder(user, place, every)


def _require_own(tenant: Tenant, scope: Scope) -> None:
    """No user has rights as somebody of another tenant. Raises TenantUnknown."""
    if scope.tenant_id not in ("", tenant.public_id):
        raise TenantUnknown(scope.tenant_id[:100])
    if scope.tenant not in ("", tenant.name):
        raise TenantUnknown(scope.tenant[:100])


def _now() -> Micros:
    return Micros(time.time_ns() // 1000)
