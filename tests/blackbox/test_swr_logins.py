"""SWR beside real clients: docker logs in with what the API says, skopeo pushes, and every wire shows the same image."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from engines import containerd, dockerd
from huaweicloudsdkswr.v2 import (
    CreateNamespaceRequest,
    CreateNamespaceRequestBody,
    ListRepositoryTagsRequest,
)
from oci_layout import Layout
from private_authority import Certificates
from programs import Surroundings, needed
from started_registry import Registry
from swr_account import SwrAccount, open_swr_account
from tcr_account import Account

pytestmark = [pytest.mark.blackbox, pytest.mark.timeout(300)]

PLAIN = "--dest-tls-verify=false"


@pytest.fixture(scope="module")
def account(plain_registry: Registry) -> SwrAccount:
    """With the organization `swr-clients`."""
    account = open_swr_account(plain_registry, "swr-clients")
    body = CreateNamespaceRequestBody(namespace="swr-clients")
    account.sdk.create_namespace(CreateNamespaceRequest(body=body))
    return account


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[str]:
    needed("docker", "dockerd", "skopeo")
    with (
        containerd(tmp_path_factory.mktemp("ctrd")) as backend,
        dockerd(tmp_path_factory.mktemp("dkr"), backend, certificates.authority) as address,
    ):
        yield address


def tags(account: SwrAccount, repository: str) -> list[Any]:
    request = ListRepositoryTagsRequest(namespace="swr-clients", repository=repository)
    return list(account.sdk.list_repository_tags(request).body)


def copied_in(client: Surroundings, layout: Layout, name: str, login: str) -> None:
    source, goal = layout.skopeo_reference, f"docker://{name}"
    client.run("skopeo", "copy", "--all", PLAIN, "--dest-creds", login, source, goal)


@pytest.mark.parametrize("kind", ["temporary", "long-term"])
def test_docker_logs_in_pushes_and_pulls(
    account: SwrAccount, engine: str, client: Surroundings, image: Layout, kind: str
) -> None:
    docker = client.with_variables(DOCKER_HOST=engine)
    name = f"{account.registry.host}/swr-clients/{kind}:v1"
    docker.run("skopeo", "copy", image.skopeo_reference, f"docker-archive:{client.folder}/a:{name}")
    docker.run("docker", "load", "-i", client.folder / "a")
    if kind == "temporary":
        said = docker.run(*account.login_command())
    else:
        user, password = account.long_term()
        login = ["docker", "login", "-u", user, "--password-stdin", account.registry.host]
        said = docker.run(*login, stdin=password)
    assert "Login Succeeded" in said

    docker.run("docker", "push", name)
    docker.run("docker", "image", "rm", name)
    pulled = docker.run("docker", "pull", name)

    (tag,) = tags(account, kind)
    assert tag.tag == "v1"
    assert tag.digest in pulled


def test_an_image_that_skopeo_pushed_is_the_same_on_three_wires(
    account: SwrAccount, client: Surroundings, image: Layout, multi_image: Layout
) -> None:
    needed("skopeo")
    name = f"{account.registry.host}/swr-clients/three-wires"
    login = ":".join(account.long_term())
    for layout, tag in ((image, "single"), (multi_image, "multi")):
        copied_in(client, layout, f"{name}:{tag}", login)

    docker = {
        tag: json.loads(
            client.run("skopeo", "inspect", "--tls-verify=false", "--creds", login,
                       "--format", "{{json .}}", f"docker://{name}:{tag}")
        )["Digest"]
        for tag in ("single", "multi")
    }  # fmt: skip
    swr = {row.tag: row for row in tags(account, "three-wires")}
    tcr = tcr_images(account)

    for layout, tag in ((image, "single"), (multi_image, "multi")):
        assert docker[tag] == swr[tag].digest == tcr[tag].Digest == layout.digest
        assert swr[tag].size == tcr[tag].Size > 0
        assert abs(moment(swr[tag].updated) - moment(tcr[tag].UpdateTime)) < 1


def tcr_images(account: SwrAccount) -> dict[str, Any]:
    """What the built-in instance lists, by tag."""
    tencent = Account(account.registry, account.key_id, account.secret)
    (built_in,) = tencent.call("DescribeInstances").Registries
    found = tencent.call(
        "DescribeImages",
        RegistryId=built_in.RegistryId,
        NamespaceName="swr-clients",
        RepositoryName="three-wires",
    )
    return {one.ImageVersion: one for one in found.ImageInfoList}


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
