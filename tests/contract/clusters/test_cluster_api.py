"""What the adapter promises of a cluster, at a server of ours that answers as Kubernetes' does, and at a real one where there is one."""

import asyncio
from ipaddress import ip_network

import pytest

from entrepot.model.outbound import AddressForbidden
from entrepot.model.triggers import WorkloadKind
from entrepot.ports.cluster import (
    ClusterAccess,
    ClusterRefused,
    ClusterUnreachable,
    Container,
    WorkloadChange,
    WorkloadMoved,
    WorkloadName,
)
from entrepot.remotes import kubernetes
from entrepot.remotes.kubernetes import RESTARTED, KubernetesCluster
from services import apiserver
from services.kubernetes import TOKEN, Kubernetes, workload

pytestmark = pytest.mark.broad

WEB = WorkloadName(WorkloadKind.DEPLOYMENT, "default", "web")
CLUSTER = KubernetesCluster((ip_network("169.254.0.0/16"),), 20.0, 20.0)


@pytest.fixture(scope="module", params=["ours", pytest.param("real", marks=pytest.mark.blackbox)])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    if request.param == "real":
        if not apiserver.is_here():
            pytest.skip(f"no kube-apiserver and etcd in $PATH or ${apiserver.VARIABLE}")
        with apiserver.ApiServer(folder).running() as running:
            yield running
        return
    with Kubernetes(folder).running() as running:
        running.closed_namespaces.add("kube-system")
        yield running


@pytest.fixture
def access(server):
    """The cluster with a fresh deployment `web`."""
    server.put(
        "deployments",
        "default",
        "web",
        workload(("app", "r.example/a:1"), ("side", "r.example/b:1"), inits=(("init", "i:1"),)),
    )
    return ClusterAccess(server.url, authorities=server.authority.pem, token=TOKEN)


def read(access, name=WEB, cluster=CLUSTER):
    return asyncio.run(cluster.workload(access, name))


def change(access, changed, name=WEB, cluster=CLUSTER):
    asyncio.run(cluster.change(access, name, changed))


def other(access, **values):
    names = ("server", "authorities", "token", "certificate", "key", "tls_name")
    return ClusterAccess(**({name: getattr(access, name) for name in names} | values))


def test_a_workload_is_read(access):
    found = read(access)

    assert found.containers == (
        Container("init", "i:1", is_init=True),
        Container("app", "r.example/a:1"),
        Container("side", "r.example/b:1"),
    )
    assert found.version


def test_images_of_the_named_containers_are_changed_and_nothing_else(server, access):
    before = server.get("deployments", "default", "web")
    new = (Container("app", "r.example/a:2"), Container("init", "i:2", is_init=True))

    change(access, WorkloadChange(read(access).version, new))

    assert {one.name: one.image for one in read(access).containers} == {
        "init": "i:2",
        "app": "r.example/a:2",
        "side": "r.example/b:1",
    }
    after = server.get("deployments", "default", "web")
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    pods = after["spec"]["template"]["spec"]
    assert [one["name"] for one in pods["containers"]] == ["app", "side"]
    assert all(one["args"] == ["--keep"] for one in pods["containers"])
    assert "annotations" not in after["spec"]["template"]["metadata"]


def test_a_restart_is_an_annotation_of_the_pods_and_twice_is_once(server, access):
    at = "2026-11-22T10:00:00Z"

    for _ in range(2):
        change(access, WorkloadChange(read(access).version, restarted_at=at))

    after = server.get("deployments", "default", "web")
    assert after["spec"]["template"]["metadata"]["annotations"] == {RESTARTED: at}
    assert after["metadata"]["generation"] == 2


def test_a_stateful_set_is_changed_likewise(server, access):
    name = WorkloadName(WorkloadKind.STATEFULSET, "default", "db")
    server.put("statefulsets", "default", "db", workload(("db", "r.example/db:1")))

    changed = WorkloadChange(read(access, name).version, (Container("db", "r.example/db:2"),))
    change(access, changed, name)

    assert read(access, name).containers == (Container("db", "r.example/db:2"),)


def test_a_change_for_a_version_that_is_past_does_nothing(access):
    old = read(access).version
    change(access, WorkloadChange(old, (Container("app", "r.example/a:2"),)))

    with pytest.raises(WorkloadMoved):
        change(access, WorkloadChange(old, (Container("app", "r.example/a:3"),)))
    assert read(access).containers[1].image == "r.example/a:2"


