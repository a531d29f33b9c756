"""Access keys: what signs API requests. Their secrets are kept sealed, because signatures are checked with them."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.access import USER_COLUMNS, UserStanding, standing_of_user
from entrepot.metadata.database import now
from entrepot.metadata.schema import access_keys, epochs, tenants, users
from entrepot.model.identities import UserKey
from entrepot.model.ids import Micros, TenantId, UserId

# -- the login of a signed request ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class PresentedKey:
    """A living key, enabled or not, and its user, living or not. `epoch`: the highest of any scope when this was read."""

    key: int
    secret_sealed: bytes
    session_token_sha256: bytes | None  # of temporary keys
    enabled: bool
    expires_at: Micros | None
    user: UserStanding
    epoch: int


def presented() -> sa.Select[Any]:
    """The select behind `HotReads.presented_key`: parameter `access_key_id`; a row for `presented_of`."""
    epoch = sa.select(sa.func.coalesce(sa.func.max(epochs.c.value), 0)).scalar_subquery()
    return (
        sa.select(
            access_keys.c.id,
            access_keys.c.secret_sealed,
            access_keys.c.session_token_sha256,
            access_keys.c.enabled,
            access_keys.c.expires_at,
            epoch,
            *USER_COLUMNS,
        )
        .select_from(access_keys.join(users).join(tenants))
        .where(
            access_keys.c.access_key_id == sa.bindparam("access_key_id"),
            access_keys.c.deleted_at.is_(None),
        )
    )


def presented_of(row: Any) -> PresentedKey:
    """The record of a row of `presented`."""
    number, sealed, token, enabled, expires_at, epoch, *standing = row
    names = (column.key for column in USER_COLUMNS)
    return PresentedKey(
        key=number,
        secret_sealed=bytes(sealed),
        session_token_sha256=None if token is None else bytes(token),
        enabled=bool(enabled),
        expires_at=None if expires_at is None else Micros(expires_at),
        user=standing_of_user(SimpleNamespace(**dict(zip(names, standing, strict=True)))),
        epoch=int(epoch),
    )


# -- keys -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Temporary:
    """What a temporary key has besides: when it ends, and the SHA-256 of the token that goes with it."""

    expires_at: Micros
    session_token_sha256: bytes


def insert_key(
    conn: Connection,
    user: UserId,
    access_key_id: str,
    *,
    secret_sealed: bytes,
    temporary: Temporary | None = None,
) -> UserKey:
    """A new enabled key; without an end unless it is temporary."""
    values = {
        "user_id": user,
        "access_key_id": access_key_id,
        "secret_sealed": secret_sealed,
        "session_token_sha256": None if temporary is None else temporary.session_token_sha256,
        "expires_at": None if temporary is None else temporary.expires_at,
        "enabled": True,
        "created_at": now(conn),
    }
    return _key_of(
        conn.execute(sa.insert(access_keys).values(**values).returning(access_keys)).one()
    )


def is_id_taken(conn: Connection, access_key_id: str) -> bool:
    """Whether any key, living or not, has that id."""
    query = sa.select(access_keys.c.id).where(access_keys.c.access_key_id == access_key_id)
    return conn.execute(query).first() is not None


def find_key(conn: Connection, tenant: TenantId, access_key_id: str) -> UserKey | None:
    """The living key of that id, if it is of a living user of the tenant."""
    query = (
        sa.select(access_keys)
        .join(users, users.c.id == access_keys.c.user_id)
        .where(
            access_keys.c.access_key_id == access_key_id,
            access_keys.c.deleted_at.is_(None),
            users.c.tenant_id == tenant,
            users.c.deleted_at.is_(None),
        )
    )
    row = conn.execute(query).first()
    return None if row is None else _key_of(row)


def list_keys(conn: Connection, user: UserId) -> list[UserKey]:
    """Living keys of the user, oldest first."""
    query = (
        sa.select(access_keys)
        .where(access_keys.c.user_id == user, access_keys.c.deleted_at.is_(None))
        .order_by(access_keys.c.id)
    )
    return [_key_of(row) for row in conn.execute(query)]


def key_of_row(conn: Connection, key: int) -> UserKey | None:
    """The living key of that row id."""
    query = sa.select(access_keys).where(
        access_keys.c.id == key, access_keys.c.deleted_at.is_(None)
    )
    row = conn.execute(query).first()
    return None if row is None else _key_of(row)


def count_lasting_keys(conn: Connection, user: UserId) -> int:
    """Living keys that are not temporary."""
    query = (
        sa.select(sa.func.count())
        .select_from(access_keys)
        .where(
            access_keys.c.user_id == user,
            access_keys.c.deleted_at.is_(None),
            access_keys.c.expires_at.is_(None),
        )
    )
    return conn.execute(query).scalar_one()


def is_temporary(conn: Connection, key: int) -> bool:
    """Whether the key of that row id, living or not, was made for a time."""
    query = sa.select(access_keys.c.id).where(
        access_keys.c.id == key, access_keys.c.expires_at.is_not(None)
    )
    return conn.execute(query).first() is not None


def purge_ended(conn: Connection, before: Micros, *, limit: int = 1000) -> int:
    """Forget temporary keys that ended before that moment, oldest first; how many went."""
    past = (
        sa.select(access_keys.c.id)
        .where(access_keys.c.expires_at < before)
        .order_by(access_keys.c.id)
        .limit(limit)
    )
    return conn.execute(sa.delete(access_keys).where(access_keys.c.id.in_(past))).rowcount


def is_purge_wanted(conn: Connection, before: Micros) -> bool:
    """Whether any temporary key ended before that moment."""
    old = sa.exists().where(access_keys.c.expires_at < before)
    return bool(conn.execute(sa.select(old)).scalar())


def set_enabled(conn: Connection, key: int, *, enabled: bool) -> None:
    """Accept its signatures, or not."""
    conn.execute(sa.update(access_keys).where(access_keys.c.id == key).values(enabled=enabled))


def tombstone_key(conn: Connection, key: int, at: Micros) -> None:
    """Mark it deleted; its sealed secret is overwritten."""
    conn.execute(
        sa.update(access_keys)
        .where(access_keys.c.id == key)
        .values(deleted_at=at, secret_sealed=b"")
    )


def sealed_secrets(conn: Connection, *, after: int, limit: int) -> list[tuple[int, str, bytes]]:
    """(id, access key id, sealed secret) of living keys behind `after`, by id: for sealing anew."""
    query = (
        sa.select(access_keys.c.id, access_keys.c.access_key_id, access_keys.c.secret_sealed)
        .where(access_keys.c.id > after, access_keys.c.deleted_at.is_(None))
        .order_by(access_keys.c.id)
        .limit(limit)
    )
    return [(row.id, row.access_key_id, bytes(row.secret_sealed)) for row in conn.execute(query)]


def set_sealed(conn: Connection, key: int, secret_sealed: bytes) -> None:
    """Store the secret sealed anew."""
    conn.execute(
        sa.update(access_keys).where(access_keys.c.id == key).values(secret_sealed=secret_sealed)
    )


def _key_of(row: Any) -> UserKey:
    return UserKey(
        id=row.id,
        user=UserId(row.user_id),
        access_key_id=row.access_key_id,
        enabled=bool(row.enabled),
        created_at=Micros(row.created_at),
        expires_at=None if row.expires_at is None else Micros(row.expires_at),
    )
