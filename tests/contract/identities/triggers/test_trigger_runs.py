"""What a push sets off in a cluster, with the history of it."""

import json
from ipaddress import ip_network

import pytest
from msgspec.structs import replace
from trigger_stage import (
    ALL,
    REGISTRY,
    aim,
    failures,
    history,
    push,
    trigger,
    work,
)

from entrepot.capabilities.policies.clusters import (
    CreateCluster,
    ModifyCluster,
    NamedCluster,
    create_cluster,
    delete_cluster,
    modify_cluster,
)
from entrepot.capabilities.policies.triggers import (
    EnableTrigger,
    NamedTrigger,
    create_trigger,
    enable_trigger,
)
from entrepot.model.triggers import Condition, ConditionKind, WorkloadKind
from services.kubernetes import Kubernetes, workload

pytestmark = pytest.mark.broad


def test_a_push_sets_the_image_of_every_container_that_runs_it(world, cast, app, cluster, joined):
    images = (
        ("app", f"{REGISTRY}/works/app:v1"),
        ("again", "swr.here-1.entrepot.localhost/works/app@sha256:" + "b" * 64),
        ("bare", f"{REGISTRY.upper()}/works/app"),
        ("proxy", f"{REGISTRY}/works/proxy:v1"),
        ("other", "docker.example/works/app:v1"),
    )
    inits = (("migrate", f"{REGISTRY}/works/app:v0"),)
    cluster.put("deployments", "default", "web", workload(*images, inits=inits))
    world.run(create_trigger, cast.owner, trigger(app))

    push(world, app, "v2")
    work(world)

    new = f"{REGISTRY}/works/app:v2"
    assert cluster.images() == {
        "migrate": new,
        "app": new,
        "again": new,
        "bare": new,
        "proxy": f"{REGISTRY}/works/proxy:v1",
        "other": "docker.example/works/app:v1",
    }
    assert history(world, app) == [("v2", True, f"migrate, app, again, bare: {new}")]
    changed = cluster.get("deployments", "default", "web")
    assert changed["spec"]["template"]["spec"]["containers"][0]["args"] == ["--keep"]
    assert changed["spec"]["replicas"] == 2
    assert changed["metadata"]["generation"] == 2


def test_only_the_named_container_of_a_stateful_set_is_changed(world, cast, app, cluster, joined):
    images = (("app", "docker.example/old:1"), ("side", f"{REGISTRY}/works/app:v1"))
    cluster.put("statefulsets", "default", "db", workload(*images))
    aimed = aim(joined.public_id, kind=WorkloadKind.STATEFULSET, workload="db", container="app")
    world.run(create_trigger, cast.owner, trigger(app, aimed=aimed))

    push(world, app, "v2")
    work(world)

    assert cluster.images("db", "statefulsets") == {
        "app": f"{REGISTRY}/works/app:v2",
        "side": f"{REGISTRY}/works/app:v1",
    }


def test_the_same_tag_pushed_again_restarts_the_workload(world, cast, app, cluster, joined):
    world.run(create_trigger, cast.owner, trigger(app))

    push(world, app, "v1")
    work(world)

    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v1"}
    assert cluster.restarted_at() is not None
    assert history(world, app) == [("v1", True, f"app: {REGISTRY}/works/app:v1, restarted")]


def test_conditions_decide_which_tags_set_it_off(world, cast, app, cluster, joined):
    conditions = {
        "all": ALL,
        "star": Condition(ConditionKind.ALL, "*"),
        "tags": Condition(ConditionKind.TAGS, "v1;latest"),
        "pattern": Condition(ConditionKind.PATTERN, r"v\d"),
        "off": ALL,
    }
    for name, condition in conditions.items():
        given = trigger(app, name, condition, enabled=name != "off")
        world.run(create_trigger, cast.owner, given)
    signature = f"sha256-{'c' * 64}.sig"

    push(world, app, "v1", "v12", "latest", signature)
    push(world, app, None)
    work(world)

    ran = {name: {tag for tag, *_ in history(world, app, name)} for name in conditions}
    assert ran == {
        "all": {"v1", "v12", "latest"},
        "star": {"v1", "v12", "latest"},
        "tags": {"v1", "latest"},
        "pattern": {"v1"},
        "off": set(),
    }