def refused(access, name=WEB, cluster=CLUSTER):
    with pytest.raises(ClusterRefused) as error:
        read(access, name, cluster)
    assert access.token not in error.value.reason or not access.token
    return error.value.reason


def test_what_is_not_there_is_said_in_words(access):
    gone = WorkloadName(WorkloadKind.DEPLOYMENT, "default", "gone")

    said = refused(access, gone)
    assert said.startswith("there is no deployment gone in the namespace default: ")
    assert '"gone" not found' in said


def test_a_user_who_may_not_is_told_what(access):
    closed = WorkloadName(WorkloadKind.DEPLOYMENT, "kube-system", "web")

    said = refused(access, closed)
    assert said.startswith("the kubeconfig's user may not: ")
    assert 'User "robot"' in said


def test_a_wrong_credential_is_refused(access):
    assert "not accepted" in refused(other(access, token="another-token"))


def test_a_server_of_another_authority_or_name_is_not_believed(access, server):
    stranger = type(server.authority)().pem

    assert "not trusted" in refused(other(access, authorities=stranger))
    assert "not trusted" in refused(other(access, authorities=""))
    assert "not trusted" in refused(other(access, tls_name="kube.example"))
    assert read(other(access, tls_name="localhost")).containers


def test_forbidden_addresses_are_never_connected_to(access, server):
    forbidding = KubernetesCluster((ip_network("127.0.0.0/8"), ip_network("::1/128")), 5.0, 5.0)

    for host in ("127.0.0.1", "localhost"):
        there = other(access, server=server.url.replace("127.0.0.1", host))
        with pytest.raises(AddressForbidden):
            read(there, cluster=forbidding)


def test_nobody_there_is_said_in_words(access):
    for where in ("https://127.0.0.1:1", "https://no-such-name.invalid:6443"):
        with pytest.raises(ClusterUnreachable):
            read(other(access, server=where))


# -- what only ours can be made to do ---------------------------------------------------------------------------------


@pytest.fixture
def ours(server):
    if not isinstance(server, Kubernetes):
        pytest.skip("a real one does not misbehave at will")
    server.troubles.clear()
    server.requests.clear()
    return server


def test_troubles_that_may_pass_are_told_from_those_that_stay(access, ours):
    for status in (408, 429, 500, 502, 503, 504):
        ours.troubles.append(status)
        with pytest.raises(ClusterUnreachable):
            read(access)
    for status in (301, 302, 400, 405, 415, 422):
        ours.troubles.append(status)
        assert f"status {status}" in refused(access)
    assert len(ours.requests) == 12


def test_a_server_that_says_nothing_is_given_up(access, ours):
    ours.troubles.append("deaf")

    with pytest.raises(ClusterUnreachable) as error:
        read(access, cluster=KubernetesCluster((), 5.0, 0.3))
    assert error.value.reason == "it does not answer in time"


def test_a_call_ends_however_slowly_the_other_side_goes_on(access, ours, monkeypatch):
    monkeypatch.setattr(kubernetes, "CALL_SECONDS", 0.3)
    ours.troubles.append("deaf")

    with pytest.raises(ClusterUnreachable) as error:
        read(access)
    assert error.value.reason == "it does not answer in time"


def test_an_endless_answer_is_not_read_to_its_end(access, ours, monkeypatch):
    monkeypatch.setattr(kubernetes, "_MOST_BODY", 100)

    assert "longer than 100 bytes" in refused(access)


def test_an_answer_that_is_no_workload_is_refused(access, ours):
    ours.objects["deployments", "default", "web"] = {"metadata": {}, "spec": "nothing"}

    assert refused(access) == "its answer is no workload"


def test_a_refusal_never_repeats_the_credential(access, ours, monkeypatch):
    monkeypatch.setattr(
        "services.kubernetes._status",
        lambda code, _: (code, {"kind": "Status", "message": f"you sent {TOKEN}\nand more"}),
    )
    ours.troubles.append(403)

    assert refused(access) == "the kubeconfig's user may not: you sent *** and more"


def test_a_client_certificate_is_shown(access, ours):
    certificate, key = ours.clients.issue("robot")
    by_certificate = other(access, token="", certificate=certificate, key=key)

    assert read(by_certificate).containers
    assert "not accepted" in refused(other(access, token=""))
