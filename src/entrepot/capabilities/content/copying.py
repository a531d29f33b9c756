"""Giving an image another name inside the deployment: rows only, no byte moves.

In another repository everything that belongs to the image (an index's manifests, their blobs, its signatures) is linked there first, by
statements about sets of rows: the transaction is as long as the image has rows (`whole.Bounds`), and reads no document. It is a push in
all that follows from it: quotas, events, the collector's reviews.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from entrepot.capabilities.content.linking import count_bytes
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
    note_push,
    review_untagged,
    set_tags,
)
from entrepot.capabilities.content.whole import Whole, tagged_root, whole_image
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import note
from entrepot.metadata import images, manifests, namespaces, tags
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Repository
from entrepot.model.errors import ManifestUnknown, NameTaken, ReferencesUnknown, ValueInvalid
from entrepot.model.ids import ManifestId, Micros
from entrepot.model.syncing import Outcome
from entrepot.oci.digest import Digest


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
        _check(ctx, conn, caller, origin=origin, goal=goal)
        source = settle(conn, origin, caller)
        if tags.current(conn, source.id, command.tag) is None:
            raise ManifestUnknown(command.tag[:300])
        target = settle(conn, goal, caller)
        copy = CopyTag(source, command.tag, target, command.target_tag, replace=command.replace)
        whole = _wanted(conn, copy)
        if _outcome(conn, copy, whole) is Outcome.EXISTED:
            raise NameTaken(f"{target.full_name}:{command.target_tag}"[:300])
        _put(ctx, conn, caller, copy=copy, whole=whole)
        _note(conn, caller, copy, whole)

    await ctx.db.write(write)


def _check(
    ctx: Context, conn: Connection, caller: Caller, *, origin: Repository, goal: Target
) -> None:
    """Raise Denied where the caller may not read the source and push to the target now, whatever the operation is called."""
    asked = [(Permission.PULL, resource_of(origin)), (Permission.PUSH, resource_of(goal))]
    if not isinstance(goal, Repository):
        asked.append((Permission.REPOSITORY_CREATE, in_making(goal)))
    for permission, on in asked:
        ctx.access.require(conn, caller, permission, on)
        ctx.access.judge.require_undenied(conn, caller, permission, on)


def _note(conn: Connection, caller: Caller, copy: CopyTag, whole: Whole) -> None:
    """For the audit trail."""
    note(
        conn,
        caller,
        "tag.copy",
        f"{copy.target.full_name}:{copy.target_tag}",
        tenant=copy.target.tenant,
        source=f"{copy.source.full_name}:{copy.tag}",
        digest=whole.root.digest,
        all_referrers=not whole.is_cut,
    )


def copy_tag(ctx: Context, conn: Connection, caller: Caller, copy: CopyTag) -> Outcome:
    """In a transaction: do it, unless all of it is there. Raises ManifestUnknown, QuotaExceeded, ReferencesUnknown, ValueInvalid."""
    whole = _wanted(conn, copy)
    outcome = _outcome(conn, copy, whole)
    if outcome is Outcome.COPIED:
        _put(ctx, conn, caller, copy=copy, whole=whole)
    return outcome


def _wanted(conn: Connection, copy: CopyTag) -> Whole:
    """What is to be at the target: in the same repository all that belongs to the image is there already."""
    find = tagged_root if copy.target.id == copy.source.id else whole_image
    return find(conn, copy.source.id, copy.tag)


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
    root = whole.root
    numbers = {root.digest: root.id}
    if copy.target.id != copy.source.id:
        numbers = _bring(ctx, conn, copy, whole)
        _tag_signatures(conn, caller, copy=copy, whole=whole, numbers=numbers)
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
        media_type=root.media_type,
        artifact_type=root.artifact_type,
        names=names,
        reason=f"{copy.reason or 'copy'}, of its referrers the newest"
        if whole.is_cut
        else copy.reason,
    )


def _tag_signatures(
    conn: Connection,
    caller: Caller,
    *,
    copy: CopyTag,
    whole: Whole,
    numbers: Mapping[str, ManifestId],
) -> None:
    """The tags that signers made: those that are there stay, unless tags are to be replaced."""
    present = tags.currents(conn, copy.target.id, [name for name, _ in whole.tags])
    for name, digest in whole.tags:
        if name not in present or copy.replace:
            set_tags(conn, copy.target, caller, number=numbers[digest], names=(name,))


def _bring(ctx: Context, conn: Connection, copy: CopyTag, whole: Whole) -> dict[str, ManifestId]:
    """Its manifests in the target repository, with their blobs: what is not there comes by a few statements. Their ids there."""
    target = copy.target.id
    digests = [part.digest for part in whole.parts]
    present = images.ids_of(conn, target, digests)
    missing = [part for part in whole.parts if part.digest not in present]
    if not missing:
        return present
    ids = [part.id for part in missing]
    gone = images.missing_blobs(conn, copy.source.id, ids)
    if gone:
        raise ReferencesUnknown(tuple(gone))
    documents = sum(part.size for part in missing)
    count_bytes(conn, copy.target, documents + images.unlinked_bytes(conn, target, ids))
    at, delay = Micros(now(conn)), ctx.settings.gc.delay.seconds
    images.link_blobs(conn, target, ids, at=at, delay_seconds=delay)
    images.give(conn, target, ids, at)
    return images.ids_of(conn, target, digests)
