"""A team's week with SWR, from the password to the last deletion: every step by the API, every image by docker's protocol."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from office import PASSWORD, Office, opened
from started import operating, started
from swr_docker import pull, push_image

from entrepot.capabilities.instances.limits import SetQuota, Subject, set_quota
from entrepot.capabilities.policies.clusters import CreateCluster, create_cluster
from entrepot.capabilities.policies.peers import CreatePeer, create_peer
from entrepot.metadata.schema import shares, tasks
from services.kubernetes import Kubernetes, workload

pytestmark = [pytest.mark.broad, pytest.mark.timeout(240)]

ORGANIZATIONS = "/v2/manage/namespaces"
REGISTRY = "registry.office.example"
ON_THIS_MACHINE = {"ENTREPOT_OUTBOUND_FORBIDDEN_NETWORKS": "169.254.0.0/16"}


class Week:
    """Asks with the owner's token."""

    def __init__(self, office: Office, other: Office, elsewhere: Office) -> None:
        self.office, self.other, self.elsewhere = office, other, elsewhere
        self.headers = {
            "Content-Type": "application/json",
            "X-Auth-Token": office.token("owner"),
        }
        self.organization = office.fresh("factory")
        self.name = f"{self.organization}/app/web"
        self.at = f"{ORGANIZATIONS}/{self.organization}/repos/app$web"

    def ask(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        answer = self.office.plain(method, path, _json(body), self.headers)
        assert answer.status == status or (status is None and answer.status < 300), (path, answer)
        return answer.json if answer.body else None

    @property
    def port(self) -> int:
        return self.office.registry.port

    def change(self, statement: sa.Update) -> None:
        """What only time would do."""
        operator = self.office.operator
        operator.do(operator.ctx.db.write(lambda conn: conn.execute(statement).rowcount))


@pytest.fixture
def week(tmp_path: Path) -> Iterator[tuple[Week, Kubernetes]]:
    here, there, kubernetes = (tmp_path / name for name in ("here", "there", "kubernetes"))
    for folder in (here, there, kubernetes):
        folder.mkdir()
    with (
        Kubernetes(kubernetes).running() as cluster,
        started(here, **ON_THIS_MACHINE) as registry,
        started(there) as far,
        operating(registry.environment) as operator,
        operating(far.environment) as far_operator,
    ):
        office = opened(registry, operator)
        elsewhere = opened(far, far_operator)
        given = CreateCluster(
            office.tenant.id, "main", REGISTRY, cluster.kubeconfig(), ["*"], is_default=True
        )
        operator.run(create_cluster, given)
        yield Week(office, opened(registry, operator), elsewhere), cluster


def test_from_the_password_to_the_last_deletion(week: tuple[Week, Kubernetes]):
    team, cluster = week
    make_and_fill(team)
    grant(team)
    share(team)
    publish(team)
    deploy(team, cluster)
    sync(team)
    retain(team)
    limits(team)


def make_and_fill(team: Week) -> None:
    team.ask("POST", ORGANIZATIONS, {"namespace": team.organization}, 201)
    login = team.ask("POST", "/v2/manage/utils/secret")["auths"]
    ((host, said),) = login.items()
    assert host == f"127.0.0.1:{team.port}"
    pushed = push_image(team.port, team.name, "v1", f"Basic {said['auth']}", seed="first")
    shown = team.ask("GET", team.at)
    assert (shown["num_images"], shown["size"]) == (1, pushed.size)
    (listed,) = team.ask("GET", "/v2/manage/repos?filter=name::web")
    assert (listed["name"], listed["tags"]) == ("app/web", ["v1"])
    (tag,) = team.ask("GET", f"{team.at}/tags")
    assert (tag["digest"], tag["size"]) == (pushed.digest, pushed.size)


def grant(team: Week) -> None:
    """Two users: one reads, one pushes."""
    reader, writer = team.office.member, team.office.hire("writer")
    given = [
        {"user_id": one.user.public_id, "user_name": one.user.name, "auth": level}
        for one, level in ((reader, 1), (writer, 3))
    ]
    team.ask("POST", f"{ORGANIZATIONS}/{team.organization}/access", given, 201)
    assert pull(team.port, team.name, "v1", reader.basic) == 200
    push_image(team.port, team.name, "v2", writer.basic, seed="second")
    with pytest.raises(AssertionError):
        push_image(team.port, team.name, "v3", reader.basic, seed="third")


def share(team: Week) -> None:
    """Another account pulls until the deadline."""
    stranger = team.other.member.basic
    assert pull(team.port, team.name, "v1", stranger) == 403
    shares_at = team.at.replace("/repos/", "/repositories/") + "/access-domains"
    body = {
        "access_domain": team.other.tenant.name,
        "permit": "read",
        "deadline": "2099-01-01T00:00:00Z",
    }
    team.ask("POST", shares_at, body, 201)
    assert pull(team.port, team.name, "v1", stranger) == 200
    past = sa.update(shares).values(ends_at=int(time.time() * 1e6) - 1)
    team.change(past)
    assert pull(team.port, team.name, "v1", stranger) == 403


def publish(team: Week) -> None:
    assert pull(team.port, team.name, "v1") == 401
    team.ask("PATCH", team.at, {"is_public": True}, 201)
    assert pull(team.port, team.name, "v1") == 200
    team.ask("PATCH", team.at, {"is_public": False}, 201)


def deploy(team: Week, cluster: Kubernetes) -> None:
    """A push changes the deployment."""
    content = workload(("app", f"{REGISTRY}/{team.name}:v1"))
    cluster.put("deployments", "default", "web", content)
    trigger = {
        "name": "roll-out",
        "action": "update",
        "app_type": "deployments",
        "application": "web",
        "cluster_id": "",
        "cluster_name": "",
        "cluster_ns": "default",
        "condition": "^v[0-9]+$",
        "container": "",
        "enable": "true",
        "trigger_mode": "cci",
        "trigger_type": "regular",
    }
    team.ask("POST", f"{team.at}/triggers", trigger, 201)
    push_image(team.port, team.name, "v7", team.office.owner.basic, seed="seventh")
    until(lambda: team.ask("GET", f"{team.at}/triggers/roll-out")["trigger_history"])
    assert cluster.images("web") == {"app": f"{REGISTRY}/{team.name}:v7"}


def sync(team: Week) -> None:
    """To another organization here, and to a registry elsewhere."""
    second = team.office.organization()
    region = team.office.project.region
    rule = {"remoteRegionId": region, "remoteNamespace": second, "syncAuto": True}
    team.ask("POST", f"{team.at}/sync_repo", rule, 200)
    push_image(team.port, team.name, "v8", team.office.owner.basic, seed="eighth")
    here = f"{second}/app/web"
    until(lambda: pull(team.port, here, "v8", team.office.owner.basic) == 200)

    far = team.elsewhere
    organization = far.organization()
    url = f"http://127.0.0.1:{far.registry.port}"
    peer = CreatePeer(team.office.tenant.id, "elsewhere", url, f"{far.tenant.name}/owner", PASSWORD)
    team.office.operator.run(create_peer, peer)
    asked = {
        "remoteRegionId": "elsewhere",
        "remoteNamespace": organization,
        "imageTag": ["v1", "none"],
        "override": False,
    }
    assert team.ask("POST", f"{team.at}/sync_images", asked, 200) == ["none"]
    there = f"{organization}/app/web"
    until(lambda: pull(far.registry.port, there, "v1", far.owner.basic) == 200)
    jobs = team.ask("GET", f"{team.at}/sync_job?filter=limit::10|offset::0")
    assert {(job["tag"], job["status"]) for job in jobs} == {("v1", "success"), ("v8", "success")}


def retain(team: Week) -> None:
    """The two newest stay, and what is exempt."""
    exempt = [{"kind": "label", "pattern": "v1"}]
    rule = {"template": "tag_rule", "params": {"num": "2"}, "tag_selectors": exempt}
    team.ask("POST", f"{team.at}/retentions", {"algorithm": "or", "rules": [rule]}, 201)
    push_image(team.port, team.name, "v9", team.office.owner.basic, seed="ninth")

    def is_over() -> bool:
        waiting = sa.update(tasks).where(
            tasks.c.kind == "retention.run", tasks.c.status == "pending"
        )
        team.change(waiting.values(run_after=0))
        log = team.ask("GET", f"{team.at}/retentions/histories")
        return bool(log["total"] == 2)

    until(is_over)
    assert {row["Tag"] for row in team.ask("GET", f"{team.at}/tags")} == {"v1", "v8", "v9"}


def limits(team: Week) -> None:
    """Five organizations, and nothing goes that is not empty."""
    tenant = Subject("tenant", team.office.tenant.name)
    team.office.operator.run(set_quota, SetQuota(tenant, "namespaces", 5))
    for _ in range(3):
        team.office.organization()
    sixth = {"namespace": team.office.fresh("sixth")}
    assert team.ask("POST", ORGANIZATIONS, sixth, 400)["error_code"].endswith("4000097")
    organization = f"{ORGANIZATIONS}/{team.organization}"
    assert team.ask("DELETE", organization, None, 406)["error_code"].endswith("4060074")
    assert team.ask("DELETE", team.at, None, 406)["error_code"].endswith("4060012")
    for tag in ("v1", "v8", "v9"):
        team.ask("DELETE", f"{team.at}/tags/{tag}", None, 204)
    team.ask("DELETE", team.at, None, 204)
    team.ask("DELETE", organization, None, 204)


def until(question: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def _json(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()
