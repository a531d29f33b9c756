"""For every action a request that succeeds, and what is so afterwards."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from firm import Firm

Given = dict[str, Any]
Answer = dict[str, Any]


def _done(_firm: Firm, _given: Given, _answer: Answer) -> bool:
    return True


@dataclass(frozen=True)
class Good:
    """`make`: the parameters, after what they name was made. `then`: whether what was asked for is so; jobs may take a moment."""

    make: Callable[[Firm], Given]
    then: Callable[[Firm, Given, Answer], Any] = _done


def _registry(firm: Firm) -> Given:
    return firm.at()


def _image(firm: Firm) -> Given:
    return firm.at(**firm.image(), ImageVersion="1.0")


def _tags(firm: Firm, given: Given) -> set[str]:
    where = {name: given[name] for name in ("RegistryId", "NamespaceName", "RepositoryName")}
    return {one["ImageVersion"] for one in firm.do("DescribeImages", **where)["ImageInfoList"]}


def _namespaces(firm: Firm, name: str) -> list[Answer]:
    found = firm.do("DescribeNamespaces", **firm.at(NamespaceName=name, All=True))
    return [one for one in found["NamespaceList"] if one["Name"] == name]


def _repositories(firm: Firm, given: Given) -> list[Answer]:
    names = {name: given[name] for name in ("NamespaceName", "RepositoryName")}
    return list(firm.do("DescribeRepositories", **firm.at(**names))["RepositoryList"])


def _robot(firm: Firm, given: Given) -> Answer:
    asked = [{"Name": "ServiceAccountName", "Values": [f"tcr${given['Name']}"]}]
    found = firm.do("DescribeServiceAccounts", **firm.at(Filters=asked, EmbedPermission=True))
    return dict(next(iter(found["ServiceAccounts"]), {}))


def _tokens(firm: Firm) -> dict[str, Answer]:
    found = firm.do("DescribeInstanceToken", **firm.at(Limit=1000))
    return {one["Id"]: one for one in found["Tokens"]}


def _cidrs(firm: Firm) -> dict[str, str]:
    return {one["CidrBlock"]: one["Description"] for one in firm.policies()}


def _linked(firm: Firm, given: Given) -> list[str]:
    return [one["Status"] for one in firm.links() if one["VpcId"] == given["VpcId"]]


def _names(firm: Firm, given: Given) -> str:
    asked = [{"InstanceId": firm.registry, "VpcId": given["VpcId"], "EniLBIp": "10.0.0.1"}]
    found = firm.do("DescribeInternalEndpointDnsStatus", VpcSet=asked)
    return str(found["VpcSet"][0]["Status"])


def _dns(firm: Firm, *, is_named: bool = False) -> Given:
    link = firm.link()
    given = {"InstanceId": firm.registry, "VpcId": link["VpcId"], "EniLBIp": "10.0.0.1"}
    if is_named:
        firm.do("CreateInternalEndpointDns", **given)
    return given


def _permissions(firm: Firm, *actions: str) -> list[Given]:
    return [{"Resource": firm.namespace("robots"), "Actions": list(actions)}]


def _of_domain(firm: Firm) -> Given:
    return firm.at(**firm.domain())


def _new_domain(firm: Firm) -> Given:
    host = f"{firm.fresh('host')}.example.test"
    return firm.at(DomainName=host, CertificateId=firm.certificate(host))


def _new_image(firm: Firm) -> Given:
    source = firm.image()
    return firm.at(
        SourceNamespace=source["NamespaceName"],
        SourceRepo=source["RepositoryName"],
        SourceReference="1.0",
        DestinationNamespace=firm.namespace("release"),
        DestinationRepo="copy",
        DestinationTag="2.0",
        Override=True,
    )


def _copied(firm: Firm, given: Given, _answer: Answer) -> bool:
    target = firm.at(NamespaceName=given["DestinationNamespace"], RepositoryName="copy")
    return given["DestinationTag"] in _tags(firm, target)


def _is_manifest(_firm: Firm, _given: Given, answer: Answer) -> bool:
    manifest, config = json.loads(answer["Manifest"]), json.loads(answer["Config"])
    return manifest["schemaVersion"] == 2 and config["os"] == "linux"


def _renewed(firm: Firm, given: Given, answer: Answer) -> bool:
    (row,) = firm.registries(given["RegistryId"])
    return (
        answer["RegistryId"] == row["RegistryId"] and bool(row["ExpiredAt"]) and row["PayMod"] == 1
    )


GOOD: dict[str, Good] = {
    # -- instances
    "CreateInstance": Good(
        lambda f: {"RegistryName": f.fresh("made"), "RegistryType": "standard", "SyncTag": True},
        lambda f, _, a: f.registries(a["RegistryId"])[0]["Status"] == "Running",
    ),
    "ModifyInstance": Good(
        lambda f: {"RegistryId": f.instance(edition="basic"), "RegistryType": "premium"},
        lambda f, g, _: (
            {"Status": "Running", "RegistryType": "premium"}.items()
            <= f.registries(g["RegistryId"])[0].items()
        ),
    ),
    "RenewInstance": Good(
        lambda f: {
            "RegistryId": f.instance(edition="basic"),
            "RegistryChargePrepaid": {"Period": 1, "RenewFlag": 1},
            "Flag": 1,
        },
        _renewed,
    ),
    "DeleteInstance": Good(
        lambda f: {"RegistryId": f.instance(edition="basic"), "DeleteBucket": True},
        lambda f, g, _: not f.registries(g["RegistryId"]),
    ),
    "DescribeInstances": Good(
        lambda f: {"Registryids": [f.registry], "AllRegion": True},
        lambda f, _, a: a["Registries"][0]["RegistryName"] == f.name and a["TotalCount"] == 1,
    ),
    "DescribeInstanceStatus": Good(
        lambda f: {"RegistryIds": [f.registry]},
        lambda _f, _, a: a["RegistryStatusSet"][0]["Conditions"],
    ),
    "CheckInstance": Good(_registry, lambda _f, _, a: a["IsValidated"]),
    "CheckInstanceName": Good(
        lambda f: {"RegistryName": f.fresh("free")}, lambda _f, _, a: a["IsValidated"]
    ),
    "DescribeRegions": Good(lambda _f: {}, lambda _f, _, a: a["TotalCount"] == len(a["Regions"])),
    "DescribeReplicationInstances": Good(_registry, lambda _f, _, a: a["TotalCount"] == 0),
    # -- tokens and service accounts
    "CreateInstanceToken": Good(
        lambda f: f.at(TokenType="temp"), lambda _f, _, a: a["Token"] and a.get("TokenId") is None
    ),
    "ModifyInstanceToken": Good(
        lambda f: f.at(TokenId=f.new_token()["TokenId"], Enable=False, ModifyFlag=2),
        lambda f, g, _: _tokens(f)[g["TokenId"]]["Enabled"] is False,
    ),
    "DeleteInstanceToken": Good(
        lambda f: f.at(TokenId=f.new_token()["TokenId"]),
        lambda f, g, _: g["TokenId"] not in _tokens(f),
    ),
    "DescribeInstanceToken": Good(
        lambda f: f.at(Limit=f.token() and 10), lambda _f, _, a: a["TotalCount"]
    ),
    "CreateServiceAccount": Good(
        lambda f: f.at(
            Name=f.fresh("robot"), Permissions=_permissions(f, "tcr:PushRepository"), Duration=10
        ),
        lambda f, g, a: len(a["Password"]) == 32 and _robot(f, g)["ExpiresAt"] == a["ExpiresAt"],
    ),
    "ModifyServiceAccount": Good(
        lambda f: f.at(Name=f.robot(), Disable=True, Description="größer", ExpiresAt=0),
        lambda f, g, _: _robot(f, g)["Disable"] and _robot(f, g)["Description"] == "größer",
    ),
    "ModifyServiceAccountPassword": Good(
        lambda f: f.at(Name=f.robot(), Random=False, Password="NewPass123"),
        lambda _f, _, a: a["Password"] == "NewPass123",
    ),
    "DeleteServiceAccount": Good(lambda f: f.at(Name=f.robot()), lambda f, g, _: not _robot(f, g)),
    "DescribeServiceAccounts": Good(
        lambda f: f.at(
            EmbedPermission=True,
            Filters=[{"Name": "ServiceAccountName", "Values": [f"tcr${f.robot()}"]}],
        ),
        lambda _f, _, a: a["ServiceAccounts"][0]["Permissions"],
    ),
    # -- access control
    "ManageExternalEndpoint": Good(
        lambda f: f.at(Operation="Create"), lambda f, _, __: f.is_open()
    ),
    "DescribeExternalEndpointStatus": Good(_registry, lambda _f, _, a: a["Status"] == "Opened"),
    "CreateSecurityPolicy": Good(
        lambda f: f.at(CidrBlock="192.168.7.0/24", Description="büro"),
        lambda f, _, __: _cidrs(f)["192.168.7.0/24"] == "büro",
    ),
    "CreateMultipleSecurityPolicy": Good(
        lambda f: f.at(
            SecurityGroupPolicySet=[
                {"CidrBlock": "198.51.100.7", "Description": "eins"},
                {"CidrBlock": "198.51.101.0/24"},
            ]
        ),
        lambda f, _, __: {"198.51.100.7", "198.51.101.0/24"} <= _cidrs(f).keys(),
    ),
    "ModifySecurityPolicy": Good(
        lambda f: f.at(
            PolicyIndex=f.policy("203.0.113.1"), CidrBlock="203.0.113.2", Description="anders"
        ),
        lambda f, _, __: "203.0.113.2" in _cidrs(f) and "203.0.113.1" not in _cidrs(f),
    ),
    "DeleteSecurityPolicy": Good(
        lambda f: f.at(PolicyIndex=f.policy("203.0.113.3")),
        lambda f, _, __: "203.0.113.3" not in _cidrs(f),
    ),
    "DeleteMultipleSecurityPolicy": Good(
        lambda f: f.at(
            SecurityGroupPolicySet=[
                {"PolicyIndex": f.policy("203.0.113.4"), "CidrBlock": "203.0.113.4"},
                {"PolicyIndex": f.policy("203.0.113.5")},
            ]
        ),
        lambda f, _, __: not {"203.0.113.4", "203.0.113.5"} & _cidrs(f).keys(),
    ),
    "DescribeSecurityPolicies": Good(_registry, lambda _f, _, a: a["SecurityPolicySet"]),
    "ManageInternalEndpoint": Good(
        lambda f: f.at(Operation="Create", VpcId=f.network(), SubnetId="subnet-1"),
        lambda f, g, _: _linked(f, g) == ["Running"],
    ),
    "DescribeInternalEndpoints": Good(
        lambda f: {**f.at(), **({} if f.links() else f.link() and {})},
        lambda _f, _, a: a["AccessVpcSet"][0]["AccessIp"],
    ),
    "CreateInternalEndpointDns": Good(_dns, lambda f, g, _: _names(f, g) == "ENABLED"),
    "DeleteInternalEndpointDns": Good(
        lambda f: _dns(f, is_named=True), lambda f, g, _: _names(f, g) == "DISABLED"
    ),
    "DescribeInternalEndpointDnsStatus": Good(
        lambda f: {"VpcSet": [{"InstanceId": f.registry, "VpcId": f.link()["VpcId"]}]},
        lambda _f, g, a: a["VpcSet"][0]["VpcId"] == g["VpcSet"][0]["VpcId"],
    ),
    # -- custom domains
    "CreateInstanceCustomizedDomain": Good(
        _new_domain, lambda f, g, _: f.domains()[g["DomainName"]] == "SUCCESS"
    ),
    "DeleteInstanceCustomizedDomain": Good(
        _of_domain, lambda f, g, _: g["DomainName"] not in f.domains()
    ),
    "DescribeInstanceCustomizedDomain": Good(
        lambda f: f.at(Limit=10, Offset=len(f.domains()) * 0),
        lambda f, _, a: a["TotalCount"] == len(f.domains()),
    ),
    # -- namespaces
    "CreateNamespace": Good(
        lambda f: f.at(
            NamespaceName=f.fresh("ns"),
            IsPublic=True,
            TagSpecification={
                "ResourceType": "namespace",
                "Tags": [{"Key": "team", "Value": "größe 2"}],
            },
        ),
        lambda f, g, _: (
            _namespaces(f, g["NamespaceName"])[0]["TagSpecification"] == g["TagSpecification"]
        ),
    ),
    "ModifyNamespace": Good(
        lambda f: f.at(NamespaceName=f.namespace(), IsPublic=True),
        lambda f, g, _: _namespaces(f, g["NamespaceName"])[0]["Public"],
    ),
    "DeleteNamespace": Good(
        lambda f: f.at(NamespaceName=f.namespace()),
        lambda f, g, _: not _namespaces(f, g["NamespaceName"]),
    ),
    "DescribeNamespaces": Good(
        lambda f: f.at(NamespaceName=f.namespace("robots")),
        lambda _f, _, a: a["NamespaceList"][0]["Name"] == "robots",
    ),
    "DescribeInstanceAllNamespaces": Good(
        lambda f: {"Limit": len(f.namespace("robots"))}, lambda _f, _, a: a["RequestId"]
    ),
    # -- repositories and images
    "CreateRepository": Good(
        lambda f: f.at(
            NamespaceName=f.namespace(),
            RepositoryName="web/app",
            BriefDescription="kurz",
            Description="länger\n# 你好",
        ),
        lambda f, g, _: _repositories(f, g)[0]["Description"] == g["Description"],
    ),
    "ModifyRepository": Good(
        lambda f: f.at(**f.repository(), BriefDescription="kurz", Description=""),
        lambda f, g, _: _repositories(f, g)[0]["BriefDescription"] == "kurz",
    ),
    "DeleteRepository": Good(lambda f: f.at(**f.image()), lambda f, g, _: not _repositories(f, g)),
    "DescribeRepositories": Good(
        lambda f: f.at(**f.repository(), SortBy="-update_time"),
        lambda _f, g, a: a["RepositoryList"][0]["Name"] == f"{g['NamespaceName']}/app",
    ),
    "DescribeImages": Good(_image, lambda _f, _, a: a["ImageInfoList"][0]["ImageVersion"] == "1.0"),
    "DescribeImageManifests": Good(_image, _is_manifest),
    "DeleteImage": Good(_image, lambda f, g, _: not _tags(f, g)),
    "DeleteRepositoryTags": Good(
        lambda f: f.at(**f.image("", "", "a", "b", "c"), Tags=["a", "c"]),
        lambda f, g, _: _tags(f, g) == {"b"},
    ),
    "DuplicateImage": Good(_new_image, _copied),
}
