"""Bringing back what was deleted, as long as the collector has not taken it (DESIGN section 1).

A manifest comes back with the children an index lists, and with the tags its deletion ended where nothing else has their names by
now. What cannot be whole again is refused: ReferencesUnknown names the blobs that are gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from entrepot.capabilities.content import gate
from entrepot.capabilities.content.linking import count_bytes, count_tags
from entrepot.capabilities.content.place import Place, existing, note, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import quotas
from entrepot.capabilities.operations.purging import PURGING
from entrepot.capabilities.operations.signatures import lost_signatures
from entrepot.metadata import (
    blobs,
    collection,
    counters,
    manifests,
    namespaces,
    restoring,
    reviews,
    tags,
)
from entrepot.metadata.database import Connection, now
from entrepot.metadata.restoring import DeletedManifest, DeletedRepository, FormerTag
from entrepot.metadata.reviews import ReviewKind
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import (
    ManifestUnknown,
    NamespaceUnknown,
    NameTaken,
    ReferencesUnknown,
    RegistryError,
    RepositoryUnknown,
)
from entrepot.model.events import EventKind
from entrepot.model.ids import ManifestId, Micros
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import parse

BATCH = 50  # manifests or tags restored in one transaction
SHOWN = 1000  # of each kind in the list of what can be restored


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back; `repository`: all of a deleted one. `taken`: tags left alone because something new has their names; `failed`: digest or tag, and why."""

    tags: Sequence[str] = ()
    manifests: Sequence[str] = ()
    taken: Sequence[str] = ()
    failed: Sequence[tuple[str, str]] = ()
    repository: bool = False


@dataclass(slots=True)
class _Done:
    """`Restored` while it grows, in one transaction."""

    tags: list[str] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def restored(self) -> Restored:
        return Restored(
            tuple(self.tags), tuple(self.manifests), tuple(self.taken), tuple(self.failed)
        )

    def add(self, other: Restored) -> None:
        self.tags += other.tags
        self.manifests += other.manifests
        self.taken += other.taken
        self.failed += other.failed


@dataclass(frozen=True, slots=True)
class Restorable:
    """What history knows under a repository's name, the newest first, at most `SHOWN` of each."""

    repositories: Sequence[DeletedRepository]
    manifests: Sequence[DeletedManifest]
    tags: Sequence[FormerTag]


async def _require(ctx: Context, caller: Caller) -> None:
    await gate.require_right(ctx, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))


async def list_restorable(ctx: Context, caller: Caller, place: Place) -> Restorable:
    """What can be brought back. Raises Denied."""
    await _require(ctx, caller)

    def read(conn: Connection) -> Restorable:
        gone = restoring.deleted_repositories(conn, place.instance.id, str(place.name))
        living = namespaces.find_repository(conn, place.instance.id, str(place.name))
        if living is None:
            return Restorable(gone[:SHOWN], (), ())
        return Restorable(
            gone[:SHOWN],
            restoring.deleted_manifests(conn, living.id, limit=SHOWN),
            restoring.former_tags(conn, living.id, limit=SHOWN),
        )

    return await ctx.db.read(read)


# -- tags and manifests -----------------------------------------------------------------------------------------------


async def restore_tag(
    ctx: Context, caller: Caller, place: Place, name: str, *, at: Micros | None = None
) -> Restored:
    """Let the tag mean again what it meant at the moment; without one, what it meant last. Tags of signers that were there then and mean
    nothing now come back with it; what cannot of these is told in `failed`.

    Raises NameTaken (it means something now, and no moment was named), ManifestUnknown (history knows no such meaning),
    ReferencesUnknown, QuotaExceeded, RepositoryUnknown, Denied.
    """
    await _require(ctx, caller)
    found = await existing(ctx, caller, Permission.PULL, place)

    def write(conn: Connection) -> Restored:
        repository = settle(conn, found, caller)
        if at is None and tags.current(conn, repository.id, name) is not None:
            raise NameTaken(name)
        number, moment = _meaning(conn, repository, name, at=at)
        done = _Done()
        _restore_tag(ctx, conn, repository, caller, name=name, number=number, done=done)
        number = tags.current(conn, repository.id, name) or number
        for one in lost_signatures(conn, repository.id, number, moment):
            pair = (one.name, one.manifest)
            _try_restore(ctx, conn, repository, caller, one=pair, done=done)
        return done.restored()

    return await ctx.db.write(write)


