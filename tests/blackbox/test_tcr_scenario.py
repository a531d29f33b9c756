"""A platform team's day: an instance by the vendor's SDK, images in and out of it by skopeo."""

import json
from typing import Any

import pytest
from host_names import needed_name
from oci_layout import Layout
from programs import Finished, Surroundings, needed
from started_registry import Registry
from tcr_account import SUFFIX, Account, open_account, until

pytestmark = pytest.mark.blackbox

TEAM = "blackbox-team"
HOST = f"{TEAM}.{SUFFIX}"
PLAIN = "--tls-verify=false"


@pytest.fixture
def account(plain_registry: Registry) -> Account:
    needed("skopeo", "curl")
    needed_name(HOST)
    return open_account(plain_registry, "blackbox")


def row(account: Account, registry: str) -> Any:
    rows = account.call("DescribeInstances", Registryids=[registry]).Registries
    return rows[0] if rows else None


def open_instance(account: Account) -> str:
    """Created, waited for, opened for this machine; its id."""
    registry = account.call(
        "CreateInstance", RegistryName=TEAM, RegistryType="standard", DeletionProtection=True
    ).RegistryId
    stages = until(lambda: row(account, registry).Status, "Running")
    assert len(stages) > 1, "nobody saw it being made"
    assert row(account, registry).PublicDomain == f"{HOST}:{account.registry.host.split(':')[1]}"

    def entry() -> str:
        return str(account.call("DescribeExternalEndpointStatus", RegistryId=registry).Status)

    assert entry() == "Closed"
    account.call("ManageExternalEndpoint", RegistryId=registry, Operation="Create")
    assert until(entry, "Opened") == ["Opening", "Opened"]
    account.call(
        "CreateSecurityPolicy", RegistryId=registry, CidrBlock="127.0.0.0/8", Description="here"
    )
    return str(registry)


class Skopeo:
    """Copies to and from the instance with one login."""

    def __init__(self, client: Surroundings, domain: str, user: str, password: str) -> None:
        self.client, self.domain, self.login = client, domain, f"{user}:{password}"

    def push(self, layout: Layout, name: str) -> Finished:
        return self.client.attempt(
            "skopeo", "copy", "--all", f"--dest-{PLAIN[2:]}", "--dest-creds", self.login,
            layout.skopeo_reference, f"docker://{self.domain}/{name}",
        )  # fmt: skip

    def raw(self, name: str, *, token: str = "") -> Finished:
        login = ["--registry-token", token] if token else ["--creds", self.login]
        return self.client.attempt(
            "skopeo", "inspect", "--raw", PLAIN, *login, f"docker://{self.domain}/{name}"
        )

    def pull(self, name: str) -> Finished:
        back = self.client.folder / name.replace("/", "-").replace(":", "-")
        return self.client.attempt(
            "skopeo", "copy", "--all", f"--src-{PLAIN[2:]}", "--src-creds", self.login,
            f"docker://{self.domain}/{name}", f"oci:{back}:v1",
        )  # fmt: skip


def test_from_an_empty_account_to_an_empty_account(
    account: Account, client: Surroundings, image: Layout, multi_image: Layout
) -> None:
    registry = open_instance(account)
    domain = row(account, registry).PublicDomain
    for name in ("shop", "live"):
        account.call("CreateNamespace", RegistryId=registry, NamespaceName=name, IsPublic=False)
    actions = ["tcr:PushRepository", "tcr:PullRepository", "tcr:CreateRepository"]
    robot = account.call(
        "CreateServiceAccount",
        RegistryId=registry,
        Name="builder",
        Permissions=[{"Resource": name, "Actions": actions} for name in ("shop", "live")],
    )
    skopeo = Skopeo(client, domain, robot.Name, robot.Password)

    for layout, tag in ((image, "single"), (multi_image, "multi")):
        done = skopeo.push(layout, f"shop/web:{tag}")
        assert done.status == 0, done.output
    found = account.call(
        "DescribeImages", RegistryId=registry, NamespaceName="shop", RepositoryName="web"
    )
    assert {one.ImageVersion: one.Digest for one in found.ImageInfoList} == {
        "single": image.digest,
        "multi": multi_image.digest,
    }
    for tag in ("single", "multi"):
        account.call(
            "DuplicateImage",
            RegistryId=registry,
            SourceNamespace="shop",
            SourceRepo="web",
            SourceReference=tag,
            DestinationNamespace="live",
            DestinationRepo="web",
            DestinationTag=tag,
        )
        shown = account.call(
            "DescribeImageManifests",
            RegistryId=registry,
            NamespaceName="live",
            RepositoryName="web",
            ImageVersion=tag,
        )
        assert shown.Manifest == skopeo.raw(f"shop/web:{tag}").stdout
        assert shown.Manifest == skopeo.raw(f"live/web:{tag}").stdout
        copied = skopeo.pull(f"live/web:{tag}")
        assert copied.status == 0, copied.output
    check_closed(account, registry, skopeo)
    check_deleted(account, registry)


def check_closed(account: Account, registry: str, skopeo: Skopeo) -> None:
    """A closed entry lets nobody in, whatever they bring."""
    token = account.call("CreateInstanceToken", RegistryId=registry)
    bearer = bearer_token(skopeo, token.Username, token.Token)
    assert skopeo.raw("shop/web:single", token=bearer).status == 0
    account.call("ManageExternalEndpoint", RegistryId=registry, Operation="Delete")
    until(lambda: skopeo.raw("shop/web:single").status != 0, wanted=True)
    for done in (skopeo.raw("shop/web:single"), skopeo.raw("shop/web:single", token=bearer)):
        assert done.status != 0
        assert "403 (Forbidden)" in done.output, done.output  # it says no more
    refusal = skopeo.client.run(
        "curl", "-sS", "-H", f"Authorization: Bearer {bearer}", f"http://{skopeo.domain}/v2/"
    )
    assert "its public entry is closed" in json.loads(refusal)["errors"][0]["message"]


def bearer_token(skopeo: Skopeo, user: str, password: str) -> str:
    url = f"http://{skopeo.domain}/service/token?service=entrepot&scope=repository:shop/web:pull"
    answer = skopeo.client.run(
        "curl", "-sS", "--config", "-", url, stdin=f'user = "{user}:{password}"'
    )
    return str(json.loads(answer)["token"])


def check_deleted(account: Account, registry: str) -> None:
    """Protected, then not; its name is free in the end."""
    assert account.refused("DeleteInstance", RegistryId=registry) == "OperationDenied"
    account.call("ModifyInstance", RegistryId=registry, DeletionProtection=False)
    account.call("DeleteInstance", RegistryId=registry, DeleteBucket=True)
    until(lambda: row(account, registry), None)
    assert account.call("CheckInstanceName", RegistryName=TEAM).IsValidated
