"""Reading every blob again at a set pace: bytes that are not what their digest says are set aside and reported (DESIGN section 6).

Set aside means: not shown, mounted or linked any more, so the next push of the digest brings the bytes again and heals every
repository that had it (metadata/quarantine.py). A blob set aside whose bytes are right again, as after a restore, is let out.
What the store cannot read just now is reported and left alone: an outage is no damage.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial

import structlog

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.collector import Write
from entrepot.capabilities.operations.work import Handler, JobContext, Scalar, Summary, Watch
from entrepot.metadata import collection, inventory, quarantine
from entrepot.metadata.database import Connection
from entrepot.metadata.inventory import BlobRow
from entrepot.model.errors import ObjectMissing, StorageUnavailable, Unavailable
from entrepot.model.ids import BlobId, Micros, RepositoryId
from entrepot.oci.digest import Digest, new_hasher
from entrepot.ports.blobs import BlobReader, ObjectKey

SCRUB = "gc.scrub"
PAGE = 200
SLICE_BYTES = 8 << 20  # hashed in one go
MARK_SECONDS = 10.0  # how often what was found right is written down
WATCH_SECONDS = 600.0
MOST_MISSING = 20  # objects that may be missing before scrub doubts the store rather than them

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Scrubbed:
    """What a run has found so far; `total` and `total_bytes` are what it set out to read."""

    total: int = 0
    total_bytes: int = 0
    blobs: int = 0
    bytes: int = 0
    damaged: int = 0
    missing: int = 0
    unreadable: int = 0
    released: int = 0
    digests: list[str] = field(default_factory=list)  # of the first hundred that are not right

    def summary(self) -> dict[str, Scalar]:
        """As JSON; without the digests."""
        return {name: value for name, value in asdict(self).items() if name != "digests"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What to read: what was not looked at since the moment, one repository's, or all. `rate` in bytes a second; 0: no limit."""

    rate: int
    before: Micros | None = None
    repository: RepositoryId | None = None


async def scrub(
    ctx: Context,
    scope: Scope,
    *,
    write: Write | None = None,
    report: Callable[[Scrubbed], None] = lambda _: None,
) -> Scrubbed:
    """Read and hash all of the scope. Raises Unavailable where the database is."""
    run = _Scrub(ctx, scope, write or ctx.db.write, report)
    await run.all()
    return run.found


