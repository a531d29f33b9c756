"""One holder of an upload session at a time (DESIGN section 6).

Where the store is exclusive by itself (local files), its lock is the hold and the recorded row is read again once it is there.
Elsewhere a lease in the row is, renewed while bytes flow. In both cases what is recorded is committed by compare-and-set, so a
holder that was thought dead and comes back cannot undo what its successor did.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from entrepot.capabilities.content.feeding import HashingSink
from entrepot.capabilities.context import Context
from entrepot.metadata import uploads
from entrepot.metadata.uploads import Lease
from entrepot.model.content import UploadSession
from entrepot.model.errors import LeaseLost, ObjectMissing, RegistryError, UploadHeld, UploadUnknown
from entrepot.oci.digest import Algorithm, Digest, Hasher, new_hasher
from entrepot.ports.blobs import ObjectKey, Upload

LEASE_SECONDS = 30.0
HOLD_ATTEMPTS = 8  # a client that reconnects may be faster than the end of its broken request
HOLD_PAUSE_SECONDS = 0.15


@dataclass(slots=True)
class Held:
    """An upload session in this request's hands. `settled`: what was done is recorded, and the hold let go with it."""

    ctx: Context
    session: UploadSession
    handle: Upload
    sink: HashingSink
    lease: Lease | None = None  # where the store does not lock by itself
    settled: bool = field(default=False)

    async def record(self) -> UploadSession:
        """Commit what was taken so far. Raises LeaseLost."""
        state = await self.ctx.blocking(self.handle.save)
        offset = self.handle.offset
        held = self.session
        hash_state = self.ctx.hashers.to_record(self.sink.hasher, offset)
        self.session = await self.ctx.db.write(
            lambda conn: uploads.record(
                conn, held, offset=offset, state=state, hash_state=hash_state
            )
        )
        if self.sink.hasher is not None:
            self.ctx.hashers.put(self.session.id, offset, self.sink.hasher)
        self.settled = True
        return self.session

    async def trim(self) -> None:
        """Give back the room of what was taken and will not be recorded: the store is full. Ends the hold."""
        key, session = ObjectKey(self.session.object_key), self.session

        def cut() -> None:
            self.handle.close()
            again = self.ctx.blobs.resume(key, state=session.store_state, offset=session.offset)
            try:
                again.write(memoryview(b""))
            finally:
                again.close()

        with suppress(RegistryError):
            await self.ctx.blocking(cut)

    async def digest(self, algorithm: Algorithm) -> Digest:
        """The digest of everything taken, read again from the store where the running hash does not serve."""
        hasher = self.sink.hasher
        if hasher is None or algorithm is not self.session.algorithm:
            hasher = await self.ctx.blocking(lambda: _read_again(self.handle, algorithm))
        return Digest(algorithm, hasher.hexdigest())


def _read_again(handle: Upload, algorithm: Algorithm) -> Hasher:
    hasher = new_hasher(algorithm)
    for piece in handle.read():
        hasher.update(piece)
    return hasher


@asynccontextmanager
async def hold(ctx: Context, session: UploadSession) -> AsyncIterator[Held]:
    """Hold the session while the block runs. Raises UploadHeld, UploadUnknown, StorageUnavailable.

    What the block did not record is dropped: the next holder starts at the recorded offset.
    """
    held, renewal = await _acquire(ctx, session)
    try:
        yield held
    finally:
        if renewal is not None:
            renewal.cancel()
        await asyncio.shield(_let_go(held))


async def _let_go(held: Held) -> None:
    """Without this a client that was refused would wait for the lease to run out before it may try again."""
    lease, session = held.lease, held.session
    try:
        await held.ctx.blocking(held.handle.close)
    finally:
        if lease is not None and not held.settled:
            with suppress(RegistryError):  # it runs out by itself
                await held.ctx.db.write(lambda conn: uploads.release(conn, session, lease))


async def _acquire(ctx: Context, session: UploadSession) -> tuple[Held, asyncio.Task[None] | None]:
    for attempt in range(HOLD_ATTEMPTS):
        if attempt:
            await asyncio.sleep(HOLD_PAUSE_SECONDS)
        with suppress(UploadHeld):
            return await (_by_store if ctx.blobs.exclusive else _by_lease)(ctx, session)
    raise UploadHeld(session.id)


async def _by_store(ctx: Context, session: UploadSession) -> tuple[Held, None]:
    """The store's lock first, then the row as it is now: nobody can move it on any more."""
    handle = await _open(ctx, session)
    try:
        fresh = await _read(ctx, session)
        if fresh.version != session.version:
            await ctx.blocking(handle.close)
            handle = await _open(ctx, fresh)
            latest = await _read(ctx, session)
            if latest.version != fresh.version:
                raise UploadHeld(session.id)
        return Held(ctx, fresh, handle, HashingSink(handle, ctx.hashers.take(fresh))), None
    except BaseException:
        await asyncio.shield(ctx.blocking(handle.close))
        raise


async def _by_lease(ctx: Context, session: UploadSession) -> tuple[Held, asyncio.Task[None]]:
    lease = Lease(secrets.token_hex(16), LEASE_SECONDS)
    try:
        fresh = await ctx.db.write(lambda conn: uploads.acquire(conn, session, lease))
    except UploadHeld:
        await _read(ctx, session)  # a closed session is not held by anybody
        raise
    try:
        handle = await _open(ctx, fresh)
    except RegistryError:
        await ctx.db.write(lambda conn: uploads.release(conn, fresh, lease))
        raise
    renewal = asyncio.get_running_loop().create_task(_renew(ctx, fresh, lease))
    sink = HashingSink(handle, ctx.hashers.take(fresh))
    return Held(ctx, fresh, handle, sink, lease), renewal


async def _renew(ctx: Context, session: UploadSession, lease: Lease) -> None:
    while True:
        await asyncio.sleep(lease.seconds / 3)
        try:
            await ctx.db.write(lambda conn: uploads.renew(conn, session, lease))
        except LeaseLost:
            return  # the compare-and-set at the end refuses what this holder still does
        except RegistryError:
            continue  # the database is away for a moment; the lease may outlast it


async def _read(ctx: Context, session: UploadSession) -> UploadSession:
    fresh = await ctx.db.read(
        lambda conn: uploads.find(
            conn, session.id, repository=session.repository, subject=session.subject
        )
    )
    if fresh is None:
        raise UploadUnknown(session.id)
    return fresh


async def _open(ctx: Context, session: UploadSession) -> Upload:
    key = ObjectKey(session.object_key)
    try:
        return await ctx.blocking(
            lambda: ctx.blobs.resume(key, state=session.store_state, offset=session.offset)
        )
    except ObjectMissing as error:
        raise UploadUnknown(session.id) from error
