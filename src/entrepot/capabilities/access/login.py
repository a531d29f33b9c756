"""Basic logins: people's passwords, tokens, service accounts, and the derived password of a key pair.

Every failure looks the same and takes as long as a wrong password.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from entrepot.capabilities.access.callers import Credential, CredentialKind, LoggedIn
from entrepot.capabilities.access.sealing import SealBroken
from entrepot.capabilities.access.secrets import (
    derived_password,
    fingerprint,
    key_context,
    same,
)
from entrepot.capabilities.access.state import AccessState
from entrepot.metadata import access as standings
from entrepot.metadata import accounts, audit, epochs
from entrepot.metadata.access import AccountStanding, UserStanding
from entrepot.metadata.audit import AuditEntry, Outcome
from entrepot.metadata.database import Connection, now
from entrepot.model.access import AccountKind
from entrepot.model.errors import Unauthenticated, Unavailable
from entrepot.model.ids import InstanceId, Micros
from entrepot.model.tenancy import Instance

MAX_USERNAME: Final = 512  # bytes
MAX_PASSWORD: Final = 1024  # characters
_NOWHERE: Final = InstanceId(0)
_REASON: Final = "wrong user name or password"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class Attempt:
    """Somebody's claim to be somebody. Never printed."""

    username: str
    password: str
    source: str = ""  # client address
    request_id: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class _Candidate:
    """Who it would be. `is_proven`: the secret was already found right; else the password is to be checked against `stored`."""

    caller: LoggedIn | None = None
    is_proven: bool = False
    stored: str | None = None
    expires_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A user as APIs name them: by name in a tenant (name or public id), or by public id alone. What is said twice must mean the same."""

    user: str
    tenant: str = ""
    tenant_id: str = ""
    user_id: str = ""

    @property
    def label(self) -> str:
        """All that is said: by names alone as at Basic logins. No name has a colon, so nobody else has a label of ids."""
        if not self.user_id and not self.tenant_id:
            return f"{self.tenant}/{self.user}"
        return f"id:{self.user_id}/{self.tenant_id}/{self.tenant}/{self.user}"

    def fits(self, user: UserStanding) -> bool:
        """Whether nothing that is said means anybody else."""
        who = user.principal
        said = (self.user_id, self.user, self.tenant_id, self.tenant)
        meant = (who.user_id, who.user_name, who.tenant_id, who.tenant_name)
        return all(one in ("", other) for one, other in zip(said, meant, strict=True))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where somebody logs in. `look_up`: who it would be."""

    instance: InstanceId
    name: str
    look_up: Callable[[Connection, Attempt], _Candidate]


async def authenticate_basic(
    access: AccessState,
    instance: Instance,
    username: str,
    password: str,
    *,
    source: str,
    request_id: str = "",
) -> LoggedIn:
    """The caller of a user name and password at this instance.

    User names: `user` (root tenant), `tenant/user`, the user's account number; the tenant's account number with a token; `tcr$name`;
    `project@access-key`. `source` is the client's address. Raises Unauthenticated, RateLimited, RightsStale.
    """
    place = _Place(
        instance.id,
        f"instance {instance.public_id}",
        lambda conn, attempt: _look_up(conn, access, instance=instance, attempt=attempt),
    )
    return await _authenticate(access, place, Attempt(username, password, source, request_id))


async def authenticate_password(
    access: AccessState, person: Person, password: str, *, source: str, request_id: str = ""
) -> LoggedIn:
    """The user whose password it is, wherever they log in. Raises Unauthenticated, RateLimited, RightsStale."""
    place = _Place(_NOWHERE, "deployment", lambda conn, _: _by_person(conn, person))
    return await _authenticate(access, place, Attempt(person.label, password, source, request_id))


