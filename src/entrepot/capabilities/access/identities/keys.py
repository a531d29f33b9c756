"""Access keys: at most two lasting ones a user and any number for a time, the secret shown once and kept sealed. And the keys behind
all secrets."""

from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from entrepot.capabilities.access.callers import CredentialKind, LoggedIn
from entrepot.capabilities.access.identities.standing import require_own_or_managed, rights_changed
from entrepot.capabilities.access.sealing import SealBroken, Sealer
from entrepot.capabilities.access.secrets import (
    TEMPORARY_PREFIX,
    AccessKey,
    fingerprint,
    key_context,
    new_access_key,
    new_secret,
)
from entrepot.capabilities.access.signing import reseal_keys, rotate
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.certificates import reseal_certificates
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.policies.clusters import reseal_clusters
from entrepot.capabilities.policies.peers import reseal_peers
from entrepot.metadata import access_keys, accounts, identities
from entrepot.metadata.access_keys import Temporary
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import Forbidden, KeyUnknown, NameTaken, QuotaExceeded, ValueInvalid
from entrepot.model.identities import (
    LONGEST_TEMPORARY_SECONDS,
    MAX_ACCESS_KEYS,
    SHORTEST_TEMPORARY_SECONDS,
    User,
    UserKey,
)
from entrepot.model.ids import Micros, TenantId, UserId

_BATCH: Final = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeysOf:
    """A user of a tenant, by name."""

    tenant: TenantId
    user: str


@dataclass(frozen=True, slots=True)
class NamedKey:
    """An access key of a user of the tenant."""

    tenant: TenantId
    access_key_id: str


@dataclass(frozen=True, slots=True)
class EnableKey:
    """Accept the key's signatures and logins, or not."""

    tenant: TenantId
    access_key_id: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class CreateTemporaryKey:
    """A key for a user of a tenant, by name, that ends by itself: after 15 minutes to 36 hours."""

    tenant: TenantId
    user: str
    lifetime_seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class KeyMade:
    """A new key with its secret, and of a temporary one its session token: shown this once."""

    key: UserKey
    secret: str
    session_token: str | None = None


async def create_key(ctx: Context, caller: Caller, command: KeysOf) -> KeyMade:
    """A key pair for the caller or for a user they manage. Raises Denied, UserUnknown, QuotaExceeded (a third one)."""
    pair = new_access_key()

    def write(conn: Connection) -> UserKey:
        _require_lasting(conn, caller)
        user = require_own_or_managed(ctx, conn, caller, tenant=command.tenant, name=command.user)
        key = store_key(conn, ctx.access.sealer, user.id, pair)
        note(conn, caller, "key.create", key.access_key_id, tenant=user.tenant, user=user.name)
        return key

    return KeyMade(await change(ctx, caller, "key.create", write), pair.secret)


async def create_temporary_key(
    ctx: Context, caller: Caller, command: CreateTemporaryKey
) -> KeyMade:
    """A key pair and a session token that sign together until they end, for the caller or for a user they manage.

    It does not count among the two. Raises Denied, UserUnknown, ValueInvalid.
    """
    lifetime = command.lifetime_seconds
    if not SHORTEST_TEMPORARY_SECONDS <= lifetime <= LONGEST_TEMPORARY_SECONDS:
        raise ValueInvalid("lifetime", "must be 15 minutes to 36 hours")
    pair, token = new_access_key(TEMPORARY_PREFIX), new_secret()

    def write(conn: Connection) -> UserKey:
        _require_lasting(conn, caller)
        user = require_own_or_managed(ctx, conn, caller, tenant=command.tenant, name=command.user)
        temporary = Temporary(Micros(now(conn) + int(lifetime * 1_000_000)), fingerprint(token))
        key = store_key(conn, ctx.access.sealer, user.id, pair, temporary=temporary)
        note(
            conn,
            caller,
            "key.create",
            key.access_key_id,
            tenant=user.tenant,
            user=user.name,
            lifetime_seconds=lifetime,
        )
        return key

    return KeyMade(await change(ctx, caller, "key.create", write), pair.secret, token)


def _require_lasting(conn: Connection, caller: Caller) -> None:
    """A temporary key makes no others, or it would never end. Raises Forbidden."""
    if (
        isinstance(caller, LoggedIn)
        and caller.credential.kind is CredentialKind.KEY
        and access_keys.is_temporary(conn, caller.credential.id)
    ):
        raise Forbidden(Permission.IDENTITY_MANAGE, "access keys, by a temporary one")


def store_key(
    conn: Connection,
    sealer: Sealer,
    user: UserId,
    pair: AccessKey,
    *,
    temporary: Temporary | None = None,
) -> UserKey:
    """In a transaction: a key pair for the user. Raises QuotaExceeded (a third lasting one), NameTaken."""
    if temporary is None and access_keys.count_lasting_keys(conn, user) >= MAX_ACCESS_KEYS:
        raise QuotaExceeded("access keys", MAX_ACCESS_KEYS)
    if access_keys.is_id_taken(conn, pair.id):
        raise NameTaken(pair.id)
    sealed = sealer.seal(pair.secret.encode(), key_context(pair.id))
    return access_keys.insert_key(conn, user, pair.id, secret_sealed=sealed, temporary=temporary)


