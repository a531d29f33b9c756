"""A thousand clients that pull the same blob in the same moment."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bench import procfs
from bench.figures import quantile
from bench.fixtures import LARGE, get, probe, push_large
from bench.load.jobs import Crowd
from bench.run import Run, byte_values, measured, memory_values, shares
from bench.servers import Server


def crowd(run: Run) -> None:
    """A crowd pulling one blob at the same moment, one server at a time."""
    for line in run.of_group("crowd"):
        for turn in range(min(run.settings.rounds, run.settings.crowd_rounds)):
            for server in run.servers(tls=line.name.endswith("tls")):
                digests: list[str] = []

                def prepare(server: Server, digests: list[str] = digests) -> None:
                    digests.append(push_large(server.client(), LARGE, run.settings.crowd_size))

                with run.standing([server], [line], prepare) as up:
                    for each in up:
                        run.guarded(line, each, turn, partial(_crowd, run, each, digests[0]))


def _crowd(run: Run, server: Server, digest: str) -> Mapping[str, float]:
    client, settings = server.client(), run.settings
    request = get(client, LARGE, f"blobs/{digest}")
    probe(request, client, content=None, size=settings.crowd_size)
    jobs = [
        Crowd(
            server.target,
            request.decode(),
            settings.crowd_size,
            count,
            settings.crowd_limit_seconds,
        )
        for count in shares(settings.crowd_clients)
    ]
    with procfs.MemoryPeak(server.pid, interval_seconds=0.5) as memory:
        result = measured(jobs, server, [], settings.crowd_limit_seconds + 60)
    total = result.total
    if total.errors:
        run.note_once(
            f"Crowd, {server.label}: {total.errors} errors, the first: {total.first_error}."
        )
    values = byte_values(replace(result, total=replace(total, errors=0)))
    fastest, slowest = quantile(total.histogram, 0) or 0, quantile(total.histogram, 1) or 0
    return {
        **values,
        "errors": float(total.errors),
        "slowest_s": slowest / 100,
        "fastest_s": fastest / 100,
        "spread": slowest / max(fastest, 1),
        "first_byte_max_s": total.extra["first_byte_max_seconds"],
        **memory_values(memory.peak),
    }
