"""Pages of tags/list and of the catalog."""

import time
from collections.abc import Mapping
from functools import partial

from bench.figures import quantile
from bench.fixtures import NAMESPACE, push_image
from bench.lines import Line
from bench.run import Run
from bench.servers import Server


def lists(run: Run) -> None:
    """Pages of tags/list and of the catalog, one client, one request after the other."""
    lines, settings = run.of_group("lists"), run.settings

    def prepare(server: Server) -> None:
        client = server.client()
        tags = [f"t{number:07}" for number in range(settings.tags)]
        push_image(client, f"{NAMESPACE}/many", *tags)
        for number in range(settings.repositories):
            client.push_blob(f"{NAMESPACE}/r{number:05}", b"{}")
            config = _small_manifest()
            client.push_manifest(f"{NAMESPACE}/r{number:05}", config, "latest")

    with run.standing(run.servers(), lines, prepare) as servers:
        run.notes.append(
            f"Lists: {settings.tags} tags in one repository, {settings.repositories + 1} repositories."
        )
        for line, server, turn in run.turns(lines, servers):
            run.guarded(line, server, turn, partial(_list, run, line, server))


def _small_manifest() -> bytes:
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    config = f'{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{digest}","size":2}}'
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return (
        f'{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[]}}'.encode()
    )


def _list(run: Run, line: Line, server: Server) -> Mapping[str, float]:
    settings, client = run.settings, server.client()
    page = 100
    middle, end = settings.tags // 2, max(0, settings.tags - page - 1)
    last_repository = max(0, settings.repositories - page - 1)
    path, repository = {
        "tags-first": (f"/v2/{NAMESPACE}/many/tags/list?n={page}", f"{NAMESPACE}/many"),
        "tags-middle": (
            f"/v2/{NAMESPACE}/many/tags/list?n={page}&last=t{middle:07}",
            f"{NAMESPACE}/many",
        ),
        "tags-last": (
            f"/v2/{NAMESPACE}/many/tags/list?n={page}&last=t{end:07}",
            f"{NAMESPACE}/many",
        ),
        "catalog-first": (f"/v2/_catalog?n={page}", ""),
        "catalog-last": (f"/v2/_catalog?n={page}&last={NAMESPACE}/r{last_repository:05}", ""),
    }[line.name]
    authorization = client.authorization(repository, "pull")
    headers = {"Authorization": authorization} if authorization else {}
    client.expect(200, client.send("GET", path, headers))
    histogram: dict[int, int] = {}
    cpu, started = server.cpu_seconds(), time.perf_counter()
    while (now := time.perf_counter()) - started < settings.seconds:
        client.expect(200, client.send("GET", path, headers))
        bucket = int((time.perf_counter() - now) * 100_000)
        histogram[bucket] = histogram.get(bucket, 0) + 1
    return {
        "p50_ms": (quantile(histogram, 0.5) or 0) / 100,
        "p99_ms": (quantile(histogram, 0.99) or 0) / 100,
        "cpu_us": (server.cpu_seconds() - cpu) / sum(histogram.values()) * 1e6,
    }
