"""Upload sessions that nobody goes on with, and leftovers in the store that no session knows.

A session is closed by compare-and-set before its bytes are dropped: a holder that wakes up finds that it has lost the session, and
a commit that was quicker has taken the session's row with it. A leftover is safe to drop once it is older than any session may be
and a day: a session's row is there before its first byte, and an upload in one request, which has no row, would have to last that
long, holds its file's lock where files are local, and elsewhere gets an error, never a half blob.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import islice

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.collector import Write
from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.metadata import collection, inventory, uploads
from entrepot.metadata.database import Connection
from entrepot.model.content import UploadSession
from entrepot.model.errors import LeaseLost, ObjectMissing, UploadHeld
from entrepot.ports.blobs import ObjectKey, StoredObject, Upload

EXPIRE = "uploads.expire"
LEFTOVER_SECONDS = 86400.0  # beyond uploads.expire_after
WATCH_SECONDS = 60.0
BATCH = 100
PAGE = 1000


async def expire_sessions(
    ctx: Context, *, write: Write | None = None, report: Callable[[int], None] = lambda _: None
) -> int:
    """Close idle sessions, and those of repositories deleted for good, and drop their bytes. How many."""
    closed = 0
    seen: set[str] = set()  # one that is held stays: it is not asked for twice
    while True:
        found = await ctx.db.read(lambda conn: _idle(ctx, conn))
        fresh = [session for session in found if session.id not in seen]
        if not fresh:
            return closed
        for session in fresh:
            seen.add(session.id)
            closed += await _close(ctx, session, write or ctx.db.write)
        report(closed)


def _idle(ctx: Context, conn: Connection) -> list[UploadSession]:
    idle = collection.past(conn, ctx.settings.uploads.expire_after.seconds)
    gone = collection.past(conn, ctx.settings.history.keep.seconds)
    return [
        *uploads.idle_since(conn, idle, limit=BATCH),
        *inventory.sessions_of_deleted(conn, gone, limit=BATCH),
    ]


async def _close(ctx: Context, session: UploadSession, write: Write) -> bool:
    """False if a request holds the session or has moved it on."""
    handle: Upload | None = None
    try:
        if ctx.blobs.exclusive:  # elsewhere a lease in the row says who holds it
            handle = await ctx.blocking(lambda: _take(ctx, session))
        await write(lambda conn: uploads.remove(conn, session))
    except (UploadHeld, LeaseLost) as error:
        if isinstance(error, LeaseLost) and error.name != session.id:
            raise  # our own task's
        return False
    finally:
        if handle is not None:
            await asyncio.shield(ctx.blocking(handle.close))
    await ctx.blocking(lambda: _drop(ctx, session))
    return True


def _take(ctx: Context, session: UploadSession) -> Upload | None:
    key = ObjectKey(session.object_key)
    try:
        return ctx.blobs.resume(key, state=session.store_state, offset=session.offset)
    except ObjectMissing:
        return None


def _drop(ctx: Context, session: UploadSession) -> None:
    """Also what was finished and never recorded: without its session nobody can record it any more."""
    key = ObjectKey(session.object_key)
    try:
        ctx.blobs.abandon(key, state=session.store_state)
        ctx.blobs.delete(key)
    except UploadHeld:
        return  # who holds it cannot commit; a leftover of tomorrow


async def drop_leftovers(ctx: Context) -> int:
    """Drop unfinished uploads that no session knows and that are too old to belong to anything. How many."""
    found = await ctx.blocking(lambda: iter(ctx.blobs.list_uploads()))
    horizon = await ctx.db.read(lambda conn: collection.past(conn, leftover_seconds(ctx)))
    dropped = 0
    while page := await ctx.blocking(lambda: list(islice(found, PAGE))):
        old = [upload for upload in page if upload.modified_at < horizon]
        for upload in await unknown(ctx, old):
            dropped += await ctx.blocking(partial(_abandon, ctx, upload.key))
    return dropped


def leftover_seconds(ctx: Context) -> float:
    """How old an unfinished upload without a session must be."""
    return ctx.settings.uploads.expire_after.seconds + LEFTOVER_SECONDS


async def unknown(ctx: Context, found: list[StoredObject]) -> list[StoredObject]:
    """Those whose key no row has."""
    keys = [one.key for one in found]
    known = await ctx.db.read(lambda conn: inventory.known_keys(conn, keys))
    return [one for one in found if one.key not in known]


def _abandon(ctx: Context, key: ObjectKey) -> bool:
    try:
        ctx.blobs.abandon(key, state=b"")
    except UploadHeld:
        return False
    return True


def expire_handler(ctx: Context) -> Handler:
    """The task that closes idle sessions."""

    async def run(job: JobContext) -> Summary:
        closed = await expire_sessions(ctx, write=job.write, report=lambda n: job.report(closed=n))
        return {"closed": closed}

    return Handler(kind=EXPIRE, run=run, concurrency=1)


def expire_watch(ctx: Context) -> Watch:
    """Starts it when a session is idle for too long."""
    return Watch(EXPIRE, every_seconds=WATCH_SECONDS, wanted=lambda conn: bool(_idle(ctx, conn)))
