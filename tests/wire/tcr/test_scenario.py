"""An account's whole life with an instance of its own, as a platform team lives it (issue 4), and every way to log in to it."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from account import Account
from tcr_docker import INDEX, MANIFEST, Docker, digest_of, docker

pytestmark = pytest.mark.broad

STAGES = ["Pending", "Deploying", "Running"]


def until(ask: Callable[[], Any], wanted: Any, seconds: float = 20) -> list[Any]:
    """Ask until the answer is `wanted`; what was answered, each once in a row."""
    seen: list[Any] = []
    deadline, pause = time.monotonic() + seconds, 0.002
    while not seen or seen[-1] != wanted:
        assert time.monotonic() < deadline, f"{wanted!r} did not come: {seen}"
        answer = ask()
        if not seen or seen[-1] != answer:
            seen.append(answer)
        time.sleep(min(0.05, pause := pause * 1.5))
    return seen


@dataclass
class Team:
    """An account with an instance of its own. `host`: where its images are."""

    account: Account
    name: str
    registry: str
    stages: list[str]

    def call(self, action: str, **parameters: Any) -> Any:
        return self.account.call(action, RegistryId=self.registry, **parameters)

    def refused(self, action: str, **parameters: Any) -> str:
        return self.account.refused(action, RegistryId=self.registry, **parameters)

    @property
    def row(self) -> Any:
        rows = self.account.call("DescribeInstances", Registryids=[self.registry]).Registries
        return rows[0] if rows else None

    @property
    def host(self) -> str:
        return str(self.row.PublicDomain)

    def entry(self) -> str:
        return str(self.call("DescribeExternalEndpointStatus").Status)

    def open_entry(self, cidr: str = "127.0.0.1") -> list[str]:
        """Open, and let one address in; the states that were seen."""
        self.call("ManageExternalEndpoint", Operation="Create")
        seen = until(self.entry, "Opened")
        self.call("CreateSecurityPolicy", CidrBlock=cidr, Description="us")
        return seen

    def images(self, namespace: str, repository: str, **more: Any) -> list[Any]:
        found = self.call(
            "DescribeImages", NamespaceName=namespace, RepositoryName=repository, **more
        )
        assert found.TotalCount == len(found.ImageInfoList)
        return list(found.ImageInfoList)

    def manifests(self, namespace: str, repository: str, tag: str) -> tuple[str, str]:
        found = self.call(
            "DescribeImageManifests",
            NamespaceName=namespace,
            RepositoryName=repository,
            ImageVersion=tag,
        )
        return found.Manifest, found.Config


def found_team(account: Account, **more: Any) -> Team:
    """Create an instance and wait until it runs. A busy machine may miss what lies between: then another is made."""
    for _ in range(5):
        name = f"team-{secrets.token_hex(4)}"
        made = account.call("CreateInstance", RegistryName=name, RegistryType="premium", **more)
        team = Team(account, name, made.RegistryId, [])
        team.stages = until(lambda team=team: team.row.Status, "Running")
        if len(team.stages) > 1:
            return team
    raise AssertionError("no state between asked for and running was ever seen")


@pytest.fixture
def team(account: Account) -> Team:
    return found_team(account)


@pytest.fixture
def client(team: Team) -> Iterator[Docker]:
    with docker(team.account, team.host) as found:
        yield found


def test_a_platform_team_and_its_instance(account: Account) -> None:
    team = found_team(account, DeletionProtection=True)
    assert team.stages == sorted(team.stages, key=STAGES.index)
    assert team.host == f"{team.name}.entrepot.localhost:{account.registry.port}"
    assert team.entry() == "Closed"
    assert team.open_entry()[-1] == "Opened"

    team.call("CreateNamespace", NamespaceName="shop", IsPublic=False)
    team.call("CreateNamespace", NamespaceName="live", IsPublic=False)
    robot = team.call(
        "CreateServiceAccount",
        Name="builder",
        Permissions=[
            {
                "Resource": "shop",
                "Actions": ["tcr:PushRepository", "tcr:PullRepository", "tcr:CreateRepository"],
            }
        ],
    )
    assert robot.Name == "tcr$builder"

    with docker(account, team.host) as anybody:
        builder = anybody.as_(robot.Name, robot.Password)
        single = builder.push("shop/web", "v1", b"the web layer")
        multi = builder.push_index("shop/web", "multi", b"amd64", b"arm64")
        found = {image.ImageVersion: image for image in team.images("shop", "web")}
        assert found["v1"].Digest == digest_of(single)
        assert found["v1"].Kind == f"Artifact::{MANIFEST}"
        assert found["v1"].Size == sum(
            part["size"] for part in (json.loads(single)["config"], *json.loads(single)["layers"])
        )
        assert (found["multi"].Digest, found["multi"].Kind) == (
            digest_of(multi),
            f"Artifact::{INDEX}",
        )
        assert team.manifests("shop", "web", "v1")[0].encode() == single
        assert json.loads(team.manifests("shop", "web", "v1")[1])["architecture"] == "amd64"
        assert team.manifests("shop", "web", "multi") == (multi.decode(), "")

        duplicate(team, "multi", "shop-web")
        duplicate(team, "v1", "shop-web")
        token = team.call("CreateInstanceToken", TokenType="temp")
        reader = anybody.as_(token.Username, token.Token)
        check_duplicate(reader, multi, single)
        assert builder.push_blob("live/shop-web", b"not here").status_code in (401, 403)

        bearer = reader.with_bearer(reader.token("repository:shop/web:pull"))
        assert bearer.get("shop/web", "v1").content == single
        team.call("ManageExternalEndpoint", Operation="Delete")
        assert team.entry() == "Closed"
        until(lambda: bearer.get("shop/web", "v1").status_code, 403, 5)
        sentence = f"may not reach instance {team.name}: its public entry is closed"
        for refused in (bearer.get("shop/web", "v1"), reader.ask_token()):
            assert refused.status_code == 403
            assert sentence in refused.json()["errors"][0]["message"]

    end(team)


def duplicate(team: Team, tag: str, repository: str) -> None:
    team.call(
        "DuplicateImage",
        SourceNamespace="shop",
        SourceRepo="web",
        SourceReference=tag,
        DestinationNamespace="live",
        DestinationRepo=repository,
        DestinationTag=f"{tag}-copy",
    )


def check_duplicate(reader: Docker, multi: bytes, single: bytes) -> None:
    """The copies can be pulled whole: an index with what it lists, each with its blobs."""
    assert reader.get("live/shop-web", "v1-copy").content == single
    assert reader.get("live/shop-web", "multi-copy").content == multi
    for child in json.loads(multi)["manifests"]:
        found = reader.get("live/shop-web", child["digest"])
        assert found.status_code == 200
        for part in (found.json()["config"], *found.json()["layers"]):
            assert reader.blob("live/shop-web", part["digest"]).status_code == 200


def end(team: Team) -> None:
    """Protected first, then not; gone in the end, and the name free again."""
    account = team.account
    assert team.refused("DeleteInstance") == "OperationDenied"
    assert team.row.Status == "Running"
    team.call("ModifyInstance", DeletionProtection=False)
    assert team.refused("DeleteInstance", DryRun=True) == "DryRunOperation"
    assert not account.call("CheckInstanceName", RegistryName=team.name).IsValidated
    team.call("DeleteInstance", DeleteBucket=True)
    seen = until(lambda: getattr(team.row, "Status", None), None)
    assert set(seen) <= {"Deleting", None}
    assert team.refused("DescribeNamespaces").startswith("ResourceNotFound")
    assert account.call("CheckInstanceName", RegistryName=team.name).IsValidated
    again = account.call("CreateInstance", RegistryName=team.name, RegistryType="basic")
    assert again.RegistryId != team.registry


def test_an_opening_entry_is_seen_to_open(team: Team) -> None:
    for _ in range(5):
        seen = team.open_entry(f"10.0.0.{secrets.randbelow(250)}")
        team.call("ManageExternalEndpoint", Operation="Delete")
        assert team.entry() == "Closed"
        if "Opening" in seen:
            break

    assert seen == ["Opening", "Opened"]


def test_only_addresses_of_the_list_come_in_and_only_while_they_are_on_it(team: Team) -> None:
    team.call("ManageExternalEndpoint", Operation="Create")
    until(team.entry, "Opened")
    with (
        docker(team.account, team.host, "127.0.0.7") as ours,
        docker(team.account, team.host, "127.0.0.8") as theirs,
    ):
        until(ours.basic, 403, 5)  # opened, and nobody on the list
        team.call(
            "CreateMultipleSecurityPolicy",
            SecurityGroupPolicySet=[
                {"CidrBlock": "127.0.0.7", "Description": "us"},
                {"CidrBlock": "10.1.2.3/8", "Description": "office"},
            ],
        )
        until(ours.basic, 401, 5)
        assert theirs.basic() == 403
        rows = team.call("DescribeSecurityPolicies").SecurityPolicySet
        assert [(row.PolicyIndex, row.CidrBlock) for row in rows] == [
            (0, "127.0.0.7"),
            (1, "10.1.2.3/8"),
        ]
        stale = str(int(rows[0].PolicyVersion) - 1)
        assert team.refused("DeleteSecurityPolicy", PolicyIndex=0, PolicyVersion=stale) == (
            "OperationDenied"
        )
        team.call(
            "ModifySecurityPolicy", PolicyIndex=0, CidrBlock="127.0.0.8/32", Description="them"
        )
        until(ours.basic, 403, 5)
        until(theirs.basic, 401, 5)
        team.call("DeleteMultipleSecurityPolicy", SecurityGroupPolicySet=[{"PolicyIndex": 0}])
        until(theirs.basic, 403, 5)
        refused = theirs.ask_token()
        assert "allow list" in refused.json()["errors"][0]["message"]


# -- logging in -------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(team: Team) -> Team:
    team.open_entry()
    for name, is_public in (("shop", False), ("free", True)):
        team.call("CreateNamespace", NamespaceName=name, IsPublic=is_public)
    return team


def may_log_in(who: Docker) -> bool:
    """By Basic and at the token service, which agree but for the moment in which a change arrives."""
    for _ in range(20):
        token, basic = who.ask_token().status_code, who.basic()
        if token == basic:
            break
    assert (token, basic) in ((200, 200), (401, 401)), (token, basic)
    return token == 200


def test_tokens_log_in_while_they_are_enabled(opened: Team, client: Docker) -> None:
    made = opened.call("CreateInstanceToken", TokenType="longterm", Desc="ci")
    temporary = opened.call("CreateInstanceToken")
    assert made.Username == opened.account.tenant.uin == temporary.Username
    assert temporary.TokenId is None
    lasting, passing = (client.as_(one.Username, one.Token) for one in (made, temporary))
    payload = lasting.push("shop/web", "v1", b"layer")
    assert passing.get("shop/web", "v1").content == payload
    assert not may_log_in(client.as_(made.Username, made.Token + "x"))
    assert not may_log_in(client.as_("100000000001", made.Token))

    bearer = lasting.with_bearer(lasting.token("repository:shop/web:pull"))
    opened.call("ModifyInstanceToken", TokenId=made.TokenId, Enable=False)
    until(lambda: may_log_in(lasting), False, 5)
    until(lambda: bearer.get("shop/web", "v1").status_code, 401, 5)
    assert may_log_in(passing)
    opened.call("ModifyInstanceToken", TokenId=made.TokenId, Enable=True)
    until(lambda: may_log_in(lasting), True, 5)
    opened.call("DeleteInstanceToken", TokenId=made.TokenId)
    until(lambda: may_log_in(lasting), False, 5)
    assert opened.call("DescribeInstanceToken").TotalCount == 0


def test_service_accounts_log_in_until_they_are_disabled_or_end(
    opened: Team, client: Docker
) -> None:
    rights = [{"Resource": "shop", "Actions": ["tcr:PullRepository"]}]
    made = opened.call("CreateServiceAccount", Name="reader", Permissions=rights, Duration=1)
    reader = client.as_("tcr$reader", made.Password)
    assert may_log_in(reader)
    assert not may_log_in(client.as_("reader", made.Password))

    opened.call("ModifyServiceAccount", Name="tcr$reader", Disable=True)
    until(lambda: may_log_in(reader), False, 5)
    opened.call("ModifyServiceAccount", Name="reader", Disable=False)
    until(lambda: may_log_in(reader), True, 5)
    soon = int((time.time() + 0.6) * 1000)
    opened.call("ModifyServiceAccount", Name="reader", ExpiresAt=soon)
    until(lambda: may_log_in(reader), False, 5)
    assert time.time() * 1000 >= soon
    opened.call("ModifyServiceAccount", Name="reader", Duration=2)
    until(lambda: may_log_in(reader), True, 5)
    opened.call("DeleteServiceAccount", Name="reader")
    until(lambda: may_log_in(reader), False, 5)


def test_a_chosen_password_replaces_the_one_before(opened: Team, client: Docker) -> None:
    rights = [
        {"Resource": "shop", "Actions": ["tcr:PushRepository", "tcr:CreateRepository"]},
        {"Resource": "free", "Actions": ["tcr:PullRepository"]},
    ]
    made = opened.call("CreateServiceAccount", Name="robot", Permissions=rights)
    first = client.as_("tcr$robot", made.Password)
    assert may_log_in(first)

    changed = opened.call(
        "ModifyServiceAccountPassword", Name="robot", Random=False, Password="Chosen4ourselves"
    )
    assert changed.Password == "Chosen4ourselves"
    chosen = client.as_("tcr$robot", "Chosen4ourselves")
    until(lambda: may_log_in(first), False, 5)
    until(lambda: may_log_in(chosen), True, 5)
    assert opened.refused(
        "ModifyServiceAccountPassword", Name="robot", Random=False, Password="weak"
    ).startswith("InvalidParameter")
    again = opened.call("ModifyServiceAccountPassword", Name="robot", Random=True)
    until(lambda: may_log_in(chosen), False, 5)
    assert may_log_in(client.as_("tcr$robot", again.Password))


def test_public_namespaces_are_pulled_without_a_login(opened: Team, client: Docker) -> None:
    token = opened.call("CreateInstanceToken")
    owner, nobody = client.as_(token.Username, token.Token), client.anonymous()
    free, private = owner.push("free/app", "v1", b"a"), owner.push("shop/app", "v1", b"b")
    assert opened.row.EnableAnonymous

    assert nobody.get("free/app", "v1").content == free
    assert nobody.get("shop/app", "v1").status_code == 401
    opened.call("ModifyNamespace", NamespaceName="free", IsPublic=False)
    opened.call("ModifyNamespace", NamespaceName="shop", IsPublic=True)
    until(lambda: nobody.get("free/app", "v1").status_code, 401, 5)
    assert nobody.get("shop/app", "v1").content == private
    assert nobody.push_blob("shop/app", b"x").status_code == 401


def test_what_belongs_to_one_instance_does_not_log_in_to_another(
    opened: Team, client: Docker
) -> None:
    other = found_team(opened.account)
    other.open_entry()
    token = opened.call("CreateInstanceToken", TokenType="longterm")
    assert may_log_in(client.as_(token.Username, token.Token))

    with docker(opened.account, other.host) as elsewhere:
        assert not may_log_in(elsewhere.as_(token.Username, token.Token))
        bearer = client.as_(token.Username, token.Token).token("repository:shop/web:pull")
        assert elsewhere.with_bearer(bearer).get("shop/web", "v1").status_code == 401


def test_an_image_in_the_built_in_instance_is_found_by_the_api(account: Account) -> None:
    registry = account.shared
    namespace = account.namespace(registry)
    token = account.call("CreateInstanceToken", RegistryId=registry)
    host = account.call("DescribeInstances", Registryids=[registry]).Registries[0].PublicDomain

    with docker(account, host) as anybody:
        payload = anybody.as_(token.Username, token.Token).push(f"{namespace}/web", "v1", b"x")

    found = account.call(
        "DescribeImages", RegistryId=registry, NamespaceName=namespace, RepositoryName="web"
    )
    assert [image.Digest for image in found.ImageInfoList] == [digest_of(payload)]
    rows = account.call("DescribeRepositories", RegistryId=registry).RepositoryList
    assert [row.Name for row in rows] == [f"{namespace}/web"]
