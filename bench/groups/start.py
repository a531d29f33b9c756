"""Start to first answer, and idle memory."""

import os
import time
from collections.abc import Mapping

from bench import procfs
from bench.bulk import LOADERS
from bench.figures import Reading
from bench.fixtures import IMAGE, NAMESPACE, push_image
from bench.lines import Line
from bench.numbered import TAGS
from bench.run import CORES, FAULTS, Run, memory_values
from bench.servers import Server


def start(run: Run) -> None:
    """Start to first answer, and what an idle server holds."""
    names = {line.name: line for line in run.of_group("start")}
    for turn in range(run.settings.rounds):
        for server in run.servers(processes=dict.fromkeys((1, CORES))):
            _start(run, names, server, turn)
    if "start-million" in names:
        for server in run.servers():
            _start_million(run, server)


def _start(run: Run, names: Mapping[str, Line], server: Server, turn: int) -> None:
    missing = names.keys() - {"start-million"}

    def add(name: str, values: Mapping[str, float]) -> None:
        missing.discard(name)
        if name in names:
            run.add(Reading(name, server.label, turn, values))

    try:
        server.start()
        add("start-empty", {"seconds": server.start_seconds})
        server.make_namespace(NAMESPACE)
        push_image(server.client(), IMAGE, "latest")
        server.stop()
        server.start()
        add("start-again", {"seconds": server.start_seconds})
        time.sleep(run.settings.idle_seconds)
        memory = procfs.memory(server.pid)
        add("memory-idle", {**memory_values(memory), "processes": float(memory.processes)})
    except FAULTS as fault:
        for name in sorted(missing):
            run.add(Reading(name, server.label, turn, failure=f"{type(fault).__name__}: {fault}"))
    finally:
        server.stop()
        server.wipe()


def _start_million(run: Run, server: Server) -> None:
    loader = LOADERS.get(server.product.name)
    if loader is None:
        reason = "skipped: no bulk loader is registered in bench/bulk.py"
        run.add(Reading("start-million", server.label, 0, failure=reason))
        return
    try:
        server.start()
        server.make_namespace(NAMESPACE)
        push_image(server.client(), IMAGE, TAGS.name(0))
        server.stop()
        loader.multiply_tag(server.launch, IMAGE, count=run.settings.tags)
        os.sync()
        run.note_once(f"start-million: {run.settings.tags:,} tags in one repository.")
        for turn in range(run.settings.rounds):
            server.start()
            run.add(Reading("start-million", server.label, turn, {"seconds": server.start_seconds}))
            server.stop()
    except FAULTS as fault:
        failure = f"{type(fault).__name__}: {fault}"
        run.add(Reading("start-million", server.label, 0, failure=failure))
    finally:
        server.stop()
        server.wipe()
