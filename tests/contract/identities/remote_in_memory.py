"""A registry elsewhere that lives in memory, and does what a test says before it answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from entrepot.oci.digest import Digest
from entrepot.ports.registry import RegistryAddress, RemoteRegistry


@dataclass
class RemoteInMemory:
    """See `ports.registry.RemoteRegistry`. `before`: what happens, once, before the method of that name does its work."""

    before: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    opened: list[RegistryAddress] = field(default_factory=list)
    blobs: set[tuple[str, str]] = field(default_factory=set)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    set: list[tuple[str, str]] = field(default_factory=list)  # (reference, digest), in order

    @asynccontextmanager
    async def open(self, address: RegistryAddress) -> AsyncIterator[RemoteRegistry]:
        """As a RegistryOpener."""
        self.opened.append(address)
        yield self

    async def _happen(self, name: str) -> None:
        if name in self.before:
            await self.before.pop(name)()

    async def digest_of(self, repository, reference):
        await self._happen("digest_of")
        return self.tags.get((repository, reference))

    async def put_manifest(self, repository, reference, *, media_type, payload):
        await self._happen("put_manifest")
        digest = str(Digest.of(payload))
        self.tags[repository, digest] = self.tags[repository, reference] = digest
        self.set.append((reference, digest))

    async def has_blob(self, repository, digest):
        await self._happen("has_blob")
        return (repository, digest) in self.blobs

    async def send_blob(self, repository, blob, *, sent):
        await self._happen("send_blob")
        self.blobs.add((repository, blob.digest))
        sent(blob.size)
        return True