async def _authenticate(access: AccessState, place: _Place, attempt: Attempt) -> LoggedIn:
    source, username = attempt.source, attempt.username
    access.throttle.check(source, username)
    found = access.remembered.find(place.instance, username, attempt.password)
    if found is None:
        # One at a time for each source and account: a client's parallel requests cost one hash, and guesses are counted exactly.
        async with access.turn(source, username):
            access.throttle.check(source, username)
            found = access.remembered.find(place.instance, username, attempt.password)
            if found is None:
                found = await _check(access, place, attempt)
    return found.at(source, attempt.request_id)


async def _check(access: AccessState, place: _Place, attempt: Attempt) -> LoggedIn:
    candidate = _Candidate()
    if _can_be(attempt.username) and len(attempt.password) <= MAX_PASSWORD:
        candidate = await access.db.read(lambda conn: place.look_up(conn, attempt))
    good = candidate.is_proven or await _is_right(access, attempt, candidate)
    caller = candidate.caller
    await _audit(access, place, attempt=attempt, caller=caller, is_good=good)
    if caller is None or not good:
        access.throttle.failed(attempt.source, attempt.username)
        raise Unauthenticated(_REASON)
    access.throttle.succeeded(attempt.source, attempt.username)
    access.remembered.add(
        place.instance,
        attempt.username,
        attempt.password,
        caller=caller,
        most_seconds=_left(candidate.expires_at),
    )
    return caller


async def _is_right(access: AccessState, attempt: Attempt, candidate: _Candidate) -> bool:
    """Whether it is the password. Guesses count for whom they are about, too: one has several names, and somebody else's success is not theirs.

    Raises RateLimited.
    """
    if candidate.caller is None:
        return await access.passwords.verify(None, attempt.password)
    source, who = attempt.source, f"\0{candidate.caller.subject}"  # nobody's user name
    async with access.turn(source, who):
        access.throttle.check(source, who)
        good = await access.passwords.verify(candidate.stored, attempt.password)
        if good:
            access.throttle.succeeded(source, who)
        else:
            access.throttle.failed(source, who)
    return good


def _can_be(username: str) -> bool:
    """Whether it is a text that a database can be asked for."""
    try:
        return len(username.encode()) <= MAX_USERNAME and "\0" not in username
    except UnicodeEncodeError:
        return False


def _left(expires_at: Micros | None) -> float | None:
    return None if expires_at is None else expires_at / 1e6 - time.time()


def _look_up(
    conn: Connection, access: AccessState, *, instance: Instance, attempt: Attempt
) -> _Candidate:
    epoch = epochs.current(conn)
    return (
        _by_account(conn, instance, attempt=attempt, epoch=epoch)
        or _by_chosen_password(conn, instance, attempt.username, epoch)
        or _by_key(conn, access, attempt=attempt, epoch=epoch)
        or _by_password(conn, attempt.username, epoch)
    )


def _by_account(
    conn: Connection, instance: Instance, *, attempt: Attempt, epoch: int
) -> _Candidate | None:
    """Tokens, logins and service accounts: found by the secret itself."""
    account = accounts.find_by_secret(
        conn, instance.id, attempt.username, secret_sha256=fingerprint(attempt.password)
    )
    if account is None or not account.is_good_at(Micros(now(conn))):
        return None
    if account.kind is AccountKind.SERVICE:
        caller = _as_robot(account, epoch)
        return _Candidate(caller, is_proven=True, expires_at=account.expires_at)
    credential = Credential(CredentialKind.ACCOUNT, account.account, account.version)
    user = standings.user_standing(conn, account.user)
    if user is None or not user.is_active:
        return None
    caller = LoggedIn(
        subject=f"user:{user.user}",
        name=user.name,
        tenant=user.tenant,
        user=user.user,
        account=account.account,
        credential=credential,
        epoch=epoch,
    )
    return _Candidate(caller, is_proven=True, expires_at=account.expires_at)


