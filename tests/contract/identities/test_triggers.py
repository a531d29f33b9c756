"""Triggers: who makes them, what they may say, and what a push sets off in a cluster, with the history of it."""

import json
from ipaddress import ip_network

import pytest
import sqlalchemy as sa
from msgspec.structs import replace
from working import work_until

from entrepot.capabilities.content import place
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.capabilities.policies import trigger_runs, triggers
from entrepot.capabilities.policies.clusters import (
    CreateCluster,
    ModifyCluster,
    NamedCluster,
    create_cluster,
    delete_cluster,
    modify_cluster,
)
from entrepot.capabilities.policies.triggers import (
    CreateTrigger,
    EnableTrigger,
    NamedTrigger,
    create_trigger,
    delete_trigger,
    enable_trigger,
    get_trigger,
    list_triggers,
)
from entrepot.metadata import namespaces, policies, purging
from entrepot.metadata import triggers as rows
from entrepot.metadata.schema import tasks
from entrepot.metadata.schema import trigger_runs as runs
from entrepot.model.access import ANONYMOUS, SYSTEM, Level
from entrepot.model.errors import (
    Forbidden,
    NameTaken,
    QuotaExceeded,
    RepositoryUnknown,
    Unauthenticated,
    ValueInvalid,
)
from entrepot.model.events import EventKind
from entrepot.model.patterns import PatternInvalid
from entrepot.model.triggers import Aim, Condition, ConditionKind, TriggerUnknown, WorkloadKind
from entrepot.oci.reference import RepositoryName
from services.kubernetes import Kubernetes, workload

REGISTRY = "registry.acme.example:5000"
ALL = Condition(ConditionKind.ALL, ".*")


@pytest.fixture
def settings(settings):
    """Clusters of tests are on this machine."""
    networks = (ip_network("169.254.0.0/16"),)
    return replace(settings, outbound=replace(settings.outbound, forbidden_networks=networks))


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory):
    with Kubernetes(tmp_path_factory.mktemp("kubernetes")).running() as running:
        yield running


@pytest.fixture
def cluster(kubernetes):
    """The running one, without what another test left."""
    for left in (kubernetes.objects, kubernetes.closed_namespaces, kubernetes.troubles):
        left.clear()
    kubernetes.requests.clear()
    kubernetes.put("deployments", "default", "web", workload(("app", f"{REGISTRY}/works/app:v1")))
    return kubernetes


@pytest.fixture
def app(world, cast):
    """The address of a repository of acme in the shared instance."""
    world.run(create_namespace, cast.owner, CreateNamespace(world.shared.id, cast.acme.id, "works"))
    here = Place(world.shared, RepositoryName("works", "app"))

    def write(conn):
        namespace = namespaces.find_namespace(conn, here.instance.id, "works")
        return place.create(conn, namespace, "app", caller=SYSTEM)

    world.ctx.db.write_sync(write)
    return here


@pytest.fixture
def joined(world, cast, cluster):
    """The cluster as acme's default one."""
    given = CreateCluster(cast.acme.id, "factory", REGISTRY, cluster.kubeconfig(), is_default=True)
    return world.run(create_cluster, cast.owner, given)


def aim(cluster=None, **other):
    values = {"namespace": "default", "kind": WorkloadKind.DEPLOYMENT, "workload": "web"}
    return Aim(**{"cluster": cluster, "cluster_name": "", **values, **other})


def trigger(app, name="t1", condition=ALL, aimed=None, **other):
    return CreateTrigger(app, name, condition, aimed or aim(), **other)


def repository(world, app):
    return world.read(lambda conn: namespaces.find_repository(conn, app.instance.id, str(app.name)))


def push(world, app, *tags, digest="sha256:" + "a" * 64):
    """What a push of each tag writes down."""
    found = repository(world, app)

    def write(conn):
        for tag in tags:
            place.note(conn, found, SYSTEM, EventKind.MANIFEST_PUSHED, digest=digest, tag=tag)

    world.ctx.db.write_sync(write)


def work(world, times=None):
    """Let the worker run until no event and no run waits, or so many runs are written down."""

    def done(conn):
        if times is not None:
            return conn.execute(sa.select(sa.func.count()).select_from(runs)).scalar() >= times
        waiting = sa.select(tasks.c.id).where(
            tasks.c.kind.in_(("events.fanout", trigger_runs.RUN)),
            tasks.c.status.in_(("pending", "running")),
        )
        return conn.execute(waiting).first() is None

    work_until(world, done)


