"""Upload sessions: recorded offset and store state, changed by compare-and-set on `version` only."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import upload_sessions
from entrepot.model.content import UploadSession
from entrepot.model.errors import LeaseLost, UploadHeld
from entrepot.model.ids import Micros, RepositoryId, UploadId
from entrepot.oci.digest import Algorithm


@dataclass(frozen=True, slots=True)
class Lease:
    """Exclusive use of a session until `lease_seconds` after it was last renewed."""

    token: str
    seconds: float


def insert(
    conn: Connection,
    repository: RepositoryId,
    subject: str,
    *,
    upload: UploadId,
    key: str,
    algorithm: Algorithm,
) -> UploadSession:
    """A new session at offset 0."""
    at = now(conn)
    conn.execute(
        sa.insert(upload_sessions).values(
            id=upload,
            repository_id=repository,
            subject=subject,
            object_key=key,
            algorithm=str(algorithm),
            offset=0,
            store_state=b"",
            hash_state=b"",
            version=0,
            started_at=at,
            updated_at=at,
        )
    )
    return UploadSession(
        id=upload,
        repository=repository,
        subject=subject,
        object_key=key,
        algorithm=algorithm,
        offset=0,
        store_state=b"",
        hash_state=b"",
        version=0,
        started_at=Micros(at),
    )


def find(
    conn: Connection, upload: UploadId, *, repository: RepositoryId, subject: str
) -> UploadSession | None:
    """The session, if this repository and this caller have it."""
    row = conn.execute(
        sa.select(upload_sessions).where(
            upload_sessions.c.id == upload,
            upload_sessions.c.repository_id == repository,
            upload_sessions.c.subject == subject,
        )
    ).first()
    return None if row is None else session_of(row)


def acquire(conn: Connection, session: UploadSession, lease: Lease) -> UploadSession:
    """Take the lease of a session (stores that are not exclusive themselves). Raises UploadHeld, LeaseLost."""
    at = now(conn)
    free = sa.or_(
        upload_sessions.c.lease_until.is_(None),
        upload_sessions.c.lease_until < at,
        upload_sessions.c.lease_token == lease.token,
    )
    row = conn.execute(
        sa.update(upload_sessions)
        .where(upload_sessions.c.id == session.id, free)
        .values(
            version=upload_sessions.c.version + 1,
            lease_token=lease.token,
            lease_until=at + int(lease.seconds * 1e6),
        )
        .returning(*upload_sessions.c)
    ).first()
    if row is None:
        raise UploadHeld(session.id)
    return session_of(row)


def renew(conn: Connection, session: UploadSession, lease: Lease) -> None:
    """Keep the lease. Raises LeaseLost."""
    result = conn.execute(
        sa.update(upload_sessions)
        .where(upload_sessions.c.id == session.id, upload_sessions.c.lease_token == lease.token)
        .values(lease_until=now(conn) + int(lease.seconds * 1e6))
    )
    if result.rowcount == 0:
        raise LeaseLost(session.id)


def release(conn: Connection, session: UploadSession, lease: Lease) -> None:
    """Let go of the lease without recording anything. Nothing happens if it is not held any more."""
    conn.execute(
        sa.update(upload_sessions)
        .where(upload_sessions.c.id == session.id, upload_sessions.c.lease_token == lease.token)
        .values(lease_token=None, lease_until=None)
    )


def record(
    conn: Connection, session: UploadSession, *, offset: int, state: bytes, hash_state: bytes
) -> UploadSession:
    """Commit a new offset and let go of the lease. Raises LeaseLost if somebody else moved the session on."""
    row = conn.execute(
        sa.update(upload_sessions)
        .where(upload_sessions.c.id == session.id, upload_sessions.c.version == session.version)
        .values(
            offset=offset,
            store_state=state,
            hash_state=hash_state,
            version=upload_sessions.c.version + 1,
            lease_token=None,
            lease_until=None,
            updated_at=now(conn),
        )
        .returning(*upload_sessions.c)
    ).first()
    if row is None:
        raise LeaseLost(session.id)
    return session_of(row)


def remove(conn: Connection, session: UploadSession) -> None:
    """Close the session at the version held. Raises LeaseLost if somebody else moved it on."""
    result = conn.execute(
        sa.delete(upload_sessions).where(
            upload_sessions.c.id == session.id, upload_sessions.c.version == session.version
        )
    )
    if result.rowcount == 0:
        raise LeaseLost(session.id)


def count(conn: Connection, repository: RepositoryId) -> int:
    """Open sessions of a repository."""
    return conn.execute(
        sa.select(sa.func.count())
        .select_from(upload_sessions)
        .where(upload_sessions.c.repository_id == repository)
    ).scalar_one()


def idle_since(conn: Connection, before: Micros, *, limit: int) -> list[UploadSession]:
    """Sessions that nobody wrote to since `before`, oldest first, and that nobody holds by lease."""
    rows = conn.execute(
        sa.select(upload_sessions)
        .where(
            upload_sessions.c.updated_at < before,
            sa.or_(
                upload_sessions.c.lease_until.is_(None), upload_sessions.c.lease_until < now(conn)
            ),
        )
        .order_by(upload_sessions.c.updated_at)
        .limit(limit)
    )
    return [session_of(row) for row in rows]


def session_of(row: Any) -> UploadSession:
    """The record of an upload_sessions row."""
    return UploadSession(
        id=UploadId(row.id),
        repository=RepositoryId(row.repository_id),
        subject=row.subject,
        object_key=row.object_key,
        algorithm=Algorithm(row.algorithm),
        offset=row.offset,
        store_state=bytes(row.store_state),
        hash_state=bytes(row.hash_state),
        version=row.version,
        started_at=Micros(row.started_at),
    )
