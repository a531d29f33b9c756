"""Large bodies, plain and over TLS, all servers standing side by side."""

from collections.abc import Mapping
from functools import partial

from bench import procfs
from bench.fixtures import LARGE, get, probe, push_large
from bench.lines import Line
from bench.load.jobs import Pull
from bench.run import Run, byte_values, measured, memory_values, shares
from bench.servers import Server


def large(run: Run) -> None:
    """Large bodies, plain."""
    _large(run, "large", tls=False)


def large_tls(run: Run) -> None:
    """Large bodies over TLS."""
    _large(run, "tls", tls=True)


def _large(run: Run, group: str, *, tls: bool) -> None:
    lines = run.of_group(group)
    digests: dict[str, str] = {}

    def prepare(server: Server) -> None:
        digests[server.label] = push_large(server.client(), LARGE, run.settings.large)

    with run.standing(run.servers(tls=tls), lines, prepare) as servers:
        for line, server, turn in run.turns(lines, servers):
            run.guarded(
                line,
                server,
                turn,
                partial(_pull, run, line, server, servers, digests[server.label]),
            )


def _pull(
    run: Run, line: Line, server: Server, servers: list[Server], digest: str
) -> Mapping[str, float]:
    client, settings = server.client(), run.settings
    request = get(client, LARGE, f"blobs/{digest}")
    probe(request, client, content=None, size=settings.large)
    _, connections, *rest = line.name.split("-")
    jobs = [
        Pull(
            server.target,
            request.decode(),
            settings.large,
            count,
            settings.seconds,
            rest == ["discard"],
        )
        for count in shares(int(connections))
    ]
    with procfs.MemoryPeak(server.pid) as memory:
        result = measured(jobs, server, servers, settings.seconds + 60)
    if result.total.note:
        run.note_once(f"TLS as negotiated with {server.label}: {result.total.note}.")
    return byte_values(result) | memory_values(memory.peak)
