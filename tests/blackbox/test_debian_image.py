"""A real image of real size: a debootstrapped Debian through every large client, digests equal."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from debian_root import debian_tar
from engines import containerd, dockerd
from oci_layout import Layout, LayoutWriter, digest_of, layout_archive
from private_authority import Certificates
from programs import Surroundings, needed, needed_root
from started_registry import Registry

pytestmark = [pytest.mark.blackbox, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """One layer of some 130 MB compressed."""
    writer = LayoutWriter(tmp_path_factory.mktemp("debian") / "layout")
    return writer.named(writer.image(debian_tar().read_bytes()), "bookworm")


def blobs(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (folder / "blobs" / "sha256").iterdir()}


def options(registry: Registry, side: str) -> list[str]:
    trust = f"--{side}-tls-verify=false"
    if registry.tls:
        trust = f"--{side}-cert-dir={registry.certificates.folder}"
    return [trust, f"--{side}-creds", registry.credentials]


@pytest.fixture
def pushed(registry: Registry, client: Surroundings, debian: Layout, repository: str) -> str:
    """The image in the registry, brought there by skopeo; its name without a tag."""
    needed("skopeo")
    name = f"{registry.host}/{registry.namespace}/{repository}"
    client.run(
        "skopeo", "copy", *options(registry, "dest"), debian.skopeo_reference,
        f"docker://{name}:bookworm", timeout_seconds=200,
    )  # fmt: skip
    return name


def test_skopeo_pulls_back_every_blob_with_its_digest(
    registry: Registry, client: Surroundings, debian: Layout, pushed: str
) -> None:
    back = client.folder / "back"

    client.run(
        "skopeo", "copy", *options(registry, "src"), f"docker://{pushed}:bookworm",
        f"oci:{back}:bookworm", timeout_seconds=200,
    )  # fmt: skip

    assert blobs(back) == blobs(debian.folder)
    for path in (back / "blobs" / "sha256").iterdir():
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}"


@pytest.fixture(scope="module")
def daemons(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Surroundings]:
    needed("docker", "dockerd", "ctr")
    folder = tmp_path_factory.mktemp("ctrd")
    with (
        containerd(folder) as backend,
        dockerd(tmp_path_factory.mktemp("dkr"), backend, certificates.authority) as address,
    ):
        yield Surroundings(
            folder, {"DOCKER_HOST": address, "CONTAINERD_ADDRESS": str(backend.socket)}
        )


def test_docker_pulls_runs_and_pushes_it_again(
    registry: Registry, client: Surroundings, daemons: Surroundings, debian: Layout, pushed: str
) -> None:
    docker = client.with_variables(**daemons.variables)
    docker.run(
        "docker", "login", "-u", registry.user, "--password-stdin", registry.host,
        stdin=registry.password,
    )  # fmt: skip

    pulled = docker.run("docker", "pull", f"{pushed}:bookworm", timeout_seconds=300)
    version = docker.run(
        "docker", "run", "--rm", "--network", "none", f"{pushed}:bookworm", "cat",
        "/etc/debian_version",
    )  # fmt: skip
    docker.run("docker", "tag", f"{pushed}:bookworm", f"{pushed}:again")
    again = docker.run("docker", "push", f"{pushed}:again", timeout_seconds=300)

    assert f"Digest: {debian.digest}" in pulled
    assert version.startswith("12")
    assert "Layer already exists" in again
    docker.run("docker", "image", "rm", f"{pushed}:bookworm", f"{pushed}:again")


def test_containerd_pushes_and_pulls_it(
    registry: Registry, client: Surroundings, daemons: Surroundings, debian: Layout, repository: str
) -> None:
    ctr = client.with_variables(**daemons.variables)
    base = f"{registry.host}/{registry.namespace}/{repository}"
    reach = ["--user", registry.credentials]
    if registry.tls:
        reach += ["--tlscacert", str(registry.certificates.authority)]
    else:
        reach.append("--plain-http")
    archive = layout_archive(debian, client.folder / "debian.tar")
    ctr.run("ctr", "images", "import", "--no-unpack", "--digests", "--base-name", base, archive)

    ctr.run(
        "ctr", "images", "push", *reach, f"{base}:ctr", f"{base}@{debian.digest}",
        timeout_seconds=300,
    )  # fmt: skip
    names = ctr.run("ctr", "images", "ls", "-q").splitlines()
    ctr.run("ctr", "images", "rm", "--sync", *names)
    ctr.run(
        "ctr", "images", "pull", "--snapshotter", "native", *reach, f"{base}:ctr",
        timeout_seconds=300,
    )  # fmt: skip

    rows = [line.split() for line in ctr.run("ctr", "images", "ls").splitlines()]
    assert [row[2] for row in rows if row[0] == f"{base}:ctr"] == [debian.digest]
    ctr.run("ctr", "images", "rm", "--sync", f"{base}:ctr")


def test_buildah_makes_an_image_of_it_and_podman_pulls_that(
    registry: Registry, client: Surroundings, pushed: str
) -> None:
    needed("buildah", "podman")
    needed_root()
    folder = client.folder
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n'
    )
    tool = replace(
        client,
        variables={
            **client.variables,
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        },
    )
    reach = [option.replace("--src-", "--") for option in options(registry, "src")]

    container = tool.run(
        "buildah", "from", "-q", *reach, f"docker://{pushed}:bookworm", timeout_seconds=300
    )
    tool.run("buildah", "run", container, "--", "sh", "-c", "cat /etc/debian_version > /seen")
    tool.run("buildah", "commit", "-q", container, "localhost/derived:v1", timeout_seconds=300)
    tool.run(
        "buildah", "push", "-q", "--digestfile", folder / "digest", *reach, "localhost/derived:v1",
        f"docker://{pushed}:derived", timeout_seconds=300,
    )  # fmt: skip
    tool.run("buildah", "rm", container)
    tool.run("buildah", "rmi", "-a", "-f")
    tool.run("podman", "pull", "-q", *reach, f"{pushed}:derived", timeout_seconds=300)

    inspected = json.loads(tool.run("podman", "image", "inspect", f"{pushed}:derived"))[0]
    assert inspected["Digest"] == (folder / "digest").read_text()
