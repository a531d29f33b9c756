"""What each request of somebody must read is bounded: policies attached together, and groups; on both engines."""

import pytest
from people_of import PeopleOf, native

from entrepot.capabilities.access.identities.groups import (
    MAX_GROUPS,
    Membership,
    NamedGroup,
    add_member,
    create_group,
    delete_group,
)
from entrepot.capabilities.access.identities.policies import (
    MAX_TOGETHER,
    AttachPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
    detach_policy,
    update_policy,
)
from entrepot.model.errors import QuotaExceeded

pytestmark = pytest.mark.broad

SMALL = native(("allow", ["repository:pull"]))
HALF = SMALL.ljust(MAX_TOGETHER // 2)
DOCUMENTS = {"one": HALF, "two": SMALL.ljust(len(HALF) - 1000), "more": HALF, "small": SMALL}


@pytest.fixture
def people(world, cast) -> PeopleOf:
    people = PeopleOf(world, cast)
    for name, document in DOCUMENTS.items():
        world.run(create_policy, cast.owner, WritePolicy(cast.acme.id, name, document))
    world.run(create_group, cast.owner, NamedGroup(cast.acme.id, "crew"))
    return people


@pytest.mark.parametrize("to", [{"user": "member"}, {"group": "crew"}])
def test_policies_attached_to_one_are_bounded_together(people, to):
    world, owner, acme = people.world, people.cast.owner, people.cast.acme.id
    for name in ("one", "two", "small"):
        world.run(attach_policy, owner, AttachPolicy(acme, name, **to))

    with pytest.raises(QuotaExceeded):
        world.run(attach_policy, owner, AttachPolicy(acme, "more", **to))
    with pytest.raises(QuotaExceeded):
        world.run(update_policy, owner, WritePolicy(acme, "small", SMALL.ljust(2000)))
    world.run(update_policy, owner, WritePolicy(acme, "small", SMALL.ljust(200)))
    world.run(attach_policy, owner, AttachPolicy(acme, "more", user="admin"))
    world.run(detach_policy, owner, AttachPolicy(acme, "two", **to))
    world.run(update_policy, owner, WritePolicy(acme, "small", SMALL.ljust(2000)))


def test_a_user_is_in_so_many_groups(people):
    world, owner, acme = people.world, people.cast.owner, people.cast.acme.id

    def join(number: int) -> None:
        world.run(create_group, owner, NamedGroup(acme, f"group-{number}"))
        world.run(add_member, owner, Membership(acme, f"group-{number}", "member"))

    for number in range(MAX_GROUPS):
        join(number)
    with pytest.raises(QuotaExceeded):
        world.run(add_member, owner, Membership(acme, "crew", "member"))
    world.run(delete_group, owner, NamedGroup(acme, "group-0"))
    world.run(add_member, owner, Membership(acme, "crew", "member"))
