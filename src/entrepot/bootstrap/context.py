"""Open the parts of a process, and close them in the right order."""

import asyncio
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from entrepot.bootstrap.banner import show_first_start
from entrepot.capabilities.access.documents import NATIVE, Vocabularies
from entrepot.capabilities.access.state import AccessState
from entrepot.capabilities.content.hashers import LiveHashers
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.first_start import FirstStart, first_start
from entrepot.config import Settings
from entrepot.dialects.sign_in.regions import aliases
from entrepot.dialects.swr.policies import SWR
from entrepot.dialects.tcr.policies import TCR
from entrepot.metadata import migrate
from entrepot.metadata.database import Database
from entrepot.metadata.hot import HotReads
from entrepot.storage.opening import open_store

POOL_THREADS = 16


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[tuple[Context, FirstStart | None]]:
    """Folders, database brought up to date, blob store, access state; the first start's secrets if nobody was shown them.

    Raises StorageUnavailable, SchemaTooNew, MasterKeyUnusable: the process cannot run.
    """
    settings.data.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        db = Database.open(settings.metadata_url.reveal(), pool=settings.metadata.pool)
        stack.push_async_callback(db.close)
        await asyncio.to_thread(migrate.upgrade, db)
        pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="entrepot-blobs")
        stack.callback(pool.shutdown)
        vocabularies = Vocabularies((NATIVE, TCR, SWR))
        access = await asyncio.to_thread(
            AccessState.open, settings, db, vocabularies=vocabularies, aliases=aliases(settings)
        )
        blobs = await asyncio.to_thread(open_store, settings.storage_url.reveal())
        ctx = Context(
            settings=settings,
            db=db,
            blobs=blobs,
            pool=pool,
            access=access,
            hot=HotReads(db),
            hashers=LiveHashers(life=_life() if blobs.exclusive else b""),
        )
        stack.push_async_callback(access.stop)
        await access.start()
        first = await first_start(ctx)
        yield ctx, first


def _life() -> bytes | None:
    """A name of this run of the machine: what was written to its files is there until it ends. None where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return None


@asynccontextmanager
async def open_local(settings: Settings) -> AsyncIterator[Context]:
    """For the command line, beside a running server or without one.

    Where this turns out to be the first start, its secrets are shown here, since nobody else will.
    """
    async with open_context(settings) as (ctx, first):
        await show_first_start(ctx, first, sys.stderr)
        yield ctx
