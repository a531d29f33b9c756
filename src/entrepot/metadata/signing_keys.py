"""Keys that sign bearer tokens."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import signing_keys
from entrepot.model.ids import Micros


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """One key. `retired_at` None: it may sign; else it verifies until then."""

    public_id: str
    algorithm: str
    private_sealed: bytes
    public: bytes
    created_at: Micros
    retired_at: Micros | None


def list_verifying(conn: Connection) -> list[SigningKeyRow]:
    """Keys whose tokens are accepted, newest first."""
    query = (
        sa.select(signing_keys)
        .where(
            sa.or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > now(conn)),
        )
        .order_by(signing_keys.c.id.desc())
    )
    return [_row(row) for row in conn.execute(query)]


def insert(
    conn: Connection, public_id: str, algorithm: str, *, private_sealed: bytes, public: bytes
) -> None:
    """A new key, which signs from now on."""
    conn.execute(
        sa.insert(signing_keys).values(
            public_id=public_id,
            algorithm=algorithm,
            private_sealed=private_sealed,
            public=public,
            created_at=now(conn),
        )
    )


def retire_others(conn: Connection, public_id: str, *, at: Micros) -> int:
    """All keys but this one sign no more, and verify until `at` at the latest. How many that changed."""
    later = sa.or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > at)
    done = conn.execute(
        sa.update(signing_keys)
        .where(signing_keys.c.public_id != public_id, later)
        .values(retired_at=at)
    )
    return done.rowcount


def set_sealed(conn: Connection, public_id: str, private_sealed: bytes) -> None:
    """Store the private key sealed anew."""
    conn.execute(
        sa.update(signing_keys)
        .where(signing_keys.c.public_id == public_id)
        .values(private_sealed=private_sealed)
    )


def _row(row: Any) -> SigningKeyRow:
    return SigningKeyRow(
        public_id=row.public_id,
        algorithm=row.algorithm,
        private_sealed=bytes(row.private_sealed),
        public=bytes(row.public),
        created_at=Micros(row.created_at),
        retired_at=None if row.retired_at is None else Micros(row.retired_at),
    )
