"""Keeping counts: the fold of deltas, the recount against the truth, and pulls counted in memory."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.metadata import counters, manifests
from entrepot.metadata.counters import Key
from entrepot.metadata.database import Connection, Database
from entrepot.model.errors import Unavailable

FOLD = "counters.fold"
RECOUNT = "counters.recount"
_BATCH = 5000  # deltas a transaction: tens of milliseconds of SQLite's writer
_SUBJECTS = 100  # recounted in a transaction

_log = structlog.get_logger(__name__)


async def _fold(ctx: JobContext) -> Summary:
    total = 0
    while True:
        folded = await ctx.write(lambda conn: counters.fold(conn, limit=_BATCH))
        total += folded
        ctx.report(folded=total)
        if folded < _BATCH:
            return {"folded": total}


FOLD_HANDLER = Handler(kind=FOLD, run=_fold, concurrency=1)
FOLD_WATCH = Watch(FOLD, every_seconds=30.0, wanted=counters.is_fold_wanted)


# -- recount ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """How one count is recomputed from what it counts, for a page of subjects. Both functions run in a transaction."""

    subject_kind: str
    name: str
    subjects: Callable[[Connection, int, int], Sequence[int]]  # (after, limit): ids above, in order
    truths: Callable[[Connection, Sequence[int]], Mapping[int, int]]  # of each of a page of them


def drifts(conn: Connection, one: Counted, after: int, *, limit: int) -> list[tuple[int, int]]:
    """By how much each of the next subjects is counted wrong. Empty: there are no more."""
    numbers = one.subjects(conn, after, limit)
    if not numbers:
        return []
    counted = counters.many(conn, one.subject_kind, numbers, one.name)
    truths = one.truths(conn, numbers)
    return [(number, truths[number] - counted[number]) for number in numbers]


def correct(conn: Connection, one: Counted, number: int) -> int:
    """Make the count of a subject right that was seen to be wrong: it is counted again, now with the writer. By how much it was."""
    found = drifts(conn, one, number - 1, limit=1)
    drift = dict(found).get(number, 0)  # else it counts no more: it is being purged
    if drift:
        counters.add(conn, one.subject_kind, number, one.name, drift)
    return drift


def recount_handler(counted: Sequence[Counted]) -> Handler:
    """The handler that puts every count right and says in its summary how many were wrong."""

    async def run(ctx: JobContext) -> Summary:
        totals: Counter[str] = Counter(checked=0, wrong=0)
        for one in counted:
            await _recount(ctx, one, totals)
        return dict(totals)

    return Handler(kind=RECOUNT, run=run, concurrency=1)


async def _recount(ctx: JobContext, one: Counted, totals: "Counter[str]") -> None:
    """Reads page after page, and takes the writer for one subject at a time that is wrong."""
    after = 0
    while found := await ctx.db.read(partial(drifts, one=one, after=after, limit=_SUBJECTS)):
        ctx.checkpoint()
        after = found[-1][0]
        totals["checked"] += len(found)
        for subject in [number for number, drift in found if drift]:
            drift = await ctx.write(partial(correct, one=one, number=subject))
            if drift:
                totals["wrong"] += 1
                _log.warning(
                    "counter_corrected",
                    subject=f"{one.subject_kind}:{subject}",
                    counter=one.name,
                    drift=drift,
                )
        ctx.report(**totals)


# -- pulls ------------------------------------------------------------------------------------------------------------


def _write_pulls(conn: Connection, taken: Mapping[Key, int]) -> None:
    """Pulls of manifests, and with them of their repositories."""
    totals = Counter(taken)
    numbers = [number for kind, number, name in taken if (kind, name) == ("manifest", "pulls")]
    for number, repository in manifests.repositories_of(conn, numbers).items():
        totals["repository", repository, "pulls"] += taken["manifest", number, "pulls"]
    counters.add_many(conn, totals)


class PullCounter:
    """Counts in memory and writes deltas every few seconds: a pull costs no write. kill -9 loses one interval at most.

    Memory is bounded: beyond `max_keys` different counts in an interval (or an outage) further ones are lost and told by `lost`.
    Belongs to one event loop.
    """

    def __init__(
        self, db: Database, *, every_seconds: float = 10.0, max_keys: int = 100_000
    ) -> None:
        self._db = db
        self._every_seconds = every_seconds
        self._max_keys = max_keys
        self._counts: dict[Key, int] = {}
        self.lost = 0

    def add(self, subject_kind: str, subject_id: int, name: str = "pulls", count: int = 1) -> None:
        """Count. Never blocks, never fails."""
        key = (subject_kind, subject_id, name)
        if key in self._counts:
            self._counts[key] += count
        elif len(self._counts) < self._max_keys:
            self._counts[key] = count
        else:
            self.lost += count

    async def flush(self) -> None:
        """Write what was counted. When the database does not answer it is kept for the next time, and Unavailable raised."""
        taken, self._counts = self._counts, {}
        if not taken:
            return
        try:
            await self._db.write(lambda conn: _write_pulls(conn, taken))
        except Exception:
            for (kind, subject_id, name), count in taken.items():
                self.add(kind, subject_id, name, count)
            raise

    async def run(self) -> None:
        """Flush for ever; when cancelled, once more. For the server's task group."""
        flushing: asyncio.Task[None] | None = None
        try:
            while True:
                await asyncio.sleep(self._every_seconds)
                flushing = asyncio.ensure_future(self._try_flush())
                await asyncio.shield(flushing)  # cancelled half-way, its counts would be lost
        finally:
            if flushing is not None:
                await flushing
            await self._try_flush()

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except Unavailable:
            _log.warning("pulls_not_written", waiting=len(self._counts), lost=self.lost)
