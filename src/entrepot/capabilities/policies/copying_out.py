"""Copying one tag to a registry elsewhere, whole and in an order that shows nothing half: blobs, manifests, the tags of signers, and
the tag itself last. What is there already is not sent again, so a copy that was interrupted goes on where it was.

Hours may lie between reading an image and setting its tag there. So before manifests are put, and before each tag is, it is looked at
again here: whether whoever copies still may, and whether the tags still mean what was read. What is older never comes last.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar

from entrepot.capabilities.content.whole import Whole, whole_image
from entrepot.capabilities.context import Context
from entrepot.metadata import images, manifests, tags
from entrepot.metadata.database import Connection
from entrepot.metadata.images import Part
from entrepot.model.content import Blob, Repository
from entrepot.model.errors import ManifestUnknown, ReferencesUnknown
from entrepot.model.ids import BlobId
from entrepot.model.syncing import ImageMoved, Outcome
from entrepot.ports.blobs import ObjectKey
from entrepot.ports.registry import BlobToSend, Content, RemoteRegistry

S = TypeVar("S")
T = TypeVar("T")
AT_ONCE: Final = 4  # blobs on their way, and questions whether something is there


Origins: TypeAlias = Callable[[Connection, Sequence[BlobId]], Mapping[BlobId, Sequence[str]]]


def _stands(_conn: Connection) -> None:
    """Nothing can end it."""


def _no_origins(_conn: Connection, _blobs: Sequence[BlobId]) -> Mapping[BlobId, Sequence[str]]:
    return {}


@dataclass(frozen=True, slots=True)
class CopyOut:
    """A tag of a repository here, and the repository's full name there. `replace`: also where the tag means something else;
    `origins`: in a transaction, repositories there that may have these blobs, by blob; `stands`: in a transaction, raises where the copy
    is not wanted any more as it began."""

    source: Repository
    tag: str
    target: str
    replace: bool
    origins: Origins = _no_origins
    stands: Callable[[Connection], None] = _stands


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
    """Do it. Raises what RemoteRegistry does, ManifestUnknown, ReferencesUnknown (content is gone here), ValueInvalid, ImageMoved, and
    what `watcher.checkpoint` and `stands` raise; what was sent by then stays there and is found by the next attempt."""
    whole = await ctx.db.read(lambda conn: whole_image(conn, command.source.id, command.tag))
    there = await remote.digest_of(command.target, command.tag)
    if there not in (None, whole.root.digest) and not command.replace:
        return Outcome.EXISTED
    copy = _Copy(ctx, remote, command, whole, _Progress(watcher))
    missing = await copy.missing_parts({there})
    signers = await copy.missing_tags()
    if there == whole.root.digest and not missing and not signers:
        return Outcome.UNCHANGED
    await copy.send_blobs(missing)
    await copy.confirm()
    for part in missing:
        await copy.put(part, part.digest)
    for name, digest in signers:
        await copy.set_tag(name, digest)
    if there == whole.root.digest or await copy.set_tag(command.tag, whole.root.digest):
        return Outcome.COPIED
    return Outcome.EXISTED


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

    # -- what may have changed ----------------------------------------------------------------------------------------

    async def confirm(self) -> None:
        """Raise ImageMoved where a tag here does not mean any more what is being copied, and what `stands` raises."""
        source, root = self.command.source.id, self.whole.root.digest
        wanted = {**dict(self.whole.tags), self.command.tag: root}

        def look(conn: Connection) -> None:
            self.command.stands(conn)
            for name, digest in wanted.items():
                if tags.current(conn, source, name) != self.parts[digest].id:
                    raise ImageMoved(self.command.tag)

        await self.ctx.db.read(look)

    async def set_tag(self, name: str, digest: str) -> bool:
        """Let it mean the manifest there. False: it means something else by now, and is not to be replaced."""
        target = self.command.target
        if not self.command.replace and await self.remote.digest_of(target, name) not in (
            None,
            digest,
        ):
            return False
        await self.confirm()
        await self.put(self.parts[digest], name)
        return True

    # -- sending ------------------------------------------------------------------------------------------------------

    async def send_blobs(self, missing: Iterable[Part]) -> None:
        """All blobs of these manifests, several at once. The first failure ends the others."""
        ids = [part.id for part in missing]
        source = self.command.source.id

        def find(conn: Connection) -> list[tuple[Blob, tuple[str, ...]]]:
            gone = images.missing_blobs(conn, source, ids)
            if gone:
                raise ReferencesUnknown(tuple(gone))
            here = images.linked_blobs(conn, source, ids)
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
