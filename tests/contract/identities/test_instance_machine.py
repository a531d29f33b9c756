"""Whatever is asked of an instance in whatever order, and however often its worker is killed: it moves by `MOVES` only, its name answers
just while it serves, and on its way somebody works on it."""

import itertools
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mortal_worker import Killed, MortalWorker, waiting

from entrepot.capabilities.instances.buckets import (
    RestoreBucket,
    list_buckets,
    purge_bucket,
    restore_bucket,
)
from entrepot.capabilities.instances.changing import (
    DeleteInstance,
    ModifyInstance,
    RenewInstance,
    delete_instance,
    modify_instance,
    renew_instance,
)
from entrepot.capabilities.instances.creating import CreateInstance, create_instance
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.config import Source, load
from entrepot.metadata import instance_details, instances
from entrepot.model.errors import RegistryError
from entrepot.model.instances import MOVES, Content
from entrepot.model.tenancy import InstanceStatus as Status

pytestmark = pytest.mark.broad

ON_ITS_WAY = {Status.PENDING, Status.DEPLOYING, Status.CHANGING, Status.DELETING}
FAR = 4_000_000_000 * 1_000_000
NUMBERS = itertools.count()


class OneInstance:
    """An instance, and what may be asked about it; refusals are answers too."""

    def __init__(self, world, cast, worker):
        self.world, self.cast, self.worker = world, cast, worker
        self.name = f"acme-{next(NUMBERS)}"
        command = CreateInstance(cast.acme.id, self.name)
        self.made = world.run(create_instance, cast.owner, command)

    def ask(self, use_case, command, caller=None):
        with suppress(RegistryError):
            self.world.run(use_case, caller or self.cast.owner, command)

    def step(self):
        self.worker.step()

    def die_before(self):
        with suppress(Killed):
            self.worker.step(die_at=1, is_before=True)

    def die_after(self):
        with suppress(Killed):
            self.worker.step(die_at=1, is_before=False)

    def watch(self):
        self.worker.watch()

    def small(self):
        self.ask(modify_instance, ModifyInstance(self.made.id, edition="small"))

    def wide(self):
        self.ask(modify_instance, ModifyInstance(self.made.id, edition="wide"))

    def fill(self):
        command = CreateNamespace(self.made.id, self.cast.acme.id, f"team-{next(NUMBERS)}")
        self.ask(create_namespace, command)

    def delete(self):
        self.ask(delete_instance, DeleteInstance(self.made.id, content=Content.DELETE))

    def keep(self):
        self.ask(delete_instance, DeleteInstance(self.made.id, content=Content.KEEP))

    def end(self):
        self.world.ctx.db.write_sync(
            lambda conn: instance_details.update_instance(conn, self.made.id, expires_at=1)
        )
        self.worker.watch()

    def renew(self):
        self.ask(renew_instance, RenewInstance(self.made.id, FAR))

    def restore(self):
        command = RestoreBucket(self.made.public_id)
        self.ask(restore_bucket, command, self.world.operator)

    def purge(self):
        self.ask(purge_bucket, self.made.public_id, self.world.operator)

    # -- what holds ---------------------------------------------------------------------------------------------------

    def status(self):
        return self.world.read(lambda conn: instance_details.status_of(conn, self.made.id))

    def check(self, before):
        status = self.status()
        assert status is before or status in MOVES[before]
        names = self.world.read(instances.load_hosts).by_name
        assert (self.name in names) == status.is_serving
        kept = {one.instance for one in self.world.run(list_buckets, self.world.operator)}
        assert self.made.id not in kept or status is Status.DELETED
        found = self.world.read(lambda conn: instances.get_instance(conn, self.made.id))
        if status is Status.DELETED:
            assert found is None
        if status in ON_ITS_WAY:
            assert waiting(self.world)


ACTIONS = [
    OneInstance.step,
    OneInstance.die_before,
    OneInstance.die_after,
    OneInstance.watch,
    OneInstance.small,
    OneInstance.wide,
    OneInstance.fill,
    OneInstance.delete,
    OneInstance.keep,
    OneInstance.end,
    OneInstance.renew,
    OneInstance.restore,
    OneInstance.purge,
]


@pytest.fixture
def settings_in_force(database_url, tmp_path):
    """Two editions, steps that take no time, ends that are enforced, tasks that are tried long enough."""
    flags = {
        "data.folder": str(tmp_path / "data"),
        "metadata.url": database_url,
        "region.name": "here-1",
        "instances.editions": "wide,small namespaces=1",
        "instances.per_tenant": "0",
        "instances.step_time": "0s",
        "instances.enforce_expiry": "true",
    }
    return load(Source(None, flags, {"ENTREPOT_ROOT_PASSWORD": "a preset password"}))


@pytest.fixture(name="settings")
def _settings(settings_in_force):
    return settings_in_force


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    actions=st.lists(
        st.one_of(st.just(OneInstance.step), st.sampled_from(ACTIONS)), min_size=4, max_size=14
    )
)
def test_whatever_is_asked_in_whatever_order(world, cast, actions):
    worker = MortalWorker(world)
    one = OneInstance(world, cast, worker)
    status = Status.PENDING
    for action in actions:
        action(one)
        one.check(status)
        status = one.status()
    worker.watch()
    worker.run_out()
    assert one.status() not in ON_ITS_WAY
    assert waiting(world) == []


def test_every_move_leads_on_and_no_status_is_out_of_reach():
    reached = {Status.PENDING}
    while more := {after for status in reached for after in MOVES[status]} - reached:
        reached |= more
    assert reached == set(Status) == set(MOVES)
