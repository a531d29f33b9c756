"""Uploads, each turn into a new and empty store."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from bench import procfs
from bench.figures import MIB
from bench.fixtures import NAMESPACE, get, probe
from bench.lines import Line
from bench.load.jobs import Push, Style
from bench.run import Run, byte_values, measured, memory_values, shares
from bench.servers import Server


def upload(run: Run) -> None:
    """Uploads, each turn into a new, empty store; the disk is flushed before and the store removed after."""
    for line in run.of_group("upload"):
        for turn in range(run.settings.rounds):
            for server in run.servers():
                with run.standing([server], [line], lambda _: None) as up:
                    for each in up:
                        run.guarded(line, each, turn, partial(_push, run, line, each))


def _push(run: Run, line: Line, server: Server) -> Mapping[str, float]:
    _, kind, clients = line.name.split("-")
    style: Style = "put" if kind == "put" else "stream" if kind == "stream" else "patch"
    client, repository = server.client(), f"{NAMESPACE}/upload"
    job = Push(
        server.target,
        repository,
        client.authorization(repository),
        run.settings.upload,
        clients=0,
        each=2 if clients == "1" else 1,
        style=style,
    )
    jobs = [msgspec.structs.replace(job, clients=count) for count in shares(int(clients))]
    dirty = dirty_bytes()
    with procfs.MemoryPeak(server.pid) as memory:
        result = measured(jobs, server, [], 180)
    values = byte_values(result) | memory_values(memory.peak)
    values["left_dirty_mib"] = max(0, dirty_bytes() - dirty) / MIB
    for digest in result.total.digests:
        probe(
            get(client, repository, f"blobs/{digest}", "HEAD"),
            client,
            content=None,
            size=run.settings.upload,
        )
    return values


def dirty_bytes() -> int:
    """Bytes the kernel still owes to disks: what a server leaves there was not durable when it answered."""
    for row in Path("/proc/meminfo").read_text().splitlines():
        if row.startswith("Dirty:"):
            return int(row.split()[1]) * 1024
    return 0
