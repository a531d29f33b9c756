"""A registry as its users have it: a real process tree on a free port, with its own data folder; and its operator beside it.

The operator opens the same deployment in this process, as the command line does, and calls use cases: what it changes reaches the
servers only as it would from another process.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transport
from msgspec.structs import replace

from entrepot.bootstrap.context import open_context
from entrepot.capabilities.context import Context
from entrepot.config import Source, load
from entrepot.model.access import SYSTEM

ROOT_PASSWORD = "wire-Passw0rd"
SETTINGS = {
    "ENTREPOT_ROOT_PASSWORD": ROOT_PASSWORD,
    "ENTREPOT_QUOTA_SWR_ORGANIZATIONS": "0",
    "ENTREPOT_LOG_LEVEL": "debug",
}
READY_SECONDS = 40
STOP_SECONDS = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Started:
    """The registry's processes. `settings`: further environment variables."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def url(self) -> str:
        return f"{transport.SCHEME}://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ENTREPOT_")}
        own = {"ENTREPOT_DATA": str(self.data), "ENTREPOT_LISTEN": f"127.0.0.1:{self.port}"}
        return {**inherited, **SETTINGS, **own, **transport.settings(), **self.settings}

    def start(self) -> None:
        """Start, and wait until it is ready."""
        said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "entrepot", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready() or self._ready_processes(said) < self.processes:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the registry did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    @property
    def processes(self) -> int:
        """Servers and, if it is embedded, the worker."""
        has_worker = self.settings.get("ENTREPOT_JOBS_EMBEDDED", "true") == "true"
        return int(self.settings.get("ENTREPOT_HTTP_WORKERS", "1")) + has_worker

    def _ready_processes(self, offset: int) -> int:
        """How many have said so since the log was so long."""
        return self.log.read_bytes()[offset:].count(b'"event":"ready"')

    def served_by(self, request_id: str) -> str:
        """The process that answered, by the log."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                if f'"request_id":"{request_id}"' in line:
                    return str(json.loads(line)["process"])
            time.sleep(0.02)
        raise AssertionError(f"request {request_id} is not logged")

    def _is_ready(self) -> bool:
        connection = transport.connect(self.port, seconds=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> int:
        """Ask it to stop; the exit code."""
        process = self.process
        assert process is not None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        self.kill()
        return process.returncode

    def kill(self) -> None:
        """End the whole group at once, as a power cut would."""
        process = self.process
        assert process is not None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[Started]:
    """A registry for the block's time; afterwards it stopped cleanly and logged no unexpected error."""
    registry = Started(folder, settings)
    try:
        registry.start()
        yield registry
        code = registry.stop()
    finally:
        if registry.process is not None:
            registry.kill()
    log = registry.log.read_text()
    assert code == 0, f"it did not stop cleanly:\n{log[-4000:]}"
    assert "Traceback" not in log, f"an unexpected error:\n{log[-6000:]}"


class Operator:
    """Somebody at the command line of a deployment: an opened context with a loop of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        ours = {k: v for k, v in environment.items() if k.startswith("ENTREPOT_")}
        self.settings = load(Source(None, {}, ours))
        self.caller = replace(SYSTEM, name="operator:test")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._done: asyncio.Event | None = None
        self._opened = threading.Event()
        self._life: Any = None
        self.ctx: Context

    def open(self) -> None:
        self._thread.start()
        self._life = asyncio.run_coroutine_threadsafe(self._live(), self._loop)
        while not self._opened.wait(0.05):
            if self._life.done():
                self._life.result()

    async def _live(self) -> None:
        self._done = asyncio.Event()
        async with open_context(self.settings) as (ctx, _):
            self.ctx = ctx
            self._opened.set()
            await self._done.wait()

    def close(self) -> None:
        assert self._done is not None
        self._loop.call_soon_threadsafe(self._done.set)
        self._life.result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def do(self, awaitable: Awaitable[Any]) -> Any:
        """Await something on the operator's loop."""
        return self.begin(awaitable).result(30)

    def begin(self, awaitable: Awaitable[Any]) -> Any:
        """Let something run on the operator's loop; a concurrent future."""

        async def wait() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(wait(), self._loop)

    def run(self, use_case: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """A use case, as the operator."""
        return self.do(use_case(self.ctx, self.caller, *arguments))

    def read(self, fn: Callable[..., Any]) -> Any:
        """Look into the database."""
        return self.ctx.db.read_sync(fn)


@contextmanager
def operating(environment: dict[str, str]) -> Iterator[Operator]:
    operator = Operator(environment)
    operator.open()
    try:
        yield operator
    finally:
        operator.close()
