"""Upload sessions, from start to blob (distribution-spec 1.1, "Pushing blobs"; DESIGN section 6).

Order: bytes under the session's key, hashed while they stream; fsync; one transaction records and links; answer. A crash anywhere
leaves at most an object that no row names, which reconciliation removes.
"""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass

from entrepot.capabilities.content import feeding
from entrepot.capabilities.content.feeding import Feed, FeedBroken, FeedTooLong, HashingSink
from entrepot.capabilities.content.holding import Held, hold
from entrepot.capabilities.content.linking import link_blob
from entrepot.capabilities.content.place import Place, Target, existing, for_push, settle
from entrepot.capabilities.context import Context
from entrepot.metadata import blobs, quarantine, uploads
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Blob, UploadSession
from entrepot.model.errors import (
    BlobTooLarge,
    DigestMismatch,
    OffsetMismatch,
    RateLimited,
    SizeMismatch,
    StorageFull,
    UploadHeld,
    UploadUnknown,
)
from entrepot.model.ids import UploadId
from entrepot.oci.digest import Algorithm, Digest, new_hasher
from entrepot.ports.blobs import ObjectKey, Upload

SESSIONS_RETRY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a client says of its body: where it begins, and its length (None: not said)."""

    start: int
    length: int | None


async def start_upload(
    ctx: Context, caller: Caller, place: Place, algorithm: Algorithm
) -> UploadSession:
    """Open a session; makes the repository if need be. Raises Denied, NamespaceUnknown, NameInvalid, RateLimited."""
    target = await for_push(ctx, caller, place)
    upload = UploadId(secrets.token_hex(16))
    key = new_key()

    def write(conn: Connection) -> UploadSession:
        repository = settle(conn, target, caller)
        if uploads.count(conn, repository.id) >= ctx.settings.uploads.max_sessions:
            raise RateLimited(SESSIONS_RETRY_SECONDS)
        return uploads.insert(
            conn,
            repository.id,
            caller.subject,
            upload=upload,
            key=key,
            algorithm=algorithm,
        )

    return await ctx.db.write(write)


async def get_upload(ctx: Context, caller: Caller, place: Place, upload: UploadId) -> UploadSession:
    """The caller's own session in that repository. Raises UploadUnknown, Denied."""
    repository = await existing(ctx, caller, Permission.PUSH, place)
    session = await ctx.db.read(
        lambda conn: uploads.find(conn, upload, repository=repository.id, subject=caller.subject)
    )
    if session is None:
        raise UploadUnknown(upload)
    return session


async def append(
    ctx: Context, caller: Caller, place: Place, upload: UploadId, *, feed: Feed, chunk: Chunk | None
) -> UploadSession:
    """Take a chunk. Raises OffsetMismatch, SizeMismatch, BlobTooLarge (nothing kept), FeedBroken (what came is kept)."""
    session = await get_upload(ctx, caller, place, upload)
    async with hold(ctx, session) as held:
        await _take(ctx, held, feed, chunk)
        return await held.record()


async def commit(
    ctx: Context,
    caller: Caller,
    place: Place,
    upload: UploadId,
    *,
    digest: Digest,
    feed: Feed = feeding.nothing,
    chunk: Chunk | None = None,
) -> Blob:
    """Take the last bytes and make the blob. Raises DigestMismatch (the session stays as it was) and what `append` raises."""
    target = await for_push(ctx, caller, place)
    session = await get_upload(ctx, caller, place, upload)
    async with hold(ctx, session) as held:
        await _take(ctx, held, feed, chunk)
        actual = await held.digest(digest.algorithm)
        if actual != digest:
            raise DigestMismatch(str(digest), str(actual))
        size = await ctx.blocking(held.handle.finish)
        made = await _record_blob(
            ctx, caller, target, digest=digest, size=size, key=session.object_key, held=held.session
        )
        held.settled = True
    await _drop_surplus(ctx, made, session.object_key)
    return made


async def upload_whole(
    ctx: Context, caller: Caller, place: Place, *, digest: Digest, feed: Feed, length: int | None
) -> Blob:
    """A blob in one request, without a session. Raises DigestMismatch, SizeMismatch, BlobTooLarge, FeedBroken: nothing is kept."""
    target = await for_push(ctx, caller, place)
    key = new_key()
    size = await _store_whole(ctx, key, digest=digest, feed=feed, length=length)
    # Should the transaction fail, its outcome may be unknown: the object is left to reconciliation, never deleted here.
    made = await _record_blob(ctx, caller, target, digest=digest, size=size, key=key)
    await _drop_surplus(ctx, made, key)
    return made


