"""The server: listeners, the sweep that ends slow connections, and the graceful stop."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from entrepot.http.bodies import ASGIApp, Scope
from entrepot.http.server.limits import Limits
from entrepot.http.server.listener import Listener
from entrepot.http.server.serving import Hooks, Serving, log_error


class Server:
    """An HTTP/1.1 server for one ASGI application on the running event loop.

    `pool` writes upload buffers, encrypts files and reads cold ones. `on_error` gets what the
    application raised. `on_response` gets, for every request, the scope, the status (499 when
    the client left before an answer), the body bytes sent, and the seconds since its head was
    read. Both hooks are called on the loop and must be quick.

    Life cycle (`lifespan`) is not offered: whoever builds the application starts and stops it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        pool: Executor,
        server_name: str = "entrepot",
        on_error: Callable[[BaseException, Scope], None] = log_error,
        on_response: Callable[[Scope, int, int, float], None] | None = None,
    ) -> None:
        hooks = Hooks(on_error=on_error, on_response=on_response)
        self._serving = Serving(app, limits=limits, pool=pool, server_name=server_name, hooks=hooks)
        self._serving.on_closed = self._on_closed
        self._listeners: list[Listener] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    @property
    def connections(self) -> int:
        """Open connections, idle ones included."""
        return len(self._serving.connections)

    @property
    def requests_in_flight(self) -> int:
        """Requests whose answer is not complete."""
        return self._serving.in_flight

    async def start(
        self, sockets: Sequence[socket.socket], *, tls: ssl.SSLContext | None = None
    ) -> None:
        """Accept from listening sockets (see `bind`), which the server closes in the end.

        May be called again, for instance for a Unix socket beside a TLS port.
        """
        if self._sweeper is None:
            loop = asyncio.get_running_loop()
            self._serving.tick(loop.time())
            self._schedule(loop)
        self._listeners += [Listener(self._serving, sock, tls=tls) for sock in sockets]

    async def stop(self, grace_seconds: float) -> None:
        """Stop accepting, let requests in flight finish, cut what remains after the grace."""
        serving = self._serving
        serving.stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in list(serving.connections):
            connection.stop()
        self._on_closed()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._empty.wait()
        except TimeoutError:
            await self._cut()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def _cut(self) -> None:
        """End everything: applications see a disconnect, and are cancelled if they go on."""
        for connection in list(self._serving.connections):
            connection.abort()
        tasks = list(self._serving.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _on_closed(self) -> None:
        serving = self._serving
        if not serving.stopping:
            for listener in self._listeners:
                listener.resume()
        elif not serving.connections and not serving.tasks:
            self._empty.set()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        seconds = self._serving.limits.sweep_seconds
        self._sweeper = loop.call_later(seconds, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        serving = self._serving
        now = loop.time()
        elapsed = now - serving.now
        serving.tick(now)
        for connection in list(serving.connections):
            connection.sweep(now, elapsed)
        self._schedule(loop)
