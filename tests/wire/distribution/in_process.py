"""The application without processes of its own: for counting what a request costs, and for other ASGI servers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from started import SETTINGS, Operator, free_port, operating

from entrepot.bootstrap.application import make_application
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.capabilities.operations.counting import PullCounter
from entrepot.http.app import Application
from entrepot.telemetry import Telemetry


@contextmanager
def deployed(folder: Path, **settings: str) -> Iterator[tuple[Operator, Application]]:
    """An empty deployment and its application, on the operator's loop."""
    own = {"ENTREPOT_DATA": str(folder / "data"), **settings}
    with operating({**SETTINGS, **own}) as operator:
        ctx = operator.ctx

        async def make() -> Application:
            audit = AuditLog(ctx.db, pulls=True)
            telemetry = Telemetry(operator.settings)
            return make_application(ctx, PullCounter(ctx.db), audit, telemetry=telemetry)

        yield operator, operator.do(make())


def asked(
    operator: Operator, app: Application, method: str, path: str, **options
) -> httpx.Response:
    """One request, straight to the application."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **options)

    return operator.do(ask())


@contextmanager
def by_uvicorn(operator: Operator, app: Application, http: str) -> Iterator[str]:
    """The application on uvicorn, with one of its two HTTP parsers; its address."""
    port = free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, http=http, lifespan="off", log_config=None, loop="asyncio"
    )
    server = uvicorn.Server(config)
    stopped = threading.Event()

    async def serve() -> None:
        try:
            await server.serve()
        finally:
            stopped.set()

    running = operator.begin(serve())
    try:
        while not server.started:
            assert not stopped.wait(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        running.result(20)
