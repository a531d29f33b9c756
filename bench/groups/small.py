"""Small requests: manifests, blob HEAD, 1 KiB blobs; and the generator's own ceiling."""

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial

from bench.driver import drive
from bench.figures import quantile
from bench.fixtures import IMAGE, Image, get, probe, push_image
from bench.httpline import BadAnswer
from bench.lines import Line
from bench.load.jobs import Requests, Target
from bench.run import CORES, Measured, Run, measured
from bench.servers import Server, free_port


def small(run: Run) -> None:
    """Small requests, one generator process, 32 connections, the servers standing side by side."""
    lines = run.of_group("small")
    images: dict[str, Image] = {}

    def prepare(server: Server) -> None:
        images[server.label] = push_image(server.client(), IMAGE, "latest")

    ceiling(run)
    processes = (1,) if CORES == 1 else (1, 2)
    with run.standing(run.servers(processes=processes), lines, prepare) as servers:
        for line, server, turn in run.turns(lines, servers):
            run.guarded(
                line,
                server,
                turn,
                partial(_small, run, line, server, servers, images[server.label]),
            )


def _small(
    run: Run, line: Line, server: Server, servers: list[Server], image: Image
) -> Mapping[str, float]:
    target, method, content = {
        "manifest-tag": ("manifests/latest", "GET", image.manifest),
        "manifest-digest": (f"manifests/{image.digest}", "GET", image.manifest),
        "manifest-head": ("manifests/latest", "HEAD", image.manifest),
        "blob-head": (f"blobs/{image.layer_digest}", "HEAD", image.layer),
        "blob-1k": (f"blobs/{image.layer_digest}", "GET", image.layer),
    }[line.name]
    client, settings = server.client(), run.settings
    request = get(client, IMAGE, target, method)
    body = content if method == "GET" else None
    probe(request, client, content=body, size=len(content))
    job = Requests(
        server.target,
        request.decode(),
        len(body or b""),
        settings.connections,
        settings.seconds,
    )
    result = measured([job], server, servers, settings.seconds + 30)
    return request_values(result)


def request_values(result: Measured) -> dict[str, float]:
    """Rate, latency and CPU of a turn of small requests.

    Raises:
        BadAnswer: there were errors, or no answers.
    """
    total = result.total
    if total.errors or not total.units:
        raise BadAnswer(f"{total.errors} errors, the first: {total.first_error}")
    return {
        "rate": total.units / total.seconds,
        "cpu_us": result.cpu_seconds / total.units * 1e6,
        "p50_ms": (quantile(total.histogram, 0.5) or 0) / 100,
        "p99_ms": (quantile(total.histogram, 0.99) or 0) / 100,
        "generator_cpu_us": total.cpu_seconds / total.units * 1e6,
        "reconnects": float(total.reconnects),
        **result.company(),
    }


def ceiling(run: Run) -> None:
    """Measure the generator itself against a responder that does nothing, and note it."""
    port = free_port()
    responder = subprocess.Popen([sys.executable, "-m", "bench.load.responder", str(port), "0"])
    try:
        while not listens(port):
            time.sleep(0.02)
        request = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
        job = Requests(
            Target("127.0.0.1", port), request, 0, run.settings.connections, run.settings.seconds
        )
        total, _, _ = drive([job], limit_seconds=60, measured=lambda: None)
        run.notes.append(
            f"Generator ceiling (one process, {run.settings.connections} connections, against a trivial Python responder on "
            f"the other core): {total.units / total.seconds:.0f} requests/s, "
            f"{total.cpu_seconds / total.units * 1e6:.1f} µs of its CPU a request."
        )
    finally:
        responder.kill()
        responder.wait()


def listens(port: int) -> bool:
    """Whether somebody accepts connections on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
