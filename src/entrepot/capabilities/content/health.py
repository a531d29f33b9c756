"""Whether this process can serve: rights are fresh, the database answers, the store takes bytes."""

import time

import structlog

from entrepot.capabilities.context import Context
from entrepot.metadata.database import now
from entrepot.model.errors import RegistryError

PROBE_SECONDS = 5.0
_log = structlog.get_logger(__name__)


class Readiness:
    """Looks at all three; writes to the store at most once in `PROBE_SECONDS`."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._probed_at = -PROBE_SECONDS

    async def __call__(self) -> bool:
        """Whether a request would be served now."""
        try:
            self._ctx.access.epochs.fresh()
            await self._ctx.db.read(now)
            if time.monotonic() - self._probed_at >= PROBE_SECONDS:
                await self._ctx.blocking(self._ctx.blobs.probe)
                self._probed_at = time.monotonic()
        except RegistryError as error:
            _log.warning("not_ready", error=str(error))
            return False
        return True
