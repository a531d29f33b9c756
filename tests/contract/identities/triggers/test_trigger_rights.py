"""Whose rights a run has, and which containers those let it change."""

import pytest
from msgspec.structs import replace
from trigger_stage import REGISTRY, aim, history, push, repository, trigger, work

from entrepot.capabilities.access.identities.users import NamedUser, delete_user
from entrepot.capabilities.policies.triggers import create_trigger
from entrepot.metadata import policies
from entrepot.model.access import Level
from entrepot.model.errors import Forbidden
from entrepot.model.ids import AccountId
from services.kubernetes import workload

pytestmark = pytest.mark.broad


@pytest.fixture
def editor(world, cast, app):
    """The member of acme, who may edit the one repository and nothing else."""
    give(world, cast, app, Level.EDIT)
    return cast.member


def give(world, cast, app, level):
    found = repository(world, app)
    world.ctx.db.write_sync(
        lambda conn: policies.set_grant(
            conn, cast.member.user, found.namespace, repository=found.id, level=level
        )
    )


def test_who_may_only_push_reaches_no_container_that_runs_something_else(
    world, cast, app, editor, cluster, joined
):
    ours = (("app", f"{REGISTRY}/works/app:v1"), ("side", "docker.example/side:1"))
    cluster.put("deployments", "default", "web", workload(*ours))
    for name, container in (("right", "app"), ("wrong", "side")):
        world.run(create_trigger, editor, trigger(app, name, aimed=aim(container=container)))

    push(world, app, "v2")
    work(world)

    assert cluster.images() == {"app": f"{REGISTRY}/works/app:v2", "side": "docker.example/side:1"}
    assert [ok for _, ok, _ in history(world, app, "right")] == [True]
    ((_, succeeded, said),) = history(world, app, "wrong")
    assert not succeeded
    assert said.startswith("the container side runs no image of works/app")


def test_who_manages_the_tenants_clusters_may_name_any_container(world, cast, app, cluster, joined):
    cluster.put("deployments", "default", "web", workload(("side", "docker.example/side:1")))
    world.run(create_trigger, cast.admin, trigger(app, aimed=aim(container="side")))

    push(world, app, "v2")
    work(world)

    assert cluster.images() == {"side": f"{REGISTRY}/works/app:v2"}


def test_a_word_for_making_triggers_is_none_for_clusters(world, cast, app, editor, cluster, joined):
    """The request is called so in policies; what they say of it says nothing about clusters."""
    cluster.put("deployments", "default", "web", workload(("side", "docker.example/side:1")))
    signed = replace(editor, operation="swr:repo:createTrigger")
    world.run(create_trigger, signed, trigger(app, aimed=aim(container="side")))

    push(world, app, "v2")
    work(world)

    assert [ok for _, ok, _ in history(world, app)] == [False]


def test_a_trigger_whose_maker_may_not_push_any_more_does_nothing(
    world, cast, app, editor, cluster, joined
):
    world.run(create_trigger, editor, trigger(app))
    give(world, cast, app, Level.READ)

    push(world, app, "v2")
    work(world)

    said = "member, who made it, may not push to the repository any more"
    assert history(world, app) == [("v2", False, said)]
    assert cluster.requests == []
    give(world, cast, app, Level.EDIT)
    world.run(delete_user, cast.owner, NamedUser(cast.acme.id, "member"))
    push(world, app, "v3")
    work(world)
    assert history(world, app)[0] == ("v3", False, said)


def test_an_account_without_a_person_makes_none(world, cast, app, editor):
    """Nobody's rights could be asked when it runs."""
    account = replace(editor, user=None, account=AccountId(1), subject="account:1")

    with pytest.raises(Forbidden):
        world.run(create_trigger, account, trigger(app))


def test_the_same_host_at_another_port_is_another_registry(world, cast, app, cluster, joined):
    images = {
        "ours": f"{REGISTRY}/works/app:v1",
        "named": "swr.here-1.entrepot.localhost:5000/works/app:v1",
        "upper": "SWR.here-1.entrepot.localhost:443/works/app:v1",
        "port": "registry.acme.example:6000/works/app:v1",
        "none": "registry.acme.example/works/app:v1",
    }
    cluster.put("deployments", "default", "web", workload(*images.items()))
    world.run(create_trigger, cast.owner, trigger(app))

    push(world, app, "v2")
    work(world)

    new = f"{REGISTRY}/works/app:v2"
    assert cluster.images() == images | {"ours": new, "named": new, "upper": new}
