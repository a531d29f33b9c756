"""Every action that is served, driven to success by the vendor's SDK; and some of them in every way the SDK has to sign."""

import json
import warnings
from typing import Any

import pytest
from firm import Firm, until
from good_calls import GOOD
from sending import tc3_get, tc3_post, v1
from tencentcloud.tcr.v20190924 import models

from entrepot.dialects.tcr.table import TABLE

pytestmark = pytest.mark.broad

METHODS = [
    ("TC3-HMAC-SHA256", "POST"),
    ("TC3-HMAC-SHA256", "GET"),
    ("HmacSHA1", "POST"),
    ("HmacSHA1", "GET"),
    ("HmacSHA256", "POST"),
    ("HmacSHA256", "GET"),
]


def ask(client: Any, action: str, given: dict[str, Any]) -> dict[str, Any]:
    """By the SDK, whose models must know every member of the answer; without those that are null."""
    request = getattr(models, f"{action}Request")()
    request.from_json_string(json.dumps(given))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = getattr(client, action)(request)
    return dict(json.loads(answer.to_json_string()))


def test_every_action_has_a_good_call():
    assert set(GOOD) == set(TABLE)


@pytest.mark.parametrize("action", sorted(GOOD))
def test_the_sdk_drives_each_action_to_success(firm: Firm, action: str):
    good = GOOD[action]
    given = good.make(firm)
    answer = ask(firm.account.sdk(), action, given)
    until(lambda: good.then(firm, given, answer))


@pytest.mark.parametrize(("method", "verb"), METHODS)
def test_nested_lists_booleans_and_any_text_arrive_however_the_sdk_signs(
    firm: Firm, method: str, verb: str
):
    client = firm.account.sdk(method, verb)
    tags = [{"Key": "größe", "Value": "a b+c&d=e%20/你好"}, {"Key": "k.0", "Value": ""}]
    name = firm.fresh("ns")
    spec = {"ResourceType": "namespace", "Tags": tags}
    given = firm.at(NamespaceName=name, IsPublic=True, TagSpecification=spec)
    ask(client, "CreateNamespace", given)
    ask(client, "ModifyNamespace", firm.at(NamespaceName=name, IsPublic=False))
    # A list that is empty cannot be said in the flat form, and is no restriction in the other one.
    filters = [{"Name": "Tags", "Values": ["größe:a b+c&d=e%20/你好"]}]
    found = ask(
        client, "DescribeNamespaces", firm.at(NamespaceName=name, Filters=filters, All=False)
    )
    (row,) = found["NamespaceList"]
    assert row["Name"] == name
    assert row["Public"] is False
    assert sorted(map(str, row["TagSpecification"]["Tags"])) == sorted(map(str, tags))
    assert ask(client, "DescribeInstances", {"Registryids": [], "Filters": []})["TotalCount"]
    ids = [firm.registry, "tcr-unknown0"]
    assert (
        len(ask(client, "DescribeInstanceStatus", {"RegistryIds": ids})["RegistryStatusSet"]) == 1
    )


def test_the_sdk_may_leave_its_body_unsigned(firm: Firm):
    client = firm.account.sdk()
    client.profile.unsignedPayload = True
    where = firm.at(**firm.repository(), BriefDescription="ungezeichnet", Description="-")
    ask(client, "ModifyRepository", where)
    found = ask(client, "DescribeRepositories", firm.at(NamespaceName=where["NamespaceName"]))
    assert found["RepositoryList"][0]["BriefDescription"] == "ungezeichnet"


@pytest.mark.parametrize("build", [tc3_post, tc3_get])
def test_headers_that_clients_add_change_nothing(firm: Firm, build: Any):
    sent = build(firm.account, "DescribeRegions")
    plain = firm.wire.send(build(firm.account, "DescribeRegions"))
    sent.headers |= {
        "X-TC-Language": "zh-CN",
        "X-TC-RequestClient": "SDK_PYTHON_3.1.189; größe".encode().decode("latin-1"),
        "X-TC-TraceId": "4e3d2c1b",
        "X-TC-Whatever": "1",
        "Accept": "text/html",
        "User-Agent": "nobody",
    }
    answer = firm.wire.send(sent)
    assert {**answer, "RequestId": ""} == {**plain, "RequestId": ""}


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("scheme", ["HmacSHA1", "HmacSHA256", ""])
def test_parameters_of_signing_are_none_of_the_actions(firm: Firm, verb: str, scheme: str):
    more = {"Language": "zh-CN", "RequestClient": "nobody"}
    sent = v1(firm.account, "CheckInstance", firm.at(), verb=verb, scheme=scheme, **more)
    assert firm.wire.send(sent)["IsValidated"] is True


def test_no_region_is_the_default_one_and_the_vendors_names_stand_for_it(firm: Firm):
    assert not firm.code("CheckInstance", firm.at(), region="")
    assert not firm.wire.code(v1(firm.account, "CheckInstance", firm.at(), Region=""))
    for name in ("ap-beijing", "na-toronto", "sa-saopaulo"):
        assert not firm.code("CheckInstance", firm.at(), region=name)


def test_numbers_and_booleans_may_be_texts_and_null_is_absent(firm: Firm):
    name = firm.fresh("ns")
    for value in ("true", "True", "false", "False"):
        given = firm.at(NamespaceName=name, IsPublic=value)
        action = "CreateNamespace" if value == "true" else "ModifyNamespace"
        assert not firm.code(action, given)
        found = firm.do("DescribeNamespaces", **firm.at(NamespaceName=name))["NamespaceList"]
        assert found[0]["Public"] is (value.lower() == "true")
    firm.namespace("robots")
    nothing = dict.fromkeys(["NamespaceName", "Filters", "All", "KmsSignPolicy"])
    found = firm.do("DescribeNamespaces", **firm.at(Limit="1", Offset="0", **nothing))
    assert len(found["NamespaceList"]) == 1
    assert found["TotalCount"] == len(
        firm.do("DescribeNamespaces", **firm.at(All=True))["NamespaceList"]
    )


def test_indexes_of_a_flat_list_may_have_gaps_and_come_in_any_order(firm: Firm):
    pairs = [
        ("RegistryId", firm.registry),
        ("SecurityGroupPolicySet.12.CidrBlock", "198.18.0.3"),
        ("SecurityGroupPolicySet.2.CidrBlock", "198.18.0.1"),
        ("SecurityGroupPolicySet.11.CidrBlock", "198.18.0.2"),
    ]
    action = "CreateMultipleSecurityPolicy"
    assert not firm.wire.code(v1(firm.account, action, pairs=pairs))
    assert [one["CidrBlock"] for one in firm.policies()][-3:] == [
        "198.18.0.1",
        "198.18.0.2",
        "198.18.0.3",
    ]
