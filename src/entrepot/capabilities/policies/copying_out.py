"""Copying one tag to a registry elsewhere, whole and in an order that shows nothing half: blobs, manifests, the tags of signers, and
the tag itself last. What is there already is not sent again, so a copy that was interrupted goes on where it was.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar

from entrepot.capabilities.content.copying import blob_digests
from entrepot.capabilities.content.whole import Part, Whole, whole_image
from entrepot.capabilities.context import Context
from entrepot.metadata import blobs, manifests
from entrepot.metadata.database import Connection
from entrepot.model.content import Blob, Repository
from entrepot.model.errors import ManifestUnknown, ReferencesUnknown
from entrepot.model.ids import BlobId
from entrepot.model.syncing import Outcome
from entrepot.ports.blobs import ObjectKey
from entrepot.ports.registry import BlobToSend, Content, RemoteRegistry

S = TypeVar("S")
T = TypeVar("T")
AT_ONCE: Final = 4  # blobs on their way, and questions whether something is there


Origins: TypeAlias = Callable[[Connection, Sequence[BlobId]], Mapping[BlobId, Sequence[str]]]


def _no_origins(_conn: Connection, _blobs: Sequence[BlobId]) -> Mapping[BlobId, Sequence[str]]:
    return {}


@dataclass(frozen=True, slots=True)
class CopyOut:
    """A tag of a repository here, and the repository's full name there. `replace`: also where the tag means something else;
    `origins`: in a transaction, repositories there that may have these blobs, by blob."""

    source: Repository
    tag: str
    target: str
    replace: bool
    origins: Origins = _no_origins


class Watcher(Protocol):
    """Who looks on: a job."""

    def report(self, **progress: str | float | bool | None) -> None:
        """Take note of how far it is."""

    def checkpoint(self) -> None:
        """Raise where it is to stop."""


@dataclass(slots=True)
class _Progress:
    """How far it is, in bytes and pieces."""

    watcher: Watcher
    numbers: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("blobs", "blobs_done", "bytes", "bytes_done", "manifests", "manifests_done"), 0
        )
    )

    def add(self, **more: int) -> None:
        for name, number in more.items():
            self.numbers[name] += number
        self.watcher.report(**self.numbers)


async def copy_out(
    ctx: Context, remote: RemoteRegistry, command: CopyOut, watcher: Watcher
) -> Outcome:
    """Do it. Raises what RemoteRegistry does, ManifestUnknown, ReferencesUnknown (content is gone here), ValueInvalid, and what
    `watcher.checkpoint` raises; what was sent by then stays there and is found by the next attempt."""
    whole = await ctx.db.read(lambda conn: whole_image(conn, command.source.id, command.tag))
    there = await remote.digest_of(command.target, command.tag)
    if there not in (None, whole.root.digest) and not command.replace:
        return Outcome.EXISTED
    copy = _Copy(ctx, remote, command, whole, _Progress(watcher))
    missing = await copy.missing_parts({there})
    tags = await copy.missing_tags()
    if there == whole.root.digest and not missing and not tags:
        return Outcome.UNCHANGED
    await copy.send_blobs(missing)
    for part in missing:
        await copy.put(part, part.digest)
    for name, digest in tags:
        await copy.put(copy.parts[digest], name)
    if there != whole.root.digest:
        await copy.put(whole.root, command.tag)
    return Outcome.COPIED


class _Copy:
    """One tag on its way."""

    def __init__(
        self,
        ctx: Context,
        remote: RemoteRegistry,
        command: CopyOut,
        whole: Whole,
        progress: _Progress,
    ) -> None:
        self.ctx = ctx
        self.remote = remote
        self.command = command
        self.whole = whole
        self.parts = {part.digest: part for part in whole.parts}
        self._progress = progress

    # -- what is missing there ----------------------------------------------------------------------------------------

    async def missing_parts(self, present: AbstractSet[str | None]) -> list[Part]:
        """Manifests that are not there, each behind what it names. `present`: digests that were seen there."""

        async def is_missing(part: Part) -> bool:
            self._progress.watcher.checkpoint()
            if part.digest in present:
                return False
            return await self.remote.digest_of(self.command.target, part.digest) is None

        asked = await _at_once(is_missing, self.whole.parts)
        return [part for part, missing in zip(self.whole.parts, asked, strict=True) if missing]

    async def missing_tags(self) -> list[tuple[str, str]]:
        """Tags of signers that are not there, or mean something else and are to be replaced."""
        found: list[tuple[str, str]] = []
        for name, digest in self.whole.tags:
            there = await self.remote.digest_of(self.command.target, name)
            if there is None or (there != digest and self.command.replace):
                found.append((name, digest))
        return found

    # -- sending ------------------------------------------------------------------------------------------------------

    async def send_blobs(self, missing: Iterable[Part]) -> None:
        """All blobs of these manifests, several at once. The first failure ends the others."""
        digests = dict.fromkeys(d for part in missing for d in blob_digests(part.manifest))
        source = self.command.source.id

        def find(conn: Connection) -> list[tuple[Blob, tuple[str, ...]]]:
            found = {digest: blobs.find_linked(conn, source, digest) for digest in digests}
            gone = tuple(digest for digest, blob in found.items() if blob is None)
            if gone:
                raise ReferencesUnknown(gone)
            here = [blob for blob in found.values() if blob is not None]
            origins = self.command.origins(conn, [blob.id for blob in here])
            return [(blob, tuple(origins.get(blob.id, ()))) for blob in here]

        wanted = await self.ctx.db.read(find)
        self._progress.add(blobs=len(wanted), bytes=sum(blob.size for blob, _ in wanted))
        await _at_once(self._send, wanted)

    async def _send(self, wanted: tuple[Blob, tuple[str, ...]]) -> None:
        self._progress.watcher.checkpoint()
        blob, origins = wanted
        target = self.command.target
        is_there = await self.remote.has_blob(target, blob.digest)
        if not is_there:
            others = tuple(name for name in origins if name != target)
            sending = BlobToSend(blob.digest, blob.size, _content(self.ctx, blob), others)
            is_there = not await self.remote.send_blob(target, sending, sent=self._sent)
        self._progress.add(blobs_done=1, bytes_done=blob.size if is_there else 0)

    def _sent(self, number: int) -> None:
        self._progress.add(bytes_done=number)
        self._progress.watcher.checkpoint()

    async def put(self, part: Part, reference: str) -> None:
        """The document, under a tag or its digest."""
        self._progress.watcher.checkpoint()
        found = await self.ctx.db.read(lambda conn: manifests.get(conn, part.id))
        if found is None:
            raise ManifestUnknown(part.digest)
        await self.remote.put_manifest(
            self.command.target, reference, media_type=found.media_type, payload=found.payload
        )
        self._progress.add(manifests_done=1)


async def _at_once(work: Callable[[S], Awaitable[T]], subjects: Iterable[S]) -> list[T]:
    """Results in order, AT_ONCE at a time; the first failure cancels the rest and is raised as it is."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(subject: S) -> T:
        async with room:
            return await work(subject)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(subject)) for subject in subjects]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _content(ctx: Context, blob: Blob) -> Content:
    """The blob's bytes, read on the pool a piece at a time."""

    async def pieces(start: int) -> AsyncGenerator[bytes, None]:
        key = ObjectKey(blob.object_key)
        reader = await ctx.blocking(lambda: ctx.blobs.open(key, start=start))
        try:
            chunks = reader.chunks()
            while piece := await ctx.blocking(lambda: bytes(next(chunks, b""))):
                yield piece
        finally:
            reader.close()

    return pieces
