"""How a request body reaches an upload: the wire gives a feed, the use case a sink that hashes and stores."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from entrepot.oci.digest import Hasher
from entrepot.ports.blobs import Upload


class FeedBroken(Exception):
    """The body ended before its end. Everything that came was written to the sink first."""


class FeedTooLong(Exception):
    """More came than the limit allows. What was written must not be kept."""


class Sink(Protocol):
    """Where a body goes: called on the blob pool, in order, one call at a time."""

    def write(self, data: memoryview, /) -> object:
        """Take all of `data`; the buffer is reused after the call."""


Feed: TypeAlias = Callable[[Sink, int | None], Awaitable[int]]
"""`await feed(sink, limit)` streams a body of at most `limit` bytes into the sink; its length. Raises FeedBroken, FeedTooLong."""


async def nothing(_sink: Sink, _limit: int | None) -> int:
    """An empty body."""
    return 0


class HashingSink:
    """Stores and hashes in one go. `hasher` None: the digest is in doubt and will be read from the store at the end."""

    __slots__ = ("_handle", "hasher")

    def __init__(self, handle: Upload, hasher: Hasher | None) -> None:
        self._handle = handle
        self.hasher = hasher

    def write(self, data: memoryview) -> None:
        """Store first: a failed write leaves the hash behind, never ahead, and the caller drops it then."""
        self._handle.write(data)
        if self.hasher is not None:
            self.hasher.update(data)
