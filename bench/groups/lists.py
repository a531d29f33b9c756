"""Pages of tags/list, of the catalog and of referrers: one client, one request after the other.

A page's cost should not depend on where it lies nor on how long the list is. So a product with a bulk loader has the full sizes;
the others have what can be pushed in a reasonable time, which is in their favour.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from bench.artifacts import artifact
from bench.bulk import LOADERS
from bench.client import MANIFEST_TYPE, Client, digest_of
from bench.figures import Reading
from bench.fixtures import IMAGE, NAMESPACE, push_image
from bench.groups.small import request_values
from bench.httpline import BadAnswer, request_head
from bench.lines import Line
from bench.load.jobs import Requests
from bench.numbered import REPOSITORIES, TAGS
from bench.run import Run, Settings, measured
from bench.servers import Server

PAGE = 100
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_MANY = f"{NAMESPACE}/many"


@dataclass(frozen=True, slots=True)
class Stock:
    """What one server lists: names in order, and the image that the artifacts of `referrers` (digests) are about."""

    tags: Sequence[str]
    repositories: Sequence[str]
    subject: str
    referrers: Sequence[str]


def lists(run: Run) -> None:
    """Pages of tags/list, of the catalog and of referrers, the servers standing side by side."""
    lines = run.of_group("lists")
    stocks: dict[str, Stock] = {}

    def prepare(server: Server) -> None:
        stocks[server.label] = stock = _stock(run.settings, server)
        run.notes.append(
            f"Lists, {server.label}: {len(stock.tags):,} tags in one repository, {len(stock.repositories):,} repositories, "
            f"{len(stock.referrers):,} referrers of one image."
        )

    with run.standing(run.servers(), lines, prepare) as servers:
        for line, server, turn in run.turns(lines, servers):
            stock = stocks[server.label]
            if line.name.startswith("referrers") and not stock.referrers:
                failure = "skipped: no referrers API"
                run.add(Reading(line.name, server.label, turn, failure=failure))
                continue
            run.guarded(line, server, turn, partial(_list, run, line, server, servers, stock))


def _stock(settings: Settings, server: Server) -> Stock:
    """Push the first of each kind, and multiply it."""
    client = server.client()
    many = push_image(client, _MANY, TAGS.name(0)).manifest
    push_small(client, 0)
    image = push_image(client, IMAGE, "latest")
    loader = LOADERS.get(server.product.name)
    if loader is None:
        return _pushed(settings, client, many, image.manifest)
    server.stop()
    loader.multiply_tag(server.launch, _MANY, count=settings.tags)
    loader.multiply_repository(server.launch, NAMESPACE, count=settings.repositories)
    found = loader.add_referrers(server.launch, IMAGE, image.digest, count=settings.referrers)
    os.sync()
    server.start()
    return _named(settings.tags, settings.repositories, image.digest, found)


def _pushed(settings: Settings, client: Client, many: bytes, image: bytes) -> Stock:
    """The same over the wire, for products without a loader; referrers only where there is an API for them."""
    tags = min(settings.tags, settings.pushed)
    repositories = min(settings.repositories, settings.pushed)
    referrers = min(settings.referrers, settings.pushed)
    client.push_manifest(_MANY, many, *map(TAGS.name, range(1, tags)))
    for number in range(1, repositories):
        push_small(client, number)
    subject, found = digest_of(image), []
    path = f"/v2/{IMAGE}/referrers/{subject}"
    if client.send("GET", path, client.headers(IMAGE, {})).status == 200:
        for number in range(1, referrers + 1):
            content = artifact(image, number)
            found.append(client.push_manifest(IMAGE, content, digest_of(content)))
    return _named(tags, repositories, subject, found)


def _named(tags: int, repositories: int, subject: str, referrers: Sequence[str]) -> Stock:
    full = [f"{NAMESPACE}/{REPOSITORIES.name(number)}" for number in range(repositories)]
    names = [TAGS.name(number) for number in range(tags)]
    return Stock(names, sorted([*full, _MANY, IMAGE]), subject, sorted(referrers))


def push_small(client: Client, number: int) -> None:
    """The least image there is."""
    repository = f"{NAMESPACE}/{REPOSITORIES.name(number)}"
    config = {"mediaType": EMPTY_TYPE, "digest": client.push_blob(repository, b"{}"), "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": []}
    client.push_manifest(repository, json.dumps(manifest).encode(), "latest")


def _list(
    run: Run, line: Line, server: Server, servers: list[Server], stock: Stock
) -> Mapping[str, float]:
    kind, _, position = line.name.partition("-")
    path, names, repository = {
        "tags": (f"/v2/{_MANY}/tags/list", stock.tags, _MANY),
        "catalog": ("/v2/_catalog", stock.repositories, ""),
        "referrers": (f"/v2/{IMAGE}/referrers/{stock.subject}", stock.referrers, IMAGE),
    }[kind]
    start = {"first": 0, "middle": len(names) // 2, "last": max(0, len(names) - PAGE)}[position]
    behind = f"&last={quote(names[start - 1], safe='')}" if start else ""
    path = f"{path}?n={PAGE}{behind}"
    client = server.client()
    authorization = client.authorization(repository, "pull")
    headers = {"Authorization": authorization} if authorization else {}
    answer = client.expect(200, client.send("GET", path, headers))
    found, wanted = _entries(kind, answer.body), list(names[start : start + PAGE])
    if found != wanted:
        raise BadAnswer(f"probe: {len(found)} entries in another order or place than {wanted[0]}…")
    request = request_head("GET", path, server.target.netloc, **headers).decode()
    job = Requests(server.target, request, len(answer.body), 1, run.settings.seconds)
    return request_values(measured([job], server, servers, run.settings.seconds + 30))


def _entries(kind: str, body: bytes) -> list[str]:
    document = json.loads(body)
    if kind == "referrers":
        return [entry["digest"] for entry in document["manifests"]]
    return list(document["tags" if kind == "tags" else "repositories"])