class _Scrub:
    def __init__(
        self, ctx: Context, scope: Scope, write: Write, report: Callable[[Scrubbed], None]
    ) -> None:
        self._ctx = ctx
        self._scope = scope
        self._write = write
        self._report = report
        self._right: list[BlobId] = []
        self._marked_at = time.monotonic()
        self._pace_from = time.monotonic()
        self._read = 0
        self.found = Scrubbed()

    async def all(self) -> None:
        scope = self._scope
        self.found.total, self.found.total_bytes = await self._ctx.db.read(
            lambda conn: inventory.scrub_total(
                conn, before=scope.before, repository=scope.repository
            )
        )
        after = 0
        while page := await self._ctx.db.read(partial(self._page, after=after)):
            for row in page:
                await self._one(row)
                self._report(self.found)
            after = page[-1].id
        await self._mark()

    def _page(self, conn: Connection, *, after: int) -> list[BlobRow]:
        scope = self._scope
        return inventory.to_scrub(
            conn, before=scope.before, repository=scope.repository, after=after, limit=PAGE
        )

    async def _one(self, row: BlobRow) -> None:
        try:
            actual = await self._hash(row)
        except ObjectMissing:
            if row.state == "live":
                await self._set_aside(row, "missing")
        except Unavailable as error:
            self.found.unreadable += 1
            self._note(row)
            _log.error("blob_unreadable", digest=row.digest, error=str(error))
            return
        else:
            await self._judge(row, actual)
        self.found.blobs += 1
        if time.monotonic() - self._marked_at > MARK_SECONDS:
            await self._mark()

    async def _judge(self, row: BlobRow, actual: str) -> None:
        is_right = actual == row.digest
        if is_right and row.state == "quarantined":
            delay = self._ctx.settings.gc.delay.seconds
            if await self._write(
                lambda conn: quarantine.release(conn, row.id, delay_seconds=delay)
            ):
                self.found.released += 1
                _log.warning("blob_released", digest=row.digest)
        elif is_right:
            self._right.append(row.id)
        elif row.state == "live":
            await self._set_aside(row, "damaged")

    async def _set_aside(self, row: BlobRow, why: str) -> None:
        if why == "missing" and not await self._is_gone(row):
            return
        if await self._write(lambda conn: quarantine.quarantine(conn, row.id)):
            self.found.damaged += why == "damaged"
            self.found.missing += why == "missing"
            self._note(row)
            self._refuse_wrong_store()
            _log.error("blob_quarantined", digest=row.digest, why=why, key=row.object_key)

    def _refuse_wrong_store(self) -> None:
        """An empty folder where a disk should be mounted must not set everything aside."""
        missing = self.found.missing
        if missing >= MOST_MISSING and missing * 2 > self.found.blobs:
            raise StorageUnavailable(
                "most objects are missing: is this the store of this database?"
            )

    async def _is_gone(self, row: BlobRow) -> bool:
        """Whether the store is there and well, and only the object is not."""
        key = ObjectKey(row.object_key)
        await self._ctx.blocking(self._ctx.blobs.probe)
        return await self._ctx.blocking(lambda: self._ctx.blobs.stat(key)) is None

    def _note(self, row: BlobRow) -> None:
        if len(self.found.digests) < 100:
            self.found.digests.append(row.digest)

    async def _hash(self, row: BlobRow) -> str:
        """The digest of what is stored."""
        algorithm = Digest.parse(row.digest).algorithm
        hasher = new_hasher(algorithm)
        key = ObjectKey(row.object_key)
        reader: BlobReader = await self._ctx.blocking(lambda: self._ctx.blobs.open(key))
        try:
            pieces = reader.chunks()
            while taken := await self._ctx.blocking(lambda: _feed(hasher.update, pieces)):
                self.found.bytes += taken
                self._report(self.found)
                await self._keep_pace(taken)
        finally:
            await asyncio.shield(self._ctx.blocking(reader.close))
        return str(Digest(algorithm, hasher.hexdigest()))

    async def _keep_pace(self, taken: int) -> None:
        if not self._scope.rate:
            return
        self._read += taken
        ahead = self._pace_from + self._read / self._scope.rate - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        elif ahead < -10:  # a stalled store is not caught up with in a rush
            self._pace_from, self._read = time.monotonic(), 0

    async def _mark(self) -> None:
        right, self._right = self._right, []
        self._marked_at = time.monotonic()
        if right:
            await self._write(lambda conn: quarantine.mark_scrubbed(conn, right))


def _feed(update: Callable[[memoryview], None], pieces: Iterator[memoryview]) -> int:
    taken = 0
    for piece in pieces:
        update(piece)
        taken += len(piece)
        if taken >= SLICE_BYTES:
            break
    return taken


def _horizon(ctx: Context, conn: Connection) -> Micros | None:
    every = ctx.settings.gc.scrub_every
    return None if every is None else collection.past(conn, every.seconds)


def scrub_handler(ctx: Context) -> Handler:
    """The task that reads what is due."""

    async def run(job: JobContext) -> Summary:
        before = await ctx.db.read(lambda conn: _horizon(ctx, conn))
        if before is None:
            return {}
        scope = Scope(rate=int(ctx.settings.gc.scrub_rate), before=before)
        found = await scrub(ctx, scope, write=job.write, report=lambda s: job.report(**s.summary()))
        return found.summary()

    return Handler(kind=SCRUB, run=run, concurrency=1)


def scrub_watch(ctx: Context) -> Watch:
    """Starts it when a blob was not read for `gc.scrub_every`."""

    def wanted(conn: Connection) -> bool:
        before = _horizon(ctx, conn)
        return before is not None and inventory.is_scrub_due(conn, before)

    return Watch(SCRUB, every_seconds=WATCH_SECONDS, wanted=wanted)
