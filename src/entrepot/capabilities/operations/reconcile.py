"""Database and blob store brought to agree, and what the collector should have in its queue put there. Daily, and by `doctor --repair`.

An object without a row is deleted when it is a day old. That cannot hit a commit under way: an upload session's row names the key from
before its first byte until the transaction that makes the blob row, and an upload in one request, which has none, makes its row
right after the object is finished; it would have to sleep for a day (and, where objects are dated by their upload's begin, a minute)
in between. Whatever came of that, the scrub would find it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations import comparing, expiry
from entrepot.capabilities.operations.collector import Write
from entrepot.capabilities.operations.comparing import Differences
from entrepot.capabilities.operations.counting import Counted
from entrepot.capabilities.operations.purging import PURGING, Rules
from entrepot.capabilities.operations.work import Handler, JobContext, Summary
from entrepot.metadata import collection, inventory, quarantine, truths, uploads
from entrepot.metadata.database import Connection, now
from entrepot.metadata.reviews import ReviewKind
from entrepot.model.content import UploadSession
from entrepot.model.errors import LeaseLost, ObjectMissing, StorageUnavailable, UploadHeld
from entrepot.model.ids import Micros
from entrepot.ports.blobs import ObjectKey

RECONCILE = "storage.reconcile"
REPOSITORIES = 50  # looked through in one read
BLOBS = 20_000
BATCH = 200


_REPOSITORIES = partial(truths.countable_ids, purging=PURGING)
COUNTED = (  # repositories first: a namespace's bytes are the sum of theirs
    Counted("repository", "bytes", _REPOSITORIES, truths.repository_bytes),
    Counted("repository", "tags", _REPOSITORIES, truths.repository_tags),
    Counted("repository", "tagged_bytes", _REPOSITORIES, truths.repository_tagged_bytes),
    Counted("namespace", "repositories", truths.namespace_ids, truths.namespace_repositories),
    Counted("namespace", "bytes", truths.namespace_ids, truths.namespace_bytes),
)
_log = structlog.get_logger(__name__)


async def repair(
    ctx: Context, found: Differences, *, write: Write | None = None, force: bool = False
) -> Counter[str]:
    """Make right what a walk found; what was done, by name.

    Raises StorageUnavailable where so much differs that the store is probably another database's, unless forced.
    """
    if found.is_wrong_store and not force:
        raise StorageUnavailable(
            f"{len(found.missing)} blobs have no object and {len(found.orphans)} objects no blob: "
            "this is hardly the store of this database, so nothing was changed"
        )
    done: Counter[str] = Counter()
    for orphan in found.orphans:
        await ctx.blocking(partial(ctx.blobs.delete, orphan.key))
        done["orphans_deleted"] += 1
        done["orphan_bytes"] += orphan.size
    for row in [*found.missing, *(row for row, _ in found.misfits)]:
        if await (write or ctx.db.write)(partial(quarantine.quarantine, blob=row.id)):
            done["quarantined"] += 1
            _log.error("blob_quarantined", digest=row.digest, why="no object", key=row.object_key)
    done["sessions_closed"] = await _close_fileless(ctx, found, write or ctx.db.write)
    done["leftovers_dropped"] = await expiry.drop_leftovers(ctx)
    return +done


async def _close_fileless(ctx: Context, found: Differences, write: Write) -> int:
    closed = 0
    for session in found.fileless:
        if ctx.blobs.exclusive and await ctx.blocking(partial(_is_back, ctx, session)):
            continue
        try:
            await write(partial(uploads.remove, session=session))
        except LeaseLost as error:
            if error.name != session.id:
                raise
            continue
        closed += 1
    return closed


def _is_back(ctx: Context, session: UploadSession) -> bool:
    """Whether somebody holds the session, or its bytes are there after all."""
    key = ObjectKey(session.object_key)
    try:
        ctx.blobs.resume(key, state=session.store_state, offset=session.offset).close()
    except UploadHeld:
        return True
    except ObjectMissing:
        return False
    return True


# -- the collector's queue --------------------------------------------------------------------------------------------


async def restore_reviews(ctx: Context, *, write: Write | None = None) -> int:
    """Enqueue what should be looked at and is not: after a crash of an older version, a restore, a change of settings. How many."""
    rules = Rules.of(ctx.settings)
    put = write or ctx.db.write
    total = await put(lambda conn: _deleted(conn, rules))
    after = 0
    while ids := await ctx.db.read(partial(truths.repository_ids, after=after, limit=REPOSITORIES)):
        total += await _repositories(ctx, ids, rules, put=put)
        after = ids[-1]
    last, after = await ctx.db.read(inventory.last_blob), 0
    while after < last:
        found = await ctx.db.read(
            partial(inventory.unlinked_blobs, after=after, until=after + BLOBS)
        )
        total += await _enqueue(put, ReviewKind.BLOB, found, after_seconds=rules.delay)
        after += BLOBS
    return total


def _deleted(conn: Connection, rules: Rules) -> int:
    late = inventory.late_manifests(
        conn, collection.past(conn, rules.keep), soon=Micros(now(conn)), limit=BATCH * 50
    )
    for number in late:
        collection.ensure_review(
            conn, ReviewKind.MANIFEST, number, after_seconds=0, reason="deleted"
        )
        collection.to_the_back(conn, ReviewKind.MANIFEST, number, reason="deleted")
    gone = inventory.forgotten_repositories(conn, limit=BATCH * 50)
    for repository in gone:
        collection.ensure_review(
            conn, ReviewKind.REPOSITORY, repository, after_seconds=rules.keep, reason="deleted"
        )
    return len(late) + len(gone)


async def _repositories(ctx: Context, ids: Sequence[int], rules: Rules, *, put: Write) -> int:
    def read(conn: Connection) -> tuple[list[int], list[int]]:
        idle = [blob for one in ids for blob in inventory.idle_links(conn, one)]
        untagged = (
            [number for one in ids for number in inventory.untagged_manifests(conn, one)]
            if rules.untagged is not None
            else []
        )
        return sorted(set(idle)), list(untagged)

    idle, untagged = await ctx.db.read(read)
    total = await _enqueue(put, ReviewKind.BLOB, idle, after_seconds=rules.delay)
    return total + await _enqueue(
        put, ReviewKind.MANIFEST, untagged, after_seconds=rules.untagged or 0
    )


async def _enqueue(
    put: Write, kind: ReviewKind, numbers: Sequence[int], *, after_seconds: float
) -> int:
    def write(conn: Connection, some: Sequence[int]) -> None:
        for number in some:
            collection.ensure_review(
                conn, kind, number, after_seconds=after_seconds, reason="reconciled"
            )

    for start in range(0, len(numbers), BATCH):
        await put(partial(write, some=numbers[start : start + BATCH]))
    return len(numbers)


# -- as a job ---------------------------------------------------------------------------------------------------------


async def reconcile(
    ctx: Context,
    *,
    write: Write | None = None,
    settle_seconds: float = comparing.SETTLE_SECONDS,
    report: Callable[[Differences], None] = lambda _: None,
) -> Counter[str]:
    """Compare, repair, and restore reviews. Raises Unavailable; StorageUnavailable where the store is probably not ours."""
    restored = await restore_reviews(ctx, write=write)
    found = await comparing.compare(ctx, settle_seconds=settle_seconds, report=report)
    done = await repair(ctx, found, write=write)
    done.update(objects=found.objects, rows=found.rows, reviews_restored=restored)
    return +done


def reconcile_handler(ctx: Context) -> Handler:
    """The daily task."""

    async def run(job: JobContext) -> Summary:
        return await reconcile(
            ctx,
            write=job.write,
            report=lambda found: job.report(objects=found.objects, rows=found.rows),
        )

    return Handler(kind=RECONCILE, run=run, concurrency=1)