async def list_keys(ctx: Context, caller: Caller, command: KeysOf) -> list[UserKey]:
    """Keys of the caller or of a user they manage, without secrets. Raises Denied, UserUnknown."""

    def read(conn: Connection) -> list[UserKey]:
        user = require_own_or_managed(ctx, conn, caller, tenant=command.tenant, name=command.user)
        return access_keys.list_keys(conn, user.id)

    return await ctx.db.read(read)


async def enable_key(ctx: Context, caller: Caller, command: EnableKey) -> UserKey:
    """A disabled key is refused at once, and can be enabled again; logins named after it end. Raises Denied, KeyUnknown."""

    def write(conn: Connection) -> UserKey:
        user, key = _key(ctx, conn, caller, tenant=command.tenant, name=command.access_key_id)
        access_keys.set_enabled(conn, key.id, enabled=command.enabled)
        if not command.enabled:
            accounts.end_logins(conn, user.id, key=key.access_key_id)
        rights_changed(ctx, conn, user.tenant)
        verb = "enable" if command.enabled else "disable"
        note(conn, caller, f"key.{verb}", key.access_key_id, tenant=user.tenant, user=user.name)
        return _get(conn, command.tenant, command.access_key_id)

    return await change(ctx, caller, "key.enable", write)


async def delete_key(ctx: Context, caller: Caller, command: NamedKey) -> None:
    """End the key and the logins named after it; its secret is forgotten. Raises Denied, KeyUnknown."""

    def write(conn: Connection) -> None:
        user, key = _key(ctx, conn, caller, tenant=command.tenant, name=command.access_key_id)
        access_keys.tombstone_key(conn, key.id, Micros(now(conn)))
        accounts.end_logins(conn, user.id, key=key.access_key_id)
        rights_changed(ctx, conn, user.tenant)
        note(conn, caller, "key.delete", key.access_key_id, tenant=user.tenant, user=user.name)

    await change(ctx, caller, "key.delete", write)


def _key(
    ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId, name: str
) -> tuple[User, UserKey]:
    """The key and its user. Where it is not there, only who manages the tenant's people is told so."""
    key = access_keys.find_key(conn, tenant, name)
    user = None if key is None else identities.get_user(conn, key.user)
    if key is None or user is None:
        ctx.access.require(conn, caller, Permission.IDENTITY_MANAGE, Resource(tenant))
        raise KeyUnknown(name[:300])
    return require_own_or_managed(ctx, conn, caller, tenant=tenant, name=user.name), key


def _get(conn: Connection, tenant: TenantId, name: str) -> UserKey:
    key = access_keys.find_key(conn, tenant, name)
    if key is None:
        raise KeyUnknown(name[:300])
    return key


# -- the deployment's own keys ----------------------------------------------------------------------------------------


async def rotate_signing_key(ctx: Context, caller: Caller, *, keep_seconds: float) -> str:
    """A new key signs bearer tokens; the former ones are believed for `keep_seconds` more (0: their tokens end). Its id. Raises Denied."""

    def write(conn: Connection) -> str:
        ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
        key = rotate(conn, ctx.access.sealer, keep_seconds=keep_seconds)
        note(conn, caller, "signing-key.rotate", key, tenant=None, keep_seconds=keep_seconds)
        return key

    return await change(ctx, caller, "signing-key.rotate", write)


async def reseal_secrets(ctx: Context, caller: Caller) -> int:
    """Seal every kept secret with the newest master key; may be repeated. How many were resealed. Raises Denied.

    What no present master key opens stays as it is, with a warning in the log.
    """

    def start(conn: Connection) -> int:
        ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
        done = reseal_keys(conn, ctx.access.sealer)
        note(conn, caller, "master-key.reseal", "deployment", tenant=None)
        return done

    done = await change(ctx, caller, "master-key.reseal", start)
    for reseal in (_reseal_batch, reseal_certificates, reseal_clusters, reseal_peers):
        after: int | None = 0
        while after is not None:
            batch = partial(reseal, sealer=ctx.access.sealer, after=after, limit=_BATCH)
            after, resealed = await ctx.db.write(batch)
            done += resealed
    return done


def _reseal_batch(
    conn: Connection, *, sealer: Sealer, after: int, limit: int
) -> tuple[int | None, int]:
    """The last id of the batch, None behind the end; and how many were resealed."""
    batch = access_keys.sealed_secrets(conn, after=after, limit=limit)
    done = 0
    for number, key_id, sealed in batch:
        if sealer.is_newest(sealed):
            continue
        try:
            access_keys.set_sealed(conn, number, sealer.reseal(sealed, key_context(key_id)))
        except SealBroken:
            log.warning("access key cannot be resealed", access_key_id=key_id)
            continue
        done += 1
    return (batch[-1][0] if batch else None), done
