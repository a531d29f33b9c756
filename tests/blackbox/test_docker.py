"""Docker Engine: an own dockerd logs in, builds, pushes, pulls and runs."""

import json
from collections.abc import Iterator

import pytest
from engines import containerd, dockerd
from oci_layout import busybox_tar, digest_of
from private_authority import Certificates
from programs import Surroundings, needed
from started_registry import STANDIN, Registry

pytestmark = [pytest.mark.blackbox, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[str]:
    needed("docker", "dockerd")
    with (
        containerd(tmp_path_factory.mktemp("ctrd")) as backend,
        dockerd(tmp_path_factory.mktemp("dkr"), backend, certificates.authority) as address,
    ):
        yield address


@pytest.fixture
def docker(engine: str, client: Surroundings) -> Surroundings:
    return client.with_variables(DOCKER_HOST=engine, DOCKER_BUILDKIT="0")


def build(docker: Surroundings, name: str, *, marker: str) -> None:
    context = docker.folder / f"context-{marker}"
    context.mkdir()
    (context / "root.tar").write_bytes(busybox_tar(marker))
    (context / "Dockerfile").write_text(
        'FROM scratch\nADD root.tar /\nRUN echo built > /built\nCMD ["/bin/cat", "/marker"]\n'
    )
    docker.run("docker", "build", "-q", "--network", "none", "-t", name, context)


def login(docker: Surroundings, registry: Registry) -> str:
    return docker.run(
        "docker", "login", "-u", registry.user, "--password-stdin", registry.host,
        stdin=registry.password,
    )  # fmt: skip


def test_an_image_is_built_pushed_removed_pulled_and_run(
    registry: Registry, docker: Surroundings, repository: str
) -> None:
    name = registry.reference(repository, "v1")
    build(docker, name, marker=repository)
    assert "Login Succeeded" in login(docker, registry)

    pushed = docker.run("docker", "push", name)
    docker.run("docker", "image", "rm", name)
    pulled = docker.run("docker", "pull", name)
    said = docker.run("docker", "run", "--rm", "--network", "none", name)

    assert said == repository
    assert digest_after("digest: ", pushed) == digest_after("Digest: ", pulled)


def digest_after(word: str, output: str) -> str:
    return output.partition(word)[2].split(maxsplit=1)[0]


def test_a_pull_by_digest_gives_what_was_pushed(
    registry: Registry, docker: Surroundings, repository: str
) -> None:
    name = registry.reference(repository, "v1")
    build(docker, name, marker=repository)
    login(docker, registry)
    digest = digest_after("digest: ", docker.run("docker", "push", name))
    docker.run("docker", "image", "rm", name)

    docker.run("docker", "pull", f"{name.rpartition(':')[0]}@{digest}")

    known = json.loads(
        docker.run("docker", "image", "inspect", f"{name.rpartition(':')[0]}@{digest}")
    )
    assert known[0]["RepoDigests"] == [f"{name.rpartition(':')[0]}@{digest}"]


def test_a_second_tag_of_the_same_image_uploads_no_layer(
    registry: Registry, docker: Surroundings, repository: str
) -> None:
    first, second = (
        registry.reference(repository, "v1"),
        registry.reference(f"{repository}/c", "v2"),
    )
    build(docker, first, marker=repository)
    login(docker, registry)
    docker.run("docker", "push", first)
    docker.run("docker", "tag", first, second)

    again = docker.run("docker", "push", second)
    same = docker.run("docker", "push", first)

    assert "Mounted from" in again
    assert "Layer already exists" in same


def test_docker_pulls_its_platform_from_an_index_that_skopeo_pushed(
    registry: Registry, docker: Surroundings, multi_image, repository: str
) -> None:
    needed("skopeo")
    name = registry.reference(repository, "multi")
    trust = (
        f"--dest-cert-dir={registry.certificates.folder}"
        if registry.tls
        else "--dest-tls-verify=false"
    )
    docker.run(
        "skopeo", "copy", "--all", trust, "--dest-creds", registry.credentials,
        multi_image.skopeo_reference, f"docker://{name}",
    )  # fmt: skip
    login(docker, registry)

    pulled = docker.run("docker", "pull", "--platform", "linux/amd64", name)
    said = docker.run("docker", "run", "--rm", "--network", "none", name)

    assert digest_after("Digest: ", pulled) == multi_image.digest
    assert said == "hello from amd64"


def test_login_with_a_wrong_password_is_refused(registry: Registry, docker: Surroundings) -> None:
    done = docker.attempt(
        "docker", "login", "-u", registry.user, "--password-stdin", registry.host, stdin="wrong-one"
    )

    assert done.status != 0
    assert "unauthorized" in done.output.lower()


def test_a_push_into_a_missing_namespace_shows_how_to_create_it(
    registry: Registry, docker: Surroundings, repository: str
) -> None:
    if STANDIN:
        pytest.skip("the stand-in has no namespaces")
    name = f"{registry.host}/nowhere-to-be-seen/x:v1"
    build(docker, name, marker=repository)
    login(docker, registry)

    done = docker.attempt("docker", "push", name)

    assert done.status != 0
    assert "nowhere-to-be-seen" in done.output
    assert "namespace create" in done.output


def test_the_namespace_that_the_message_names_can_then_be_pushed_to(
    registry: Registry, docker: Surroundings, repository: str
) -> None:
    namespace = f"made-{digest_of(repository)[7:19]}"
    name = f"{registry.host}/{namespace}/x:v1"
    build(docker, name, marker=repository)
    login(docker, registry)

    registry.create_namespace(namespace)
    pushed = docker.run("docker", "push", name)

    assert digest_after("digest: ", pushed).startswith("sha256:")


def test_pulling_what_is_not_there_says_so(
    registry: Registry, docker: Surroundings, repository: str
) -> None:
    login(docker, registry)

    done = docker.attempt("docker", "pull", registry.reference(repository, "absent"))

    assert done.status != 0
    assert "not found" in done.output or "manifest unknown" in done.output