def _meaning(
    conn: Connection, repository: Repository, name: str, *, at: Micros | None
) -> tuple[ManifestId, Micros]:
    """What it meant, and the last moment of that that is asked for. Raises ManifestUnknown."""
    if at is not None:
        number = restoring.meanings_at(conn, repository.id, at, name=name).get(name)
        if number is not None:
            return number, at
    elif former := restoring.former_tags(conn, repository.id, name=name, limit=1):
        return former[0].manifest, Micros(former[0].valid_until - 1)
    raise ManifestUnknown(name)


async def restore_manifest(ctx: Context, caller: Caller, place: Place, digest: Digest) -> Restored:
    """Bring the manifest back with the tags that its deletion ended; nothing if it is there.

    Raises ManifestUnknown (never there, or taken by the collector), ReferencesUnknown, QuotaExceeded, RepositoryUnknown, Denied.
    """
    await _require(ctx, caller)
    found = await existing(ctx, caller, Permission.PULL, place)

    def write(conn: Connection) -> Restored:
        repository = settle(conn, found, caller)
        if manifests.find_id(conn, repository.id, str(digest)) is not None:
            return Restored()
        gone = restoring.deleted_manifests(conn, repository.id, digest=str(digest), limit=1)
        if not gone:
            raise ManifestUnknown(str(digest))
        done = _Done()
        _restore_deleted(ctx, conn, repository, caller, gone=gone[0], done=done)
        return done.restored()

    return await ctx.db.write(write)


def _restore_deleted(
    ctx: Context,
    conn: Connection,
    repository: Repository,
    caller: Caller,
    *,
    gone: DeletedManifest,
    done: _Done,
) -> None:
    """A manifest and the tags that ended with it."""
    number = _revive(ctx, conn, repository, gone.id, done=done)
    note(conn, repository, caller, EventKind.RESTORED, digest=gone.digest)
    for name in restoring.tags_ended(conn, gone.id, gone.deleted_at):
        if tags.current(conn, repository.id, name) is None:
            _restore_tag(ctx, conn, repository, caller, name=name, number=number, done=done)
        else:
            done.taken.append(name)


def _restore_tag(
    ctx: Context,
    conn: Connection,
    repository: Repository,
    caller: Caller,
    *,
    name: str,
    number: ManifestId,
    done: _Done,
) -> None:
    number = _revive(ctx, conn, repository, number, done=done)
    at = Micros(now(conn))
    if tags.current(conn, repository.id, name) is None:
        quotas.admit_tag(conn, repository)
    moved = tags.set_tag(conn, repository.id, name, manifest=number, at=at, actor=caller.name)
    if not moved.changed:
        return
    count_tags(
        conn, repository, gained=[number], lost=[] if moved.before is None else [moved.before]
    )
    if moved.before is not None:
        _review_untagged(ctx, conn, moved.before)
    namespaces.touch_repository(conn, repository.id, at)
    digest = restoring.document(conn, number).digest
    note(conn, repository, caller, EventKind.RESTORED, digest=digest, tag=name)
    done.tags.append(name)


def _revive(
    ctx: Context, conn: Connection, repository: Repository, number: ManifestId, *, done: _Done
) -> ManifestId:
    """Make the manifest and what it lists living; the id of its living row. Raises ReferencesUnknown, QuotaExceeded."""
    row = restoring.document(conn, number)
    if row.is_living:
        return number
    pushed_again = manifests.find_id(conn, repository.id, row.digest)
    if pushed_again is not None:
        return pushed_again
    document = parse(row.media_type, row.payload)
    wanted = {str(r.descriptor.digest) for r in document.blobs if not r.descriptor.foreign}
    missing = sorted(wanted - blobs.linked_sizes(conn, repository.id, wanted).keys())
    for child in {str(r.descriptor.digest) for r in document.manifests}:
        if manifests.find_id(conn, repository.id, child) is None:
            gone = restoring.deleted_manifests(conn, repository.id, digest=child, limit=1)
            if gone:
                _revive(ctx, conn, repository, gone[0].id, done=done)
            elif not ctx.settings.manifests.allow_sparse:
                missing.append(child)
    if missing:
        raise ReferencesUnknown(tuple(missing))
    restoring.revive_manifest(conn, number)
    count_bytes(conn, repository, row.size)
    _review_untagged(ctx, conn, number)
    done.manifests.append(row.digest)
    return number


def _review_untagged(ctx: Context, conn: Connection, number: ManifestId) -> None:
    after = ctx.settings.gc.untagged_after
    if after is not None:
        reviews.enqueue(
            conn, ReviewKind.MANIFEST, number, after_seconds=after.seconds, reason="restored"
        )


# -- everything in a repository ---------------------------------------------------------------------------------------


