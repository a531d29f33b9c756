"""Giving an image another name inside the deployment: rows only, no byte moves.

In another repository everything that belongs to the image (an index's manifests, their blobs, its signatures) is linked there first. It
is a push in all that follows from it: quotas, events, the collector's reviews.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from entrepot.capabilities.content.linking import link_blob
from entrepot.capabilities.content.place import (
    Place,
    Target,
    existing,
    for_push,
    in_making,
    resource_of,
    settle,
)
from entrepot.capabilities.content.pushing import (
    insert_manifest,
    note_push,
    review_untagged,
    set_tags,
)
from entrepot.capabilities.content.whole import Part, Whole, whole_image
from entrepot.capabilities.context import Context
from entrepot.metadata import blobs, manifests, namespaces, tags
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Repository
from entrepot.model.errors import ManifestUnknown, NameTaken, ReferencesUnknown, ValueInvalid
from entrepot.model.ids import ManifestId, Micros
from entrepot.model.syncing import Outcome
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class DuplicateImage:
    """The tag of the source gets another name. `replace`: also where the target tag means something else already."""

    source: Place
    tag: str
    target: Place
    target_tag: str
    replace: bool = False


@dataclass(frozen=True, slots=True)
class CopyTag:
    """In one transaction: a tag from one repository to another of the deployment, which the caller was seen to may."""

    source: Repository
    tag: str
    target: Repository
    target_tag: str
    replace: bool
    reason: str = ""  # is told with the event


async def duplicate_image(ctx: Context, caller: Caller, command: DuplicateImage) -> None:
    """Do it. Raises Denied, RepositoryUnknown, NamespaceUnknown, ManifestUnknown, NameTaken, QuotaExceeded, ValueInvalid."""
    if command.source == command.target and command.tag == command.target_tag:
        raise ValueInvalid("target", "is the source")
    origin = await existing(ctx, caller, Permission.PULL, command.source)
    goal = await for_push(ctx, caller, command.target)

    def write(conn: Connection) -> None:
        _check_denials(ctx, conn, caller, origin=origin, goal=goal)
        source = settle(conn, origin, caller)
        whole = whole_image(conn, source.id, command.tag)
        target = settle(conn, goal, caller)
        copy = CopyTag(source, command.tag, target, command.target_tag, replace=command.replace)
        if _outcome(conn, copy, whole) is Outcome.EXISTED:
            raise NameTaken(f"{target.full_name}:{command.target_tag}"[:300])
        _put(ctx, conn, caller, copy=copy, whole=whole)

    await ctx.db.write(write)


def _check_denials(
    ctx: Context, conn: Connection, caller: Caller, *, origin: Repository, goal: Target
) -> None:
    """Raise Denied where a policy denies to read the source or to push to the target, whatever the operation is called."""
    asked = [(Permission.PULL, resource_of(origin)), (Permission.PUSH, resource_of(goal))]
    if not isinstance(goal, Repository):
        asked.append((Permission.REPOSITORY_CREATE, in_making(goal)))
    for permission, on in asked:
        ctx.access.judge.require_undenied(conn, caller, permission, on)


def copy_tag(ctx: Context, conn: Connection, caller: Caller, copy: CopyTag) -> Outcome:
    """In a transaction: do it, unless all of it is there. Raises ManifestUnknown, QuotaExceeded, ReferencesUnknown, ValueInvalid."""
    whole = whole_image(conn, copy.source.id, copy.tag)
    outcome = _outcome(conn, copy, whole)
    if outcome is Outcome.COPIED:
        _put(ctx, conn, caller, copy=copy, whole=whole)
    return outcome


def _outcome(conn: Connection, copy: CopyTag, whole: Whole) -> Outcome:
    """What copying will come to."""
    target = copy.target.id
    before = tags.current(conn, target, copy.target_tag)
    same = manifests.find_id(conn, target, whole.root.digest)
    if before is None or before != same:
        return Outcome.COPIED if before is None or copy.replace else Outcome.EXISTED
    present = manifests.living(conn, target, [part.digest for part in whole.parts])
    held = tags.currents(conn, target, [name for name, _ in whole.tags])
    is_signed = all(
        name in held and (not copy.replace or held[name] == manifests.find_id(conn, target, digest))
        for name, digest in whole.tags
    )
    is_whole = len(present) == len(whole.parts) and is_signed
    return Outcome.UNCHANGED if is_whole else Outcome.COPIED


def _put(ctx: Context, conn: Connection, caller: Caller, *, copy: CopyTag, whole: Whole) -> None:
    numbers = {part.digest: part.id for part in whole.parts}
    if copy.target.id != copy.source.id:
        numbers = {part.digest: _bring(ctx, conn, copy, part) for part in whole.parts}
        _tag_signatures(conn, caller, copy=copy, whole=whole, numbers=numbers)
    root = whole.root
    names = (copy.target_tag,)
    moved = set_tags(conn, copy.target, caller, number=numbers[root.digest], names=names)
    untagged_after = ctx.settings.gc.untagged_after
    if untagged_after is not None:
        review_untagged(conn, moved, untagged_after.seconds)
    namespaces.touch_repository(conn, copy.target.id, Micros(now(conn)))
    note_push(
        conn,
        copy.target,
        caller,
        digest=Digest.parse(root.digest),
        manifest=root.manifest,
        names=names,
        reason=copy.reason,
    )


def _tag_signatures(
    conn: Connection,
    caller: Caller,
    *,
    copy: CopyTag,
    whole: Whole,
    numbers: dict[str, ManifestId],
) -> None:
    """The tags that signers made: those that are there stay, unless tags are to be replaced."""
    present = tags.currents(conn, copy.target.id, [name for name, _ in whole.tags])
    for name, digest in whole.tags:
        if name not in present or copy.replace:
            set_tags(conn, copy.target, caller, number=numbers[digest], names=(name,))


def _bring(ctx: Context, conn: Connection, copy: CopyTag, part: Part) -> ManifestId:
    """The manifest in the target repository, with its blobs."""
    present = manifests.find_id(conn, copy.target.id, part.digest)
    if present is not None:
        return present
    found = manifests.get(conn, part.id)
    if found is None:
        raise ManifestUnknown(part.digest)
    _link_blobs(ctx, conn, copy, part.manifest)
    return insert_manifest(
        conn,
        copy.target,
        Digest.parse(part.digest),
        manifest=part.manifest,
        payload=found.payload,
    )


def _link_blobs(ctx: Context, conn: Connection, copy: CopyTag, manifest: Manifest) -> None:
    delay = ctx.settings.gc.delay.seconds
    for digest in blob_digests(manifest):
        blob = blobs.find_linked(conn, copy.source.id, digest)
        if blob is None:
            raise ReferencesUnknown((digest,))
        link_blob(conn, copy.target, blob, delay_seconds=delay)


def blob_digests(manifest: Manifest) -> Sequence[str]:
    """Its config and layers, each once, without those whose bytes stay elsewhere."""
    wanted = (r.descriptor for r in manifest.blobs if not r.descriptor.foreign)
    return list(dict.fromkeys(str(one.digest) for one in wanted))
