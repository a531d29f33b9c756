"""What a tenant sees of instances: pages, filters, rights by policy, names that are free, and tags."""

import json

import pytest

from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
)
from entrepot.capabilities.instances.changing import ModifyInstance, modify_instance
from entrepot.capabilities.instances.creating import CreateInstance, create_instance
from entrepot.capabilities.instances.describing import (
    ListInstances,
    describe_instances,
    get_instance,
)
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    NamedNamespace,
    create_namespace,
    delete_namespace,
)
from entrepot.capabilities.instances.naming import CheckName, check_name
from entrepot.capabilities.instances.resource_tags import (
    DescribeTags,
    ModifyTags,
    Thing,
    describe_tags,
    modify_tags,
)
from entrepot.metadata import resource_tags
from entrepot.metadata.instance_details import InstanceFilter
from entrepot.model.access import ANONYMOUS
from entrepot.model.errors import (
    Forbidden,
    InstanceUnknown,
    Protected,
    Unauthenticated,
    ValueInvalid,
)
from entrepot.model.instances import NameVerdict
from entrepot.model.tenancy import InstanceStatus

pytestmark = pytest.mark.broad


@pytest.fixture
def made(world, cast):
    """Three instances, in this order; the second is still to come up."""
    one = make(world, cast, "acme-zoo", edition="premium", tags={"env": "prod", "team": "blue"})
    two = make(world, cast, "acme-one", tags={"env": "test"}, at_once=False)
    three = make(world, cast, "acme-three", tags={"env": "prod"})
    return one, two, three


def make(world, cast, name, *, at_once=True, **fields):
    command = CreateInstance(cast.acme.id, name, at_once=at_once, **fields)
    return world.run(create_instance, world.operator, command)


def listed(world, caller, which=None, **page):
    found = world.run(describe_instances, caller, ListInstances(which or InstanceFilter(), **page))
    return [one.instance.name for one in found.instances], found.total


def test_a_tenant_sees_its_own_in_the_order_they_were_made_and_the_shared_one_last(
    world, cast, made
):
    shared = world.shared.name
    assert listed(world, cast.owner) == (["acme-zoo", "acme-one", "acme-three", shared], 4)
    assert listed(world, cast.stranger) == ([shared], 1)
    assert listed(world, world.operator, tenant=cast.acme.id)[1] == 4


def test_pages_show_each_once_and_the_total_is_of_all(world, cast, made):
    seen = []
    for offset in range(6):
        names, total = listed(world, cast.owner, offset=offset, limit=1)
        assert total == 4
        seen += names
    assert seen == listed(world, cast.owner)[0]


@pytest.mark.parametrize(
    ("which", "wanted"),
    [
        ({"part": "cme-"}, ["acme-zoo", "acme-one", "acme-three"]),
        ({"part": "%"}, []),
        ({"part": "_"}, []),
        ({"names": ["acme-one", "acme-three"]}, ["acme-one", "acme-three"]),
        ({"names": ["acme"]}, []),
        ({"editions": ["premium"]}, ["acme-zoo"]),
        ({"statuses": [InstanceStatus.PENDING]}, ["acme-one"]),
        ({"tags": [("env", "prod")]}, ["acme-zoo", "acme-three"]),
        ({"tags": [("env", "test"), ("team", "blue")]}, ["acme-zoo", "acme-one"]),
        ({"tags": [("env", "blue")]}, []),
        ({"tags": [("env", "prod")], "part": "zoo"}, ["acme-zoo"]),
        ({"region": "nowhere-1"}, []),
        ({"region": "here-1", "editions": ["basic"]}, ["acme-one", "acme-three"]),
    ],
)
def test_filters(world, cast, made, which, wanted):
    names, total = listed(world, cast.owner, InstanceFilter(**which))
    assert (names, total) == (wanted, len(wanted))


def test_ids_name_instances_and_nobody_elses(world, cast, made):
    ids = [one.public_id for one in made] + [world.shared.public_id, "tcr-00000000"]
    assert listed(world, cast.owner, InstanceFilter(public_ids=ids))[1] == 4
    assert listed(world, cast.stranger, InstanceFilter(public_ids=ids)) == ([world.shared.name], 1)


def test_details_say_whether_a_namespace_is_public_to_the_asking_tenant(world, cast, made):
    def public(caller, instance):
        return world.run(get_instance, caller, OfInstance(instance.id)).has_public_namespace

    assert not public(cast.owner, world.shared)
    assert not public(cast.owner, made[0])
    for instance in (world.shared, made[0]):
        command = CreateNamespace(instance.id, cast.acme.id, "open-one", is_public=True)
        world.run(create_namespace, cast.owner, command)
    assert public(cast.owner, world.shared)
    assert public(cast.owner, made[0])
    assert not public(cast.stranger, world.shared)


def let(world, cast, **statement):
    """Give the member a policy."""
    document = json.dumps({"statements": [{"resources": ["*"], **statement}]})
    world.run(create_policy, cast.owner, WritePolicy(cast.acme.id, "rules", document))
    world.run(attach_policy, cast.owner, AttachPolicy(cast.acme.id, "rules", user="member"))