def history(world, app, name="t1", caller=None):
    shown = world.run(get_trigger, caller or world.operator, NamedTrigger(app, name))
    return [(run.tag, run.succeeded, run.detail) for run in shown.runs]


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_triggers_are_made_shown_switched_and_deleted(world, cast, app):
    given = trigger(app, aimed=aim("some-cluster", cluster_name="c1", container="app"))

    made = world.run(create_trigger, cast.owner, given)
    world.run(create_trigger, cast.owner, trigger(app, "t2", enabled=False))

    shown = world.run(list_triggers, cast.owner, app)
    assert [(one.trigger.name, one.trigger.is_enabled) for one in shown] == [
        ("t1", True),
        ("t2", False),
    ]
    assert shown[0].trigger == made
    assert (made.condition, made.aim, made.creator_name) == (given.condition, given.aim, "owner")
    assert made.tenant == cast.acme.id
    assert world.run(get_trigger, cast.owner, NamedTrigger(app, "t1")).runs == ()
    world.run(enable_trigger, cast.owner, EnableTrigger(NamedTrigger(app, "t2"), enabled=True))
    assert world.run(get_trigger, cast.owner, NamedTrigger(app, "t2")).trigger.is_enabled
    world.run(delete_trigger, cast.owner, NamedTrigger(app, "t1"))
    assert len(world.run(list_triggers, cast.owner, app)) == 1
    for use_case, asked in (
        (get_trigger, NamedTrigger(app, "t1")),
        (delete_trigger, NamedTrigger(app, "t1")),
        (enable_trigger, EnableTrigger(NamedTrigger(app, "t1"), enabled=True)),
    ):
        with pytest.raises(TriggerUnknown):
            world.run(use_case, cast.owner, asked)
    done = [
        action for action in ("create", "enable", "delete") if world.audited(f"trigger.{action}")
    ]
    assert done == ["create", "enable", "delete"]


def test_who_may_edit_the_repository_makes_triggers_and_who_may_read_it_sees_them(world, cast, app):
    found = repository(world, app)

    def give(level):
        def write(conn):
            policies.set_grant(
                conn, cast.member.user, found.namespace, repository=found.id, level=level
            )

        world.ctx.db.write_sync(write)

    asked = (
        (create_trigger, trigger(app, "own")),
        (enable_trigger, EnableTrigger(NamedTrigger(app, "own"), enabled=False)),
        (delete_trigger, NamedTrigger(app, "own")),
    )
    world.run(create_trigger, cast.owner, trigger(app))
    for use_case, command in (*asked, (list_triggers, app), (get_trigger, NamedTrigger(app, "t1"))):
        for caller in (cast.member, cast.stranger):
            with pytest.raises(Forbidden):
                world.run(use_case, caller, command)
        with pytest.raises(Unauthenticated):
            world.run(use_case, ANONYMOUS, command)
    give(Level.READ)
    assert len(world.run(list_triggers, cast.member, app)) == 1
    for use_case, command in asked:
        with pytest.raises(Forbidden):
            world.run(use_case, cast.member, command)
    give(Level.EDIT)
    for use_case, command in asked:
        world.run(use_case, cast.member, command)


def test_that_a_repository_is_public_shows_nobody_its_triggers(world, cast):
    public = CreateNamespace(world.shared.id, cast.acme.id, "open", is_public=True)
    world.run(create_namespace, cast.owner, public)
    here = Place(world.shared, RepositoryName("open", "app"))

    def write(conn):
        namespace = namespaces.find_namespace(conn, here.instance.id, "open")
        place.create(conn, namespace, "app", caller=SYSTEM)

    world.ctx.db.write_sync(write)
    world.run(create_trigger, cast.owner, trigger(here))

    for caller, error in ((cast.stranger, Forbidden), (ANONYMOUS, Unauthenticated)):
        with pytest.raises(error):
            world.run(list_triggers, caller, here)
        with pytest.raises(error):
            world.run(get_trigger, caller, NamedTrigger(here, "t1"))


