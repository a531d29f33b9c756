"""The vendor's command line: JSON and nested parameters, its malformed Host over plain HTTP, its waiter."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from programs import CACHE, Finished, Surroundings
from started_registry import Registry
from tcr_account import REGION, Account, open_account

pytestmark = pytest.mark.blackbox

TCCLI = CACHE / "tccli" / "bin" / "tccli"


@pytest.fixture(scope="module")
def program() -> Path:
    if not TCCLI.exists():
        pytest.skip("tccli is not installed (`make test-all` does it)")
    return TCCLI


@pytest.fixture(scope="module")
def account(program: Path, plain_registry: Registry) -> Account:
    return open_account(plain_registry, "tccli")


class Tccli:
    """Runs it in the account's name, against the registry over plain HTTP."""

    def __init__(self, program: Path, account: Account, client: Surroundings) -> None:
        self.program, self.endpoint = program, account.registry.url
        self.client = client.with_variables(
            TENCENTCLOUD_SECRET_ID=account.key_id,
            TENCENTCLOUD_SECRET_KEY=account.secret,
            TENCENTCLOUD_REGION=REGION,
        )

    def attempt(self, action: str, *options: str) -> Finished:
        return self.client.attempt(
            self.program, "tcr", action, "--endpoint", self.endpoint, *options
        )

    def run(self, action: str, *options: str) -> dict[str, Any]:
        done = self.attempt(action, *options)
        assert done.status == 0, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer.pop("RequestId")
        return answer


@pytest.fixture
def tccli(program: Path, account: Account, client: Surroundings) -> Tccli:
    return Tccli(program, account, client)


def test_an_instance_is_made_waited_for_and_filled(tccli: Tccli) -> None:
    made = tccli.run(
        "CreateInstance", "--RegistryName", "tccli-team", "--RegistryType", "premium",
        "--TagSpecification",
        '{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "上海 a&b=c"}]}',
    )  # fmt: skip
    registry = made["RegistryId"]
    waiter = (
        '{"expr": "RegistryStatusSet[0].Status", "to": "Running", "timeout": 30, "interval": 1}'
    )
    status = tccli.run(
        "DescribeInstanceStatus", "--RegistryIds", json.dumps([registry]), "--waiter", waiter
    )
    assert status["RegistryStatusSet"][0]["Status"] == "Running"
    found = tccli.run(
        "DescribeInstances", "--Limit", "5",
        "--Filters", '[{"Name": "RegistryName", "Values": ["tccli-team", "other"]}]',
    )  # fmt: skip
    assert found["TotalCount"] == 1
    assert found["Registries"][0]["TagSpecification"]["Tags"] == [
        {"Key": "team", "Value": "上海 a&b=c"}
    ]

    tccli.run(
        "CreateNamespace",
        "--RegistryId",
        registry,
        "--NamespaceName",
        "shop",
        "--IsPublic",
        "False",
    )
    robot = tccli.run(
        "CreateServiceAccount", "--RegistryId", registry, "--Name", "ci", "--Duration", "3",
        "--Permissions",
        '[{"Resource": "shop", "Actions": ["tcr:PushRepository", "tcr:PullRepository"]}]',
    )  # fmt: skip
    assert robot["Name"] == "tcr$ci"
    shown = tccli.run(
        "DescribeServiceAccounts", "--RegistryId", registry, "--EmbedPermission", "True"
    )
    assert shown["ServiceAccounts"][0]["Permissions"] == [
        {"Resource": "shop", "Actions": ["tcr:PushRepository", "tcr:PullRepository"]}
    ]
    tccli.run(
        "CreateRepository", "--RegistryId", registry, "--NamespaceName", "shop",
        "--RepositoryName", "web", "--BriefDescription", "the shop's face",
    )  # fmt: skip
    rows = tccli.run("DescribeRepositories", "--RegistryId", registry)["RepositoryList"]
    assert [(row["Name"], row["BriefDescription"]) for row in rows] == [
        ("shop/web", "the shop's face")
    ]
    tccli.run("DeleteInstance", "--RegistryId", registry, "--DeleteBucket", "True")
    deadline = time.monotonic() + 30
    while tccli.run("DescribeInstances", "--Registryids", json.dumps([registry]))["TotalCount"]:
        assert time.monotonic() < deadline


def test_a_refusal_is_told_with_its_code(tccli: Tccli) -> None:
    unknown = tccli.attempt("DescribeNamespaces", "--RegistryId", "tcr-zzzzzzzz")
    assert unknown.status != 0
    assert "ResourceNotFound" in unknown.output
    tccli.client = tccli.client.with_variables(TENCENTCLOUD_SECRET_KEY="not-the-secret")
    unsigned = tccli.attempt("DescribeInstances")
    assert unsigned.status != 0
    assert "AuthFailure.SignatureFailure" in unsigned.output


def test_regions_are_listed(tccli: Tccli) -> None:
    answer = tccli.run("DescribeRegions")

    assert answer["TotalCount"] == len(answer["Regions"]) >= 1
