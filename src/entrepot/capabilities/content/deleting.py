"""Deleting tags, manifests, blobs and repositories (distribution-spec 1.1, "Content Management").

Nothing is removed here: tags end, manifests and repositories get their tombstone, links go, and the collector is told to look
later. Until it has, `undelete` brings tags and manifests back. What people delete is in the audit trail; what retention ends, in its log.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from entrepot.capabilities.content.linking import count_bytes, count_tags
from entrepot.capabilities.content.place import Place, event_in, existing, note, standing
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations import trail
from entrepot.metadata import blobs, counters, events, manifests, namespaces, reviews, tags
from entrepot.metadata.database import Connection, now
from entrepot.metadata.reviews import ReviewKind
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Repository
from entrepot.model.errors import (
    BlobInUse,
    BlobUnknown,
    ManifestIndexed,
    ManifestUnknown,
    NotEmpty,
)
from entrepot.model.events import EventKind
from entrepot.model.ids import ManifestId, Micros
from entrepot.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class EndTags:
    """Tags of a repository that end, all or none."""

    place: Place
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class EndedTag:
    """A tag that is no more, and the manifest it meant. `digest`: of that, where it is known."""

    name: str
    number: ManifestId
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteRepository:
    """`only_empty`: not while a tag is in it."""

    place: Place
    only_empty: bool = False


async def delete_tag(ctx: Context, caller: Caller, place: Place, name: str) -> None:
    """End the tag; the manifest stays. Raises ManifestUnknown, Denied."""
    await end_tags(ctx, caller, EndTags(place, (name,)))


async def end_tags(ctx: Context, caller: Caller, command: EndTags) -> None:
    """End the tags; their manifests stay. Raises ManifestUnknown, Denied."""
    found = await existing(ctx, caller, Permission.DELETE, command.place)

    def write(conn: Connection) -> None:
        repository = standing(ctx, conn, caller, Permission.DELETE, found)
        for name in dict.fromkeys(command.names):
            _end_tag(ctx, conn, repository, caller, name=name)

    await ctx.db.write(write)


def _end_tag(
    ctx: Context, conn: Connection, repository: Repository, caller: Caller, *, name: str
) -> None:
    number = tags.end(conn, repository.id, name, Micros(now(conn)))
    if number is None:
        raise ManifestUnknown(name[:300])
    tags_ended(ctx, conn, repository, caller, ended=[EndedTag(name, number)])
    trail.note(
        conn, caller, "tag.delete", f"{repository.full_name}:{name}", tenant=repository.tenant
    )


def tags_ended(
    ctx: Context,
    conn: Connection,
    repository: Repository,
    caller: Caller,
    *,
    ended: Sequence[EndedTag],
    details: dict[str, object] | None = None,
) -> None:
    """In the transaction that ended the tags: they are counted no more, the collector looks later, and it is told."""
    count_tags(conn, repository, lost=[tag.number for tag in ended])
    untagged_after = ctx.settings.gc.untagged_after
    if untagged_after is not None:
        for number in {tag.number for tag in ended}:
            reviews.enqueue(
                conn,
                ReviewKind.MANIFEST,
                number,
                after_seconds=untagged_after.seconds,
                reason="untagged",
            )
    told = event_in(conn, repository, caller, EventKind.TAG_DELETED, details=details)
    events.record_all(conn, [replace(told, digest=tag.digest, tag=tag.name) for tag in ended])


async def delete_manifest(ctx: Context, caller: Caller, place: Place, digest: Digest) -> None:
    """Delete the manifest and end its tags. Raises ManifestUnknown, ManifestIndexed, Denied."""
    found = await existing(ctx, caller, Permission.DELETE, place)
    protect = ctx.settings.manifests.protect_indexed
    keep = ctx.settings.history.keep.seconds

    def write(conn: Connection) -> None:
        repository = standing(ctx, conn, caller, Permission.DELETE, found)
        manifest = manifests.find(conn, repository.id, str(digest))
        if manifest is None:
            raise ManifestUnknown(str(digest))
        if protect:
            index = manifests.tagged_index_listing(conn, repository.id, str(digest))
            if index is not None:
                raise ManifestIndexed(str(digest), index)
        at = Micros(now(conn))
        ended = tags.end_all_of(conn, manifest.id, at)
        if ended:
            count_tags(conn, repository, lost=[manifest.id] * len(ended))
        manifests.tombstone(conn, manifest.id, at)
        count_bytes(conn, repository, -manifest.size)
        reviews.enqueue(
            conn, ReviewKind.MANIFEST, manifest.id, after_seconds=keep, reason="deleted"
        )
        note(
            conn,
            repository,
            caller,
            EventKind.MANIFEST_DELETED,
            digest=str(digest),
            details={"tags": ended},
        )
        name = f"{repository.full_name}@{digest}"
        trail.note(conn, caller, "manifest.delete", name, tenant=repository.tenant, tags=len(ended))

    await ctx.db.write(write)


async def delete_blob(ctx: Context, caller: Caller, place: Place, digest: Digest) -> None:
    """Take the blob from the repository. Raises BlobUnknown, BlobInUse (a manifest names it), Denied."""
    found = await existing(ctx, caller, Permission.DELETE, place)
    delay = ctx.settings.gc.delay.seconds

    def write(conn: Connection) -> None:
        repository = standing(ctx, conn, caller, Permission.DELETE, found)
        blob = blobs.find_linked(conn, repository.id, str(digest))
        if blob is None:
            raise BlobUnknown(str(digest))
        if blobs.used_by_living_manifest(conn, repository.id, str(digest)):
            raise BlobInUse(str(digest))
        blobs.unlink(conn, repository.id, blob.id)
        count_bytes(conn, repository, -blob.size)
        reviews.enqueue(conn, ReviewKind.BLOB, blob.id, after_seconds=delay, reason="unlinked")
        name = f"{repository.full_name}@{digest}"
        trail.note(conn, caller, "blob.delete", name, tenant=repository.tenant)

    await ctx.db.write(write)


async def delete_repository(ctx: Context, caller: Caller, place: Place) -> None:
    """One tombstone; the collector takes the content in batches. Raises RepositoryUnknown, Denied."""
    await remove_repository(ctx, caller, DeleteRepository(place))


async def remove_repository(ctx: Context, caller: Caller, command: DeleteRepository) -> None:
    """Likewise. Raises NotEmpty too, where it is to be empty and is not."""
    found = await existing(ctx, caller, Permission.REPOSITORY_EDIT, command.place)
    keep = ctx.settings.history.keep.seconds

    def write(conn: Connection) -> None:
        repository = standing(ctx, conn, caller, Permission.REPOSITORY_EDIT, found)
        if command.only_empty and tags.has_any(conn, repository.id):
            raise NotEmpty(repository.full_name)
        namespaces.tombstone_repository(conn, repository.id, Micros(now(conn)))
        counters.add(conn, "namespace", repository.namespace, "repositories", -1)
        held = counters.value(conn, "repository", repository.id, "bytes")
        counters.add(conn, "namespace", repository.namespace, "bytes", -held)
        reviews.enqueue(
            conn, ReviewKind.REPOSITORY, repository.id, after_seconds=keep, reason="deleted"
        )
        note(conn, repository, caller, EventKind.REPOSITORY_DELETED)
        name = repository.full_name
        trail.note(conn, caller, "repository.delete", name, tenant=repository.tenant)

    await ctx.db.write(write)
