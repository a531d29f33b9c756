"""Reviews of manifests and repositories: what history no longer keeps goes for good, a bounded step at a time.

A manifest that an index lists, or that is the referrer of another, is safe while the row of that other is there, be it deleted:
so whatever undelete brings back is whole.
"""

from dataclasses import dataclass

from entrepot.capabilities.content.place import note
from entrepot.config import Settings
from entrepot.metadata import (
    collection,
    manifests,
    namespaces,
    purging,
    retention,
    reviews,
    syncing,
    tags,
)
from entrepot.metadata.collection import Holder
from entrepot.metadata.database import Connection, now
from entrepot.metadata.purging import Dependent, ManifestFacts
from entrepot.metadata.reviews import ReviewKind
from entrepot.model.access import SYSTEM
from entrepot.model.events import EventKind
from entrepot.model.ids import ManifestId, Micros, RepositoryId

STEP = 500  # rows of one kind that one step of one review takes
UPLOADS_SECONDS = (
    3600.0  # how long a deleted repository waits for its open upload sessions to be closed
)
PURGING = "purging"  # reason of a repository's review once its content has begun to go


@dataclass(frozen=True, slots=True)
class Rules:
    """The collector's settings, in seconds. `untagged` None: manifests without a tag are kept."""

    delay: float
    keep: float
    untagged: float | None

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """As configured."""
        after = settings.gc.untagged_after
        untagged = None if after is None else after.seconds
        return cls(settings.gc.delay.seconds, settings.history.keep.seconds, untagged)

    @property
    def delay_micros(self) -> int:
        """`delay` as the queries want it."""
        return int(self.delay * 1e6)


def settle_manifest(conn: Connection, manifest: ManifestId, rules: Rules) -> int:
    """One step of a due review: purge, tombstone, put off, or drop it. About how many rows it touched."""
    facts = purging.manifest_facts(conn, manifest)
    if facts is None:
        reviews.done(conn, ReviewKind.MANIFEST, manifest)
        return 1
    if facts.deleted_at is not None:
        return _settle_deleted(conn, facts, facts.deleted_at, rules=rules)
    return _settle_living(conn, facts, rules)


def _settle_deleted(
    conn: Connection, facts: ManifestFacts, deleted_at: Micros, *, rules: Rules
) -> int:
    age = _age(conn, deleted_at)
    if age < rules.keep:
        _again(conn, facts.id, rules.keep - age, reason="deleted")
        return 1
    repository = facts.holder.repository
    if not purging.is_there(conn, repository, facts.digest, besides=facts.id):
        going = purging.orphaned_referrers(conn, repository, facts.digest, limit=STEP)
        for referrer in going:
            _tombstone(conn, facts.holder, referrer, rules=rules, reason="subject deleted")
        if len(going) == STEP:
            collection.to_the_back(conn, ReviewKind.MANIFEST, facts.id, reason="deleted")
            return 3 * STEP
    return _purge(conn, facts, age, rules=rules)


def _purge(conn: Connection, facts: ManifestFacts, age: float, *, rules: Rules) -> int:
    named = purging.named_blobs(conn, facts)
    for blob in named:
        collection.ensure_review(
            conn, ReviewKind.BLOB, blob, after_seconds=rules.delay, reason="manifest purged"
        )
    if rules.untagged is not None:
        for child in purging.living_children(conn, facts):
            _again(conn, child, max(0.0, rules.untagged - age), reason="index purged")
    purging.remove_manifests(conn, [facts.id])
    return 2 * len(named) + 5


def _settle_living(conn: Connection, facts: ManifestFacts, rules: Rules) -> int:
    if rules.untagged is None or _is_kept(conn, facts):
        reviews.done(conn, ReviewKind.MANIFEST, facts.id)
        return 1
    if not facts.holder.is_living:
        _again(conn, facts.id, rules.keep, reason="repository deleted")
        return 1
    age = _age(conn, purging.untagged_since(conn, facts))
    if age < rules.untagged:
        _again(conn, facts.id, rules.untagged - age, reason="untagged")
        return 1
    dependent = Dependent(facts.id, facts.digest, facts.size)
    _tombstone(conn, facts.holder, dependent, rules=rules, reason="untagged")
    return 5


def _is_kept(conn: Connection, facts: ManifestFacts) -> bool:
    repository = facts.holder.repository
    return (
        tags.is_tagged(conn, facts.id)
        or purging.is_listed(conn, repository, facts.digest)
        or (facts.subject is not None and purging.is_there(conn, repository, facts.subject))
    )


def _tombstone(
    conn: Connection, holder: Holder, going: Dependent, *, rules: Rules, reason: str
) -> None:
    """What deleting by digest does, for a manifest without tags."""
    manifests.tombstone(conn, going.id, Micros(now(conn)))
    collection.count(conn, holder, -going.size)
    _again(conn, going.id, rules.keep, reason="deleted")
    repository = namespaces.get_repository(conn, holder.repository)
    if repository is not None:
        note(
            conn,
            repository,
            SYSTEM,
            EventKind.MANIFEST_DELETED,
            digest=going.digest,
            details={"tags": [], "reason": reason},
        )


def _again(conn: Connection, manifest: ManifestId, after_seconds: float, *, reason: str) -> None:
    reviews.enqueue(conn, ReviewKind.MANIFEST, manifest, after_seconds=after_seconds, reason=reason)


def _age(conn: Connection, at: Micros) -> float:
    return (now(conn) - at) / 1e6


# -- repositories -----------------------------------------------------------------------------------------------------


def settle_repository(conn: Connection, repository: RepositoryId, rules: Rules) -> int:
    """One step of a due review: a part of what a long deleted repository held, at last its row. About how many rows went."""
    deleted_at = purging.deleted_at(conn, repository)
    if deleted_at is None:
        reviews.done(conn, ReviewKind.REPOSITORY, repository)
        return 1
    age = _age(conn, deleted_at)
    if age < rules.keep:
        _repository_again(conn, repository, rules.keep - age, reason="deleted")
        return 1
    taken = _take_some(conn, repository, rules)
    if taken:
        collection.to_the_back(conn, ReviewKind.REPOSITORY, repository, reason=PURGING)
        return taken
    if purging.has_uploads(conn, repository):  # the expiry of uploads closes them
        _repository_again(conn, repository, UPLOADS_SECONDS, reason=PURGING)
        return 1
    purging.remove_repository(conn, repository)
    reviews.done(conn, ReviewKind.REPOSITORY, repository)
    return 5


def _take_some(conn: Connection, repository: RepositoryId, rules: Rules) -> int:
    numbers = purging.some_manifests(conn, repository, limit=STEP)
    if numbers:
        purging.remove_manifests(conn, numbers)
        return 3 * len(numbers)
    gone = purging.unlink_some(conn, repository, limit=STEP)
    for blob in gone:
        collection.ensure_review(
            conn, ReviewKind.BLOB, blob, after_seconds=rules.delay, reason="repository purged"
        )
    if gone:
        return 2 * len(gone)
    past = (retention.forget_some, syncing.forget_some)
    return next((some for forget in past if (some := forget(conn, repository, limit=STEP))), 0)


def _repository_again(
    conn: Connection, repository: RepositoryId, after_seconds: float, *, reason: str
) -> None:
    reviews.enqueue(
        conn, ReviewKind.REPOSITORY, repository, after_seconds=after_seconds, reason=reason
    )
