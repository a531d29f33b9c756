"""The collector: online, in small batches, without a global lock or a read-only mode (DESIGN section 6).

Deletions enqueue reviews. A due review of a blob takes away links that nothing needs; a blob without links is marked condemned in
that transaction, its object is deleted outside any, its row removed in another. Condemned rows are found by their state, so a crash
between any two steps is taken up by the next run; object keys are never used again, so deleting one twice harms nobody.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol, TypeVar

import structlog

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations import purging as rooms
from entrepot.capabilities.operations.purging import Rules
from entrepot.capabilities.operations.work import (
    Handler,
    JobCancelled,
    JobContext,
    Scalar,
    Summary,
    Watch,
)
from entrepot.metadata import collection, purging, reviews
from entrepot.metadata.collection import CondemnedBlob, DueReview
from entrepot.metadata.database import Connection, now
from entrepot.metadata.reviews import ReviewKind
from entrepot.model.errors import LeaseLost, Unavailable
from entrepot.model.ids import BlobId, ManifestId, Micros, RepositoryId
from entrepot.ports.blobs import ObjectKey

COLLECT = "gc.collect"
ROWS = (
    3000  # about how many rows one transaction may touch: tens of milliseconds of SQLite's writer
)
LINKS = 500  # unneeded links of one blob taken at once
DELETIONS = 8  # objects deleted at once
AGAIN_SECONDS = 60.0  # at the soonest, a blob kept by a passing link is looked at again
LONGEST_BACKOFF_SECONDS = 86400.0
WATCH_SECONDS = 5.0

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Write(Protocol):
    """`Database.write`, or a job's under its lease."""

    async def __call__(self, fn: Callable[[Connection], T]) -> T:
        """Run the function in a transaction."""


@dataclass(slots=True)
class Tally:
    """What a run did."""

    reviewed: int = 0
    past_tags: int = 0
    reclaimed_objects: int = 0
    reclaimed_bytes: int = 0
    failed: int = 0

    def summary(self) -> dict[str, Scalar]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Found:
    """A due review, and for a blob the repositories that seemed not to need it a moment ago."""

    review: DueReview
    candidates: Sequence[RepositoryId] = ()


