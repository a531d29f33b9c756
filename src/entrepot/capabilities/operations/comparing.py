"""The database and the blob store side by side: one walk over both in key order finds what only one of them has.

Nothing found on the walk is believed at once, for uploads go on meanwhile: an object without a row counts only when it is older than
a day, and its key is looked up again after a pause; a row without an object counts only when the store, asked for that key, says so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.expiry import leftover_seconds, unknown
from entrepot.metadata import collection, inventory
from entrepot.metadata.inventory import BlobRow
from entrepot.model.content import UploadSession
from entrepot.ports.blobs import ObjectKey, StoredObject

ORPHAN_SECONDS = 86400.0
SETTLE_SECONDS = 60.0  # some stores date an object by the begin of its upload, so it may be older than its commit
PAGE = 1000
MOST_FOUND = 100_000  # kept in memory of each kind; the next walk finds the rest


@dataclass(slots=True)
class Differences:
    """What a walk found."""

    objects: int = 0
    object_bytes: int = 0
    rows: int = 0
    orphans: list[StoredObject] = field(default_factory=list)  # objects without a row
    missing: list[BlobRow] = field(default_factory=list)  # live rows without an object
    misfits: list[tuple[BlobRow, int]] = field(
        default_factory=list
    )  # live rows, and the size there is
    fileless: list[UploadSession] = field(default_factory=list)  # sessions whose bytes are gone
    leftovers: list[StoredObject] = field(
        default_factory=list
    )  # old unfinished uploads, no session

    @property
    def is_wrong_store(self) -> bool:
        """Whether so much differs that database and store do not belong together; then nothing is repaired by itself."""
        strange = max(len(self.missing) * 2 - self.rows, len(self.orphans) * 2 - self.objects)
        return strange > 0 and len(self.missing) + len(self.orphans) >= 100


async def compare(
    ctx: Context,
    *,
    settle_seconds: float = SETTLE_SECONDS,
    report: Callable[[Differences], None] = lambda _: None,
) -> Differences:
    """Walk over both. Raises Unavailable."""
    found = Differences()
    horizon = await ctx.db.read(lambda conn: collection.past(conn, ORPHAN_SECONDS))
    await _walk(ctx, found, horizon, report=report)
    found.missing, found.misfits = await _confirm_rows(ctx, found)
    found.orphans = await unknown(ctx, found.orphans)
    if found.orphans:
        await asyncio.sleep(settle_seconds)
        found.orphans = await unknown(ctx, found.orphans)
    await _compare_uploads(ctx, found)
    return found


async def _walk(
    ctx: Context, found: Differences, horizon: int, *, report: Callable[[Differences], None]
) -> None:
    objects, rows = _objects(ctx), _rows(ctx)
    one, row = await anext(objects, None), await anext(rows, None)
    while one is not None or row is not None:
        if row is None or (one is not None and one.key < row.object_key):
            assert one is not None  # noqa: S101  (the loop's condition)
            if one.modified_at < horizon and len(found.orphans) < MOST_FOUND:
                found.orphans.append(one)
        elif row.state == "live" and len(found.missing) + len(found.misfits) < MOST_FOUND:
            if one is None or one.key > row.object_key:
                found.missing.append(row)
            elif one.size != row.size:
                found.misfits.append((row, one.size))
        step_object = one is not None and (row is None or one.key <= row.object_key)
        step_row = row is not None and (one is None or row.object_key <= one.key)
        if step_object and one is not None:
            found.objects += 1
            found.object_bytes += one.size
            one = await anext(objects, None)
        if step_row:
            found.rows += 1
            row = await anext(rows, None)
        report(found)


async def _objects(ctx: Context) -> AsyncIterator[StoredObject]:
    listing = await ctx.blocking(lambda: iter(ctx.blobs.list()))
    while page := await ctx.blocking(lambda: list(islice(listing, PAGE))):
        for one in page:
            yield one


async def _rows(ctx: Context) -> AsyncIterator[BlobRow]:
    after = ""
    while page := await ctx.db.read(partial(inventory.blobs_by_key, after=after, limit=PAGE)):
        for row in page:
            yield row
        after = page[-1].object_key


async def _confirm_rows(
    ctx: Context, found: Differences
) -> tuple[list[BlobRow], list[tuple[BlobRow, int]]]:
    missing: list[BlobRow] = []
    misfits: list[tuple[BlobRow, int]] = []
    for row in [*found.missing, *(row for row, _ in found.misfits)]:
        stored = await ctx.blocking(partial(ctx.blobs.stat, ObjectKey(row.object_key)))
        if stored is not None and stored.size == row.size:
            continue
        if await ctx.db.read(partial(inventory.state_of, blob=row.id)) != "live":
            continue
        if stored is None:
            missing.append(row)
        else:
            misfits.append((row, stored.size))
    return missing, misfits


async def _compare_uploads(ctx: Context, found: Differences) -> None:
    uploads = await ctx.blocking(lambda: {one.key: one for one in ctx.blobs.list_uploads()})
    horizon = await ctx.db.read(lambda conn: collection.past(conn, leftover_seconds(ctx)))
    old = [one for one in uploads.values() if one.modified_at < horizon]
    found.leftovers = await unknown(ctx, old)
    after = ""
    while page := await ctx.db.read(partial(inventory.sessions, after=after, limit=PAGE)):
        for session in page:
            key = ObjectKey(session.object_key)
            if session.offset and key not in uploads and await _is_lost(ctx, session):
                found.fileless.append(session)
        after = page[-1].id


async def _is_lost(ctx: Context, session: UploadSession) -> bool:
    """Neither finished in the store nor closed meanwhile."""
    key = ObjectKey(session.object_key)
    if await ctx.blocking(lambda: ctx.blobs.stat(key)) is not None:
        return False
    return bool(await ctx.db.read(lambda conn: inventory.known_keys(conn, [key])))
