"""skopeo: the broadest user of the protocol, both ways and from one registry to another."""

import json
from pathlib import Path

import pytest
from oci_layout import Layout, digest_of
from programs import Surroundings, needed
from started_registry import STANDIN, Registry

pytestmark = pytest.mark.blackbox


@pytest.fixture(autouse=True)
def _skopeo() -> None:
    needed("skopeo")


def trust(registry: Registry, side: str = "") -> list[str]:
    """The options that make skopeo accept the registry; `side` is `src-`, `dest-` or nothing."""
    if registry.tls:
        return [f"--{side}cert-dir={registry.certificates.folder}"]
    return [f"--{side}tls-verify=false"]


def push(client: Surroundings, registry: Registry, layout: Layout, name: str) -> None:
    client.run(
        "skopeo", "copy", "--all", *trust(registry, "dest-"), "--dest-creds",
        registry.credentials, layout.skopeo_reference, f"docker://{name}",
    )  # fmt: skip


def raw_digest(client: Surroundings, registry: Registry, name: str) -> str:
    options = [*trust(registry), "--creds", registry.credentials]
    done = client.attempt("skopeo", "inspect", "--raw", *options, f"docker://{name}")
    assert done.status == 0, done.output
    return digest_of(done.stdout)


def test_an_image_goes_up_and_comes_back_byte_for_byte(
    registry: Registry, client: Surroundings, image: Layout, repository: str
) -> None:
    name = registry.reference(repository, "v1")
    back = client.folder / "back"

    push(client, registry, image, name)
    client.run(
        "skopeo", "copy", "--all", *trust(registry, "src-"), "--src-creds", registry.credentials,
        f"docker://{name}", f"oci:{back}:v1",
    )  # fmt: skip

    assert raw_digest(client, registry, name) == image.digest
    assert blobs(back) == blobs(image.folder)


def test_a_multi_architecture_image_keeps_every_digest(
    registry: Registry, client: Surroundings, multi_image: Layout, repository: str
) -> None:
    name = registry.reference(repository, "v1")
    back = client.folder / "back"

    push(client, registry, multi_image, name)
    client.run(
        "skopeo", "copy", "--all", *trust(registry, "src-"), "--src-creds", registry.credentials,
        f"docker://{name}", f"oci:{back}:v1",
    )  # fmt: skip

    assert raw_digest(client, registry, name) == multi_image.digest
    assert blobs(back) == blobs(multi_image.folder)


def blobs(layout: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (layout / "blobs" / "sha256").iterdir()}


def test_another_repository_of_the_same_registry_takes_the_image_by_mounting(
    registry: Registry, client: Surroundings, multi_image: Layout, repository: str
) -> None:
    first, second = (
        registry.reference(repository, "v1"),
        registry.reference(f"{repository}/b", "v2"),
    )
    push(client, registry, multi_image, first)

    client.run(
        "skopeo", "copy", "--all", *trust(registry, "src-"), *trust(registry, "dest-"),
        "--src-creds", registry.credentials, "--dest-creds", registry.credentials,
        f"docker://{first}", f"docker://{second}",
    )  # fmt: skip

    assert raw_digest(client, registry, second) == multi_image.digest


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_the_image_converts_between_docker_and_oci_manifests(
    registry: Registry, client: Surroundings, image: Layout, repository: str, form: str
) -> None:
    name = registry.reference(repository, form)
    kind = {
        "oci": "application/vnd.oci.image.manifest.v1+json",
        "v2s2": "application/vnd.docker.distribution.manifest.v2+json",
    }[form]

    client.run(
        "skopeo", "copy", "--format", form, *trust(registry, "dest-"), "--dest-creds",
        registry.credentials, image.skopeo_reference, f"docker://{name}",
    )  # fmt: skip
    raw = client.run(
        "skopeo", "inspect", "--raw", *trust(registry), "--creds", registry.credentials,
        f"docker://{name}",
    )  # fmt: skip

    assert json.loads(raw)["mediaType"] == kind


def test_list_tags_names_every_tag_in_order(
    registry: Registry, client: Surroundings, image: Layout, repository: str
) -> None:
    for tag in ("v2", "v1", "V10"):
        push(client, registry, image, registry.reference(repository, tag))

    listed = client.run(
        "skopeo", "list-tags", *trust(registry), "--creds", registry.credentials,
        f"docker://{registry.host}/{registry.namespace}/{repository}",
    )  # fmt: skip

    assert sorted(json.loads(listed)["Tags"]) == ["V10", "v1", "v2"]


