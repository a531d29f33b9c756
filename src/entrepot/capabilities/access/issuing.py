"""What the token endpoint decides: who asks, which of the scopes asked for are allowed, and the tokens for it.

A refresh token is opaque: sealed, for one instance, and looked at again with every use, so it ends with the credential it was made by.
"""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from entrepot.capabilities.access import bearer, jws
from entrepot.capabilities.access.bearer import Access, Lifetime
from entrepot.capabilities.access.callers import (
    SCOPE_ACTIONS,
    Credential,
    CredentialKind,
    LoggedIn,
)
from entrepot.capabilities.access.evaluator import Rights, decide
from entrepot.capabilities.access.loading import is_settled
from entrepot.capabilities.access.rights import judged, of_namespace, of_repository
from entrepot.capabilities.access.sealing import SealBroken
from entrepot.capabilities.access.state import AccessState
from entrepot.metadata import access as standings
from entrepot.metadata import audit, epochs
from entrepot.metadata.audit import AuditEntry, Outcome
from entrepot.metadata.database import Connection
from entrepot.metadata.namespaces import find_namespace, find_repository
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import Unauthenticated, Unavailable
from entrepot.model.ids import AccountId, InstanceId, Micros, TenantId, UserId
from entrepot.model.tenancy import Instance
from entrepot.oci.reference import NameSyntaxError, RepositoryName

