"""containerd's `ctr`, the client of a Kubernetes node; it asks for tokens by POST first."""

import json
from collections.abc import Iterator

import pytest
from engines import Containerd, containerd
from oci_layout import Layout, layout_archive
from programs import Surroundings
from started_registry import Registry

pytestmark = [pytest.mark.blackbox, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    with containerd(tmp_path_factory.mktemp("ctrd")) as started:
        yield started


class Node:
    """`ctr` with the options that reach one registry, as a node's configuration would give them."""

    def __init__(self, client: Surroundings, daemon: Containerd, registry: Registry) -> None:
        self._client = client
        self._daemon = daemon
        self._reach = ["--user", registry.credentials]
        if registry.tls:
            self._reach += ["--hosts-dir", str(self._hosts(registry))]
        else:
            self._reach.append("--plain-http")

    def _hosts(self, registry: Registry) -> object:
        folder = self._client.folder / "hosts"
        (folder / registry.host).mkdir(parents=True)
        (folder / registry.host / "hosts.toml").write_text(
            f'server = "{registry.url}"\n'
            f'[host."{registry.url}"]\n'
            '  capabilities = ["pull", "resolve", "push"]\n'
            f'  ca = "{registry.certificates.authority}"\n'
        )
        return folder

    def ctr(self, *words: str) -> str:
        return self._client.run("ctr", "-a", self._daemon.socket, *words)

    def load(self, layout: Layout, name: str) -> None:
        """Bring a layout into containerd's store under `name`."""
        archive = layout_archive(layout, self._client.folder / "image.tar")
        base, _, _tag = name.rpartition(":")
        options = ["--no-unpack", "--all-platforms", "--digests", "--base-name", base]
        self.ctr("images", "import", *options, str(archive))
        self.ctr("images", "tag", "--force", f"{base}@{layout.digest}", name)

    def push(self, name: str) -> None:
        self.ctr("images", "push", *self._reach, name)

    def pull(self, name: str, *options: str) -> None:
        self.ctr("images", "pull", "--snapshotter", "native", *self._reach, *options, name)

    def forget(self) -> None:
        """Remove every image and, with the store's own collection, every blob."""
        names = self.ctr("images", "ls", "-q").splitlines()
        self.ctr("images", "rm", "--sync", *names)

    def digest(self, name: str) -> str:
        rows = [line.split() for line in self.ctr("images", "ls").splitlines()]
        return next(row[2] for row in rows if row[0] == name)


@pytest.fixture
def node(client: Surroundings, daemon: Containerd, registry: Registry) -> Node:
    return Node(client, daemon, registry)


def test_an_image_is_pushed_forgotten_and_pulled_with_the_same_digest(
    registry: Registry, node: Node, image: Layout, repository: str
) -> None:
    name = registry.reference(repository, "v1")
    node.load(image, name)

    node.push(name)
    node.forget()
    node.pull(name)

    assert node.digest(name) == image.digest


def test_every_platform_of_an_index_is_pushed_and_pulled(
    registry: Registry, node: Node, multi_image: Layout, repository: str
) -> None:
    name = registry.reference(repository, "multi")
    node.load(multi_image, name)

    node.push(name)
    node.forget()
    node.pull(name, "--all-platforms")

    assert node.digest(name) == multi_image.digest
    index = json.loads(node.ctr("content", "get", multi_image.digest))
    for entry in index["manifests"]:
        manifest = json.loads(node.ctr("content", "get", entry["digest"]))
        assert manifest["layers"]


def test_a_pulled_image_runs(
    registry: Registry, node: Node, image: Layout, repository: str
) -> None:
    name = registry.reference(repository, "v1")
    node.load(image, name)
    node.push(name)
    node.forget()

    node.pull(name)
    said = node.ctr("run", "--rm", "--snapshotter", "native", name, repository[:60])

    assert said.strip() == "hello from a small image"


def test_a_wrong_password_is_refused(
    registry: Registry, client: Surroundings, daemon: Containerd, image: Layout, repository: str
) -> None:
    name = registry.reference(repository, "v1")
    good = Node(client, daemon, registry)
    good.load(image, name)
    reach = ["--plain-http"]
    if registry.tls:
        reach = ["--hosts-dir", str(client.folder / "hosts")]

    done = client.attempt(
        "ctr", "-a", daemon.socket, "images", "push", *reach, "--user", f"{registry.user}:no", name
    )

    assert done.status != 0
    assert any(word in done.output.lower() for word in ("401", "unauthorized", "authorization"))