def _by_chosen_password(
    conn: Connection, instance: Instance, username: str, epoch: int
) -> _Candidate | None:
    """A service account whose password somebody chose."""
    found = accounts.find_by_name(conn, instance.id, username) if "$" in username else None
    if found is None or not found[0].is_good_at(Micros(now(conn))):
        return None
    account, stored = found
    return _Candidate(_as_robot(account, epoch), stored=stored, expires_at=account.expires_at)


def _by_key(
    conn: Connection, access: AccessState, *, attempt: Attempt, epoch: int
) -> _Candidate | None:
    """`project@access-key` with the password derived from the pair."""
    project, at, key_id = attempt.username.rpartition("@")
    key = accounts.find_key(conn, key_id) if at and project else None
    if key is None or not key.user.is_active:
        return None
    if key.expires_at is not None and key.expires_at <= now(conn):
        return None
    try:
        secret = access.sealer.open(key.secret_sealed, key_context(key_id)).decode()
    except SealBroken:
        log.error("access key cannot be unsealed", access_key_id=key_id)  # noqa: TRY400
        return None
    if not same(derived_password(key_id, secret), attempt.password):
        return None
    if project not in access.aliases and not accounts.has_project(conn, key.user.tenant, project):
        return None
    credential = Credential(CredentialKind.KEY, key.key)
    return _Candidate(
        _as_user(key.user, credential, epoch), is_proven=True, expires_at=key.expires_at
    )


def _by_password(conn: Connection, username: str, epoch: int) -> _Candidate:
    tenant, slash, name = username.partition("/")
    found = accounts.find_user(conn, tenant, name) if slash else None
    if not slash:
        found = accounts.find_user(conn, None, username)
        if found is None and len(username) == 12 and username.isdecimal():
            found = accounts.find_user_by_uin(conn, username)
    return _of_person(found, epoch)


def _by_person(conn: Connection, person: Person) -> _Candidate:
    if person.user_id:
        found = accounts.find_user_by_public_id(conn, person.user_id)
    elif person.tenant_id:
        found = accounts.find_user_of(conn, person.tenant_id, person.user)
    else:
        found = accounts.find_user(conn, person.tenant, person.user)
    if found is not None and not person.fits(found[0]):
        found = None
    return _of_person(found, epochs.current(conn))


def _of_person(found: tuple[UserStanding, str | None] | None, epoch: int) -> _Candidate:
    if found is None:
        return _Candidate()
    user, stored = found
    credential = Credential(CredentialKind.USER, user.user, user.credential_version)
    caller = _as_user(user, credential, epoch)
    return _Candidate(caller, stored=stored if user.is_active else None)


def _as_robot(account: AccountStanding, epoch: int) -> LoggedIn:
    return LoggedIn(
        subject=f"account:{account.account}",
        name=account.username,
        tenant=account.tenant,
        account=account.account,
        credential=Credential(CredentialKind.ACCOUNT, account.account, account.version),
        epoch=epoch,
    )


def _as_user(user: UserStanding, credential: Credential, epoch: int) -> LoggedIn:
    return LoggedIn(
        subject=f"user:{user.user}",
        name=user.name,
        tenant=user.tenant,
        user=user.user,
        credential=credential,
        epoch=epoch,
    )


async def _audit(
    access: AccessState,
    place: _Place,
    *,
    attempt: Attempt,
    caller: LoggedIn | None,
    is_good: bool,
) -> None:
    """Logins, good and bad. A user name that nobody has is not kept: people type passwords there."""
    entry = AuditEntry(
        actor="unknown" if caller is None else caller.name,
        action="login",
        resource=place.name,
        outcome=Outcome.DONE if is_good and caller is not None else Outcome.DENIED,
        tenant=None if caller is None else caller.tenant,
        source=attempt.source,
        request_id=attempt.request_id,
        details={} if caller is None else {"with": caller.credential.kind.value},
    )
    try:
        await asyncio.shield(access.db.write(lambda conn: audit.record(conn, entry)))
    except Unavailable as error:  # a full disk must not keep anybody from pulling
        log.warning("login not audited", error=str(error), outcome=entry.outcome.value)