def test_sync_copies_a_repository_to_a_folder_and_into_another_namespace_path(
    registry: Registry, client: Surroundings, multi_image: Layout, image: Layout, repository: str
) -> None:
    push(client, registry, multi_image, registry.reference(repository, "multi"))
    push(client, registry, image, registry.reference(repository, "single"))
    source = f"{registry.host}/{registry.namespace}/{repository}"
    login(client, registry)
    down, mirror = client.folder / "down", f"{registry.host}/{registry.namespace}/mirror"

    client.run(
        "skopeo", "sync", "--all", "--scoped", *trust(registry, "src-"),
        "--src", "docker", "--dest", "dir", source, down,
    )  # fmt: skip
    client.run(
        "skopeo", "sync", "--all", *trust(registry, "src-"), *trust(registry, "dest-"),
        "--src", "docker", "--dest", "docker", source, mirror,
    )  # fmt: skip

    folders = sorted(path.parent.name.rpartition(":")[2] for path in down.rglob("manifest.json"))
    assert folders == ["multi", "single"]
    copied = f"{mirror}/{repository}:multi"
    assert raw_digest(client, registry, copied) == multi_image.digest


def login(client: Surroundings, registry: Registry, password: str | None = None) -> None:
    client.run(
        "skopeo", "login", *trust(registry), "-u", registry.user, "--password-stdin",
        registry.host, stdin=password or registry.password,
    )  # fmt: skip


def test_login_stores_credentials_that_later_commands_use(
    registry: Registry, client: Surroundings, image: Layout, repository: str
) -> None:
    name = registry.reference(repository, "v1")

    login(client, registry)
    client.run(
        "skopeo", "copy", *trust(registry, "dest-"), image.skopeo_reference, f"docker://{name}"
    )
    raw = client.run("skopeo", "inspect", "--raw", *trust(registry), f"docker://{name}")

    assert digest_of(raw) == image.digest


def test_login_with_a_wrong_password_is_refused(registry: Registry, client: Surroundings) -> None:
    done = client.attempt(
        "skopeo", "login", *trust(registry), "-u", registry.user, "--password-stdin",
        registry.host, stdin="not-the-password",
    )  # fmt: skip

    assert done.status != 0
    assert "invalid username/password" in done.output or "unauthorized" in done.output.lower()


def test_an_anonymous_push_is_refused(
    registry: Registry, client: Surroundings, image: Layout, repository: str
) -> None:
    done = client.attempt(
        "skopeo", "copy", *trust(registry, "dest-"), "--dest-no-creds", image.skopeo_reference,
        f"docker://{registry.reference(repository, 'v1')}",
    )  # fmt: skip

    assert done.status != 0
    assert any(word in done.output.lower() for word in ("unauthorized", "authentication", "denied"))


def test_delete_removes_the_manifest_and_its_tags(
    registry: Registry, client: Surroundings, image: Layout, repository: str
) -> None:
    first, second = (registry.reference(repository, tag) for tag in ("v1", "v2"))
    push(client, registry, image, first)
    push(client, registry, image, second)

    client.run(
        "skopeo", "delete", *trust(registry), "--creds", registry.credentials, f"docker://{first}"
    )
    gone = [
        client.attempt(
            "skopeo", "inspect", "--raw", *trust(registry), "--creds", registry.credentials,
            f"docker://{name}",
        )
        for name in (first, second)
    ]  # fmt: skip

    assert [done.status != 0 for done in gone] == [True, True]
    assert all("manifest unknown" in done.output.lower() for done in gone), gone


def test_a_push_into_a_missing_namespace_says_how_to_create_it(
    registry: Registry, client: Surroundings, image: Layout
) -> None:
    if STANDIN:
        pytest.skip("the stand-in has no namespaces")
    done = client.attempt(
        "skopeo", "copy", *trust(registry, "dest-"), "--dest-creds", registry.credentials,
        image.skopeo_reference, f"docker://{registry.host}/nowhere-to-be-seen/x:v1",
    )  # fmt: skip

    assert done.status != 0
    assert "nowhere-to-be-seen" in done.output
    assert "namespace create" in done.output
