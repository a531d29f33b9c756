"""A started server: its process tree, the way in, and how it is stopped."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench import procfs
from bench.client import Client
from bench.load.jobs import Target
from bench.products import Launch, Product, Variant, clean_environment

START_LIMIT_SECONDS = 60
STOP_LIMIT_SECONDS = 20


class StartFailed(Exception):
    """The server did not answer in time, or ended; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and its key."""

    certificate: Path
    key: Path


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Server:
    """One product in one variant. `label` is its column in the report."""

    def __init__(
        self, product: Product, folder: Path, *, processes: int, tls: Certificate | None
    ) -> None:
        self.product = product
        self.folder = folder
        self.processes = processes
        self.tls = tls
        plural = "processes" if processes > 1 else "process"
        self.label = (
            product.name if product.name != "entrepot" else f"entrepot, {processes} {plural}"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start_seconds = 0.0
        self._place()

    def _place(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        tls = self.tls
        self.launch: Launch = self.product.launch(
            Variant(
                self.folder,
                port,
                self.processes,
                tls.certificate if tls else None,
                tls.key if tls else None,
            )
        )
        self.target = Target("127.0.0.1", port, str(tls.certificate) if tls else None)

    @property
    def pid(self) -> int:
        """The first process, which leads the tree's session."""
        if self._process is None:
            raise StartFailed("not started")
        return self._process.pid

    def start(self) -> None:
        """Start, and wait for the first answer; `start_seconds` tells how long that took.

        Raises:
            StartFailed: no answer within START_LIMIT_SECONDS.
        """
        log = (self.folder / "server.log").open("ab")
        started = time.perf_counter()
        with log:
            self._process = subprocess.Popen(
                self.launch.argv,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**clean_environment(), **self.launch.environment},
            )
        with closing(Client(self.target, None, None)) as client:
            while not client.answers(self.launch.ready):
                if self._process.poll() is not None:
                    raise StartFailed(f"{self.label} ended: {self.log_end()}")
                if time.perf_counter() - started > START_LIMIT_SECONDS:
                    self.stop()
                    raise StartFailed(f"{self.label} gave no answer: {self.log_end()}")
                time.sleep(0.005)
        self.start_seconds = time.perf_counter() - started

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for what is left of the tree."""
        if self._process is None:
            return
        left = [stat.pid for stat in procfs.tree(self._process.pid)]
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in left:
            if procfs.leads(pid, self._process.pid):
                os.kill(pid, signal.SIGKILL)
        self._process = None

    def wipe(self) -> None:
        """Remove everything it stored, and let the disk settle so that the next turn does not pay for it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.sync()

    def client(self) -> Client:
        """A client that can log in here."""
        return Client(self.target, self.launch.user, self.launch.password)

    def make_namespace(self, name: str) -> None:
        """Make pushes to `name/…` possible."""
        self.product.make_namespace(self.launch, name)

    def cpu_seconds(self) -> float:
        """What the tree has used so far."""
        return procfs.cpu_seconds(self.pid)

    def log_end(self) -> str:
        """The log's last lines."""
        try:
            return " | ".join(
                (self.folder / "server.log").read_text(errors="replace").splitlines()[-3:]
            )
        except FileNotFoundError:
            return "no log"
