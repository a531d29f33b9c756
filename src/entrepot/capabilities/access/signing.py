"""Keys of bearer tokens: Ed25519, made at first start, kept sealed, rotated without ending live tokens."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from entrepot.capabilities.access.sealing import SealBroken, Sealer
from entrepot.metadata import epochs, signing_keys
from entrepot.metadata.database import Connection, Database, now
from entrepot.metadata.signing_keys import SigningKeyRow
from entrepot.model.ids import Micros

ALGORITHM: Final = "EdDSA"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """The key that signs now."""

    id: str
    private: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys as read from the database."""

    signing: SigningKey
    verifying: Mapping[str, tuple[Ed25519PublicKey, Micros | None]]  # until when, by key id

    def public(self, key: str, moment: Micros) -> Ed25519PublicKey | None:
        """The key of that id if its tokens are accepted at that moment."""
        public, until = self.verifying.get(key, (None, None))
        return public if until is None or moment < until else None


async def load_key_ring(db: Database, sealer: Sealer) -> KeyRing:
    """Read the keys; make the first one, or a new one where no present one can be unsealed."""
    ring = _ring(await db.read(signing_keys.list_verifying), sealer)
    if ring is not None:
        return ring

    def make(conn: Connection) -> list[SigningKeyRow]:
        present = signing_keys.list_verifying(conn)
        if _ring(present, sealer) is None:
            _insert(conn, sealer)
            present = signing_keys.list_verifying(conn)
        return present

    made = _ring(await db.write(make), sealer)
    if made is None:
        raise SealBroken("the signing key just made cannot be unsealed")
    return made


def rotate(conn: Connection, sealer: Sealer, *, keep_seconds: float) -> str:
    """In a transaction: a new key signs, the others verify for `keep_seconds` more (0 ends their tokens now). The new key's id.

    Raises the epoch `keys`, at which every process reads the keys again.
    """
    key = _insert(conn, sealer)
    signing_keys.retire_others(conn, key, at=Micros(now(conn) + int(keep_seconds * 1_000_000)))
    return key


def reseal_keys(conn: Connection, sealer: Sealer) -> int:
    """In a transaction: seal private keys with the newest master key. How many were resealed; what cannot be opened stays."""
    count = 0
    for row in signing_keys.list_verifying(conn):
        if sealer.is_newest(row.private_sealed):
            continue
        try:
            sealed = sealer.reseal(row.private_sealed, _context(row.public_id))
        except SealBroken:
            log.warning("signing key cannot be resealed", key=row.public_id)
            continue
        signing_keys.set_sealed(conn, row.public_id, sealed)
        count += 1
    return count


def _insert(conn: Connection, sealer: Sealer) -> str:
    key_id = secrets.token_hex(8)
    private = Ed25519PrivateKey.generate()
    signing_keys.insert(
        conn,
        key_id,
        ALGORITHM,
        private_sealed=sealer.seal(private.private_bytes_raw(), _context(key_id)),
        public=private.public_key().public_bytes_raw(),
    )
    epochs.raise_epoch(conn, epochs.KEYS)
    return key_id


def _ring(rows: list[SigningKeyRow], sealer: Sealer) -> KeyRing | None:
    ours = [row for row in rows if row.algorithm == ALGORITHM]
    for row in ours:
        if row.retired_at is not None:
            continue
        try:
            raw = sealer.open(row.private_sealed, _context(row.public_id))
        except SealBroken:
            log.warning("signing key cannot be unsealed", key=row.public_id)
            continue
        return KeyRing(
            SigningKey(row.public_id, Ed25519PrivateKey.from_private_bytes(raw)),
            {
                r.public_id: (Ed25519PublicKey.from_public_bytes(r.public), r.retired_at)
                for r in ours
            },
        )
    return None


def _context(key_id: str) -> str:
    return f"signing-key:{key_id}"