def test_members_need_a_policy(world, cast, made):
    for use_case, command in (
        (describe_instances, ListInstances()),
        (get_instance, OfInstance(made[0].id)),
        (get_instance, OfInstance(world.shared.id)),
        (check_name, CheckName("acme-new")),
        (modify_instance, ModifyInstance(made[0].id, is_protected=True)),
        (create_instance, CreateInstance(cast.acme.id, "acme-new")),
    ):
        with pytest.raises(Forbidden):
            world.run(use_case, cast.member, command)
        with pytest.raises(Unauthenticated):
            world.run(use_case, ANONYMOUS, command)

    let(world, cast, effect="allow", actions=["instance:read", "instance:create"])

    assert listed(world, cast.member)[1] == 4
    world.run(get_instance, cast.member, OfInstance(made[0].id))
    world.run(create_instance, cast.member, CreateInstance(cast.acme.id, "acme-new"))
    with pytest.raises(Forbidden):
        world.run(modify_instance, cast.member, ModifyInstance(made[0].id, is_protected=True))


def test_names_are_judged_before_they_are_asked_for(world, cast, made):
    verdicts = {
        "acme-new": NameVerdict.FREE,
        "Acme-New": NameVerdict.FREE,
        "12345": NameVerdict.FREE,
        "acme-zoo": NameVerdict.TAKEN,
        "ACME-zoo": NameVerdict.TAKEN,
        "localhost": NameVerdict.RESERVED,
        "registry": NameVerdict.RESERVED,
        "swr-far-away": NameVerdict.RESERVED,
        "tcr-12345678": NameVerdict.RESERVED,
        "four": NameVerdict.ILLEGAL,
        "a" * 51: NameVerdict.ILLEGAL,
        "acme--new": NameVerdict.ILLEGAL,
        "-acme": NameVerdict.ILLEGAL,
        "ac.me": NameVerdict.ILLEGAL,
        "": NameVerdict.ILLEGAL,
    }
    for name, wanted in verdicts.items():
        found = world.run(check_name, cast.owner, CheckName(name))
        assert found is wanted, name
        assert world.run(check_name, cast.stranger, CheckName(name)) is wanted, name


# -- tags -------------------------------------------------------------------------------------------------------------


def test_tags_of_instances_and_namespaces_are_put_and_taken_away(world, cast, made):
    world.run(create_namespace, cast.owner, CreateNamespace(made[0].id, cast.acme.id, "team"))
    whole, part = Thing(made[0].public_id), Thing(made[0].public_id, "team")

    changed = world.run(
        modify_tags, cast.owner, ModifyTags(whole, put={"a": "1", "team": "red"}, remove=["env"])
    )
    assert changed == {"a": "1", "team": "red"}
    world.run(modify_tags, cast.owner, ModifyTags(part, put={"b": ""}))

    command = DescribeTags([whole, part, Thing("tcr-00000000"), Thing(made[0].public_id, "none")])
    assert world.run(describe_tags, cast.owner, command) == {
        whole: {"a": "1", "team": "red"},
        part: {"b": ""},
    }
    shown = world.run(get_instance, cast.owner, OfInstance(made[0].id))
    assert dict(shown.tags) == {"a": "1", "team": "red"}
    assert world.run(describe_tags, cast.stranger, command) == {}
    assert world.run(describe_tags, cast.member, command) == {}
    found = world.read(
        lambda conn: resource_tags.find_tagged(conn, cast.acme.id, "instance", key="env")
    )
    assert found == sorted([made[1].public_id, made[2].public_id])


def test_tags_go_with_their_namespace(world, cast):
    shared, tenant = world.shared, cast.acme.id
    thing = Thing(shared.public_id, "team")
    world.run(create_namespace, cast.owner, CreateNamespace(shared.id, tenant, "team"))
    world.run(modify_tags, cast.owner, ModifyTags(thing, put={"a": "1"}))
    world.run(delete_namespace, cast.owner, NamedNamespace(shared.id, "team"))
    other = cast.stranger.tenant
    world.run(create_namespace, cast.stranger, CreateNamespace(shared.id, other, "team"))
    assert world.run(describe_tags, cast.stranger, DescribeTags([thing])) == {}


@pytest.mark.parametrize(
    "put",
    [
        {f"k{number}": "" for number in range(9)},
        {"": "x"},
        {"k" * 128: "x"},
        {"k": "v" * 256},
        {"k\n": "v"},
        {"k": "\x00"},
    ],
)
def test_tags_that_are_too_many_or_too_long_are_refused(world, cast, made, put):
    thing = Thing(made[0].public_id)
    with pytest.raises(ValueInvalid):
        world.run(modify_tags, cast.owner, ModifyTags(thing, put=put))
    shown = world.run(get_instance, cast.owner, OfInstance(made[0].id))
    assert dict(shown.tags) == {"env": "prod", "team": "blue"}


def test_who_may_tag(world, cast, made):
    world.run(create_namespace, cast.owner, CreateNamespace(made[0].id, cast.acme.id, "team"))
    whole, part = Thing(made[0].public_id), Thing(made[0].public_id, "team")
    with pytest.raises(Protected):
        world.run(modify_tags, cast.owner, ModifyTags(Thing(world.shared.public_id), {"a": "1"}))
    for thing in (whole, part):
        with pytest.raises(InstanceUnknown):
            world.run(modify_tags, cast.stranger, ModifyTags(thing, {"a": "1"}))
        with pytest.raises(Forbidden):
            world.run(modify_tags, cast.member, ModifyTags(thing, {"a": "1"}))
        with pytest.raises(Unauthenticated):
            world.run(modify_tags, ANONYMOUS, ModifyTags(thing, {"a": "1"}))
