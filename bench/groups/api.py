"""Operations of both APIs through their signed wires: rates with 32 connections, and pages of a million tags with one.

Only ours: the peers have no such API. Rate limits and the quota of namespaces are off, or they would be what is measured.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.bulk import LOADERS
from bench.fixtures import NAMESPACE, push_image
from bench.groups.lists import push_small
from bench.groups.small import request_values
from bench.groups.swr_lists import listed, probed
from bench.httpline import BadAnswer
from bench.lines import Line
from bench.load.jobs import Requests
from bench.numbered import REPOSITORIES, TAGS
from bench.products import Entrepot
from bench.run import Run, Settings, measured
from bench.servers import Server
from bench.signed import Signer

PAGE = 20
_REPOSITORIES = 1000
_PER_SECOND = 3000  # more namespaces than can be made
_MANY = "many"
_OFF = {"ENTREPOT_API_RATE_PERCENT": "0", "ENTREPOT_QUOTA_SWR_ORGANIZATIONS": "0"}


@dataclass(frozen=True, slots=True)
class Book:
    """What one server has: who signs, the shared instance's id, how many tags and repositories."""

    signer: Signer
    registry: str
    tags: int
    repositories: int


@dataclass(frozen=True, slots=True)
class Call:
    """An action with its parameters; `rows` and `names`: where the answer has what it is checked by, and what that is."""

    action: str
    parameters: Mapping[str, object]
    rows: tuple[str, str] = ("", "")
    names: tuple[str, ...] = ()


def api(run: Run) -> None:
    """All lines of the group."""
    lines = run.of_group("api")
    servers = [each for each in run.servers() if isinstance(each.product, Entrepot)]
    for server in servers:
        server.launch = replace(server.launch, environment={**server.launch.environment, **_OFF})
    run.note_once(
        "TCR and SWR API: rate limits and the quota of namespaces are off in these lines."
    )
    books: dict[str, Book] = {}

    def prepare(server: Server) -> None:
        books[server.label] = _book(run.settings, server)

    with run.standing(servers, lines, prepare) as standing:
        for line, server, turn in run.turns(lines, standing):
            book = books[server.label]
            run.guarded(line, server, turn, partial(_measure, run, line, server, turn, book))


def _book(settings: Settings, server: Server) -> Book:
    """Push the first of each kind, and multiply it."""
    client = server.client()
    push_image(client, f"{NAMESPACE}/{_MANY}", TAGS.name(0))
    push_small(client, 0)
    product, loader = server.product, LOADERS[server.product.name]
    repositories = min(settings.repositories, _REPOSITORIES)
    server.stop()
    loader.multiply_tag(server.launch, f"{NAMESPACE}/{_MANY}", count=settings.tags)
    loader.multiply_repository(server.launch, NAMESPACE, count=repositories)
    os.sync()
    server.start()
    if not isinstance(product, Entrepot):
        raise TypeError(product.name)
    said = product.command(server.launch, "key", "create", "root", "--json")
    made, _ = json.JSONDecoder().raw_decode(said)  # a warning follows
    signer = Signer(made["access_key_id"], made["secret_access_key"], server.target.netloc)
    found = _ask(server, signer, Call("DescribeInstances", {}))
    registry = found["Registries"][0]["RegistryId"]
    return Book(signer, registry, settings.tags, repositories + 1)


def _ask(server: Server, signer: Signer, call: Call) -> dict[str, Any]:
    body = json.dumps(call.parameters).encode()
    reply = server.client().send("POST", "/", signer.headers(call.action, body), body)
    answer: dict[str, Any] = json.loads(reply.body)["Response"]
    if "Error" in answer:
        raise BadAnswer(f"{call.action}: {answer['Error']}")
    return answer


def _measure(run: Run, line: Line, server: Server, turn: int, book: Book) -> Mapping[str, float]:
    seconds = run.settings.seconds
    if line.name == "api-namespace":
        job = _namespaces(server, book, turn=turn, settings=run.settings)
    else:
        if "swr" in line.name:
            page = listed(line.name, book.tags, book.repositories)
            request, size = probed(server, book.signer, page)
        else:
            call = _call(line.name, book)
            size = _probed(server, book, call)
            request = book.signer.request(call.action, call.parameters)
        connections = run.settings.connections if line.name.startswith("api-") else 1
        job = Requests(server.target, request, size, connections, seconds)
    return request_values(measured([job], server, [server], seconds + 60))


def _namespaces(server: Server, book: Book, *, turn: int, settings: Settings) -> Requests:
    """Each request makes another one."""
    count = int(settings.seconds * _PER_SECOND) + 100
    requests = [
        book.signer.request(
            "CreateNamespace",
            {"RegistryId": book.registry, "NamespaceName": f"n{turn}-{number}", "IsPublic": False},
        )
        for number in range(count)
    ]
    size = len('{"Response":{"RequestId":""}}') + 36
    return Requests(
        server.target, requests[0], size, settings.connections, settings.seconds, requests
    )


def _call(name: str, book: Book) -> Call:
    """The line's action, and what it must answer."""
    if name == "api-repositories":
        parameters = {"RegistryId": book.registry, "Offset": 1, "Limit": PAGE}
        full = [f"{NAMESPACE}/{REPOSITORIES.name(n)}" for n in range(book.repositories - 1)]
        names = sorted([*full, f"{NAMESPACE}/{_MANY}"])[:PAGE]
        return Call("DescribeRepositories", parameters, ("RepositoryList", "Name"), tuple(names))
    pages = -(-book.tags // PAGE)
    where = {"images-middle": pages // 2, "images-last": pages}.get(name, 1)
    part = {"images-few": "99999", "images-half": "1"}.get(name, "")
    parameters = {
        "RegistryId": book.registry,
        "NamespaceName": NAMESPACE,
        "RepositoryName": _MANY,
        "Offset": where,
        "Limit": PAGE,
        **({"ImageVersion": part} if part else {}),
    }
    every = (TAGS.name(number) for number in range(book.tags))
    found = [tag for tag in every if part in tag] if part else list(every)
    names = found[(where - 1) * PAGE : where * PAGE]
    return Call("DescribeImages", parameters, ("ImageInfoList", "ImageVersion"), tuple(names))


def _probed(server: Server, book: Book, call: Call) -> int:
    """Ask once, and compare; the answer's length."""
    answer = _ask(server, book.signer, call)
    rows, name = call.rows
    found = tuple(row[name] for row in answer[rows])
    if found != call.names:
        raise BadAnswer(f"probe: {found[:2]}… for {call.names[:2]}…")
    body = json.dumps(call.parameters).encode()
    reply = server.client().send("POST", "/", book.signer.headers(call.action, body), body)
    return len(reply.body)
