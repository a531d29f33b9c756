"""Workers that are killed, paused or late: a workload is never rolled back, restarted twice or forgotten in the history."""

import asyncio
from ipaddress import ip_network

import pytest
from trigger_stage import REGISTRY, history, push, trigger, work

from entrepot.capabilities.operations.fanout import fanout_handler
from entrepot.capabilities.operations.work import JobContext
from entrepot.capabilities.policies import trigger_runs
from entrepot.capabilities.policies.trigger_runs import ATTEMPTS, CONSUMER, run_handler
from entrepot.capabilities.policies.triggers import (
    EnableTrigger,
    NamedTrigger,
    create_trigger,
    enable_trigger,
)
from entrepot.metadata import leases
from entrepot.metadata import triggers as rows
from entrepot.metadata.leases import Offer
from entrepot.metadata.schema import tasks
from entrepot.model.errors import LeaseLost
from entrepot.remotes.kubernetes import KubernetesCluster

pytestmark = pytest.mark.broad

KUBERNETES = KubernetesCluster((ip_network("169.254.0.0/16"),), 5.0, 5.0)


class Paused:
    """The cluster's API; the worker sleeps behind its first reading, and something happens meanwhile."""

    def __init__(self, meanwhile):
        self.meanwhile = [meanwhile]

    async def workload(self, access, name):
        found = await KUBERNETES.workload(access, name)
        if self.meanwhile:
            await asyncio.to_thread(self.meanwhile.pop())
        return found

    async def change(self, access, name, change):
        await KUBERNETES.change(access, name, change)


class Dying(JobContext):
    """Is killed before its end is written."""

    async def finish(self, fn):
        raise SystemError


def claim(world, kind):
    def write(conn):
        conn.execute(tasks.update().where(tasks.c.status == "pending").values(run_after=0))
        return leases.claim(conn, [Offer(kind, 60.0)], limit=1)

    (task,) = world.ctx.db.write_sync(write)
    return task


def claimed(world):
    """A run, and its task."""
    fanned = fanout_handler([CONSUMER])
    world.do(fanned.run(JobContext(world.ctx.db, claim(world, fanned.kind))))
    return claim(world, trigger_runs.RUN)


def lapse(world, task, **values):
    """Its worker fell silent."""
    past = tasks.update().where(tasks.c.id == task.id).values(lease_until=0, **values)
    handler = run_handler(world.ctx, KUBERNETES)

    def write(conn):
        conn.execute(past)
        leases.recover(conn, lost=handler.lost)

    world.ctx.db.write_sync(write)


def carried_out(world, app, number, tag):
    """A later push's run has ended well, however many runs came after it."""

    def write(conn):
        later = 9_000_000_000_000_000
        rows.record_run(conn, number, tag, succeeded=True, detail="", pushed_at=later, keep=100)
        for _ in range(3):
            rows.record_run(conn, number, "x", succeeded=False, detail="", pushed_at=1, keep=2)

    world.ctx.db.write_sync(write)


def generation(cluster):
    return cluster.get("deployments", "default", "web")["metadata"]["generation"]


def test_a_worker_that_lost_its_task_while_it_slept_changes_nothing(
    world, cast, app, cluster, joined
):
    world.run(create_trigger, cast.owner, trigger(app))
    push(world, app, "v2")
    task = claimed(world)
    handler = run_handler(world.ctx, Paused(lambda: lapse(world, task)))

    with pytest.raises(LeaseLost):
        world.do(handler.run(JobContext(world.ctx.db, task)))

    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v1"}
    assert history(world, app) == []


def test_a_later_push_that_was_carried_out_meanwhile_is_not_undone(
    world, cast, app, cluster, joined
):
    made = world.run(create_trigger, cast.owner, trigger(app))
    push(world, app, "v2")
    task = claimed(world)
    handler = run_handler(world.ctx, Paused(lambda: carried_out(world, app, made.id, "v3")))

    world.do(handler.run(JobContext(world.ctx.db, task)))

    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v1"}
    assert history(world, app)[0] == ("v2", False, "a later push, of v3, was carried out before")


def test_a_run_that_is_killed_before_its_end_is_written_restarts_the_workload_once(
    world, cast, app, cluster, joined
):
    world.run(create_trigger, cast.owner, trigger(app))
    push(world, app, "v2")
    task = claimed(world)
    handler = run_handler(world.ctx, KUBERNETES)
    with pytest.raises(SystemError):
        world.do(handler.run(Dying(world.ctx.db, task)))
    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v2"}
    before = generation(cluster)

    lapse(world, task)
    world.do(handler.run(JobContext(world.ctx.db, claim(world, trigger_runs.RUN))))

    assert generation(cluster) == before
    assert [ok for _, ok, _ in history(world, app)] == [True]


def test_pushes_of_one_tag_within_a_second_each_restart_it(world, cast, app, cluster, joined):
    world.run(create_trigger, cast.owner, trigger(app))
    before = generation(cluster)

    moments = set()
    for _ in range(2):
        push(world, app, "v1")
        work(world)
        moments.add(cluster.restarted_at())

    assert generation(cluster) == before + 2
    assert all("." in moment for moment in moments)


def test_a_run_whose_last_worker_fell_silent_is_in_the_history(world, cast, app, cluster, joined):
    world.run(create_trigger, cast.owner, trigger(app))
    push(world, app, "v2")
    task = claimed(world)
    lapse(world, task)
    assert history(world, app) == []

    lapse(world, claim(world, trigger_runs.RUN), attempts=ATTEMPTS)

    ((tag, succeeded, said),) = history(world, app)
    assert (tag, succeeded) == ("v2", False)
    assert said.startswith("its worker fell silent")


def test_pushes_from_before_it_was_made_or_switched_on_set_nothing_off(
    world, cast, app, cluster, joined
):
    world.run(create_trigger, cast.owner, trigger(app, "off"))
    which = NamedTrigger(app, "off")
    world.run(enable_trigger, cast.owner, EnableTrigger(which, enabled=False))
    push(world, app, "v2")

    world.run(create_trigger, cast.owner, trigger(app))
    world.run(enable_trigger, cast.owner, EnableTrigger(which, enabled=True))
    push(world, app, "v3")
    work(world)

    for name in ("t1", "off"):
        assert [tag for tag, *_ in history(world, app, name)] == ["v3"]


def test_switching_on_what_is_on_lets_no_push_go(world, cast, app, cluster, joined):
    world.run(create_trigger, cast.owner, trigger(app))
    push(world, app, "v2")

    which = EnableTrigger(NamedTrigger(app, "t1"), enabled=True)
    world.run(enable_trigger, cast.owner, which)
    work(world)

    assert [tag for tag, *_ in history(world, app)] == ["v2"]
