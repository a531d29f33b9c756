"""What is wrong with a deployment, in words, and what to do about it: settings and schema, database against store, queue, counts.

Looking changes nothing. `repair` mends what is marked so; the rest needs a person.
"""

import os
import stat
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations import collector, comparing, counting, expiry, reconcile
from entrepot.capabilities.operations.comparing import Differences
from entrepot.metadata import backlog, inventory, migrate
from entrepot.metadata.backlog import Backlog
from entrepot.model.errors import RegistryError

OVERDUE_SECONDS = 86400.0
SUBJECTS = 500  # counted in one read
SHOWN = 20  # digests or keys named one by one


class Level(StrEnum):
    """How bad it is."""

    NOTE = "note"  # nothing is lost and nothing need be done
    PROBLEM = "problem"
    DAMAGE = "damage"  # content cannot be served


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `remedy`: what to do; `repairable`: `doctor --repair` does it."""

    code: str
    level: Level
    message: str
    remedy: str
    repairable: bool = False
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All findings; without any but notes the deployment is sound."""

    findings: tuple[Finding, ...]
    differences: Differences | None  # None: the store was not looked at

    @property
    def is_clean(self) -> bool:
        """Whether nothing needs doing."""
        return all(finding.level is Level.NOTE for finding in self.findings)


async def examine(
    ctx: Context,
    *,
    quick: bool = False,
    settle_seconds: float = comparing.SETTLE_SECONDS,
    report: Callable[[str, int], None] = lambda _what, _count: None,
) -> Report:
    """Look at everything; with `quick` not at each object and each count. Raises Unavailable."""
    findings = [finding async for finding in _surroundings(ctx)]
    findings += await _queue(ctx)
    found = None
    if not quick:
        report("comparing", 0)
        found = await comparing.compare(
            ctx,
            settle_seconds=settle_seconds,
            report=lambda seen: report("comparing", max(seen.objects, seen.rows)),
        )
        findings += _differences(found)
        findings += [finding async for finding in _counts(ctx, report)]
    return Report(tuple(findings), found)


async def repair(ctx: Context, report: Report, *, force: bool = False) -> Counter[str]:
    """Mend what can be; what was done, by name. Raises StorageUnavailable where the store seems to be another's and not `force`."""
    done: Counter[str] = Counter()
    if report.differences is not None:
        done.update(await reconcile.repair(ctx, report.differences, force=force))
        done["counts_corrected"] = await _correct_counts(ctx)
    done["sessions_expired"] = await expiry.expire_sessions(ctx)
    done["reviews_restored"] = await reconcile.restore_reviews(ctx)
    tally = await collector.collect(ctx)
    done["objects_reclaimed"] = tally.reclaimed_objects
    done["bytes_reclaimed"] = tally.reclaimed_bytes
    return +done


# -- around the data --------------------------------------------------------------------------------------------------


async def _surroundings(ctx: Context) -> AsyncIterator[Finding]:
    if not await ctx.blocking(lambda: migrate.check(ctx.db)):
        yield Finding(
            "schema-old",
            Level.PROBLEM,
            "The database's tables are older than this program.",
            "Start `entrepot serve` of this version once; it brings them up to date.",
        )
    for finding in await ctx.blocking(lambda: list(_key_file(ctx))):
        yield finding
    try:
        await ctx.blocking(ctx.blobs.probe)
    except RegistryError as error:
        yield Finding(
            "store-unusable",
            Level.DAMAGE,
            f"The blob store cannot be written and read: {error}",
            "Look at storage.url, its permissions and its free space.",
        )


def _key_file(ctx: Context) -> Iterable[Finding]:
    if ctx.settings.data.key_command:
        return
    try:
        found = ctx.settings.key_file.stat()
    except OSError as error:
        yield Finding(
            "key-unreadable",
            Level.DAMAGE,
            f"The master key file cannot be looked at: {error.strerror}.",
            "Bring it back from where you keep it; what is sealed with it cannot be read without.",
        )
        return
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        yield Finding(
            "key-exposed",
            Level.PROBLEM,
            f"The master key file has mode {mode:04o}: others on this machine may read it.",
            "chmod 0600 it, and renew the key if somebody else may have read it.",
        )
    if found.st_uid != os.geteuid():
        yield Finding(
            "key-owner",
            Level.NOTE,
            f"The master key file belongs to user {found.st_uid}, this command runs as {os.geteuid()}.",
            "Run the registry and its commands as one user.",
        )


