"""What tests of triggers do with them."""

import sqlalchemy as sa
from working import work_until

from entrepot.capabilities.content import place
from entrepot.capabilities.policies import trigger_runs
from entrepot.capabilities.policies.triggers import (
    CreateTrigger,
    NamedTrigger,
    get_trigger,
)
from entrepot.metadata import namespaces
from entrepot.metadata.schema import tasks
from entrepot.metadata.schema import trigger_runs as runs
from entrepot.model.access import SYSTEM
from entrepot.model.events import EventKind
from entrepot.model.triggers import Aim, Condition, ConditionKind, WorkloadKind

REGISTRY = "registry.acme.example:5000"
ALL = Condition(ConditionKind.ALL, ".*")


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


def failures(world, app):
    return [(tag, detail) for tag, succeeded, detail in history(world, app) if not succeeded]


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