async def collect(
    ctx: Context,
    *,
    write: Write | None = None,
    report: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Work until nothing is due. Raises Unavailable, and what `write` raises."""
    run = _Collection(ctx, write or ctx.db.write)
    while await run.step():
        report(run.tally)
    return run.tally


class _Collection:
    def __init__(self, ctx: Context, write: Write) -> None:
        self._ctx = ctx
        self._write = write
        self._rules = Rules.of(ctx.settings)
        self._batch = ctx.settings.gc.batch
        self.tally = Tally()

    async def step(self) -> int:
        """One batch of each kind of work. How much was done."""
        return (
            await self._finish_condemned()
            + await self._settle_due()
            + await self._purge_past_tags()
        )

    # -- condemned blobs ----------------------------------------------------------------------------------------------

    async def _finish_condemned(self) -> int:
        rows = await self._ctx.db.read(lambda conn: collection.condemned(conn, limit=self._batch))
        if not rows:
            return 0
        room = asyncio.Semaphore(DELETIONS)
        deleted = await asyncio.gather(*(self._delete(blob, room) for blob in rows))
        gone = [blob for blob, done in zip(rows, deleted, strict=True) if done]
        left = [blob for blob, done in zip(rows, deleted, strict=True) if not done]

        def write(conn: Connection) -> tuple[int, int]:
            for blob in left:
                _back_off(conn, ReviewKind.BLOB, blob.id, attempts=blob.attempts)
            return collection.remove_condemned(conn, gone)

        objects, freed = await self._write(write)
        self.tally.reclaimed_objects += objects
        self.tally.reclaimed_bytes += freed
        self.tally.failed += len(left)
        return len(rows)

    async def _delete(self, blob: CondemnedBlob, room: asyncio.Semaphore) -> bool:
        key = ObjectKey(blob.object_key)
        async with room:
            try:
                await self._ctx.blocking(lambda: self._ctx.blobs.delete(key))
            except Unavailable as error:
                _log.warning("object_not_deleted", key=blob.object_key, error=str(error))
                return False
        return True

    # -- reviews ------------------------------------------------------------------------------------------------------

    async def _settle_due(self) -> int:
        found = await self._ctx.db.read(self._look)
        if not found:
            return 0
        try:
            settled = await self._write(lambda conn: self._settle_all(conn, found))
        except (Unavailable, LeaseLost, JobCancelled):
            raise
        except Exception:  # noqa: BLE001 (one is at fault: each by itself, so that it holds up nobody else)
            _log.exception("reviews_failed_together", count=len(found))
            settled = await self._settle_each(found)
        self.tally.reviewed += settled
        return settled

    def _look(self, conn: Connection) -> list[_Found]:
        found: list[_Found] = []
        for review in collection.due(conn, limit=self._batch):
            candidates: list[RepositoryId] = []
            if review.kind is ReviewKind.BLOB:
                blob = BlobId(review.subject)
                if collection.is_condemned(conn, blob):
                    continue
                candidates = collection.unneeded_links(
                    conn, blob, self._rules.delay_micros, limit=LINKS
                )
            found.append(_Found(review, candidates))
        return found

    def _settle_all(self, conn: Connection, found: Sequence[_Found]) -> int:
        rows = settled = 0
        for one in found:
            if rows >= ROWS:
                break
            rows += self._settle(conn, one)
            settled += 1
        return settled

    async def _settle_each(self, found: Sequence[_Found]) -> int:
        for one in found:
            try:
                await self._write(partial(self._settle, found=one))
            except (Unavailable, LeaseLost, JobCancelled):
                raise
            except Exception:  # noqa: BLE001 (whatever it is, it is looked at again later)
                review = one.review
                _log.exception("review_failed", kind=str(review.kind), subject=review.subject)
                self.tally.failed += 1
                await self._write(partial(_put_off, review=review))
        return len(found)

    def _settle(self, conn: Connection, found: _Found) -> int:
        kind, subject = found.review.kind, found.review.subject
        if not collection.is_as_seen(conn, found.review):
            return 1
        match kind:
            case ReviewKind.MANIFEST:
                return rooms.settle_manifest(conn, ManifestId(subject), self._rules)
            case ReviewKind.REPOSITORY:
                return rooms.settle_repository(conn, RepositoryId(subject), self._rules)
            case ReviewKind.BLOB:
                return settle_blob(conn, BlobId(subject), found.candidates, rules=self._rules)

    async def _purge_past_tags(self) -> int:
        keep = self._rules.keep

        def write(conn: Connection) -> int:
            return purging.purge_past_tags(conn, collection.past(conn, keep), limit=ROWS)

        if not await self._ctx.db.read(lambda conn: _has_past_tags(conn, keep)):
            return 0
        gone = await self._write(write)
        self.tally.past_tags += gone
        return gone


def settle_blob(
    conn: Connection, blob: BlobId, candidates: Sequence[RepositoryId], *, rules: Rules
) -> int:
    """A due review: take unneeded links away (looked at once more here) and condemn the blob if that leaves none.

    The review of a condemned blob stays until its row is removed: whoever asks meanwhile sees that it is going.
    """
    if collection.is_condemned(conn, blob) is not False:
        if collection.is_condemned(conn, blob) is None:
            reviews.done(conn, ReviewKind.BLOB, blob)
        return 1
    holders = collection.unlink_unneeded(conn, blob, candidates, delay=rules.delay_micros)
    size = collection.size_of(conn, blob)
    for holder in holders:
        collection.count(conn, holder, -size)
    if len(candidates) == LINKS:
        collection.to_the_back(conn, ReviewKind.BLOB, blob, reason="many links")
    elif collection.has_links(conn, blob):
        is_passing = collection.has_passing_links(conn, blob, rules.delay_micros)
        if is_passing or len(holders) < len(candidates):
            reviews.enqueue(
                conn,
                ReviewKind.BLOB,
                blob,
                after_seconds=max(rules.delay, AGAIN_SECONDS),
                reason="young link",
            )
        else:
            reviews.done(conn, ReviewKind.BLOB, blob)
    else:
        collection.condemn(conn, blob)
    return 3 + 3 * len(holders)


def _back_off(conn: Connection, kind: ReviewKind, subject: int, *, attempts: int) -> None:
    seconds = min(60.0 * 2.0 ** min(attempts, 12), LONGEST_BACKOFF_SECONDS)
    collection.ensure_review(conn, kind, subject, after_seconds=0, reason="failed")
    until = Micros(now(conn) + int(seconds * 1e6))
    reviews.postpone(conn, kind, subject, until=until)


def _put_off(conn: Connection, review: DueReview) -> None:
    _back_off(conn, review.kind, review.subject, attempts=review.attempts)


# -- as a job ---------------------------------------------------------------------------------------------------------


def _has_past_tags(conn: Connection, keep_seconds: float) -> bool:
    return purging.has_past_tags(conn, collection.past(conn, keep_seconds))


def collect_handler(ctx: Context) -> Handler:
    """The collector's task."""

    async def run(job: JobContext) -> Summary:
        tally = await collect(ctx, write=job.write, report=lambda t: job.report(**t.summary()))
        return tally.summary()

    return Handler(kind=COLLECT, run=run, concurrency=1)


def collect_watch(ctx: Context) -> Watch:
    """Starts it when a review is due, an object is condemned, or a former tag is past its time."""
    keep = ctx.settings.history.keep.seconds

    def wanted(conn: Connection) -> bool:
        return (
            collection.any_due(conn)
            or bool(collection.condemned(conn, limit=1))
            or _has_past_tags(conn, keep)
        )

    return Watch(COLLECT, every_seconds=WATCH_SECONDS, wanted=wanted)
