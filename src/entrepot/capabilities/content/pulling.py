"""Reading manifests, blobs and lists. Every pull of a manifest or blob costs one metadata read and no write."""

import time
from dataclasses import dataclass

from entrepot.capabilities.content import gate, small
from entrepot.capabilities.content.place import Place, absent, existing, resource_of
from entrepot.capabilities.context import Context
from entrepot.metadata import catalog, collection, manifests, tags
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.content import Blob, LinkedBlob, ReferrerRow, Repository, StoredManifest
from entrepot.model.errors import (
    BlobUnknown,
    ManifestUnknown,
    NamespaceUnknown,
    ObjectMissing,
    RepositoryUnknown,
    Unauthenticated,
)
from entrepot.model.tenancy import Instance
from entrepot.oci.digest import Digest
from entrepot.ports.blobs import BlobReader, ObjectKey


@dataclass(frozen=True, slots=True)
class Page:
    """At most `limit` rows behind `after` (exclusive, bytewise order)."""

    limit: int
    after: str = ""


async def get_manifest(
    ctx: Context, caller: Caller, place: Place, reference: Digest | str
) -> StoredManifest:
    """The manifest a digest or tag means now. Raises ManifestUnknown, RepositoryUnknown, NamespaceUnknown, Denied."""
    name = str(place.name)
    if isinstance(reference, Digest):
        found = await ctx.hot.manifest_by_digest(place.instance.id, name, str(reference))
    else:
        found = await ctx.hot.manifest_by_tag(place.instance.id, name, reference)
    if found is None:
        raise await absent(ctx, caller, Permission.PULL, place)
    repository, manifest = found
    resource = resource_of(repository)
    if not gate.granted(ctx, caller, Permission.PULL, resource):
        await gate.require(ctx, caller, Permission.PULL, resource)
    if manifest is None:
        raise ManifestUnknown(str(reference))
    return manifest


async def find_blob(ctx: Context, caller: Caller, place: Place, digest: Digest) -> Blob:
    """The blob, if the repository has it. Raises BlobUnknown, RepositoryUnknown, NamespaceUnknown, Denied."""
    _, linked = await _linked(ctx, caller, place, digest)
    return linked.blob


async def confirm_blob(ctx: Context, caller: Caller, place: Place, digest: Digest) -> Blob:
    """Likewise for a client that asks whether it must upload the blob: it stays for at least half of gc.delay from now.

    Writes only where a review is near and the link is old: at most once in half of gc.delay for a link.
    """
    repository, linked = await _linked(ctx, caller, place, digest)
    if linked.review_after is None:
        return linked.blob
    half = int(ctx.settings.gc.delay.seconds * 1e6) // 2
    moment = time.time_ns() // 1000  # this machine's clock will do: it is about hours
    if linked.review_after <= moment + half and linked.linked_at <= moment - half:
        kept = await ctx.db.write(
            lambda conn: collection.refresh_link(conn, repository.id, linked.blob.id)
        )
        if not kept:
            raise BlobUnknown(str(digest))
    return linked.blob


async def _linked(
    ctx: Context, caller: Caller, place: Place, digest: Digest
) -> tuple[Repository, LinkedBlob]:
    found = await ctx.hot.blob(place.instance.id, str(place.name), str(digest))
    if found is None:
        raise await absent(ctx, caller, Permission.PULL, place)
    repository, linked = found
    resource = resource_of(repository)
    if not gate.granted(ctx, caller, Permission.PULL, resource):
        await gate.require(ctx, caller, Permission.PULL, resource)
    if linked is None:
        raise BlobUnknown(str(digest))
    return repository, linked


async def open_blob(
    ctx: Context, blob: Blob, *, start: int = 0, length: int | None = None
) -> BlobReader:
    """Its bytes. Raises ObjectMissing (the store lost them), StorageUnavailable."""
    key = ObjectKey(blob.object_key)
    return await ctx.blocking(lambda: ctx.blobs.open(key, start=start, length=length))


def kept_content(ctx: Context, blob: Blob) -> bytes | None:
    """All its bytes, where they are few and in memory."""
    return None if blob.size > small.MOST_BYTES else ctx.small.get(blob.object_key)


async def small_content(ctx: Context, blob: Blob) -> bytes | None:
    """All its bytes if they are few; None: use `open_blob`. Raises ObjectMissing, StorageUnavailable."""
    if blob.size > small.MOST_BYTES:
        return None
    content, is_right = await ctx.blocking(lambda: _read_whole(ctx, blob))
    if is_right:  # what is damaged now may be put right in its place
        ctx.small.keep(blob.object_key, content)
    return content


def _read_whole(ctx: Context, blob: Blob) -> tuple[bytes, bool]:
    """The bytes, and whether they have the blob's digest."""
    content = bytearray()
    with ctx.blobs.open(ObjectKey(blob.object_key), start=0, length=blob.size) as reader:
        for piece in reader.chunks():
            content += piece
    if len(content) != blob.size:
        raise ObjectMissing(blob.object_key)
    digest = Digest.parse(blob.digest)
    return bytes(content), Digest.of(bytes(content), digest.algorithm) == digest


async def list_tags(ctx: Context, caller: Caller, place: Place, page: Page) -> list[str]:
    """Present tags of the repository."""
    repository = await existing(ctx, caller, Permission.PULL, place)
    return await tags.names(ctx.db, repository.id, after=page.after, limit=page.limit)


async def list_referrers(
    ctx: Context,
    caller: Caller,
    place: Place,
    subject: Digest,
    *,
    artifact_type: str | None,
    page: Page,
) -> list[ReferrerRow]:
    """Manifests that name `subject` as theirs. Empty if there are none, or subject or repository are not there.

    The specification allows no "not found" here ("Listing Referrers"): clients take it for a registry without this endpoint.
    """
    try:
        repository = await existing(ctx, caller, Permission.PULL, place)
    except (RepositoryUnknown, NamespaceUnknown):
        return []
    return await manifests.referrers(
        ctx.db,
        repository.id,
        str(subject),
        artifact_type=artifact_type,
        after=page.after,
        limit=page.limit,
    )


async def list_repositories(
    ctx: Context, caller: Caller, instance: Instance, page: Page
) -> list[str]:
    """Full names of the instance's repositories that the caller may pull. Raises Unauthenticated, Forbidden."""
    if caller.is_anonymous:
        raise Unauthenticated("no credentials")
    judge = ctx.access.judge

    def read(conn: Connection) -> list[str]:
        judge.require(conn, caller, Permission.CATALOG, Resource(None, instance.id))
        listing = judge.listing(conn, caller, include_public=False, instance=instance.id)
        if listing.is_exact:
            return catalog.names_page(
                conn, instance.id, listing.visibility, after=page.after, limit=page.limit
            )
        names: list[str] = []
        after = page.after
        while len(names) < page.limit:
            rows = catalog.repositories_page(
                conn, instance.id, listing.visibility, after=after, limit=page.limit
            )
            names += [row.full_name for row in rows if listing.admits(row)]
            if len(rows) < page.limit:
                break
            after = rows[-1].full_name
        return names[: page.limit]

    return await ctx.db.read(read)
