"""What each action is asked with in the permission test, on a stage of its own, and how its policies name the thing."""

import itertools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from account import Account

from entrepot.capabilities.access.secrets import fingerprint
from entrepot.metadata import (
    accounts,
    certificates,
    counters,
    entries,
    instances,
    links,
    manifests,
    namespaces,
    networks,
    tags,
)
from entrepot.metadata.accounts import NewAccount
from entrepot.metadata.database import Connection, now
from entrepot.metadata.schema import SCHEMA
from entrepot.model.access import AccountKind
from entrepot.model.certificates import DomainStatus
from entrepot.model.ids import InstanceId, Micros
from entrepot.model.network_access import Cidr, LinkStatus
from entrepot.model.tenancy import InstanceKind, Namespace
from entrepot.oci.digest import Digest
from entrepot.oci.manifest import parse

INDEX: Final = "application/vnd.oci.image.index.v1+json"
_numbers = itertools.count(1)
Parameters = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """An instance with everything an action may be about, and a neighbour beside it that nobody asks about."""

    account: Account
    number: int
    instance: InstanceId
    registry: str
    neighbour: str
    token: str

    def of(self, **more: Any) -> Parameters:
        return {"RegistryId": self.registry, **more}

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that the tenant has here, by table, but for what is written about asking."""

        def read(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
            found = {}
            for table in SCHEMA.tables.values():
                column = next((c for c in _KEYS if c in table.c), None)
                if column is None or table.name in _BESIDE:
                    continue
                wanted = self._ids(conn) if column != "tenant_id" else [self.account.tenant.id]
                query = sa.select(table).where(table.c[column].in_(wanted))
                found[table.name] = [tuple(row) for row in conn.execute(query)]
            return found

        return self.account.operator.read(read)

    def _ids(self, conn: Connection) -> list[int]:
        table = SCHEMA.tables["instances"]
        owned = sa.select(table.c.id).where(table.c.tenant_id == self.account.tenant.id)
        return list(conn.scalars(owned))


_KEYS: Final = ("tenant_id", "instance_id")
_BESIDE: Final = frozenset({"audit", "access_keys", "users", "policies", "nonces", "events"})


def make_stage(account: Account) -> Stage:
    """In one transaction."""

    def write(conn: Connection) -> Stage:
        number = next(_numbers)
        region = int(conn.scalar(sa.text("SELECT min(id) FROM regions")) or 0)
        made = [
            instances.insert_instance(
                conn,
                InstanceKind.DEDICATED,
                f"{word}-{account.tenant.name}-{number}",
                tenant=account.tenant.id,
                region=region,
                edition="premium",
            )
            for word in ("stage", "neighbour")
        ]
        stage = Stage(
            account, number, made[0].id, made[0].public_id, made[1].public_id, str(uuid.uuid4())
        )
        _content(conn, stage, made[1].id)
        _accounts(conn, stage)
        _network(conn, stage)
        return stage

    return account.operator.ctx.db.write_sync(write)


def _content(conn: Connection, stage: Stage, neighbour: InstanceId) -> None:
    payload = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    digest, manifest, at = Digest.of(payload), parse(INDEX, payload), Micros(now(conn))

    def namespace(where: InstanceId, name: str) -> Namespace:
        return namespaces.insert_namespace(
            conn, where, stage.account.tenant.id, name=name, is_public=False, created_by=None
        )

    namespace(stage.instance, "empty")
    for where, name in (
        (stage.instance, "team"),
        (stage.instance, "aside"),
        (neighbour, "team"),
    ):
        inside = namespace(where, name)
        repository = namespaces.insert_repository(conn, inside, "app", created_by=None)
        number = manifests.insert(
            conn, repository.id, digest, manifest=manifest, payload=payload, at=at
        )
        for tag in ("v1", "v2"):
            tags.set_tag(conn, repository.id, tag, manifest=number, at=at, actor="test")
        counters.add(conn, "repository", repository.id, "tags", 2)


def _accounts(conn: Connection, stage: Stage) -> None:
    owner = accounts.owner_of(conn, stage.account.tenant.id)
    assert owner is not None
    for kind, public_id, username in (
        (AccountKind.LONGTERM, stage.token, stage.account.tenant.uin),
        (AccountKind.SERVICE, str(uuid.uuid4()), "tcr$robot"),
    ):
        accounts.insert(
            conn,
            NewAccount(
                public_id=public_id,
                kind=kind,
                instance=stage.instance,
                tenant=stage.account.tenant.id,
                user=owner,
                username=username,
                secret_sha256=fingerprint(uuid.uuid4().hex),
            ),
        )


def _network(conn: Connection, stage: Stage) -> None:
    """Networks: one to be linked, one linked, one linked with names; an address on the list; a certificate with a domain."""
    for word in ("new", "linked", "named"):
        network = networks.insert_network(
            conn, vpc(stage, word), tenant=stage.account.tenant.id, cidrs=("10.9.0.0/16",)
        )
        if word != "new":
            link = links.insert_link(conn, stage.instance, network.id, subnet="s")
            links.set_link(conn, link.id, LinkStatus.RUNNING, address="127.0.0.1")
            links.set_names(conn, link.id, has_names=word == "named")
    entries.insert_allowed(conn, stage.instance, [(Cidr("10.1.0.0/16", "10.1.0.0/16"), "office")])
    entries.raise_version(conn, stage.instance)
    certificate = certificates.insert_certificate(
        conn,
        f"cert-{stage.account.tenant.name}-{stage.number}",
        tenant=stage.account.tenant.id,
        name="ours",
        hosts=(f"*.{stage.account.tenant.name}.test",),
        chain="",
        key_sealed=b"",
        ends_at=Micros(now(conn) + 10**12),
    )
    certificates.insert_domain(
        conn, stage.instance, domain(stage, "old"), certificate=certificate.id
    )
    certificates.set_domain_status(conn, domain(stage, "old"), DomainStatus.READY)


def vpc(stage: Stage, word: str) -> str:
    return f"vpc-{word}-{stage.account.tenant.name}-{stage.number}"


def domain(stage: Stage, word: str) -> str:
    return f"{word}{stage.number}.{stage.account.tenant.name}.test"


def certificate(stage: Stage) -> str:
    return f"cert-{stage.account.tenant.name}-{stage.number}"


# -- the rows ---------------------------------------------------------------------------------------------------------

REFUSED, EMPTY, HIDDEN, ALLOWED = "refused", "nothing shown", "not found", "allowed"


@dataclass(frozen=True)
class Row:
    """`asks`: parameters; `on`: the path of the thing in a policy's resource.

    What comes of it for a member without a policy (`member`), a member whose policy denies it (`denied`) and another tenant's owner
    (`stranger`). `shows`: of a list, the names of its rows; `one`: those that a policy on the exact thing leaves, out of `all`.
    `actions`: what the policy must name, where it is not the action's own name.
    """

    asks: Callable[[Stage], Parameters]
    on: Callable[[Stage], str]
    member: str = REFUSED
    denied: str = REFUSED
    stranger: str = HIDDEN
    shows: Callable[[dict[str, Any]], list[str]] | None = None
    one: Callable[[Stage], list[str]] = field(default=lambda _: [])
    every: Callable[[Stage], list[str]] = field(default=lambda _: [])
    actions: tuple[str, ...] = ()


def _instance(stage: Stage) -> str:
    return f"instance/{stage.registry}"


def _team(stage: Stage) -> str:
    return f"repository/{stage.registry}/team"


def _app(stage: Stage) -> str:
    return f"repository/{stage.registry}/team/app"


def _all(_: Stage) -> str:
    return "instance/*"


APP: Final = {"NamespaceName": "team", "RepositoryName": "app"}
PREPAID: Final = {"Period": 1, "RenewFlag": 0}


def _names(rows: str, name: str) -> Callable[[dict[str, Any]], list[str]]:
    return lambda answer: [row[name] for row in answer[rows]]


def _policies(*networks: str) -> list[Parameters]:
    return [{"CidrBlock": network, "Description": ""} for network in networks]


def _dns(stage: Stage, word: str) -> Parameters:
    return {
        "InstanceId": stage.registry,
        "VpcId": vpc(stage, word),
        "EniLBIp": "127.0.0.1",
        "UsePublicDomain": True,
    }


def _link(stage: Stage, operation: str, word: str, subnet: str) -> Parameters:
    return stage.of(Operation=operation, VpcId=vpc(stage, word), SubnetId=subnet)


_REGIONS: Final = Row(lambda _: {}, _all, stranger=ALLOWED, shows=_names("Regions", "RegionName"))
_INSTANCES: Final = {
    "CreateInstance": Row(
        lambda s: {
            "RegistryName": f"new-{uuid.uuid4().hex[:12]}",
            "RegistryType": "basic",
        },
        _all,
        stranger=ALLOWED,
    ),
    "ModifyInstance": Row(lambda s: s.of(DeletionProtection=True), _instance),
    "RenewInstance": Row(lambda s: s.of(RegistryChargePrepaid=PREPAID, Flag=1), _instance),
    "DeleteInstance": Row(lambda s: s.of(DeleteBucket=True), _instance),
    "DescribeInstances": Row(
        lambda s: {"Registryids": [s.registry, s.neighbour]},
        _instance,
        stranger=EMPTY,
        shows=_names("Registries", "RegistryId"),
        one=lambda s: [s.registry],
        every=lambda s: [s.registry, s.neighbour],
    ),
    "DescribeInstanceStatus": Row(
        lambda s: {"RegistryIds": [s.registry, s.neighbour]},
        _instance,
        stranger=EMPTY,
        shows=_names("RegistryStatusSet", "RegistryId"),
        one=lambda s: [s.registry],
        every=lambda s: [s.registry, s.neighbour],
    ),
    "CheckInstanceName": Row(lambda _: {"RegistryName": "any-name"}, _all, stranger=ALLOWED),
    "CheckInstance": Row(
        lambda s: {"RegistryId": s.registry},
        _instance,
        stranger=EMPTY,
        shows=lambda answer: ["it"] if answer["IsValidated"] else [],
        one=lambda _: ["it"],
        every=lambda _: ["it"],
    ),
    "DescribeReplicationInstances": Row(lambda s: s.of(), _instance),
}
_NAMESPACES: Final = {
    "CreateNamespace": Row(
        lambda s: s.of(NamespaceName="fresh", IsPublic=False),
        lambda s: f"repository/{s.registry}/fresh",
    ),
    "ModifyNamespace": Row(lambda s: s.of(NamespaceName="team", IsPublic=True), _team),
    "DeleteNamespace": Row(
        lambda s: s.of(NamespaceName="empty"), lambda s: f"repository/{s.registry}/empty"
    ),
    "DescribeNamespaces": Row(
        lambda s: s.of(),
        _team,
        member=EMPTY,
        denied=EMPTY,
        shows=_names("NamespaceList", "Name"),
        one=lambda _: ["team"],
        every=lambda _: ["aside", "empty", "team"],
    ),
    "DescribeInstanceAllNamespaces": Row(
        lambda _: {"Limit": 100},
        _team,
        member=EMPTY,
        denied=EMPTY,
        stranger=EMPTY,
        shows=_names("NamespaceList", "Name"),
        one=lambda _: ["team"],
        every=lambda _: ["aside", "empty", "team", "team"],
    ),
}
_CONTENT: Final = {
    "CreateRepository": Row(
        lambda s: s.of(NamespaceName="team", RepositoryName="new"),
        lambda s: f"repository/{s.registry}/team/new",
    ),
    "ModifyRepository": Row(lambda s: s.of(**APP, BriefDescription="b", Description="d"), _app),
    "DeleteRepository": Row(lambda s: s.of(**APP), _app),
    "DescribeRepositories": Row(
        lambda s: s.of(),
        _app,
        member=EMPTY,
        denied=EMPTY,
        shows=_names("RepositoryList", "Name"),
        one=lambda _: ["team/app"],
        every=lambda _: ["aside/app", "team/app"],
    ),
    "DescribeImages": Row(
        lambda s: s.of(**APP),
        _app,
        shows=_names("ImageInfoList", "ImageVersion"),
        one=lambda _: ["v1", "v2"],
        every=lambda _: ["v1", "v2"],
    ),
    "DescribeImageManifests": Row(lambda s: s.of(**APP, ImageVersion="v1"), _app),
    "DeleteImage": Row(lambda s: s.of(**APP, ImageVersion="v1"), _app),
    "DeleteRepositoryTags": Row(lambda s: s.of(**APP, Tags=["v1", "v2"]), _app),
    "DuplicateImage": Row(
        lambda s: s.of(
            SourceNamespace="team",
            SourceRepo="app",
            SourceReference="v1",
            DestinationRepo="copy",
            DestinationTag="v9",
        ),
        lambda s: f"repository/{s.registry}/team/*",
    ),
}
_ACCOUNTS: Final = {
    "CreateInstanceToken": Row(lambda s: s.of(TokenType="longterm"), _instance, member=ALLOWED),
    "ModifyInstanceToken": Row(
        lambda s: s.of(TokenId=s.token, Enable=False), _instance, member=HIDDEN, denied=HIDDEN
    ),
    "DeleteInstanceToken": Row(
        lambda s: s.of(TokenId=s.token), _instance, member=HIDDEN, denied=HIDDEN
    ),
    "DescribeInstanceToken": Row(
        lambda s: s.of(),
        _instance,
        member=EMPTY,
        shows=lambda answer: ["it" for _ in answer["Tokens"]],
        one=lambda _: ["it"],
        every=lambda _: ["it"],
    ),
    "CreateServiceAccount": Row(
        lambda s: s.of(Name="new", Permissions=[]),  # what one may give is tested by itself
        _instance,
    ),
    "ModifyServiceAccount": Row(lambda s: s.of(Name="robot", Disable=True), _instance),
    "ModifyServiceAccountPassword": Row(lambda s: s.of(Name="robot", Random=True), _instance),
    "DeleteServiceAccount": Row(lambda s: s.of(Name="tcr$robot"), _instance),
    "DescribeServiceAccounts": Row(
        lambda s: s.of(),
        _instance,
        shows=_names("ServiceAccounts", "Name"),
        one=lambda _: ["tcr$robot"],
        every=lambda _: ["tcr$robot"],
    ),
}
_ACCESS: Final = {
    "ManageExternalEndpoint": Row(lambda s: s.of(Operation="Delete"), _instance),
    "DescribeExternalEndpointStatus": Row(lambda s: s.of(), _instance),
    "CreateSecurityPolicy": Row(
        lambda s: s.of(CidrBlock="10.2.0.0/16", Description="d"), _instance
    ),
    "CreateMultipleSecurityPolicy": Row(
        lambda s: s.of(SecurityGroupPolicySet=_policies("10.3.0.0/16", "10.4.0.0/16")), _instance
    ),
    "ModifySecurityPolicy": Row(
        lambda s: s.of(PolicyIndex=0, CidrBlock="10.5.0.0/16", Description="d"), _instance
    ),
    "DeleteSecurityPolicy": Row(lambda s: s.of(CidrBlock="10.1.0.0/16"), _instance),
    "DeleteMultipleSecurityPolicy": Row(
        lambda s: s.of(SecurityGroupPolicySet=_policies("10.1.0.0/16")), _instance
    ),
    "DescribeSecurityPolicies": Row(lambda s: s.of(), _instance),
    "ManageInternalEndpoint": Row(lambda s: _link(s, "Create", "new", "s"), _instance),
    "DescribeInternalEndpoints": Row(lambda s: s.of(), _instance),
    "CreateInternalEndpointDns": Row(lambda s: _dns(s, "linked"), _instance),
    "DeleteInternalEndpointDns": Row(lambda s: _dns(s, "named"), _instance),
    "DescribeInternalEndpointDnsStatus": Row(
        lambda s: {"VpcSet": [{"InstanceId": s.registry, "VpcId": vpc(s, "named")}]}, _instance
    ),
    "CreateInstanceCustomizedDomain": Row(
        lambda s: s.of(DomainName=domain(s, "new"), CertificateId=certificate(s)), _instance
    ),
    "DeleteInstanceCustomizedDomain": Row(lambda s: s.of(DomainName=domain(s, "old")), _instance),
    "DescribeInstanceCustomizedDomain": Row(lambda s: s.of(), _instance),
}
ROWS: Final[dict[str, Row]] = {
    "DescribeRegions": _REGIONS,
    **_INSTANCES,
    **_NAMESPACES,
    **_CONTENT,
    **_ACCOUNTS,
    **_ACCESS,
}
TAG_ROWS: Final[dict[str, Row]] = {
    "DescribeResourceTagsByResourceIds": Row(
        lambda s: {
            "ServiceType": "tcr",
            "ResourcePrefix": "instance",
            "ResourceIds": [s.registry],
        },
        _instance,
        actions=("tcr:DescribeInstances",),
        member=EMPTY,
        denied=EMPTY,
        stranger=EMPTY,
        shows=_names("Tags", "ResourceId"),
    ),
    "ModifyResourceTags": Row(
        lambda s: {
            "Resource": f"qcs::tcr:ap-guangzhou:uin/{s.account.tenant.uin}:instance/{s.registry}",
            "ReplaceTags": [{"TagKey": "team", "TagValue": "blue"}],
        },
        _instance,
        actions=(
            "tcr:ModifyInstance",
            "tcr:RenewInstance",
            "tcr:DeleteInstance",
            "tcr:ManageExternalEndpoint",
            "tcr:ManageInternalEndpoint",
        ),
    ),
}
