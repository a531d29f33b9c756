"""Housekeeping of accounts: temporary tokens and logins that are over leave the lists. They stopped counting the moment they expired."""

from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.metadata import accounts
from entrepot.metadata.database import Connection, now
from entrepot.model.ids import Micros

EXPIRE = "accounts.expire"
BATCH = 1000
KEEP_SECONDS = 86_400  # a token that ended today can still be looked up when somebody asks why


def _horizon(conn: Connection) -> Micros:
    return Micros(now(conn) - KEEP_SECONDS * 1_000_000)


def end_some(conn: Connection) -> int:
    """End a batch of them; how many."""
    ended = accounts.list_ended(conn, _horizon(conn), limit=BATCH)
    for account in ended:
        accounts.update(conn, account, deleted_at=now(conn))
    return len(ended)


async def _expire(ctx: JobContext) -> Summary:
    total = 0
    while count := await ctx.write(end_some):
        total += count
        ctx.report(ended=total)
    return {"ended": total}


EXPIRE_HANDLER = Handler(kind=EXPIRE, run=_expire, concurrency=1)
EXPIRE_WATCH = Watch(
    EXPIRE,
    every_seconds=3600.0,
    wanted=lambda conn: bool(accounts.list_ended(conn, _horizon(conn), limit=1)),
)
