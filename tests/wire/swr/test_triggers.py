"""Triggers as the vendor's clients see them, and what a push sets off in a cluster: a server that answers as Kubernetes' does, and a
real one where there is one."""

import base64
import itertools
import time

import pytest
from huaweicloudsdkswr.v2 import (
    CreateTriggerRequest,
    CreateTriggerRequestBody,
    DeleteTriggerRequest,
    ListTriggersDetailsRequest,
    ShowTriggerRequest,
    ShowTriggerResponse,
    UpdateTriggerRequest,
    UpdateTriggerRequestBody,
)
from office import opened
from started import operating, started

from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.targets import Target
from entrepot.capabilities.policies.clusters import CreateCluster, create_cluster
from entrepot.metadata.instances import default_instance
from entrepot.model.access import Level
from services import apiserver
from services.kubernetes import TOKEN, Kubernetes, workload

REGISTRY = "registry.office.example"
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["ours", pytest.param("real", marks=pytest.mark.blackbox)])
def cluster(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kubernetes")
    if request.param == "real" and not apiserver.is_here():
        pytest.skip(f"no kube-apiserver and etcd in $PATH or ${apiserver.VARIABLE}")
    made = apiserver.ApiServer(folder) if request.param == "real" else Kubernetes(folder)
    with made.running() as running:
        yield running


@pytest.fixture(scope="module")
def office(tmp_path_factory, cluster):
    """In a deployment whose operator lets clusters be on this machine, with one of them as the default one."""
    networks = {"ENTREPOT_OUTBOUND_FORBIDDEN_NETWORKS": "169.254.0.0/16"}
    with (
        started(tmp_path_factory.mktemp("office"), **networks) as registry,
        operating(registry.environment) as operator,
    ):
        office = opened(registry, operator)
        for name, is_default in (("main", True), ("other", False)):
            given = CreateCluster(
                office.tenant.id,
                name,
                REGISTRY,
                cluster.kubeconfig(),
                ["*"],
                is_default=is_default,
                public_id=f"id-of-{name}",
            )
            operator.run(create_cluster, given)
        yield office


@pytest.fixture
def place(office):
    """A repository's organization and name, and the path of its triggers."""
    organization, name = office.repository()
    return organization, name, f"/v2/manage/namespaces/{organization}/repos/{name}/triggers"


def body(**other):
    said = {
        "action": "update",
        "app_type": "deployments",
        "application": "web",
        "cluster_id": "id-of-other",
        "cluster_name": "other",
        "cluster_ns": "default",
        "condition": ".*",
        "container": "",
        "enable": "true",
        "name": "t1",
        "trigger_mode": "cce",
        "trigger_type": "all",
    }
    return {key: value for key, value in (said | other).items() if value is not None}


def history(office, path, name="t1", runs=1):
    """Its runs, the latest first, once there are so many."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = office.owner.ask("GET", f"{path}/{name}")["trigger_history"]
        if len(found) >= runs:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} has {len(found)} runs")


def test_the_vendors_sdk_makes_shows_switches_and_deletes_triggers(office, place):
    organization, name, _ = place
    sdk = office.owner.sdk()
    where = {"namespace": organization, "repository": name}

    made = sdk.create_trigger(
        CreateTriggerRequest(**where, body=CreateTriggerRequestBody(**body(condition="*")))
    )
    assert made.status_code == 201
    shown = sdk.show_trigger(ShowTriggerRequest(**where, trigger="t1"))
    assert shown.status_code == 200
    facts = {name: getattr(shown, name) for name in ShowTriggerResponse.openapi_types}
    assert facts.pop("created_at").endswith("Z")
    assert facts == {**body(condition="*"), "creator_name": "owner", "trigger_history": []}
    changed = UpdateTriggerRequestBody(enable="false")
    changed = sdk.update_trigger(UpdateTriggerRequest(**where, trigger="t1", body=changed))
    assert changed.status_code == 201
    listed = sdk.list_triggers_details(ListTriggersDetailsRequest(**where))
    assert [(one.name, one.enable) for one in listed.body] == [("t1", "false")]
    gone = sdk.delete_trigger(DeleteTriggerRequest(**where, trigger="t1"))
    assert gone.status_code == 204
    assert not sdk.list_triggers_details(ListTriggersDetailsRequest(**where)).body


def test_a_push_changes_the_workload_and_is_in_the_history(office, place, cluster):
    organization, name, path = place
    full = f"{organization}/{name}"
    workload_name = f"web-{next(_numbers)}"
    content = workload(("app", f"{REGISTRY}/{full}:v1"), ("side", "docker.example/side:1"))
    cluster.put("deployments", "default", workload_name, content)
    given = body(application=workload_name, trigger_type="regular", condition=r"v\d+")
    office.owner.ask("POST", path, given)

    office.push(full, "latest")
    office.push(full, "v2")

    (run,) = history(office, path)
    assert cluster.images(workload_name) == {
        "app": f"{REGISTRY}/{full}:v2",
        "side": "docker.example/side:1",
    }
    assert run.pop("created_at").endswith("Z")
    told = {
        k: v
        for k, v in given.items()
        if k not in ("enable", "name", "trigger_mode", "trigger_type")
    }
    assert run == {
        **told,
        "creator_name": "owner",
        "detail": f"app: {REGISTRY}/{full}:v2",
        "result": "success",
        "tag": "v2",
    }
    started_at = cluster.restarted_at(workload_name)
    office.push(full, "v2")
    latest = history(office, path, runs=2)[0]
    assert (latest["result"], latest["detail"]) == (
        "success",
        f"app: {REGISTRY}/{full}:v2, restarted",
    )
    assert cluster.restarted_at(workload_name) > started_at
    (listed,) = office.owner.ask("GET", path)
    assert [one["tag"] for one in listed["trigger_history"]] == ["v2", "v2"]


def test_cci_means_the_default_cluster_and_tags_are_joined_by_semicolons(office, place, cluster):
    organization, name, path = place
    full = f"{organization}/{name}"
    workload_name = f"db-{next(_numbers)}"
    cluster.put("statefulsets", "default", workload_name, workload(("app", "old:1")))
    given = body(
        app_type="statefulsets",
        application=workload_name,
        cluster_id="",
        cluster_name=None,
        condition="v1;stable",
        container="app",
        enable=True,
        trigger_mode="cci",
        trigger_type="tag",
    )
    office.owner.ask("POST", path, given)

    for tag in ("v1", "v2", "stable"):
        office.push(full, tag)

    assert {run["tag"] for run in history(office, path, runs=2)} == {"v1", "stable"}
    image = cluster.images(workload_name, "statefulsets")["app"]
    assert image in {f"{REGISTRY}/{full}:v1", f"{REGISTRY}/{full}:stable"}
    shown = office.owner.ask("GET", f"{path}/t1")
    assert (shown["trigger_mode"], shown["cluster_id"], shown["cluster_name"]) == ("cci", "", "")
    assert (shown["enable"], shown["condition"], shown["trigger_type"]) == (
        "true",
        "v1;stable",
        "tag",
    )


def test_a_run_that_cannot_work_fails_in_the_history_and_never_the_push(office, place, cluster):
    organization, name, path = place
    unknown = "5b28c12f-dc10-11e9-97b3-0255ac1001b5"
    office.owner.ask("POST", path, body(name="gone", cluster_id=unknown))
    office.owner.ask("POST", path, body(name="absent", application="nothing-there"))
    office.owner.ask("POST", path, body(name="off", enable="false"))

    office.push(f"{organization}/{name}", "v1")

    (gone,) = history(office, path, "gone")
    assert (gone["result"], gone["detail"]) == (
        "failed",
        f"no kubeconfig is known for the cluster {unknown}",
    )
    (absent,) = history(office, path, "absent")
    assert absent["result"] == "failed"
    assert "no deployment nothing-there in the namespace default" in absent["detail"]
    assert office.owner.ask("GET", f"{path}/off")["trigger_history"] == []


REFUSED = [
    ({"name": None}, "4001014"),
    ({"enable": None}, "4001014"),
    ({"cluster_ns": None}, "4001014"),
    ({"trigger_type": None}, "4001014"),
    ({"cluster_id": None}, "4001014"),
    ({"cluster_id": ""}, "4001014"),
    ({"enable": "yes"}, "4000014"),
    ({"enable": 1}, "4001018"),
    ({"action": "delete"}, "4000014"),
    ({"app_type": "pods"}, "4000014"),
    ({"trigger_mode": "ccx"}, "4000014"),
    ({"trigger_type": "some"}, "4000014"),
    ({"trigger_type": ["all"]}, "4001018"),
    ({"condition": "v1"}, "4000014"),
    ({"condition": "(", "trigger_type": "regular"}, "4000014"),
    ({"condition": "(?=a)", "trigger_type": "regular"}, "4000014"),
    ({"condition": "a;;b", "trigger_type": "tag"}, "4000014"),
    ({"condition": "", "trigger_type": "tag"}, "4000014"),
    ({"name": "a/b"}, "4000014"),
    ({"name": ""}, "4000014"),
    ({"name": "x" * 65}, "4000014"),
    ({"application": "../../pods/x"}, "4000014"),
    ({"application": ""}, "4000014"),
    ({"cluster_ns": "Kube System"}, "4000014"),
    ({"container": "UPPER"}, "4000014"),
    ({"cluster_id": "x" * 200}, "4000014"),
]


def test_bad_triggers_are_refused_with_the_vendors_codes(office, place):
    _, _, path = place
    for other, code in REFUSED:
        answer = office.owner.send("POST", path, body(**other))
        assert (answer.code, other) == (code, other)
    assert office.owner.send("POST", path, b"{").code == "4001018"
    assert office.owner.send("POST", path, b"[]").code == "4001018"
    assert office.owner.ask("GET", path) == []
    office.owner.ask("POST", path, body())
    assert office.owner.send("POST", path, body()).code == "4090200"
    one = f"{path}/t1"
    assert office.owner.send("PATCH", one, {}).code == "4001014"
    assert office.owner.send("PATCH", one, {"enable": "on"}).code == "4000014"
    assert office.owner.ask("PATCH", one, {"enable": False}) == {}
    assert office.owner.ask("GET", one)["enable"] == "false"


def test_what_is_not_there_is_told_by_its_own_code(office, place):
    organization, name, path = place
    asked = (("GET", None), ("PATCH", {"enable": "true"}), ("DELETE", None))
    absent = f"/v2/manage/namespaces/{organization}/repos/none/triggers"
    nowhere = f"/v2/manage/namespaces/no-such-place/repos/{name}/triggers"
    for method, said in asked:
        assert office.owner.send(method, f"{path}/none", said).code == "4040200"
        assert office.owner.send(method, f"{absent}/none", said).code == "4040010"
        assert office.owner.send(method, f"{nowhere}/none", said).code == "4040058"
    for method, said in (("GET", None), ("POST", body())):
        assert office.owner.send(method, absent, said).code == "4040010"
        assert office.owner.send(method, nowhere, said).code == "4040058"
        assert office.plain(method, path).status == 401


def test_reading_shows_triggers_and_editing_changes_them(office, place):
    organization, name, path = place
    office.owner.ask("POST", path, body())
    reads = [("GET", path, None), ("GET", f"{path}/t1", None)]
    writes = [
        ("POST", path, body(name="own")),
        ("PATCH", f"{path}/own", {"enable": "false"}),
        ("DELETE", f"{path}/own", None),
    ]
    target = Target(office.operator.read(default_instance).id, organization, name)

    def codes(calls):
        return {office.member.send(*call).code for call in calls}

    assert codes(reads + writes) == {"4037020"}
    office.operator.run(set_grant, SetGrant(target, "member", Level.READ))
    assert codes(reads) == {""}
    assert codes(writes) == {"4037020"}
    office.operator.run(set_grant, SetGrant(target, "member", Level.EDIT))
    assert codes(reads + writes) == {""}


def test_another_account_sees_and_changes_nothing_even_of_a_public_repository(office):
    organization, name = office.repository(is_public=True)
    path = f"/v2/manage/namespaces/{organization}/repos/{name}/triggers"
    office.owner.ask("POST", path, body())
    stranger = opened(office.registry, office.operator).owner

    for method, where, said in (
        ("GET", path, None),
        ("GET", f"{path}/t1", None),
        ("POST", path, body(name="t2")),
        ("PATCH", f"{path}/t1", {"enable": "false"}),
        ("DELETE", f"{path}/t1", None),
    ):
        assert stranger.send(method, where, said).code == "4011064"
    assert [one["enable"] for one in office.owner.ask("GET", path)] == ["true"]


def test_a_repository_with_a_slash_is_reached_by_a_dollar_sign(office):
    organization, _ = office.repository(name="app/sub")
    path = f"/v2/manage/namespaces/{organization}/repos/app$sub/triggers"

    office.owner.ask("POST", path, body())

    assert [one["name"] for one in office.owner.ask("GET", path)] == ["t1"]


def test_no_credential_of_a_cluster_is_in_the_log(office, place):
    log = office.registry.log.read_text()

    assert TOKEN not in log
    assert base64.b64encode(TOKEN.encode()).decode() not in log
