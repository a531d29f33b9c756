"""Logins by signed requests: who it is that a request was signed by, with an access key of theirs.

What a dialect read from the request comes as an attempt with a proof; here the key is looked up, unsealed and held against it. Faults
are told in one order, key, token, signature, number; and the proof is always done, so none of them is quicker than a wrong signature.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from entrepot.capabilities.access.callers import Credential, CredentialKind, LoggedIn
from entrepot.capabilities.access.sealing import SealBroken, Sealer
from entrepot.capabilities.access.secrets import fingerprint, key_context, new_access_key, same
from entrepot.capabilities.context import Context
from entrepot.metadata import audit, nonces
from entrepot.metadata.access_keys import PresentedKey
from entrepot.metadata.audit import AuditEntry, Outcome
from entrepot.model.errors import Unauthenticated, Unavailable
from entrepot.model.identities import (
    KeyKindWrong,
    KeyRefused,
    RequestReplayed,
    SessionTokenWrong,
    SignatureWrong,
)
from entrepot.model.ids import Micros

_MAX_ID: Final = 128  # characters
_INLINE: Final = 65_536  # bytes hashed on the event loop
_MARGIN_SECONDS: Final = 300  # beyond a request's time, for clocks of replicas that differ
_LOGIN: Final = re.compile(
    r"[0-9]{12}|.*[$@/].*"
)  # account numbers, service accounts, `a/b`, `a@b`
_DUMMY: Final = new_access_key().secret

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class KeyAttempt:
    """A request's claim to be signed with an access key. Never printed.

    `proves(secret)` tells whether it was and hashes `weight` bytes. `signed_at`: seconds since the epoch, as the client says, found
    within `window_seconds` of now. `nonce`: where the scheme has a number that may be used once. `operation`: see `Caller`.
    """

    access_key_id: str
    session_token: str | None
    signed_at: int
    window_seconds: int
    proves: Callable[[str], bool]
    weight: int = 0
    nonce: int | None = None
    source: str = ""  # client address
    request_id: str = ""
    operation: str = ""


async def authenticate_key(ctx: Context, attempt: KeyAttempt) -> LoggedIn:
    """The user of the key, whose rights count. One point read; a write only for a request with a number.

    Raises KeyRefused, KeyKindWrong, SessionTokenWrong, SignatureWrong, RequestReplayed (all Unauthenticated); RateLimited after too many
    of them from this source for this key.
    """
    throttle = ctx.access.throttle
    # No turns as passwords take: nobody guesses such a secret, and a client's parallel requests must not wait for each other.
    throttle.check(attempt.source, attempt.access_key_id)
    found = None
    if len(attempt.access_key_id) <= _MAX_ID and attempt.access_key_id.isprintable():
        found = await ctx.hot.presented_key(attempt.access_key_id)
    try:
        caller = await _check(ctx, attempt, found)
    except Unauthenticated as error:
        throttle.failed(attempt.source, attempt.access_key_id)
        if (
            found is not None
        ):  # whoever makes keys up must not make us write: the wire's batched trail has those
            await _audit(ctx, attempt, found=found, error=error)
            error.noted = True
        raise
    throttle.succeeded(attempt.source, attempt.access_key_id)
    return caller


async def _check(ctx: Context, attempt: KeyAttempt, found: PresentedKey | None) -> LoggedIn:
    secret = None if found is None else _unsealed(ctx.access.sealer, attempt, found)
    is_proven = await _proves(ctx, attempt, _DUMMY if secret is None else secret)
    if found is None and _LOGIN.fullmatch(attempt.access_key_id):
        raise KeyKindWrong("no access key")
    if found is None:
        raise KeyRefused("key unknown")
    _require_good(attempt, found)
    if secret is None:
        raise KeyRefused("key cannot be unsealed")
    if not is_proven:
        raise SignatureWrong("signature wrong")
    if attempt.nonce is not None and not await _is_first(ctx, attempt, attempt.nonce):
        raise RequestReplayed("request replayed")
    return _caller(found, attempt)


def _require_good(attempt: KeyAttempt, key: PresentedKey) -> None:
    """The key, then its token. Raises KeyRefused, SessionTokenWrong."""
    if not key.enabled:
        raise KeyRefused("key disabled")
    if not key.user.is_active:
        raise KeyRefused("user disabled or deleted")
    is_over = key.expires_at is not None and key.expires_at <= time.time_ns() // 1000
    token = attempt.session_token
    if key.session_token_sha256 is None:
        if is_over:
            raise KeyRefused("key expired")
        if token is not None:
            raise SessionTokenWrong("a lasting key has no session token")
    elif token is None:
        raise SessionTokenWrong("session token missing")
    elif not same(fingerprint(token), key.session_token_sha256):
        raise SessionTokenWrong("session token wrong")
    elif is_over:
        raise SessionTokenWrong("session token expired")


def _unsealed(sealer: Sealer, attempt: KeyAttempt, key: PresentedKey) -> str | None:
    try:
        return sealer.open(key.secret_sealed, key_context(attempt.access_key_id)).decode()
    except SealBroken:
        log.error("access key cannot be unsealed", access_key_id=attempt.access_key_id)  # noqa: TRY400
        return None


async def _proves(ctx: Context, attempt: KeyAttempt, secret: str) -> bool:
    if attempt.weight <= _INLINE:
        return attempt.proves(secret)
    return await ctx.blocking(lambda: attempt.proves(secret))


async def _is_first(ctx: Context, attempt: KeyAttempt, nonce: int) -> bool:
    """Remember the number for as long as the request could be sent again."""
    until = attempt.signed_at + attempt.window_seconds + _MARGIN_SECONDS
    return await ctx.db.write(
        lambda conn: nonces.use(
            conn,
            attempt.access_key_id,
            signed_at=attempt.signed_at,
            nonce=nonce,
            expires_at=Micros(until * 1_000_000),
        )
    )


def _caller(key: PresentedKey, attempt: KeyAttempt) -> LoggedIn:
    user = key.user
    return LoggedIn(
        subject=f"user:{user.user}",
        name=user.name,
        tenant=user.tenant,
        user=user.user,
        source=attempt.source,
        request_id=attempt.request_id,
        operation=attempt.operation,
        credential=Credential(CredentialKind.KEY, key.key),
        epoch=key.epoch,
    )


async def _audit(
    ctx: Context, attempt: KeyAttempt, *, found: PresentedKey | None, error: Unauthenticated
) -> None:
    """A refused login. An id that no key has is not kept: people put secrets there."""
    details = {"with": CredentialKind.KEY.value, "reason": error.reason}
    entry = AuditEntry(
        actor="unknown" if found is None else found.user.name,
        action="login",
        resource="deployment" if found is None else f"key {attempt.access_key_id}",
        outcome=Outcome.DENIED,
        tenant=None if found is None else found.user.tenant,
        source=attempt.source,
        request_id=attempt.request_id,
        details=details,
    )
    try:
        await asyncio.shield(ctx.db.write(lambda conn: audit.record(conn, entry)))
    except Unavailable as unavailable:  # the refusal stands all the same
        log.warning("login not audited", error=str(unavailable), outcome=entry.outcome.value)
