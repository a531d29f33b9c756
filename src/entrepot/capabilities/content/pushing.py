"""Pushing manifests (distribution-spec 1.1, "Pushing Manifests"; 1.2-dev: several tags in one PUT).

Everything a manifest needs must already be linked to the repository: knowing a digest gives nothing. A subject need not be there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from entrepot.capabilities.content.linking import count_bytes, count_tags
from entrepot.capabilities.content.place import Place, Target, for_push, note, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import quotas
from entrepot.metadata import blobs, manifests, namespaces, reviews, tags
from entrepot.metadata.database import Connection, now
from entrepot.metadata.reviews import ReviewKind
from entrepot.model.access import Caller
from entrepot.model.content import Repository
from entrepot.model.errors import (
    DigestMismatch,
    ManifestInvalid,
    ManifestTooLarge,
    MediaTypeUnsupported,
    ReferencesUnknown,
)
from entrepot.model.events import EventKind
from entrepot.model.ids import ManifestId, Micros
from entrepot.oci.descriptor import MANIFEST_TYPES
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import Manifest, ManifestSyntaxError, parse


@dataclass(frozen=True, slots=True)
class PushManifest:
    """A document as received. `digest`: what the client says it is (a push by digest)."""

    media_type: str
    payload: bytes
    digest: Digest | None
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What the push made."""

    digest: Digest
    subject: Digest | None
    tags: Sequence[str]


async def push_manifest(
    ctx: Context, caller: Caller, place: Place, command: PushManifest
) -> Pushed:
    """`push_to` where the caller may push. Raises Denied and NamespaceUnknown too."""
    return await push_to(ctx, caller, await for_push(ctx, caller, place), command)


async def push_to(ctx: Context, caller: Caller, target: Target, command: PushManifest) -> Pushed:
    """Store the manifest and let the tags mean it. `target` is what `for_push` let this caller push to.

    Raises MediaTypeUnsupported, ManifestTooLarge, ManifestInvalid, DigestMismatch, ReferencesUnknown, QuotaExceeded. All or nothing;
    the same push again changes nothing.
    """
    manifest, digest = _read(ctx, command)
    untagged_after = ctx.settings.gc.untagged_after

    def write(conn: Connection) -> None:
        repository = settle(conn, target, caller)
        number = manifests.find_id(conn, repository.id, str(digest))
        if number is None:
            _check_references(ctx, conn, repository, manifest)
            number = insert_manifest(
                conn, repository, digest, manifest=manifest, payload=command.payload
            )
        moved = set_tags(conn, repository, caller, number=number, names=command.tags)
        if untagged_after is not None:
            review_untagged(conn, [*moved, number], untagged_after.seconds)
        namespaces.touch_repository(conn, repository.id, Micros(now(conn)))
        note_push(
            conn,
            repository,
            caller,
            digest=digest,
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            names=command.tags,
        )

    await ctx.db.write(write)
    subject = manifest.subject
    return Pushed(digest, None if subject is None else subject.digest, command.tags)


def _read(ctx: Context, command: PushManifest) -> tuple[Manifest, Digest]:
    if command.media_type not in MANIFEST_TYPES:
        raise MediaTypeUnsupported(command.media_type[:200])
    limit = int(ctx.settings.http.manifest_limit)
    if len(command.payload) > limit:
        raise ManifestTooLarge(limit)
    try:
        manifest = parse(command.media_type, command.payload)
    except ManifestSyntaxError as error:
        raise ManifestInvalid(str(error)) from error
    if command.digest is None:
        return manifest, Digest.of(command.payload)
    actual = Digest.of(command.payload, command.digest.algorithm)
    if actual != command.digest:
        raise DigestMismatch(str(command.digest), str(actual))
    return manifest, actual


def _check_references(
    ctx: Context, conn: Connection, repository: Repository, manifest: Manifest
) -> None:
    """Every blob is linked here and every child is here, with the size the document states."""
    wanted = {
        str(r.descriptor.digest): r.descriptor.size
        for r in manifest.blobs
        if not r.descriptor.foreign
    }
    present = blobs.linked_sizes(conn, repository.id, wanted)
    missing = [digest for digest in wanted if digest not in present]
    children = {str(r.descriptor.digest): r.descriptor.size for r in manifest.manifests}
    living = manifests.living(conn, repository.id, children)
    if not ctx.settings.manifests.allow_sparse:
        missing += [digest for digest in children if digest not in living]
    if missing:
        raise ReferencesUnknown(tuple(missing))
    for digest, size in {**present, **living}.items():
        stated = wanted.get(digest, children.get(digest))
        if stated != size:
            raise ManifestInvalid(f"{digest} has {size} bytes, the manifest says {stated}")


def insert_manifest(
    conn: Connection,
    repository: Repository,
    digest: Digest,
    *,
    manifest: Manifest,
    payload: bytes,
) -> ManifestId:
    """In a transaction: the document as a living manifest of the repository, counted. Raises QuotaExceeded."""
    count_bytes(conn, repository, len(payload))
    return manifests.insert(
        conn,
        repository.id,
        digest,
        manifest=manifest,
        payload=payload,
        at=Micros(now(conn)),
    )


def set_tags(
    conn: Connection,
    repository: Repository,
    caller: Caller,
    *,
    number: ManifestId,
    names: Sequence[str],
) -> list[ManifestId]:
    """Point the tags at the manifest; the manifests that lost one."""
    at = Micros(now(conn))
    gained, lost = list[ManifestId](), list[ManifestId]()
    for name in names:
        moved = tags.set_tag(conn, repository.id, name, manifest=number, at=at, actor=caller.name)
        if moved.changed and moved.before is None:
            quotas.admit_tag(conn, repository, others=len(gained) - len(lost))
        if moved.changed:
            gained.append(number)
        if moved.changed and moved.before is not None:
            lost.append(moved.before)
    if gained:
        count_tags(conn, repository, gained=gained, lost=lost)
    return lost


def review_untagged(conn: Connection, found: Sequence[ManifestId], after_seconds: float) -> None:
    """In a transaction: let the collector look later whether these manifests have a tag."""
    for number in found:
        reviews.enqueue(
            conn,
            ReviewKind.MANIFEST,
            number,
            after_seconds=after_seconds,
            reason="untagged",
        )


def note_push(
    conn: Connection,
    repository: Repository,
    caller: Caller,
    *,
    digest: Digest,
    media_type: str,
    artifact_type: str | None,
    names: Sequence[str],
    reason: str = "",
) -> None:
    """In a transaction: the events of a push, one a tag. `reason`: why, where it was not a client's push."""
    details: dict[str, object] = {"media_type": media_type}
    if reason:
        details["reason"] = reason
    if artifact_type is not None:
        details["artifact_type"] = artifact_type
    for name in names or (None,):
        note(
            conn,
            repository,
            caller,
            EventKind.MANIFEST_PUSHED,
            digest=str(digest),
            tag=name,
            details=details,
        )