WRONG = [
    ("name", {"name": ""}),
    ("name", {"name": "a/b"}),
    ("name", {"name": ".."}),
    ("name", {"name": "x" * 65}),
    ("name", {"name": "two words"}),
    ("condition", {"condition": Condition(ConditionKind.ALL, "v1")}),
    ("condition", {"condition": Condition(ConditionKind.TAGS, "")}),
    ("condition", {"condition": Condition(ConditionKind.TAGS, "v1;;v2")}),
    ("condition", {"condition": Condition(ConditionKind.TAGS, "no tag at all")}),
    ("condition", {"condition": Condition(ConditionKind.TAGS, ";".join(["v"] * 101))}),
    ("condition", {"condition": Condition(ConditionKind.PATTERN, "x" * 5000)}),
    ("workload", {"aimed": aim(workload="Web")}),
    ("workload", {"aimed": aim(workload="../x")}),
    ("namespace", {"aimed": aim(namespace="")}),
    ("namespace", {"aimed": aim(namespace="a/b")}),
    ("container", {"aimed": aim(container="a b")}),
    ("cluster", {"aimed": aim("")}),
    ("cluster", {"aimed": aim("x" * 129)}),
    ("cluster_name", {"aimed": aim("c", cluster_name="x" * 129)}),
]


def test_values_out_of_bounds_are_refused(world, cast, app):
    for field, values in WRONG:
        with pytest.raises(ValueInvalid) as refused:
            world.run(create_trigger, cast.owner, trigger(app, **values))
        assert refused.value.field == field
    for text in ("(", "(?=x)", "", "a" * 300):
        bad = Condition(ConditionKind.PATTERN, text)
        with pytest.raises(PatternInvalid):
            world.run(create_trigger, cast.owner, trigger(app, condition=bad))
    assert world.run(list_triggers, cast.owner, app) == []


def test_names_are_unique_in_a_repository_and_triggers_bounded(world, cast, app, monkeypatch):
    monkeypatch.setattr(triggers, "MOST_TRIGGERS", 2)
    world.run(create_trigger, cast.owner, trigger(app))

    with pytest.raises(NameTaken):
        world.run(create_trigger, cast.owner, trigger(app))
    world.run(create_trigger, cast.owner, trigger(app, "t2"))
    with pytest.raises(QuotaExceeded):
        world.run(create_trigger, cast.owner, trigger(app, "t3"))


def test_triggers_go_with_their_repository(world, cast, app):
    made = world.run(create_trigger, cast.owner, trigger(app))
    found = repository(world, app)

    def write(conn):
        rows.record_run(conn, made.id, "v1", succeeded=True, detail="", pushed_at=1, keep=5)
        namespaces.tombstone_repository(conn, found.id, 1)
        before = rows.get_trigger(conn, made.id)
        purging.remove_repository(conn, found.id)
        return before, conn.execute(sa.select(runs)).all()

    assert world.ctx.db.write_sync(write) == (None, [])
    with pytest.raises(RepositoryUnknown):
        world.run(list_triggers, cast.owner, app)


# -- what a push sets off ---------------------------------------------------------------------------------------------