REFRESH_SECONDS: Final = 90 * 86400
_REFRESH_PREFIX: Final = "ert1."
_GRANTABLE: Final = ("pull", "push", "delete")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Scope:
    """One thing asked for: `repository` with a full name, or `registry` with `catalog`."""

    type: str
    name: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for a token wants. `wants_refresh`: also a token to get later ones by."""

    scopes: tuple[Scope, ...] = ()
    wants_refresh: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """The answer. Never printed."""

    token: str
    expires_in: int  # seconds
    issued_at: Micros
    refresh_token: str | None = None


class _Refresh(msgspec.Struct, frozen=True):
    instance: int
    subject: str
    name: str
    tenant: int | None
    credential: str
    expires_at: int  # micros


async def authenticate_refresh(
    access: AccessState,
    instance: Instance,
    refresh_token: str,
    *,
    source: str,
    request_id: str = "",
) -> LoggedIn:
    """The caller of a refresh token; whether the credential still counts is seen when rights are loaded. Raises Unauthenticated."""
    prefix, encoded = refresh_token[: len(_REFRESH_PREFIX)], refresh_token[len(_REFRESH_PREFIX) :]
    try:
        if prefix != _REFRESH_PREFIX or len(encoded) > jws.MAX_TOKEN:
            raise ValueError("no refresh token")
        sealed = base64.urlsafe_b64decode(encoded)
        opened = access.sealer.open(sealed, _refresh_context(instance.id))
        refresh = msgspec.json.decode(opened, type=_Refresh)
        credential = Credential.parse(refresh.credential)
    except (ValueError, SealBroken, msgspec.DecodeError) as error:
        raise Unauthenticated("no refresh token of this instance") from error
    if refresh.expires_at <= time.time_ns() // 1000 or refresh.instance != instance.id:
        raise Unauthenticated("refresh token expired")
    kind, _, number = refresh.subject.partition(":")
    is_account = credential.kind is CredentialKind.ACCOUNT
    return LoggedIn(
        subject=refresh.subject,
        name=refresh.name,
        tenant=None if refresh.tenant is None else TenantId(refresh.tenant),
        user=UserId(int(number)) if kind == "user" else None,
        account=AccountId(credential.id) if is_account else None,
        source=source,
        request_id=request_id,
        credential=credential,
    )


async def issue_token(
    access: AccessState, instance: Instance, caller: Caller, asked: Asked
) -> Issued:
    """A token with the allowed part of what was asked, be it nothing. Raises Unauthenticated where the credential has ended, ValueInvalid."""

    def find(conn: Connection) -> tuple[LoggedIn, _Granted]:
        rights = access.judge.rights(conn, caller, Resource(None, instance.id))
        if not rights.is_active:
            raise Unauthenticated("the credential is no longer valid")
        known = replace(_as_logged_in(conn, caller), epoch=epochs.current(conn))
        return known, _granted(conn, rights, instance=instance.id, scopes=asked.scopes)

    known, granted = await access.db.read(find)
    now = Micros(time.time_ns() // 1000)
    lifetime = Lifetime(now, _seconds(access, now, granted.until))
    token = bearer.sign(
        access.ring, known, instance=instance.id, access=granted.access, lifetime=lifetime
    )
    wants_refresh = asked.wants_refresh and not caller.is_anonymous
    if wants_refresh:
        await _note_refresh(access, instance, known)
    return Issued(
        token=token,
        expires_in=lifetime.seconds,
        issued_at=now,
        refresh_token=_refresh_token(access, instance.id, caller=known, now=now)
        if wants_refresh
        else None,
    )


def _as_logged_in(conn: Connection, caller: Caller) -> LoggedIn:
    """The caller with a credential; who came by a signed request or a session counts as the user behind it."""
    if isinstance(caller, LoggedIn):
        return caller
    credential = Credential(CredentialKind.NONE)
    if caller.account is not None:
        account = standings.account_standing(conn, caller.account)
        version = 0 if account is None else account.version
        credential = Credential(CredentialKind.ACCOUNT, caller.account, version)
    elif caller.user is not None:
        user = standings.user_standing(conn, caller.user)
        version = 0 if user is None else user.credential_version
        credential = Credential(CredentialKind.USER, caller.user, version)
    return LoggedIn(
        subject=caller.subject,
        name=caller.name,
        tenant=caller.tenant,
        user=caller.user,
        account=caller.account,
        source=caller.source,
        request_id=caller.request_id,
        credential=credential,
    )


@dataclass(slots=True)
class _Granted:
    """What a token lets through. `until`: when the first of it ends by itself, None: never."""

    access: list[Access] = field(default_factory=list)
    until: Micros | None = None

    def ends(self, until: Micros | None) -> None:
        """Note that some of it ends then."""
        self.until = min((end for end in (self.until, until) if end is not None), default=None)


def _seconds(access: AccessState, now: Micros, until: Micros | None) -> int:
    """How long a token lasts: never longer than what it was given for."""
    if until is None:
        return access.token_seconds
    return max(min(access.token_seconds, until // 1_000_000 - now // 1_000_000), 1)


def _granted(
    conn: Connection, rights: Rights, *, instance: InstanceId, scopes: Sequence[Scope]
) -> _Granted:
    granted = _Granted()
    for scope in _merged(scopes):
        if scope.type == "registry" and scope.name == "catalog":
            whole = Resource(tenant=None, instance=instance)
            if decide(rights, Permission.CATALOG, whole).allowed:
                granted.access.append(Access("registry", "catalog", ["*"]))
            continue
        resource = _find(conn, instance, scope.name) if scope.type == "repository" else None
        if resource is None:
            continue
        wanted = [action for action in _GRANTABLE if _asks(scope, action)]
        actions = [a for a in wanted if _may(conn, rights, a, resource=resource, into=granted)]
        if actions:
            # Without the repository's id each use of the token is judged anew.
            number = resource.repository if is_settled(rights) else None
            granted.access.append(Access("repository", scope.name, actions, number))
    return granted


def _merged(scopes: Sequence[Scope]) -> list[Scope]:
    """The same thing asked for twice is asked for once, with all actions."""
    actions: dict[tuple[str, str], tuple[str, ...]] = {}
    for scope in scopes:
        key = scope.type, scope.name
        actions[key] = actions.get(key, ()) + scope.actions
    return [Scope(kind, name, asked) for (kind, name), asked in actions.items()]


def _asks(scope: Scope, action: str) -> bool:
    return action in scope.actions or "*" in scope.actions


def _may(
    conn: Connection, rights: Rights, action: str, *, resource: Resource, into: _Granted
) -> bool:
    """Making a repository is part of a push only where there is none yet."""
    needed = SCOPE_ACTIONS[action]
    if resource.repository is not None:
        needed -= {Permission.REPOSITORY_CREATE}
    decisions = [judged(conn, rights, permission, resource) for permission in needed]
    if not all(decision.allowed for decision in decisions):
        return False
    for decision in decisions:
        into.ends(decision.until)
    return True


def _find(conn: Connection, instance: InstanceId, full_name: str) -> Resource | None:
    try:
        name = RepositoryName.parse(full_name)
    except NameSyntaxError:
        return None
    repository = find_repository(conn, instance, full_name)
    if repository is not None:
        return of_repository(repository)
    namespace = find_namespace(conn, instance, name.namespace)
    return None if namespace is None else of_namespace(namespace, name.path)


def _refresh_token(
    access: AccessState, instance: InstanceId, *, caller: LoggedIn, now: Micros
) -> str:
    refresh = _Refresh(
        instance=instance,
        subject=caller.subject,
        name=caller.name,
        tenant=caller.tenant,
        credential=str(caller.credential),
        expires_at=now + REFRESH_SECONDS * 1_000_000,
    )
    sealed = access.sealer.seal(msgspec.json.encode(refresh), _refresh_context(instance))
    return _REFRESH_PREFIX + base64.urlsafe_b64encode(sealed).decode()


async def _note_refresh(access: AccessState, instance: Instance, caller: LoggedIn) -> None:
    """In the audit trail, since it lasts for months; bearer tokens are gone in minutes, and too many to tell of."""
    entry = AuditEntry(
        actor=caller.name,
        action="token.issue",
        resource=f"refresh token of instance {instance.public_id}",
        outcome=Outcome.DONE,
        tenant=caller.tenant,
        source=caller.source,
        request_id=caller.request_id,
        details={"with": caller.credential.kind.value},
    )
    try:
        await access.db.write(lambda conn: audit.record(conn, entry))
    except Unavailable as error:  # a full disk must not keep anybody from pulling
        log.warning("token not audited", error=str(error))


def _refresh_context(instance: InstanceId) -> str:
    return f"refresh-token:{instance}"
