"""Every example request of the vendor's pages of served actions: as it is printed, and with ids of things that are there."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from contract_shapes import ACTIONS, misfits
from firm import Firm, until
from sending import Sent, tc3_get, tc3_post, v1
from tencentcloud.tcr.v20190924 import models

from entrepot.dialects.tcr.errors import code_of
from entrepot.dialects.tcr.table import TABLE
from entrepot.model.errors import InstanceUnknown

pytestmark = pytest.mark.broad

EXAMPLES = [
    (action, number)
    for action in sorted(set(TABLE) & set(ACTIONS))
    for number in range(len(ACTIONS[action]["examples"]))
]
NO_MODEL = {"DescribeInstanceAllNamespaces"}  # has outputs that the SDK does not know
Changes = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """`prepare`: makes what the example names and gives the parameters to put in place of printed ids. `code`: it is refused with, for
    that `reason`."""

    prepare: Callable[[Firm], Changes] = lambda firm: firm.at()
    code: str = ""
    reason: str = ""


def _gone(firm: Firm, namespace: str) -> None:
    found = firm.do("DescribeNamespaces", **firm.at(NamespaceName=namespace, All=True))
    if namespace not in {one["Name"] for one in found["NamespaceList"]}:
        return
    for one in firm.do("DescribeRepositories", **firm.at(NamespaceName=namespace, Limit=100))[
        "RepositoryList"
    ]:
        name = one["Name"].removeprefix(f"{namespace}/")
        firm.do("DeleteRepository", **firm.at(NamespaceName=namespace, RepositoryName=name))
    firm.do("DeleteNamespace", **firm.at(NamespaceName=namespace))


def _without_namespace(firm: Firm) -> Changes:
    _gone(firm, "mytest")
    return firm.at()


def _empty_namespace(firm: Firm) -> Changes:
    _gone(firm, "mytest")
    firm.namespace("mytest")
    return firm.at()


def _there(*way: str) -> Callable[[Firm], Changes]:
    """An image of that namespace, repository and tag, if there are so many names."""

    def prepare(firm: Firm) -> Changes:
        if len(way) == 3:
            firm.image(*way)
        elif len(way) == 2:
            firm.repository(*way)
        else:
            firm.namespace(*way)
        return firm.at()

    return prepare


def _no_repository(firm: Firm) -> Changes:
    where = firm.repository("team-01", "nginx")
    firm.do("DeleteRepository", **firm.at(**where))
    return firm.at()


def _no_robot(firm: Firm) -> Changes:
    firm.namespace("test")
    firm.code("DeleteServiceAccount", firm.at(Name="test"))
    return firm.at()


def _robot(name: str) -> Callable[[Firm], Changes]:
    def prepare(firm: Firm) -> Changes:
        firm.robot(name)
        return firm.at()

    return prepare


def _token(firm: Firm) -> Changes:
    return firm.at(TokenId=firm.new_token()["TokenId"])


def _own(edition: str, **facts: Any) -> Callable[[Firm], Changes]:
    """An instance that no other test asks for."""

    def prepare(firm: Firm) -> Changes:
        return {"RegistryId": firm.instance(edition=edition, **facts)}

    return prepare


def _prepaid(firm: Firm) -> Changes:
    own = {"RegistryId": firm.instance(edition="basic")}
    firm.do("RenewInstance", **own, RegistryChargePrepaid={"Period": 1, "RenewFlag": 0}, Flag=1)
    return own


def _no_domain(firm: Firm) -> Changes:
    if "test.com" in firm.domains():
        firm.do("DeleteInstanceCustomizedDomain", **firm.at(DomainName="test.com"))
        until(lambda: "test.com" not in firm.domains())
    return firm.at(CertificateId=firm.certificate("test.com"))


def _domain(firm: Firm) -> Changes:
    given = _no_domain(firm) | {"DomainName": "test.com"}
    firm.do("CreateInstanceCustomizedDomain", **given)
    return given


def _free(*cidrs: str) -> Callable[[Firm], Changes]:
    """None of these is in the allow list, which has two entries at least."""

    def prepare(firm: Firm) -> Changes:
        firm.policy("198.51.100.250")
        for cidr in cidrs:
            firm.code("DeleteSecurityPolicy", firm.at(CidrBlock=cidr))
        return firm.at()

    return prepare


def _listed(cidr: str) -> Callable[[Firm], Changes]:
    def prepare(firm: Firm) -> Changes:
        firm.policy(cidr)
        return firm.at(PolicyVersion=firm.policies()[0]["PolicyVersion"])

    return prepare


def _listed_in_set(firm: Firm) -> Changes:
    entry = {"CidrBlock": "127.0.0.1/24", "PolicyIndex": 1, "PolicyVersion": ""}
    firm.policy("127.0.0.1/24")
    return firm.at(
        SecurityGroupPolicySet=[{**entry, "PolicyVersion": firm.policies()[0]["PolicyVersion"]}]
    )


FILLER_RIGHTS = Expected(
    _robot("abc"), "InvalidParameter", 'the page fills in "abc", which is no right'
)
EXPECTED = {
    ("CreateInstanceCustomizedDomain", 0): Expected(_no_domain),
    ("CreateMultipleSecurityPolicy", 0): Expected(_free("192.168.0.0/24")),
    ("CreateNamespace", 0): Expected(_without_namespace),
    ("CreateRepository", 0): Expected(_no_repository),
    ("CreateServiceAccount", 0): Expected(_no_robot),
    ("CreateServiceAccount", 1): FILLER_RIGHTS,
    ("DeleteImage", 0): Expected(_there("mytest", "test", "1.0")),
    ("DeleteInstance", 0): Expected(_own("basic")),
    ("DeleteInstanceCustomizedDomain", 0): Expected(_domain),
    ("DeleteInstanceToken", 0): Expected(_token),
    ("DeleteMultipleSecurityPolicy", 0): Expected(_listed_in_set),
    ("DeleteNamespace", 0): Expected(_empty_namespace),
    ("DeleteRepository", 0): Expected(_there("test", "mytest")),
    ("DeleteRepositoryTags", 0): Expected(_there("test", "demo", "tag0")),
    ("DeleteSecurityPolicy", 0): Expected(_listed("0.0.0.0/20")),
    ("DeleteServiceAccount", 0): Expected(_robot("abc")),
    ("DescribeImageManifests", 0): Expected(_there("test", "mytest", "1.0")),
    ("DescribeImages", 0): Expected(_there("team-01", "nginx", "latest")),
    ("DescribeInstanceStatus", 0): Expected(lambda f: {"RegistryIds": [f.registry]}),
    ("DescribeServiceAccounts", 0): Expected(
        code="InvalidParameter",
        reason='the page fills in "abc"; ServiceAccountName is the one filter',
    ),
    ("DuplicateImage", 0): Expected(
        lambda f: {**_there("develop", "app", "stg")(f), **_there("release")(f)}
    ),
    ("ManageInternalEndpoint", 0): Expected(lambda f: f.at(VpcId=f.network())),
    ("ModifyInstance", 0): Expected(_own("basic")),
    ("ModifyInstanceToken", 0): Expected(_token),
    ("ModifyInstanceToken", 1): Expected(_token),
    ("ModifyInstanceToken", 2): Expected(_token),
    ("ModifyNamespace", 0): Expected(_there("mytest")),
    ("ModifyRepository", 0): Expected(_there("mytest", "test")),
    ("ModifySecurityPolicy", 0): Expected(_free("192.168.0.0/24")),
    ("ModifyServiceAccount", 0): FILLER_RIGHTS,
    ("ModifyServiceAccountPassword", 0): Expected(_robot("robot")),
    ("ModifyServiceAccountPassword", 1): Expected(_robot("robot")),
    ("RenewInstance", 0): Expected(_prepaid),
}
"""Where it is not enough to put the id of an instance in place of the printed one."""


def _as_printed(firm: Firm, action: str, number: int) -> Sent:
    example = ACTIONS[action]["examples"][number]
    if example["form"] == "POST json":
        return tc3_post(firm.account, action, example["request"])
    return v1(firm.account, action, example["request"], scheme="HmacSHA256")


@pytest.mark.parametrize(("action", "number"), EXAMPLES)
def test_an_example_is_accepted_with_ids_of_things_that_are_there(
    firm: Firm, action: str, number: int
):
    example, expected = (
        ACTIONS[action]["examples"][number],
        EXPECTED.get((action, number), Expected()),
    )
    changes = expected.prepare(firm)
    if "RegistryId" not in example["request"]:
        changes.pop("RegistryId", None)
    given = {**example["request"], **changes}
    assert given.keys() == example["request"].keys()
    build = tc3_post if example["form"] == "POST json" else tc3_get
    answer = firm.wire.send(build(firm.account, action, given))
    assert answer.get("Error", {}).get("Code", "") == expected.code, answer
    assert bool(expected.reason) == bool(expected.code)
    if not expected.code and action not in NO_MODEL:
        _decodes(action, answer)


@pytest.mark.parametrize(("action", "number"), EXAMPLES)
def test_an_example_as_printed_names_nothing_that_is_there(firm: Firm, action: str, number: int):
    if action == "CreateInstance":
        return  # makes one whatever its id; sent once, above
    answer = firm.wire.send(_as_printed(firm, action, number))
    code = answer.get("Error", {}).get("Code", "")
    expected = EXPECTED.get((action, number), Expected())
    if (
        "RegistryId" not in ACTIONS[action]["examples"][number]["request"]
        or action == "CheckInstance"
    ):
        assert code == expected.code
        if not expected.code and action not in NO_MODEL:
            _decodes(action, answer)
    else:
        assert code == code_of(InstanceUnknown, action, TABLE[action].codes)
        assert code.startswith("ResourceNotFound")


def _decodes(action: str, answer: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = getattr(models, f"{action}Response")()
        model._deserialize(answer)
    assert model.RequestId == answer["RequestId"]
    known = {name.removeprefix("_") for name in vars(model)}
    assert set(answer) <= known
    assert not misfits(action, answer)