async def _queue(ctx: Context) -> list[Finding]:
    delay = int(ctx.settings.gc.delay.seconds * 1e6)
    waiting: Backlog = await ctx.db.read(partial(backlog.backlog, delay=delay))
    findings: list[Finding] = []
    if waiting.oldest_overdue_seconds > OVERDUE_SECONDS:
        findings.append(
            Finding(
                "collector-behind",
                Level.PROBLEM,
                f"{waiting.overdue} reviews of the collector are overdue, the oldest by"
                f" {waiting.oldest_overdue_seconds / 3600:.0f} hours.",
                "See that a worker runs (jobs.embedded, `entrepot worker`), or run `entrepot gc run`.",
                repairable=True,
            )
        )
    if waiting.condemned:
        findings.append(
            Finding(
                "condemned",
                Level.NOTE,
                f"{waiting.condemned} objects ({waiting.condemned_bytes} bytes) are about to be deleted.",
                "Nothing: the collector takes them, after an interruption too.",
                repairable=True,
            )
        )
    if waiting.quarantined:
        rows = await ctx.db.read(partial(inventory.quarantined, limit=SHOWN))
        findings.append(
            Finding(
                "quarantined",
                Level.DAMAGE,
                f"{waiting.quarantined} blobs are set aside: their bytes are missing or wrong.",
                "Push images that have them again, or put the objects back from a backup and run"
                " `entrepot scrub`; both heal every repository that had them.",
                subjects=tuple(row.digest for row in rows),
            )
        )
    return findings


# -- database against store -------------------------------------------------------------------------------------------


def _differences(found: Differences) -> Iterable[Finding]:
    if found.is_wrong_store:
        yield Finding(
            "store-of-another",
            Level.DAMAGE,
            "Most of what the database and the blob store hold does not match.",
            "Look at storage.url and metadata.url: is the disk mounted, is it the same deployment?",
        )
    if found.missing:
        yield Finding(
            "object-missing",
            Level.DAMAGE,
            f"{len(found.missing)} blobs have no object in the store.",
            "Put the objects back from a backup, or --repair (sets the blobs aside, so that the next push"
            " of them heals) and push again.",
            repairable=True,
            subjects=tuple(row.digest for row in found.missing[:SHOWN]),
        )
    if found.misfits:
        yield Finding(
            "object-size",
            Level.DAMAGE,
            f"{len(found.misfits)} objects have another size than their blobs.",
            "As for missing objects; and look at the disk.",
            repairable=True,
            subjects=tuple(row.digest for row, _ in found.misfits[:SHOWN]),
        )
    if found.orphans:
        size = sum(one.size for one in found.orphans)
        yield Finding(
            "object-unknown",
            Level.PROBLEM,
            f"{len(found.orphans)} objects ({size} bytes) belong to no blob.",
            "Nothing is lost: the nightly task deletes them, --repair does it now.",
            repairable=True,
            subjects=tuple(one.key for one in found.orphans[:SHOWN]),
        )
    if found.fileless:
        yield Finding(
            "session-lost",
            Level.PROBLEM,
            f"{len(found.fileless)} upload sessions have lost their bytes.",
            "--repair closes them; their clients begin anew.",
            repairable=True,
            subjects=tuple(session.id for session in found.fileless[:SHOWN]),
        )
    if found.leftovers:
        yield Finding(
            "upload-unknown",
            Level.PROBLEM,
            f"{len(found.leftovers)} old unfinished uploads belong to no session.",
            "Nothing is lost: the nightly task drops them, --repair does it now.",
            repairable=True,
            subjects=tuple(one.key for one in found.leftovers[:SHOWN]),
        )


# -- counts -----------------------------------------------------------------------------------------------------------


async def _counts(ctx: Context, report: Callable[[str, int], None]) -> AsyncIterator[Finding]:
    checked = 0
    wrong: list[str] = []
    for one in reconcile.COUNTED:
        after = 0
        while page := await ctx.db.read(
            partial(counting.drifts, one=one, after=after, limit=SUBJECTS)
        ):
            wrong += [
                f"{one.subject_kind}:{number} {one.name} {drift:+d}"
                for number, drift in page
                if drift
            ]
            after = page[-1][0]
            checked += len(page)
            report("counting", checked)
    if wrong:
        yield Finding(
            "count-wrong",
            Level.PROBLEM,
            f"{len(wrong)} counts are not what they count.",
            "Nothing is lost: the nightly task corrects them, --repair does it now.",
            repairable=True,
            subjects=tuple(wrong[:SHOWN]),
        )


async def _correct_counts(ctx: Context) -> int:
    """Looks without the writer, and counts what is wrong again with it."""
    corrected = 0

    for one in reconcile.COUNTED:
        after = 0
        while page := await ctx.db.read(
            partial(counting.drifts, one=one, after=after, limit=SUBJECTS)
        ):
            for number in [number for number, drift in page if drift]:
                mend = partial(counting.correct, one=one, number=number)
                corrected += await ctx.db.write(mend) != 0
            after = page[-1][0]
    return corrected
