"""What this process knows of epochs: read again every second, at once on a hint, and never trusted when stale."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

from entrepot.metadata import epochs as rows
from entrepot.metadata.database import Connection, Database
from entrepot.model.errors import RightsStale, Unavailable
from entrepot.model.ids import TenantId

CHANNEL: Final = "epochs"
POLL_SECONDS: Final = 1.0
STALE_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class Epochs:
    """The epochs this process has seen."""

    def __init__(self, db: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._clock = clock
        self._values: dict[str, int] = {}
        self._highest = 0
        self._read_at: float | None = None
        self._wake = asyncio.Event()
        self._reading = asyncio.Lock()
        self._callbacks: list[Callable[[str], Awaitable[None]]] = []

    def value(self, scope: str) -> int:
        """The epoch of a scope; 0 if it was never raised."""
        return self._values.get(scope, 0)

    def of_tenant(self, tenant: TenantId | None) -> int:
        """The epoch of a tenant's rights; 0 for None."""
        return 0 if tenant is None else self._values.get(rows.of_tenant(tenant), 0)

    def fresh(self) -> None:
        """Return if epochs were read lately. Raises RightsStale when that is over 5 s ago: nothing remembered may be used."""
        if self._read_at is None or self._clock() - self._read_at > STALE_SECONDS:
            raise RightsStale(round(self.age_seconds, 1))

    @property
    def age_seconds(self) -> float:
        """Since epochs were last read; infinite before the first time."""
        return float("inf") if self._read_at is None else self._clock() - self._read_at

    def on_raise(self, callback: Callable[[str], Awaitable[None]]) -> None:
        """Await with the scope whenever one moved; if that raises Unavailable the move is seen again at the next reading."""
        self._callbacks.append(callback)

    def raise_epoch(self, conn: Connection, scope: str) -> int:
        """In the transaction of a change: raise the scope and hint to every process. Use `AccessState.change` around it."""
        value = rows.raise_epoch(conn, scope)
        self._db.notify(conn, CHANNEL, str(value))
        return value

    async def refresh(self) -> None:
        """Read what moved since the last time. Raises Unavailable."""
        async with self._reading:
            started = self._clock()  # what commits after this may be missing in the answer
            moved = await self._db.read(lambda conn: rows.read_since(conn, self._highest))
            self._values.update(moved)
            for scope, _ in moved:
                for callback in self._callbacks:
                    await callback(scope)
            self._highest = max([self._highest, *(value for _, value in moved)])
            self._read_at = started

    async def run(self) -> None:
        """Read again and again until cancelled."""
        await self._db.listen(CHANNEL, self._hinted)
        while True:
            self._wake.clear()
            try:
                await self.refresh()
            except Unavailable as error:
                log.warning("epochs not read", error=str(error))
            # Not wait_for: on Python 3.11 it swallows a cancellation that meets a hint.
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    def _hinted(self, payload: str) -> None:
        if not payload.isdecimal() or int(payload) > self._highest:
            self._wake.set()
