"""The data plane's part of the audit trail: denials and pulls, gathered in memory and written in batches; and its retention.

Changes and logins write their own entries in their own transactions (`trail.note`). Here a pull or a denial, also of a change, costs a dict look-up: equal
ones of one interval are one row whose `times` says how many, so neither a busy cluster nor an attacker can make the trail a bottleneck.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import structlog

from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.work import Handler, JobContext, Summary, Watch
from entrepot.metadata import audit
from entrepot.metadata.audit import AuditEntry, Outcome, Recorded, Search
from entrepot.metadata.database import Connection, Database, now
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import Denied, Forbidden, Unauthenticated, Unavailable
from entrepot.model.ids import Micros, TenantId
from entrepot.model.network_access import AddressRefused

PURGE: Final = "audit.purge"
KEEP_SECONDS: Final = 90 * 86400
_LONGEST: Final = 300  # characters of a resource, which a client may choose
_BATCH: Final = 1000  # rows a purging transaction

_log = structlog.get_logger(__name__)


class Asked(Protocol):
    """The request, as far as the trail wants it."""

    client: str
    id: str


class _Key(NamedTuple):
    """A tuple: made and hashed for every pull."""

    tenant: TenantId | None
    actor: str
    action: str
    resource: str
    source: str
    outcome: str


@dataclass(slots=True)
class _Waiting:
    """Equal entries of one interval."""

    happened_at: Micros
    request_id: str
    details: dict[str, object] = field(default_factory=dict)
    times: int = 1


class AuditLog:
    """The batched writer of one process; belongs to its event loop.

    Written every `every_seconds`, or at once when `batch` different entries wait. Above `most` of them (the database is away), the
    oldest are dropped and counted in `lost`. `kill -9` loses one interval.
    """

    def __init__(
        self,
        db: Database,
        *,
        pulls: bool,
        every_seconds: float = 1.0,
        batch: int = 100,
        most: int = 10_000,
    ) -> None:
        self._db = db
        self._pulls = pulls
        self._every_seconds = every_seconds
        self._batch = batch
        self._most = most
        self._entries: dict[_Key, _Waiting] = {}
        self._wake = asyncio.Event()
        self.lost = 0
        self.written = 0
        self.denials = {"unauthenticated": 0, "forbidden": 0}

    @property
    def waiting(self) -> int:
        """Entries not written yet."""
        return len(self._entries)

    def denied(
        self, caller: Caller | None, action: str, resource: str, *, request: Asked, error: Denied
    ) -> None:
        """A caller was refused. None: credentials that were no good. `action`, `resource`: unless the error knows better what was to be
        changed. Never blocks, never fails."""
        reason = "unauthenticated" if isinstance(error, Unauthenticated) else "forbidden"
        self.denials[reason] += 1
        why: dict[str, object] = {"reason": reason}
        if isinstance(error, Forbidden):
            why["reason"] = error.permission
            if error.action:
                action, resource = error.action, error.resource
        if isinstance(error, AddressRefused):
            why["reason"] = "address"
        if caller is not None and caller.operation not in ("", action):
            why["operation"] = caller.operation
        self._add(caller, action, resource, Outcome.DENIED, request=request, why=why)

    def pulled(self, caller: Caller, resource: str, *, request: Asked) -> None:
        """A manifest was given out. Nothing is kept where `audit.pulls` is off."""
        if self._pulls:
            self._add(caller, "pull", resource, Outcome.DONE, request=request, why=None)

    def _add(
        self,
        caller: Caller | None,
        action: str,
        resource: str,
        outcome: Outcome,
        *,
        request: Asked,
        why: dict[str, object] | None,
    ) -> None:
        tenant = None if caller is None else caller.tenant
        actor = "unknown" if caller is None else caller.name
        key = _Key(tenant, actor, action, resource[:_LONGEST], request.client, outcome.value)
        waiting = self._entries.get(key)
        if waiting is not None:
            waiting.times += 1
            return
        if len(self._entries) >= self._most:
            self.lost += self._entries.pop(next(iter(self._entries))).times
        self._entries[key] = _Waiting(_now(), request.id, why or {})
        if len(self._entries) >= self._batch:
            self._wake.set()

    async def flush(self) -> None:
        """Write what waits. When the database does not answer it is kept for the next time, and Unavailable raised."""
        taken, self._entries = self._entries, {}
        if not taken:
            return
        try:
            await self._db.write(lambda conn: audit.record_all(conn, _rows(taken)))
        except Exception:
            self._put_back(taken)
            raise
        self.written += len(taken)

    def _put_back(self, taken: dict[_Key, _Waiting]) -> None:
        """Before what came meanwhile; the oldest go where there is no room."""
        newer, self._entries = self._entries, taken
        for key, waiting in newer.items():
            older = self._entries.get(key)
            if older is None:
                self._entries[key] = waiting
            else:
                older.times += waiting.times
        while len(self._entries) > self._most:
            self.lost += self._entries.pop(next(iter(self._entries))).times

    async def run(self) -> None:
        """Flush for ever; when cancelled, once more."""
        flushing: asyncio.Task[None] | None = None
        try:
            while True:
                await self._pause()
                flushing = asyncio.ensure_future(self._try_flush())
                await asyncio.shield(flushing)  # cancelled half-way, its entries would be lost
        finally:
            if flushing is not None:
                await flushing
            await self._try_flush()

    async def _pause(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(self._every_seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except Unavailable as error:
            _log.warning(
                "audit_not_written", waiting=self.waiting, lost=self.lost, error=str(error)
            )
            await asyncio.sleep(self._every_seconds)


def _now() -> Micros:
    return Micros(time.time_ns() // 1000)


def _rows(taken: dict[_Key, _Waiting]) -> list[AuditEntry]:
    return [
        AuditEntry(
            actor=key.actor,
            action=key.action,
            resource=key.resource,
            outcome=Outcome(key.outcome),
            tenant=key.tenant,
            source=key.source,
            request_id=waiting.request_id,
            details=waiting.details | ({"times": waiting.times} if waiting.times > 1 else {}),
            happened_at=waiting.happened_at,
        )
        for key, waiting in taken.items()
    ]


# -- reading ----------------------------------------------------------------------------------------------------------


async def list_entries(ctx: Context, caller: Caller, search: Search) -> list[Recorded]:
    """Entries, newest first. The whole trail is for those who run the deployment. Raises Unauthenticated, Forbidden."""

    def read(conn: Connection) -> list[Recorded]:
        ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(tenant=None))
        return audit.find(conn, search)

    return await ctx.db.read(read)


# -- retention --------------------------------------------------------------------------------------------------------


def _horizon(conn: Connection) -> Micros:
    return Micros(now(conn) - KEEP_SECONDS * 1_000_000)


async def _purge(ctx: JobContext) -> Summary:
    """Forget entries past their time, in bounded transactions."""
    total = 0
    while gone := await ctx.write(lambda conn: audit.purge(conn, _horizon(conn), limit=_BATCH)):
        total += gone
        ctx.report(purged=total)
    return {"purged": total}


PURGE_HANDLER: Final = Handler(kind=PURGE, run=_purge, concurrency=1)
PURGE_WATCH: Final = Watch(
    PURGE, every_seconds=3600.0, wanted=lambda conn: audit.is_purge_wanted(conn, _horizon(conn))
)
