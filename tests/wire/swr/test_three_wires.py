"""One image, pushed into the shared registry, is the same for docker, SWR and TCR's built-in instance."""

import json
from datetime import datetime

import pytest
from office import Office
from swr_docker import pull
from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.tcr.v20190924 import models, tcr_client

pytestmark = pytest.mark.broad


def tcr(office: Office) -> tcr_client.TcrClient:
    to = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{office.registry.port}")
    who = credential.Credential(office.owner.key_id, office.owner.secret)
    return tcr_client.TcrClient(who, "ap-guangzhou", ClientProfile(httpProfile=to))


def ask(client: tcr_client.TcrClient, action: str, **parameters: object) -> dict:
    request = getattr(models, f"{action}Request")()
    request.from_json_string(json.dumps(parameters))
    return json.loads(getattr(client, action)(request).to_json_string())


def test_digest_size_and_time_are_the_same_on_three_wires(office: Office):
    organization, repository = office.repository()
    name = f"{organization}/{repository}"
    pushed = office.push(name, "v1")
    office.push(name, "v1")  # again: the time of the last push counts everywhere

    path = f"/v2/manage/namespaces/{organization}/repos/{repository}/tags/v1"
    swr = office.owner.ask("GET", path)
    client = tcr(office)
    (registry,) = ask(client, "DescribeInstances")["Registries"]  # the built-in one
    found = ask(
        client,
        "DescribeImages",
        RegistryId=registry["RegistryId"],
        NamespaceName=organization,
        RepositoryName=repository,
    )
    (image,) = found["ImageInfoList"]

    assert pushed.digest == swr["digest"] == image["Digest"]
    assert pushed.size == swr["size"] == image["Size"]
    assert abs(moment(swr["updated"]) - moment(image["UpdateTime"])) < 1
    assert pull(office.registry.port, name, pushed.digest, office.owner.basic) == 200


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