def test_a_push_sets_the_image_of_every_container_that_runs_it(world, cast, app, cluster, joined):
    images = (
        ("app", f"{REGISTRY}/works/app:v1"),
        ("again", "swr.here-1.entrepot.localhost/works/app@sha256:" + "b" * 64),
        ("bare", "registry.acme.example/works/app"),
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


def failures(world, app):
    return [(tag, detail) for tag, succeeded, detail in history(world, app) if not succeeded]


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
    given = CreateCluster(cast.acme.id, "k", REGISTRY, cluster.kubeconfig(), public_id="k-1")
    world.run(create_cluster, cast.owner, given)
    theirs = world.run(
        create_cluster,
        cast.stranger,
        CreateCluster(cast.stranger.tenant, "k", REGISTRY, cluster.kubeconfig(), public_id="k-2"),
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
    bad = ModifyCluster(which, kubeconfig=bad, namespaces=[])
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
        cast.acme.id, "k", REGISTRY, json.dumps(config), is_default=True, public_id="k-1"
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
        given = CreateCluster(cast.acme.id, name, REGISTRY, config, public_id=name)
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
    given = CreateCluster(cast.acme.id, "k", REGISTRY, config, is_default=True)
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
    given = CreateCluster(cast.acme.id, "k", REGISTRY, config, is_default=True)
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


def test_somebody_who_is_quicker_is_not_overwritten(world, cast, app, cluster, joined):
    world.run(create_trigger, cast.owner, trigger(app))
    cluster.troubles += ["moved", "none", "moved"]

    push(world, app, "v2")
    work(world)

    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v2"}
    assert [method for method, _ in cluster.requests] == ["GET", "PATCH"] * 3
    assert [ok for _, ok, _ in history(world, app)] == [True]


def hurry(world):
    """What waits to be tried again is tried now."""
    retried = sa.update(tasks).where(tasks.c.kind == trigger_runs.RUN, tasks.c.status == "pending")
    world.ctx.db.write_sync(lambda conn: conn.execute(retried.values(run_after=1)))


def attempted(times, runs=1):
    """Whether so many runs have been tried so often, and wait."""
    query = (
        sa.select(sa.func.count())
        .select_from(tasks)
        .where(
            tasks.c.kind == trigger_runs.RUN,
            tasks.c.status == "pending",
            tasks.c.attempts == times,
        )
    )
    return lambda conn: conn.execute(query).scalar() == runs


def test_what_may_pass_is_tried_again_and_at_last_in_the_history(world, cast, app, cluster, joined):
    world.run(create_trigger, cast.owner, trigger(app))
    cluster.troubles += [503, 429]

    push(world, app, "v2")
    for times in (1, 2):
        work_until(world, attempted(times))
        assert history(world, app) == []
        hurry(world)
    work(world)

    assert [ok for _, ok, _ in history(world, app)] == [True]
    cluster.troubles += [500] * trigger_runs.ATTEMPTS
    push(world, app, "v3")
    for times in range(1, trigger_runs.ATTEMPTS):
        work_until(world, attempted(times))
        hurry(world)
    work(world)
    assert history(world, app)[0] == ("v3", False, "it answered with status 500")


def test_a_server_that_is_not_there_is_tried_again(world, cast, app, cluster, tmp_path):
    gone = Kubernetes(tmp_path)
    config = gone.kubeconfig()
    gone._server.server_close()
    given = CreateCluster(cast.acme.id, "k", REGISTRY, config, is_default=True)
    world.run(create_cluster, cast.owner, given)
    world.run(create_trigger, cast.owner, trigger(app))

    push(world, app, "v2")
    for times in range(1, trigger_runs.ATTEMPTS):
        work_until(world, attempted(times))
        hurry(world)
    work(world)

    assert failures(world, app) == [("v2", "it refuses connections")]


def test_a_late_attempt_does_not_undo_a_later_push(world, cast, app, cluster, joined):
    world.run(create_trigger, cast.owner, trigger(app))
    cluster.troubles.append(503)
    push(world, app, "v2")
    work_until(world, attempted(1))

    push(world, app, "v3")
    work(world, times=1)
    hurry(world)
    work(world)

    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v3"}
    assert history(world, app) == [
        ("v2", False, "a later push, of v3, was carried out before"),
        ("v3", True, f"app: {REGISTRY}/works/app:v3"),
    ]


def test_a_trigger_that_was_switched_off_or_deleted_meanwhile_does_nothing(
    world, cast, app, cluster, joined
):
    for name in ("off", "gone"):
        world.run(create_trigger, cast.owner, trigger(app, name))
    cluster.troubles += [503, 503]
    push(world, app, "v2")
    work_until(world, attempted(1, runs=2))

    world.run(enable_trigger, cast.owner, EnableTrigger(NamedTrigger(app, "off"), enabled=False))
    world.run(delete_trigger, cast.owner, NamedTrigger(app, "gone"))
    hurry(world)
    work(world)

    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v1"}
    assert history(world, app, "off") == []


def test_the_history_keeps_the_latest_runs(world, cast, app):
    made = world.run(create_trigger, cast.owner, trigger(app))

    def write(conn):
        for number in range(7):
            rows.record_run(
                conn, made.id, f"v{number}", succeeded=True, detail="", pushed_at=number, keep=5
            )
        return rows.list_runs(conn, made.id, limit=100)

    assert [run.tag for run in world.ctx.db.write_sync(write)] == ["v6", "v5", "v4", "v3", "v2"]
