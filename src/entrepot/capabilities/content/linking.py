"""Links between repositories and blobs: made by upload and mount, counted, and reviewed by the collector.

The logical bytes of a repository are the sizes of the blobs linked to it plus those of its living manifests' documents.
"""

from collections.abc import Sequence

from entrepot.capabilities.content import gate
from entrepot.capabilities.content.place import Place, for_push, require, resource_of, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import quotas
from entrepot.metadata import blobs, collection, counters, manifests, namespaces
from entrepot.metadata.database import Connection, now
from entrepot.metadata.reviews import ReviewKind
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Blob, Repository
from entrepot.model.errors import Denied
from entrepot.model.ids import ManifestId, Micros
from entrepot.oci.digest import Digest
from entrepot.oci.reference import RepositoryName

MOUNT_CANDIDATES = 64


def link_blob(
    conn: Connection, repository: Repository, blob: Blob, *, delay_seconds: float
) -> None:
    """Let the repository read the blob; the collector looks at it after the delay. Raises QuotaExceeded."""
    if blobs.link(conn, repository.id, blob.id, Micros(now(conn))):
        count_bytes(conn, repository, blob.size)
    # Never put off by a later link, or a blob pushed somewhere every day would never be looked at.
    collection.ensure_review(
        conn, ReviewKind.BLOB, blob.id, after_seconds=delay_seconds, reason="linked"
    )


def count_bytes(conn: Connection, repository: Repository, delta: int) -> None:
    """Add to (or take from) the logical bytes. Raises QuotaExceeded when a limit would be passed."""
    if delta > 0:
        quotas.admit_bytes(conn, repository, delta)
    counters.add(conn, "namespace", repository.namespace, "bytes", delta)
    counters.add(conn, "repository", repository.id, "bytes", delta)


def count_tags(
    conn: Connection,
    repository: Repository,
    *,
    gained: Sequence[ManifestId] = (),
    lost: Sequence[ManifestId] = (),
) -> None:
    """Tags that began to mean (`gained`) or mean no longer (`lost`) these manifests, one for each: their number, and the sum of sizes."""
    sizes = manifests.layers_sizes(conn, {*gained, *lost})
    grown = sum(sizes[number] for number in gained) - sum(sizes[number] for number in lost)
    subject = ("repository", int(repository.id))
    counters.add_many(
        conn, {(*subject, "tags"): len(gained) - len(lost), (*subject, "tagged_bytes"): grown}
    )


async def mount_blob(
    ctx: Context, caller: Caller, place: Place, digest: Digest, source: RepositoryName | None
) -> Blob | None:
    """Link a blob that another repository of the instance has and the caller may pull there; None if there is none such.

    Without a source every repository of the instance that has it is tried (1.2: anonymous mount). Raises Denied for the target.
    """
    target = await for_push(ctx, caller, place)
    found = await _readable(ctx, caller, place, digest, source)
    if found is None:
        return None
    origin, blob = found

    def write(conn: Connection) -> Blob | None:
        repository = settle(conn, target, caller)
        if namespaces.get_repository(conn, origin.id) is None:
            return None
        present = blobs.find_linked(conn, origin.id, blob.digest)
        if present is None:
            return None
        link_blob(conn, repository, present, delay_seconds=ctx.settings.gc.delay.seconds)
        return present

    return await ctx.db.write(write)


async def _readable(
    ctx: Context, caller: Caller, place: Place, digest: Digest, source: RepositoryName | None
) -> tuple[Repository, Blob] | None:
    if source is None:
        return await _anywhere(ctx, caller, place, digest)
    found = await ctx.hot.blob(place.instance.id, str(source), str(digest))
    if found is None or found[1] is None:
        return None
    repository, blob = found[0], found[1]
    try:
        await require(ctx, caller, Permission.PULL, repository)
    except Denied:
        return None  # as if it were not there
    return repository, blob.blob


async def _anywhere(
    ctx: Context, caller: Caller, place: Place, digest: Digest
) -> tuple[Repository, Blob] | None:
    candidates = await ctx.db.read(
        lambda conn: blobs.repositories_with(
            conn, place.instance.id, str(digest), limit=MOUNT_CANDIDATES
        )
    )
    for repository in candidates:
        # No token can name a repository that the client did not know: the caller's own rights decide.
        if await gate.has_right(ctx, caller, Permission.PULL, resource_of(repository)):
            found = await ctx.hot.blob(place.instance.id, repository.full_name, str(digest))
            if found is not None and found[1] is not None:
                return found[0], found[1].blob
    return None
