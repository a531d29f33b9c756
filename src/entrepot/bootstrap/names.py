"""Certificates of custom domains in a process that ends TLS: read again when the epoch `routing` moves, in use from the next handshake."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

import structlog

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.certificates import served_pairs
from entrepot.http.server import ServerContext, pem_context
from entrepot.metadata import epochs
from entrepot.model.certificates import Pair
from entrepot.model.errors import Unavailable

_RETRY_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class ServedNames:
    """Tells a listener's context which names have certificates of their own. A certificate never changes, so each is loaded once."""

    def __init__(self, ctx: Context, tls: ServerContext) -> None:
        self._ctx = ctx
        self._tls = tls
        self._contexts: dict[int, ServerContext] = {}
        self._wake = asyncio.Event()
        ctx.access.epochs.on_raise(self._raised)

    async def run(self) -> None:
        """Follow what changes, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.refresh()
            except (Unavailable, OSError) as error:  # of descriptors there may be none left
                _log.warning("certificates_not_read", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await self._wake.wait()

    async def refresh(self) -> None:
        """Read what is served now. Raises Unavailable."""
        hosts, new = await served_pairs(self._ctx, self._contexts)
        loaded = await asyncio.to_thread(_load, new) if new else {}
        known = self._contexts | loaded
        self._contexts = {number: known[number] for number in hosts.values() if number in known}
        # On the loop, between handshakes: OpenSSL wants nobody else at a context that changes.
        self._tls.serve_names(
            {host: known[number] for host, number in hosts.items() if number in known}
        )

    async def _raised(self, scope: str) -> None:
        if scope == epochs.ROUTING:
            self._wake.set()


def _load(pairs: Mapping[int, Pair]) -> dict[int, ServerContext]:
    """Contexts of those that can be served."""
    loaded: dict[int, ServerContext] = {}
    for number, pair in pairs.items():
        try:
            loaded[number] = pem_context(pair.pem)
        except ssl.SSLError as error:
            _log.warning("certificate_not_loaded", certificate=number, error=str(error))
    return loaded