async def _store_whole(
    ctx: Context, key: ObjectKey, *, digest: Digest, feed: Feed, length: int | None
) -> int:
    handle = await ctx.blocking(lambda: ctx.blobs.begin(key))
    try:
        sink = HashingSink(handle, new_hasher(digest.algorithm))
        await _feed(ctx, feed, sink, taken=0, length=length)
        actual = "" if sink.hasher is None else sink.hasher.hexdigest()
        if actual != digest.hex:
            raise DigestMismatch(str(digest), f"{digest.algorithm}:{actual}")
        return await ctx.blocking(lambda: _finish(handle))
    except BaseException:
        await asyncio.shield(ctx.blocking(lambda: _discard(ctx, key, handle)))
        raise


def _finish(handle: Upload) -> int:
    size = handle.finish()
    handle.close()
    return size


async def cancel(ctx: Context, caller: Caller, place: Place, upload: UploadId) -> None:
    """Close the session and drop its bytes. Raises UploadUnknown, UploadHeld, Denied."""
    session = await get_upload(ctx, caller, place, upload)
    async with hold(ctx, session) as held:
        await ctx.db.write(lambda conn: uploads.remove(conn, held.session))
        held.settled = True
    with suppress(UploadHeld):  # by one who finds no session; reconciliation removes the bytes then
        await drop_bytes(ctx, session)


async def drop_bytes(ctx: Context, session: UploadSession) -> None:
    """Remove what an already closed session stored, also where it was finished and never recorded."""
    key = ObjectKey(session.object_key)

    def drop() -> None:
        ctx.blobs.abandon(key, state=session.store_state)
        ctx.blobs.delete(key)

    await ctx.blocking(drop)


def new_key() -> ObjectKey:
    """An object key that was never used."""
    return ObjectKey(secrets.token_hex(16))


async def _take(ctx: Context, held: Held, feed: Feed, chunk: Chunk | None) -> None:
    start = held.session.offset
    if chunk is not None and chunk.start != start:
        raise OffsetMismatch(start)
    try:
        await _feed(
            ctx, feed, held.sink, taken=start, length=None if chunk is None else chunk.length
        )
    except FeedBroken:
        await held.record()
        raise
    except StorageFull:
        await held.trim()
        raise


async def _feed(
    ctx: Context, feed: Feed, sink: HashingSink, *, taken: int, length: int | None
) -> None:
    largest = ctx.settings.uploads.max_blob
    room = None if largest is None else max(0, largest - taken)
    limit = length if room is None or (length is not None and length <= room) else room
    try:
        received = await feed(sink, limit)
    except FeedTooLong as error:
        if largest is not None and limit == room:
            raise BlobTooLarge(largest) from error
        raise SizeMismatch(length or 0, (length or 0) + 1) from error
    if length is not None and received != length:
        raise SizeMismatch(length, received)


async def _record_blob(
    ctx: Context,
    caller: Caller,
    target: Target,
    *,
    digest: Digest,
    size: int,
    key: str,
    held: UploadSession | None = None,
) -> Blob:
    """The one transaction: the session is closed, the blob recorded (or the one that is there taken), the link made."""

    def write(conn: Connection) -> Blob:
        if held is not None:
            uploads.remove(conn, held)
        repository = settle(conn, target, caller)
        delay = ctx.settings.gc.delay.seconds
        blob = _live(conn, str(digest), size, key)
        if blob.object_key == key:
            quarantine.heal(conn, str(digest), blob.id, delay_seconds=delay)
        link_blob(conn, repository, blob, delay_seconds=delay)
        return blob

    return await ctx.db.write(write)


def _live(conn: Connection, digest: str, size: int, key: str) -> Blob:
    number = blobs.insert_live(conn, digest, size, object_key=key)
    if number is not None:
        return Blob(number, digest, size, key)
    present = blobs.find_live(conn, digest)
    assert present is not None  # noqa: S101  (the unique index has just refused a second one, in this transaction)
    return present


async def _drop_surplus(ctx: Context, blob: Blob, key: str) -> None:
    """The digest was there already: the bytes just stored are not needed."""
    if blob.object_key != key:
        await ctx.blocking(lambda: ctx.blobs.delete(ObjectKey(key)))


def _discard(ctx: Context, key: ObjectKey, handle: Upload) -> None:
    """Nothing refers to it: the body was wrong or broken off."""
    handle.close()
    ctx.blobs.abandon(key, state=b"")
    ctx.blobs.delete(key)
