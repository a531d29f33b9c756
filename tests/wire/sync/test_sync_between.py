"""From one deployment to another: pushed here, found there, whatever happens to the worker in between."""

import json
import secrets
import time

import pytest
from started import operating, started
from two_deployments import OWN, Here, authorities

from entrepot.oci.digest import Digest
from registry_in_memory import image, index

pytestmark = pytest.mark.broad

MIB = 1 << 20


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """The deployment that copies, with a worker."""
    with (
        started(tmp_path_factory.mktemp("here"), **OWN) as registry,
        operating(registry.environment) as operator,
    ):
        here = Here(registry, operator)
        here.start_worker()
        yield here
        here.stop_worker()
    assert "Traceback" not in here.log.read_text()


@pytest.fixture
def here(deployment, there):
    """It knows the other one, by its proxy, under the name of the test's namespace there."""
    deployment.peer(there.namespace, there.proxy.url)
    return deployment


def digest(payload: bytes) -> str:
    return str(Digest.of(payload))


def test_an_index_pushed_here_is_there_with_its_signatures(here, there):
    here.push_image("before", secrets.token_bytes(100))
    here.rule(there.namespace, there.namespace)
    layers = secrets.token_bytes(500), secrets.token_bytes(9 * MIB), b"a signature"
    children = image([layers[0]]), image([layers[1]])
    whole = index(children)
    signature = image([layers[2]], subject=children[0])
    cosign = image([layers[2]], note="cosign")
    name = digest(whole).replace(":", "-") + ".sig"

    documents = (*((child, "") for child in children), (signature, ""), (cosign, name))
    here.push(*documents, (whole, "v1"), blobs=layers)
    here.wait(there.namespace, "v1", name)

    assert there.document("app", "v1") == whole
    assert there.document("app", name) == cosign
    for payload in (*children, signature):
        assert there.document("app", digest(payload)) == payload
    assert all(there.blob("app", layer) for layer in layers)
    assert there.document("app", "before") is None


def test_a_signature_that_comes_later_follows(here, there):
    here.rule(there.namespace, there.namespace)
    payload = here.push_image("v1", secrets.token_bytes(100))
    here.wait(there.namespace, "v1")
    signature = image([b"later"], subject=payload)

    here.push((signature, ""), blobs=(b"later",))

    deadline = time.monotonic() + 30
    while there.document("app", digest(signature)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_tags_that_mean_something_else_there_stay_unless_overridden(here, there):
    first = here.push_image("v1", secrets.token_bytes(100))
    assert here.sync(there.namespace, there.namespace, "v1", "absent") == ["absent"]
    here.wait(there.namespace, "v1")
    second = here.push_image("v1", secrets.token_bytes(100))

    here.sync(there.namespace, there.namespace, "v1")
    here.wait(there.namespace, "v1", status="existed")
    assert there.document("app", "v1") == first

    here.sync(there.namespace, there.namespace, "v1", overrides=True)
    here.wait(there.namespace, "v1")
    assert there.document("app", "v1") == second


def test_what_is_there_is_not_sent_again(here, there):
    layer = secrets.token_bytes(2 * MIB)
    here.push_image("v1", layer)
    here.push_image("v2", layer)
    here.sync(there.namespace, there.namespace, "v1")
    here.wait(there.namespace, "v1")
    puts = there.proxy.count("PUT"), there.proxy.count("POST")

    here.sync(there.namespace, there.namespace, "v1", "v2")
    here.wait(there.namespace, "v1", "v2")

    sent = sum(one.taken for one in there.proxy.seen)
    assert sent < 2 * MIB + 10_000
    assert there.proxy.count("POST") == puts[1]
    assert there.proxy.count("PUT") <= puts[0] + 2


@pytest.mark.parametrize("fault", [{"status": 500, "times": 3}, {"cut_after": 3 * MIB}])
def test_a_bad_day_is_survived(here, there, fault):
    layer = secrets.token_bytes(9 * MIB)
    here.push_image("v1", layer)
    there.proxy.fail("PATCH", "", **fault)

    here.sync(there.namespace, there.namespace, "v1")
    here.wait(there.namespace, "v1")

    assert there.blob("app", layer)


def test_a_worker_that_is_killed_in_the_middle_is_followed_by_one_that_ends_it(here, there):
    layers = [secrets.token_bytes(9 * MIB) for _ in range(2)]
    payload = image(layers)
    here.push((payload, "v1"), blobs=tuple(layers))
    second = json.loads(payload)["layers"][1]["digest"]
    stuck = there.proxy.fail("HEAD", f"/blobs/{second}", stall_seconds=30)
    here.sync(there.namespace, there.namespace, "v1")
    deadline = time.monotonic() + 30
    while stuck.times or not there.blob_is_there("app", layers[0]):
        assert time.monotonic() < deadline
        time.sleep(0.02)

    here.kill_worker()
    assert there.document("app", "v1") is None  # the tag comes last
    assert here.jobs(there.namespace)["v1"] == "running"
    sent = there.proxy.taken()
    here.start_worker()
    here.wait(there.namespace, "v1")

    assert there.document("app", "v1") == payload
    assert all(there.blob("app", layer) for layer in layers)
    assert there.proxy.taken() < sent + 10 * MIB  # the first layer did not go twice


def test_wrong_credentials_fail_the_job_and_are_not_told(here, there):
    here.push_image("v1", secrets.token_bytes(100))
    here.peer(f"x{there.namespace}", there.proxy.url, secret="wr0ng-secret")

    here.sync(f"x{there.namespace}", there.namespace, "v1")
    here.wait(there.namespace, "v1", status="failed")

    assert there.document("app", "v1") is None
    assert "wr0ng" not in here.log.read_text()


def test_a_peer_by_its_own_authority(here, there):
    here.peer(f"d{there.namespace}", there.registry.url, pem=authorities())
    payload = here.push_image("v1", secrets.token_bytes(100))

    here.sync(f"d{there.namespace}", there.namespace, "v1")
    here.wait(there.namespace, "v1")

    assert there.document("app", "v1") == payload