def test_what_cannot_work_fails_at_once_with_a_reason_in_the_history(world, cast, app, cluster):
    def run(name, aimed):
        world.run(create_trigger, cast.owner, trigger(app, name, aimed=aimed))
        push(world, app, "v2")
        work(world)
        world.run(enable_trigger, cast.owner, EnableTrigger(NamedTrigger(app, name), enabled=False))
        ((tag, succeeded, detail),) = history(world, app, name)
        assert (tag, succeeded) == ("v2", False)
        return detail

    assert run("none", aim()) == "there is no default cluster in this region"
    assert run("gone", aim("abc")) == "no kubeconfig is known for the cluster abc"
    given = CreateCluster(cast.acme.id, "k", REGISTRY, cluster.kubeconfig(), ["*"], public_id="k-1")
    world.run(create_cluster, cast.owner, given)
    theirs = world.run(
        create_cluster,
        cast.stranger,
        CreateCluster(
            cast.stranger.tenant, "k", REGISTRY, cluster.kubeconfig(), ["*"], public_id="k-2"
        ),
    )
    assert run("theirs", aim(theirs.public_id)) == "no kubeconfig is known for the cluster k-2"
    said = run("absent", aim("k-1", workload="gone"))
    assert said.startswith("there is no deployment gone in the namespace default")
    assert run("container", aim("k-1", container="x")) == "the workload has no container x"
    cluster.put("deployments", "default", "alien", workload(("a", "docker.example/x:1")))
    said = run("alien", aim("k-1", workload="alien"))
    assert said == "no container of the workload runs an image of works/app"
    cluster.closed_namespaces.add("default")
    assert "forbidden: User" in run("closed", aim("k-1"))
    which = NamedCluster(cast.acme.id, "k-1")
    world.run(modify_cluster, cast.owner, ModifyCluster(which, namespaces=["shop"]))
    assert "lets no workload of the namespace default be changed" in run("fenced", aim("k-1"))
    bad = cluster.kubeconfig(user={"token": "an-ended-token"})
    bad = ModifyCluster(which, kubeconfig=bad, namespaces=["*"])
    world.run(modify_cluster, cast.owner, bad)
    said = run("token", aim("k-1"))
    assert "credential is not accepted" in said
    assert "an-ended-token" not in said
    world.run(delete_cluster, cast.owner, which)
    assert run("deleted", aim("k-1")) == "no kubeconfig is known for the cluster k-1"


def test_a_server_that_is_not_who_it_should_be_is_told_nothing(world, cast, app, cluster, tmp_path):
    impostor = Kubernetes(tmp_path)
    config = json.loads(cluster.kubeconfig())
    stranger = json.loads(impostor.kubeconfig())
    impostor._server.server_close()
    authority = stranger["clusters"][0]["cluster"]["certificate-authority-data"]
    config["clusters"][0]["cluster"]["certificate-authority-data"] = authority
    given = CreateCluster(
        cast.acme.id, "k", REGISTRY, json.dumps(config), ["*"], is_default=True, public_id="k-1"
    )
    world.run(create_cluster, cast.owner, given)
    world.run(create_trigger, cast.owner, trigger(app))

    push(world, app, "v2")
    work(world)

    ((_, said),) = failures(world, app)
    assert said.startswith("its certificate is not trusted")
    assert cluster.requests == []


def test_a_name_of_its_own_in_the_kubeconfig_is_what_the_certificate_must_be_for(
    world, cast, app, cluster
):
    for name, host in (("right", "localhost"), ("wrong", "other.example")):
        config = cluster.kubeconfig(**{"tls-server-name": host})
        given = CreateCluster(cast.acme.id, name, REGISTRY, config, ["*"], public_id=name)
        world.run(create_cluster, cast.owner, given)
        world.run(create_trigger, cast.owner, trigger(app, name, aimed=aim(name)))

    push(world, app, "v2")
    work(world)

    assert [ok for _, ok, _ in history(world, app, "right")] == [True]
    ((_, ok, said),) = history(world, app, "wrong")
    assert not ok
    assert "not trusted" in said


def test_a_client_certificate_is_shown_to_the_server(world, cast, app, cluster):
    config = cluster.kubeconfig(user=cluster.client_pair())
    given = CreateCluster(cast.acme.id, "k", REGISTRY, config, ["*"], is_default=True)
    world.run(create_cluster, cast.owner, given)
    world.run(create_trigger, cast.owner, trigger(app))

    push(world, app, "v2")
    work(world)

    assert [ok for _, ok, _ in history(world, app)] == [True]


def test_addresses_that_the_operator_forbids_are_never_asked(
    world, cast, app, cluster, monkeypatch
):
    """A name that leads there passes when the cluster is set down, and fails when it is resolved."""
    config = cluster.kubeconfig(server=cluster.url.replace("127.0.0.1", "localhost"))
    given = CreateCluster(cast.acme.id, "k", REGISTRY, config, ["*"], is_default=True)
    world.run(create_cluster, cast.owner, given)
    world.run(create_trigger, cast.owner, trigger(app))
    networks = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    settings = world.ctx.settings
    forbidding = replace(settings, outbound=replace(settings.outbound, forbidden_networks=networks))
    object.__setattr__(world.ctx, "settings", forbidding)

    push(world, app, "v2")
    work(world)

    assert failures(world, app) == [("v2", "the operator forbids connections to localhost")]
    assert cluster.requests == []
