"""buildah and podman: build, push and pull, manifest lists in both formats."""

import json

import pytest
from oci_layout import busybox_tar, digest_of
from programs import Surroundings, needed, needed_root
from started_registry import Registry

pytestmark = [pytest.mark.blackbox, pytest.mark.timeout(300)]

_CONTAINERS = """[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""


@pytest.fixture
def buildah(client: Surroundings) -> Surroundings:
    """Surroundings with a storage of their own, in which no layer is known yet."""
    needed("buildah", "podman")
    needed_root()
    folder = client.folder
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n'
    )
    (folder / "containers.conf").write_text(_CONTAINERS)
    (folder / "registries.conf").write_text("")
    return client.with_variables(
        CONTAINERS_STORAGE_CONF=str(folder / "storage.conf"),
        CONTAINERS_CONF=str(folder / "containers.conf"),
        CONTAINERS_REGISTRIES_CONF=str(folder / "registries.conf"),
        BUILDAH_ISOLATION="chroot",
    )


def trust(registry: Registry) -> list[str]:
    if registry.tls:
        return [f"--cert-dir={registry.certificates.folder}"]
    return ["--tls-verify=false"]


def access(registry: Registry) -> list[str]:
    return [*trust(registry), "--creds", registry.credentials]


def build(buildah: Surroundings, name: str, *, marker: str, architecture: str = "amd64") -> None:
    context = buildah.folder / f"context-{architecture}"
    context.mkdir()
    (context / "root.tar").write_bytes(busybox_tar(marker))
    (context / "Dockerfile").write_text(
        'FROM scratch\nADD root.tar /\nCMD ["/bin/cat", "/marker"]\n'
    )
    buildah.run(
        "buildah", "bud", "--isolation", "chroot", "--arch", architecture, "-q", "-t", name, context
    )


def image_id(tool: Surroundings, name: str) -> str:
    return tool.run("podman", "image", "inspect", "--format", "{{.Id}}", name)


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_a_built_image_is_pushed_and_pulled_with_equal_digests(
    registry: Registry, buildah: Surroundings, repository: str, form: str
) -> None:
    name, digest_file = registry.reference(repository, "v1"), buildah.folder / "digest"
    build(buildah, "localhost/small:v1", marker=repository)
    built = image_id(buildah, "localhost/small:v1")

    buildah.run(
        "buildah", "push", "-q", "--format", form, "--digestfile", digest_file, *access(registry),
        "localhost/small:v1", f"docker://{name}",
    )  # fmt: skip
    buildah.run("buildah", "rmi", "-f", "localhost/small:v1")
    buildah.run("podman", "pull", "-q", *access(registry), name)

    pulled = json.loads(buildah.run("podman", "image", "inspect", name))[0]
    assert pulled["Digest"] == digest_file.read_text()
    # The id is the digest of the configuration, which buildah writes in OCI form.
    assert form != "oci" or pulled["Id"] == built
    assert pulled["ManifestType"].startswith(
        {"oci": "application/vnd.oci.", "v2s2": "application/vnd.docker."}[form]
    )


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_a_multi_architecture_image_is_pushed_whole(
    registry: Registry, buildah: Surroundings, repository: str, form: str
) -> None:
    name = registry.reference(repository, "multi")
    make_list(buildah, "localhost/multi:1")

    buildah.run(
        "buildah", "manifest", "push", "-q", "--all", "--format", form, *access(registry),
        "localhost/multi:1", f"docker://{name}",
    )  # fmt: skip
    raw = buildah.run("skopeo", "inspect", "--raw", *access(registry), f"docker://{name}")

    value = json.loads(raw)
    assert (
        value["mediaType"]
        == {
            "oci": "application/vnd.oci.image.index.v1+json",
            "v2s2": "application/vnd.docker.distribution.manifest.list.v2+json",
        }[form]
    )
    listed = {entry["platform"]["architecture"]: entry["digest"] for entry in value["manifests"]}
    assert sorted(listed) == ["amd64", "arm64"]
    for digest in listed.values():
        child = f"docker://{name.rpartition(':')[0]}@{digest}"
        assert (
            digest_of(buildah.run("skopeo", "inspect", "--raw", *access(registry), child)) == digest
        )


def make_list(buildah: Surroundings, name: str) -> None:
    buildah.run("buildah", "manifest", "create", name)
    for architecture in ("amd64", "arm64"):
        single = f"localhost/single:{architecture}"
        build(buildah, single, marker=architecture, architecture=architecture)
        buildah.run("buildah", "manifest", "add", name, single)


def test_podman_pulls_the_platform_that_is_asked_for(
    registry: Registry, buildah: Surroundings, multi_image, repository: str
) -> None:
    needed("skopeo")
    name = registry.reference(repository, "multi")
    destination = [option.replace("--", "--dest-", 1) for option in trust(registry)]
    buildah.run(
        "skopeo", "copy", "--all", *destination, "--dest-creds", registry.credentials,
        multi_image.skopeo_reference, f"docker://{name}",
    )  # fmt: skip

    seen = {}
    for architecture in ("arm64", "amd64"):
        buildah.run("podman", "pull", "-q", "--arch", architecture, *access(registry), name)
        inspected = json.loads(buildah.run("podman", "image", "inspect", name))[0]
        seen[architecture] = inspected["Architecture"]

    assert seen == {"arm64": "arm64", "amd64": "amd64"}


def test_a_program_of_a_pulled_image_runs(
    registry: Registry, buildah: Surroundings, image, repository: str
) -> None:
    needed("skopeo")
    name = registry.reference(repository, "v1")
    destination = [option.replace("--", "--dest-", 1) for option in trust(registry)]
    buildah.run(
        "skopeo", "copy", *destination, "--dest-creds", registry.credentials,
        image.skopeo_reference, f"docker://{name}",
    )  # fmt: skip

    container = buildah.run("buildah", "from", "-q", *access(registry), f"docker://{name}")
    said = buildah.run("buildah", "run", container, "--", "/bin/cat", "/marker")

    assert said == "hello from a small image"


def test_podman_login_is_used_by_buildah_and_ends_with_logout(
    registry: Registry, buildah: Surroundings, repository: str
) -> None:
    name = registry.reference(repository, "v1")
    build(buildah, "localhost/small:v1", marker=repository)
    push = ["buildah", "push", "-q", *trust(registry), "localhost/small:v1", f"docker://{name}"]

    buildah.run(
        "podman", "login", *trust(registry), "-u", registry.user, "--password-stdin",
        registry.host, stdin=registry.password,
    )  # fmt: skip
    buildah.run(*push)
    buildah.run("podman", "logout", registry.host)

    assert buildah.attempt(*push).status != 0