async def restore_content(
    ctx: Context, caller: Caller, place: Place, *, at: Micros | None = None
) -> Restored:
    """Bring back every manifest and tag of a living repository: as it was at the moment, or all that history knows.

    With a moment tags mean what they meant then (tags that are newer stay). Without one only tags that mean nothing now come back.
    Works in batches; what cannot be restored is told in `failed`. Raises RepositoryUnknown, Denied.
    """
    await _require(ctx, caller)
    found = await existing(ctx, caller, Permission.PULL, place)
    gone, wanted = await ctx.db.read(lambda conn: _plan(conn, found, at))
    total = _Done()

    def write(
        conn: Connection, some: Sequence[DeletedManifest | tuple[str, ManifestId]]
    ) -> Restored:
        repository = settle(conn, found, caller)
        done = _Done()
        for one in some:
            _try_restore(ctx, conn, repository, caller, one=one, done=done)
        return done.restored()

    steps: list[DeletedManifest | tuple[str, ManifestId]] = [*gone, *wanted.items()]
    for start in range(0, len(steps), BATCH):
        some = steps[start : start + BATCH]
        total.add(await ctx.db.write(partial(write, some=some)))
    return total.restored()


def _plan(
    conn: Connection, repository: Repository, at: Micros | None
) -> tuple[list[DeletedManifest], dict[str, ManifestId]]:
    gone = restoring.deleted_manifests(conn, repository.id)
    if at is not None:
        gone = [one for one in gone if one.pushed_at <= at < one.deleted_at]
        return gone, restoring.meanings_at(conn, repository.id, at)
    wanted: dict[str, ManifestId] = {}
    for former in restoring.former_tags(conn, repository.id):
        if former.name not in wanted and tags.current(conn, repository.id, former.name) is None:
            wanted[former.name] = former.manifest
    return gone, wanted


def _try_restore(
    ctx: Context,
    conn: Connection,
    repository: Repository,
    caller: Caller,
    *,
    one: DeletedManifest | tuple[str, ManifestId],
    done: _Done,
) -> None:
    """In a savepoint of its own, so that what cannot be restored leaves nothing half done."""
    part = _Done()
    try:
        with conn.begin_nested():
            if isinstance(one, DeletedManifest):
                _revive(ctx, conn, repository, one.id, done=part)
                if part.manifests:
                    note(conn, repository, caller, EventKind.RESTORED, digest=one.digest)
            else:
                name, number = one
                _restore_tag(ctx, conn, repository, caller, name=name, number=number, done=part)
    except RegistryError as error:
        name = one.digest if isinstance(one, DeletedManifest) else one[0]
        done.failed.append((name, str(error)))
        return
    done.add(part.restored())


# -- repositories -----------------------------------------------------------------------------------------------------


async def restore_repository(
    ctx: Context, caller: Caller, place: Place, *, at: Micros | None = None
) -> Repository:
    """Bring back the repository of that name that was deleted last, or the one that lived at the moment.

    Raises NameTaken (a living one has the name), RepositoryUnknown (none is known, or the collector has begun to take it),
    NamespaceUnknown (its namespace was deleted; one made since under the name is another), QuotaExceeded, Denied.
    """
    await _require(ctx, caller)

    def write(conn: Connection) -> Repository:
        name = str(place.name)
        if namespaces.find_repository(conn, place.instance.id, name) is not None:
            raise NameTaken(name)
        found = _deleted_repository(conn, place, at)
        if not found.is_namespace_living:
            raise NamespaceUnknown(place.name.namespace)
        restoring.revive_repository(conn, found.id, Micros(now(conn)))
        repository = namespaces.get_repository(conn, found.id)
        if repository is None:
            raise RepositoryUnknown(name)
        _count_again(conn, repository, place)
        note(conn, repository, caller, EventKind.RESTORED)
        return repository

    return await ctx.db.write(write)


def _deleted_repository(conn: Connection, place: Place, at: Micros | None) -> DeletedRepository:
    for found in restoring.deleted_repositories(conn, place.instance.id, str(place.name)):
        if at is None or found.created_at <= at < found.deleted_at:
            if collection.reason_of(conn, ReviewKind.REPOSITORY, found.id) == PURGING:
                break
            return found
    raise RepositoryUnknown(str(place.name))


def _count_again(conn: Connection, repository: Repository, place: Place) -> None:
    """What its deletion took from the namespace's counts. Raises QuotaExceeded."""
    namespace = namespaces.find_namespace(conn, repository.instance, place.name.namespace)
    if namespace is not None:
        quotas.admit(conn, namespace, "repositories", 1)
    held = counters.value(conn, "repository", repository.id, "bytes")
    if held > 0:
        quotas.admit_bytes(conn, repository, held)
    counters.add(conn, "namespace", repository.namespace, "repositories", 1)
    counters.add(conn, "namespace", repository.namespace, "bytes", held)
