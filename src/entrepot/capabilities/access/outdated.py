"""Housekeeping of signed logins: numbers of requests whose time is over, and temporary keys that ended, are forgotten.

Neither counts any more when it goes: a request is refused for its age before its number is looked at, a key for its end.
"""

from typing import Final

from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.metadata import access_keys, nonces
from entrepot.metadata.database import Connection, now
from entrepot.model.ids import Micros

PURGE: Final = "access.purge"
KEEP_SECONDS: Final = 86_400  # a key that ended today can still be looked up when somebody asks why
_BATCH: Final = 1000  # rows a transaction


def _horizon(conn: Connection) -> Micros:
    return Micros(now(conn) - KEEP_SECONDS * 1_000_000)


def purge_some(conn: Connection) -> int:
    """Forget a batch of each; how many went."""
    numbers = nonces.purge(conn, Micros(now(conn)), limit=_BATCH)
    return numbers + access_keys.purge_ended(conn, _horizon(conn), limit=_BATCH)


def is_purge_wanted(conn: Connection) -> bool:
    """Whether there is anything to forget."""
    return nonces.is_purge_wanted(conn, Micros(now(conn))) or access_keys.is_purge_wanted(
        conn, _horizon(conn)
    )


async def _purge(ctx: JobContext) -> Summary:
    total = 0
    while gone := await ctx.write(purge_some):
        total += gone
        ctx.report(purged=total)
    return {"purged": total}


PURGE_HANDLER: Final = Handler(kind=PURGE, run=_purge, concurrency=1)
PURGE_WATCH: Final = Watch(PURGE, every_seconds=300.0, wanted=is_purge_wanted)
