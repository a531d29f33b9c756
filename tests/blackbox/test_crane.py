"""crane: the second large client library in Go, which also validates what it pulled."""

import json

import pytest
from oci_layout import Layout
from programs import Surroundings, needed
from started_registry import Registry

pytestmark = pytest.mark.blackbox


@pytest.fixture
def crane(client: Surroundings) -> Surroundings:
    needed("crane")
    return client


def logged_in(crane: Surroundings, registry: Registry) -> Surroundings:
    trusting = registry.trusting(crane)
    trusting.run(
        "crane", "auth", "login", registry.host, "-u", registry.user, "--password-stdin",
        stdin=registry.password,
    )  # fmt: skip
    return trusting


def test_an_index_is_pushed_validated_copied_and_pulled(
    registry: Registry, crane: Surroundings, multi_image: Layout, repository: str
) -> None:
    tool = logged_in(crane, registry)
    first, second = (
        registry.reference(repository, "v1"),
        registry.reference(f"{repository}/b", "v1"),
    )

    # crane takes the layout's index.json as the image, which holds the one index that we mean.
    tool.run("crane", "push", "--index", multi_image.folder, first)
    tool.run("crane", "validate", "--remote", first)
    tool.run("crane", "copy", first, second)
    digests = [tool.run("crane", "digest", name) for name in (first, second)]

    assert digests[0] == digests[1]
    listed = json.loads(tool.run("crane", "manifest", second))["manifests"]
    assert [entry["digest"] for entry in listed] == [multi_image.digest]


def test_tags_and_the_catalog_are_listed_and_a_tag_is_added(
    registry: Registry, crane: Surroundings, image: Layout, repository: str
) -> None:
    tool = logged_in(crane, registry)
    name = registry.reference(repository, "v1")
    tool.run("crane", "push", image.folder, name)

    tool.run("crane", "tag", name, "v2")
    tags = tool.run("crane", "ls", name.rpartition(":")[0]).splitlines()
    catalog = tool.run("crane", "catalog", registry.host).splitlines()

    assert sorted(tags) == ["v1", "v2"]
    assert f"{registry.namespace}/{repository}" in catalog


def test_a_layer_is_appended_to_an_image_that_stays_in_the_registry(
    registry: Registry, crane: Surroundings, image: Layout, repository: str
) -> None:
    tool = logged_in(crane, registry)
    name, more = registry.reference(repository, "v1"), registry.reference(repository, "more")
    (tool.folder / "extra").write_text("extra\n")
    tool.run("tar", "-cf", "layer.tar", "extra")
    tool.run("crane", "push", image.folder, name)

    tool.run("crane", "append", "-b", name, "-f", "layer.tar", "-t", more)
    files = tool.run("crane", "export", more, "all.tar") or tool.run("tar", "-tf", "all.tar")

    assert {"marker", "extra"} <= set(files.splitlines())
    tool.run("crane", "validate", "--remote", more)


def test_a_manifest_is_deleted_by_digest(
    registry: Registry, crane: Surroundings, image: Layout, repository: str
) -> None:
    tool = logged_in(crane, registry)
    name = registry.reference(repository, "v1")
    tool.run("crane", "push", image.folder, name)
    digest = tool.run("crane", "digest", name)

    tool.run("crane", "delete", f"{name.rpartition(':')[0]}@{digest}")
    after = tool.attempt("crane", "digest", name)

    assert after.status != 0
    assert "404" in after.output or "MANIFEST_UNKNOWN" in after.output
