"""What one connection wrote, every later connection reads: two server processes on SQLite, asked anew after each change.

A change counts from its answer on: no process gives the old answer after it. Revocation of tokens alone may take its second (DESIGN
section 7), and once a process has refused one it does not take it again.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from registry_client import MANIFEST, Client, digest_of, image
from started import ROOT_PASSWORD, Operator, Started, operating, started
from transport import connect

from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant
from entrepot.capabilities.access.identities.users import EnableUser, enable_user
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    ModifyNamespace,
    NamedNamespace,
    create_namespace,
    modify_namespace,
)
from entrepot.metadata import instances, tenants

pytestmark = pytest.mark.broad

SERVERS = {"server-0", "server-1"}
# Connections after each change: so many at least, and so many at most until both processes were met.
FRESH, MOST = 16, 400
NAME = "team/app"
PASSWORD = "a-good-Passw0rd"
REVOKED_WITHIN_SECONDS = 2.0


@dataclass(frozen=True)
class Answer:
    """What one fresh connection was told, and by whom (once the log is read)."""

    status: int
    content: bytes
    request_id: str


@dataclass
class Readers:
    """Fresh connections to the registry, and which process served each."""

    registry: Started
    _known: dict[str, str] = field(default_factory=dict)
    _read_to: int = 0

    def ask(self, path: str, authorization: str = "") -> Answer:
        """One request on a connection of its own."""
        connection = connect(self.registry.port)
        try:
            headers = {"authorization": authorization} if authorization else {}
            connection.request("GET", path, headers={**headers, "accept": MANIFEST})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), answer.headers["x-request-id"])
        finally:
            connection.close()

    def server_of(self, answer: Answer) -> str:
        """The process that answered, by the log."""
        deadline = time.monotonic() + 10
        while answer.request_id not in self._known:
            assert time.monotonic() < deadline, "the request is not logged"
            self._read_log()
        return self._known[answer.request_id]

    def _read_log(self) -> None:
        with self.registry.log.open("rb") as file:
            file.seek(self._read_to)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.splitlines():
            if b'"request_id"' in line:
                event = json.loads(line)
                self._known[event["request_id"]] = event["process"]

    def all_read(self, path: str, expected: object, authorization: str = "") -> None:
        """Every fresh connection reads the expected thing, whoever serves it, from the first on: content, or a status."""
        answers = [self.ask(path, authorization) for _ in range(FRESH)]
        while {self.server_of(answer) for answer in answers} != SERVERS:
            assert len(answers) < MOST, "one process never answers"
            answers.append(self.ask(path, authorization))
        found = [a.status if isinstance(expected, int) else a.content for a in answers]
        wrong = Counter(
            self.server_of(answer)
            for answer, one in zip(answers, found, strict=True)
            if one != expected
        )
        assert wrong == {}, f"stale after the change was acknowledged: {wrong} of {len(answers)}"

    def all_refuse(self, path: str, status: int, authorization: str) -> None:
        """Each process refuses within the time that revocation may take, and never lets in again once it has refused."""
        began, refused = time.monotonic(), set()
        while refused != SERVERS:
            answer = self.ask(path, authorization)
            server = self.server_of(answer)
            if answer.status == 200:
                assert server not in refused, f"{server} took back its refusal"
                assert time.monotonic() - began < REVOKED_WITHIN_SECONDS, f"{server} lets in"
            else:
                assert answer.status == status
                refused.add(server)
        self.all_read(path, status, authorization)


@dataclass(frozen=True)
class Scene:
    """Two processes, somebody who writes over one kept connection, and those who read over fresh ones."""

    operator: Operator
    writer: Client
    readers: Readers

    def make_public(self, *, is_public: bool) -> None:
        shared = self.operator.read(instances.default_instance)
        command = ModifyNamespace(NamedNamespace(shared.id, "team"), is_public=is_public)
        self.operator.run(modify_namespace, command)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("two-servers")
    with (
        started(folder, ENTREPOT_HTTP_WORKERS="2") as registry,
        operating(registry.environment) as operator,
        Client(registry.url) as client,
    ):
        shared = operator.read(instances.default_instance)
        root = operator.read(tenants.root_tenant)
        operator.run(create_namespace, CreateNamespace(shared.id, root.id, "team"))
        login = client.with_basic("root", ROOT_PASSWORD)
        writer = login.bearer(f"repository:{NAME}:pull,push,delete")
        yield Scene(operator, writer, Readers(registry))


def test_a_tag_that_is_set_moved_and_deleted_is_so_for_every_process(scene: Scene) -> None:
    writer, readers = scene.writer, scene.readers
    payloads = [writer.push_image(NAME, b"layer %d" % n, tag=f"image-{n}") for n in range(2)]
    path = f"/v2/{NAME}/manifests/moving"
    readers.all_read(path, 404, writer.authorization)  # what is absent now is there later
    for payload in (*payloads, payloads[0]):
        assert writer.push_manifest(NAME, "moving", payload).status_code == 201
        readers.all_read(path, payload, writer.authorization)
    assert writer.delete(path).status_code == 202
    readers.all_read(path, 404, writer.authorization)
    assert writer.push_manifest(NAME, "moving", payloads[1]).status_code == 201
    readers.all_read(path, payloads[1], writer.authorization)


def test_content_by_digest_that_is_deleted_is_gone_in_every_process(scene: Scene) -> None:
    """Although content by digest is the one thing that processes remember."""
    writer, readers = scene.writer, scene.readers
    content = b"a small blob, as processes keep them in memory"
    payload = writer.push_image(NAME, b"another layer", tag="gone", annotations={"n": "1"})
    writer.push_blob(NAME, content)
    blob = f"/v2/{NAME}/blobs/{digest_of(content)}"
    manifest = f"/v2/{NAME}/manifests/{digest_of(payload)}"
    for path, body in ((blob, content), (manifest, payload)):
        readers.all_read(path, body, writer.authorization)
        assert writer.delete(path).status_code == 202
        readers.all_read(path, 404, writer.authorization)
    readers.all_read(f"/v2/{NAME}/manifests/gone", 404, writer.authorization)
    writer.push_blob(NAME, content)
    readers.all_read(blob, content, writer.authorization)


def test_a_namespace_made_private_is_closed_in_every_process_at_once(scene: Scene) -> None:
    payload = scene.writer.push_image(NAME, b"open to all", tag="open")
    paths = [f"/v2/{NAME}/manifests/{reference}" for reference in ("open", digest_of(payload))]
    paths.append(f"/v2/{NAME}/blobs/{digest_of(b'open to all')}")
    for path in paths:
        scene.make_public(is_public=True)
        scene.readers.all_read(path, 200)
        scene.make_public(is_public=False)
        scene.readers.all_read(path, 401)


def test_a_token_ends_in_every_process_with_the_right_and_with_its_user(scene: Scene) -> None:
    made = scene.operator.run(create_tenant, CreateTenant("strangers", password=PASSWORD))
    payload = scene.writer.push_image(NAME, b"once public", tag="once")
    path = f"/v2/{NAME}/manifests/once"
    scene.make_public(is_public=True)
    login = scene.writer.with_basic(f"{made.tenant.name}/owner", PASSWORD)
    token = login.bearer(f"repository:{NAME}:pull").authorization
    scene.readers.all_read(path, payload, token)
    scene.make_public(is_public=False)
    scene.readers.all_refuse(path, 403, token)
    scene.make_public(is_public=True)
    token = login.bearer(f"repository:{NAME}:pull").authorization
    scene.readers.all_read(path, payload, token)
    command = EnableUser(made.tenant.id, "owner", enabled=False)
    scene.operator.run(enable_user, command)
    scene.readers.all_refuse(path, 401, token)
    scene.make_public(is_public=False)


def test_a_chunk_taken_by_one_process_is_known_to_the_other(scene: Scene) -> None:
    session = scene.writer.start_upload(NAME)
    path, _, _ = session.partition("?")
    body = image([b"no manifest, only bytes"])
    assert scene.writer.patch(session, content=body).status_code == 202
    scene.readers.all_read(path, 204, scene.writer.authorization)
    done = scene.writer.put(session, params={"digest": digest_of(body)})
    assert done.status_code == 201
    scene.readers.all_read(path, 404, scene.writer.authorization)
    blob = f"/v2/{NAME}/blobs/{digest_of(body)}"
    scene.readers.all_read(blob, body, scene.writer.authorization)
