"""What becomes of runs that do not work at once: tried again, overtaken, lost."""

import pytest
from trigger_stage import REGISTRY, attempted, failures, history, hurry, push, trigger, work
from working import work_until

from entrepot.capabilities.policies import trigger_runs
from entrepot.capabilities.policies.clusters import (
    CreateCluster,
    create_cluster,
)
from entrepot.capabilities.policies.triggers import (
    EnableTrigger,
    NamedTrigger,
    create_trigger,
    delete_trigger,
    enable_trigger,
)
from services.kubernetes import Kubernetes

pytestmark = pytest.mark.broad


def test_somebody_who_is_quicker_is_not_overwritten(world, cast, app, cluster, joined):
    world.run(create_trigger, cast.owner, trigger(app))
    cluster.troubles += ["moved", "none", "moved"]

    push(world, app, "v2")
    work(world)

    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v2"}
    assert [method for method, _ in cluster.requests] == ["GET", "PATCH"] * 3
    assert [ok for _, ok, _ in history(world, app)] == [True]


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
    given = CreateCluster(cast.acme.id, "k", REGISTRY, config, ["*"], is_default=True)
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
