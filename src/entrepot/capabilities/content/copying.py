"""Giving an image another name inside its instance: rows only, no byte moves.

In another repository everything the image is made of (an index's manifests, their blobs) is linked there first. It is a push in all
that follows from it: quotas, events, the collector's reviews.
"""

from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.content.linking import link_blob
from entrepot.capabilities.content.place import Place, existing, for_push, settle
from entrepot.capabilities.content.pushing import (
    insert_manifest,
    note_push,
    review_untagged,
    set_tags,
)
from entrepot.capabilities.context import Context
from entrepot.metadata import blobs, manifests, namespaces, tags
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Repository, StoredManifest
from entrepot.model.errors import ManifestUnknown, NameTaken, ReferencesUnknown, ValueInvalid
from entrepot.model.ids import ManifestId, Micros
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import Manifest, parse

MAX_MANIFESTS: Final = 1000  # of one image
_MAX_DEPTH: Final = 4  # indexes in indexes


@dataclass(frozen=True, slots=True)
class DuplicateImage:
    """The tag of the source gets another name. `replace`: also where the target tag means something else already."""

    source: Place
    tag: str
    target: Place
    target_tag: str
    replace: bool = False


@dataclass(frozen=True, slots=True)
class _Copy:
    """Where it comes from and goes to, in one transaction."""

    ctx: Context
    conn: Connection
    source: Repository
    target: Repository


async def duplicate_image(ctx: Context, caller: Caller, command: DuplicateImage) -> None:
    """Do it. Raises Denied, RepositoryUnknown, NamespaceUnknown, ManifestUnknown, NameTaken, QuotaExceeded, ValueInvalid."""
    if command.source == command.target and command.tag == command.target_tag:
        raise ValueInvalid("target", "is the source")
    origin = await existing(ctx, caller, Permission.PULL, command.source)
    goal = await for_push(ctx, caller, command.target)

    def write(conn: Connection) -> None:
        source = settle(conn, origin, caller)
        found = _tagged(conn, source, command.tag)
        target = settle(conn, goal, caller)
        number = found.id
        if target.id != source.id:
            copy = _Copy(ctx, conn, source, target)
            number = _bring(copy, found, depth=0, seen={})
        _check_target(conn, target, number, command)
        moved = set_tags(conn, target, caller, number=number, names=(command.target_tag,))
        untagged_after = ctx.settings.gc.untagged_after
        if untagged_after is not None:
            review_untagged(conn, moved, untagged_after.seconds)
        namespaces.touch_repository(conn, target.id, Micros(now(conn)))
        note_push(
            conn,
            target,
            caller,
            digest=Digest.parse(found.digest),
            manifest=_read(found),
            names=(command.target_tag,),
        )

    await ctx.db.write(write)


def _tagged(conn: Connection, source: Repository, tag: str) -> StoredManifest:
    number = tags.current(conn, source.id, tag)
    found = None if number is None else manifests.get(conn, number)
    if found is None:
        raise ManifestUnknown(tag[:300])
    return found


def _check_target(
    conn: Connection, target: Repository, number: ManifestId, command: DuplicateImage
) -> None:
    before = tags.current(conn, target.id, command.target_tag)
    if before not in (None, number) and not command.replace:
        raise NameTaken(f"{target.full_name}:{command.target_tag}"[:300])


def _bring(
    copy: _Copy, found: StoredManifest, *, depth: int, seen: dict[str, ManifestId]
) -> ManifestId:
    """The manifest in the target repository, with all it is made of."""
    if found.digest in seen:
        return seen[found.digest]
    if len(seen) >= MAX_MANIFESTS or depth > _MAX_DEPTH:
        raise ValueInvalid("source", f"an image has at most {MAX_MANIFESTS} manifests")
    manifest = _read(found)
    for child in manifest.manifests:
        inner = manifests.find(copy.conn, copy.source.id, str(child.descriptor.digest))
        if inner is not None:  # else it was not there either: a sparse index stays one
            _bring(copy, inner, depth=depth + 1, seen=seen)
    present = manifests.find_id(copy.conn, copy.target.id, found.digest)
    if present is None:
        _link_blobs(copy, manifest)
        present = insert_manifest(
            copy.conn,
            copy.target,
            Digest.parse(found.digest),
            manifest=manifest,
            payload=found.payload,
        )
    seen[found.digest] = present
    return present


def _link_blobs(copy: _Copy, manifest: Manifest) -> None:
    delay = copy.ctx.settings.gc.delay.seconds
    for reference in manifest.blobs:
        if reference.descriptor.foreign:
            continue
        digest = str(reference.descriptor.digest)
        blob = blobs.find_linked(copy.conn, copy.source.id, digest)
        if blob is None:
            raise ReferencesUnknown((digest,))
        link_blob(copy.conn, copy.target, blob, delay_seconds=delay)


def _read(found: StoredManifest) -> Manifest:
    return parse(found.media_type, found.payload)
