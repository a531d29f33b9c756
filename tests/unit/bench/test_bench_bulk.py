"""Rows that the bulk loader makes are what pushes would have made: they are served, counted, and sound to the doctor."""

import json
import subprocess
import sys
from contextlib import closing

import pytest
from bench.artifacts import artifact
from bench.bulk import LOADERS
from bench.client import digest_of
from bench.fixtures import IMAGE, NAMESPACE, push_image
from bench.groups.lists import push_small
from bench.numbered import REPOSITORIES, TAGS
from bench.products import Entrepot, clean_environment
from bench.servers import Server


@pytest.fixture
def server(tmp_path):
    made = Server(Entrepot(), tmp_path / "server", processes=1, tls=None)
    made.start()
    made.make_namespace(NAMESPACE)
    yield made
    made.stop()


@pytest.fixture
def entrepot(server):
    """Run a command of the registry on the server's data; its standard output."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "entrepot", *arguments],
            env={**clean_environment(), **server.launch.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    return run


def _get(client, repository, path):
    token = client.authorization(repository, "pull")
    return json.loads(client.expect(200, client.send("GET", path, {"Authorization": token})).body)


@pytest.mark.broad
@pytest.mark.timeout(120)
def test_multiplied_tags_repositories_and_referrers_are_served_and_the_doctor_finds_nothing(
    server, entrepot
):
    loader = LOADERS["entrepot"]
    with closing(server.client()) as client:
        image = push_image(client, IMAGE, TAGS.name(0))
        push_small(client, 0)
    server.stop()

    loader.multiply_tag(server.launch, IMAGE, count=2_500)
    loader.multiply_repository(server.launch, NAMESPACE, count=30)
    referrers = loader.add_referrers(server.launch, IMAGE, image.digest, count=25)

    assert entrepot("doctor").startswith("sound")
    server.start()
    with closing(server.client()) as client:
        _check(client, image, referrers)


def _check(client, image, referrers):
    tags = _get(client, IMAGE, f"/v2/{IMAGE}/tags/list?n=3&last={TAGS.name(2496)}")
    assert tags["tags"] == [TAGS.name(number) for number in (2497, 2498, 2499)]
    catalog = _get(client, "", "/v2/_catalog?n=100")
    copies = [f"{NAMESPACE}/{REPOSITORIES.name(number)}" for number in range(30)]
    assert catalog["repositories"] == [IMAGE, *copies]
    found = _get(client, IMAGE, f"/v2/{IMAGE}/referrers/{image.digest}?n=100")
    assert [entry["digest"] for entry in found["manifests"]] == sorted(referrers)
    assert set(referrers) == {digest_of(artifact(image.manifest, n)) for n in range(1, 26)}
    assert _get(client, IMAGE, f"/v2/{IMAGE}/manifests/{TAGS.name(1234)}") == json.loads(
        image.manifest
    )
    last = _get(client, copies[-1], f"/v2/{copies[-1]}/manifests/latest")
    assert last["config"]["size"] == 2


def test_a_name_of_a_number_sorts_as_the_number():
    names = [TAGS.name(number) for number in (0, 9, 10, 99_999, 100_000, 9_999_999)]
    assert names == sorted(names)
    assert {len(name) for name in names} == {8}
