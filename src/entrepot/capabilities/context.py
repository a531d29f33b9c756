"""What every use case is handed: the deployment's parts, made once by bootstrap."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from entrepot.capabilities.access.state import AccessState
from entrepot.capabilities.content.hashers import LiveHashers
from entrepot.capabilities.content.small import SmallBlobs
from entrepot.config import Settings
from entrepot.metadata.database import Database
from entrepot.metadata.hot import HotReads
from entrepot.ports.blobs import BlobStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one running process. Shared by all requests; holds no request's state."""

    settings: Settings
    db: Database
    blobs: BlobStore
    pool: ThreadPoolExecutor  # for everything that blocks on the blob store, and for hashing
    access: AccessState  # epochs, signing keys, sealing, login throttle
    hot: HotReads
    hashers: LiveHashers
    small: SmallBlobs = field(default_factory=SmallBlobs)

    async def blocking(self, call: Callable[[], T]) -> T:
        """Run a blocking call on the blob pool."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, call)
