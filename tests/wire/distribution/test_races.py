"""Two clients at once, a full disk, the collector at work: nobody loses anything, nothing half-written is served."""

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from registry_client import Client, code_of, digest_of, image
from started import ROOT_PASSWORD, operating, started
from test_servers import add_namespace

from entrepot.capabilities.operations.collector import collect

ROUNDS = 6
MEBIBYTE = 1 << 20


def at_once(*calls: Callable[[], object]) -> list[object]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def statuses(*answers) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def test_two_clients_push_the_same_repository_blob_and_tag(world):
    for _ in range(ROUNDS):
        name = world.repository()
        content = name.encode() * 1000
        at_once(*[partial(world.owner.push_blob, name, content)] * 2)
        assert world.owner.get(f"/v2/{name}/blobs/{digest_of(content)}").content == content
        world.owner.push_blob(name, b"{}")
        payloads = [image([content], annotations={"n": str(n)}) for n in range(2)]
        answers = at_once(
            *[partial(world.owner.push_manifest, name, "same", payload) for payload in payloads]
        )
        assert statuses(*answers) == [201, 201]
        assert world.owner.get(f"/v2/{name}/manifests/same").content in payloads
        for payload in payloads:
            assert world.owner.get(f"/v2/{name}/manifests/{digest_of(payload)}").content == payload
        assert world.owner.get(f"/v2/{name}/tags/list").json()["tags"] == ["same"]


def test_two_first_pushes_make_one_repository(world):
    names = [world.repository() for _ in range(ROUNDS)]
    for name in names:
        answers = at_once(*[partial(world.owner.post, f"/v2/{name}/blobs/uploads/")] * 4)
        assert statuses(*answers) == [202] * 4
    listed = world.owner.get("/v2/_catalog").json()["repositories"]
    assert [listed.count(name) for name in names] == [1] * ROUNDS


def test_two_writers_on_one_session_do_not_mix(world, repository):
    session = world.owner.start_upload(repository)
    one, other = b"a" * MEBIBYTE, b"b" * MEBIBYTE
    headers = {"content-range": f"0-{MEBIBYTE - 1}"}
    answers = at_once(
        *[partial(world.owner.patch, session, content=content, headers=headers) for content in (one, other)]
    )  # fmt: skip
    assert statuses(*answers) in ([202, 416], [202, 409])
    assert world.owner.get(session).headers["range"] == f"0-{MEBIBYTE - 1}"
    won = one if answers[0].status_code == 202 else other
    lost = other if won is one else one
    refused = world.owner.put(session, params={"digest": digest_of(lost)})
    assert (refused.status_code, code_of(refused)) == (400, "DIGEST_INVALID")
    assert world.owner.put(session, params={"digest": digest_of(won)}).status_code == 201
    assert world.owner.get(f"/v2/{repository}/blobs/{digest_of(won)}").content == won


def test_one_of_two_commits_wins(world, repository):
    for number in range(ROUNDS):
        content = b"%d" % number * 5000
        session = world.owner.start_upload(repository)
        world.owner.patch(session, content=content)
        params = {"digest": digest_of(content)}
        answers = at_once(*[partial(world.owner.put, session, params=params)] * 2)
        assert statuses(*answers) in ([201, 404], [201, 409])
        assert world.owner.get(f"/v2/{repository}/blobs/{params['digest']}").content == content


def test_pushes_and_deletions_while_the_collector_runs(world):
    """Every acknowledged image is there afterwards, whatever was deleted beside it."""
    kept: dict[str, bytes] = {}

    def work(number: int) -> None:
        name = world.repository()
        for step in range(4):
            payload = world.owner.push_image(name, b"shared", b"%d %d" % (number, step), tag="t")
            gone = world.owner.push_image(name, b"shared", b"gone %d" % step, tag="gone")
            path = f"/v2/{name}/manifests/{digest_of(gone)}"
            assert world.owner.delete(path).status_code == 202
            kept[name] = payload

    def gather() -> None:
        for _ in range(6):
            world.operator.do(collect(world.operator.ctx))

    at_once(gather, *[partial(work, number) for number in range(3)])
    for name, payload in kept.items():
        assert world.owner.get(f"/v2/{name}/manifests/t").content == payload
        assert world.owner.get(f"/v2/{name}/blobs/{digest_of(b'shared')}").content == b"shared"


# -- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB; mounting one takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path, small_disk):
    large, small = os.urandom(16 * MEBIBYTE), os.urandom(MEBIBYTE)
    with started(tmp_path, ENTREPOT_STORAGE_URL=f"file://{small_disk}/blobs") as registry:
        with operating(registry.environment) as operator:
            add_namespace(operator)
        with Client(registry.url) as client:
            login = client.with_basic("root", ROOT_PASSWORD)
            session = login.start_upload("team/app")
            assert login.patch(session, content=small).status_code == 202
            path = "/v2/team/app/blobs/uploads/"
            for answer in (
                login.post(path, params={"digest": digest_of(large)}, content=large),
                login.put(login.start_upload("team/app"), params={"digest": digest_of(large)}, content=large),
                login.patch(session, content=large),
            ):  # fmt: skip
                assert (answer.status_code, code_of(answer)) == (507, "UNAVAILABLE")
            assert login.head(f"/v2/team/app/blobs/{digest_of(large)}").status_code == 404
            assert login.get(session).headers["range"] == f"0-{MEBIBYTE - 1}"
            assert login.put(session, params={"digest": digest_of(small)}).status_code == 201
            assert login.get(f"/v2/team/app/blobs/{digest_of(small)}").content == small
            other = os.urandom(6 * MEBIBYTE)  # fits only if the refused ones are gone
            login.push_blob("team/app", other)
            assert login.get(f"/v2/team/app/blobs/{digest_of(other)}").content == other
