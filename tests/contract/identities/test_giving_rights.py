"""Giving others rights takes more than doing a thing oneself, and nothing goes round what a policy or a cap denies."""

import pytest
from people_of import PeopleOf, cap, native, swr, tcr

from entrepot.capabilities.access.identities.granting import (
    RevokeGrants,
    UserLevel,
    WriteGrants,
    give_grants,
    revoke_grants,
)
from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.shares import WriteShare, create_share
from entrepot.capabilities.access.targets import Target
from entrepot.model.access import Level
from entrepot.model.errors import Forbidden


@pytest.fixture
def people(world, cast) -> PeopleOf:
    return PeopleOf(world, cast)


def give(people, caller, path: str | None = "app") -> None:
    """Somebody who has nothing gets everything."""
    mate = people.world.user(people.cast.acme, "mate")
    target = Target(people.instance, "team", path)
    users = (UserLevel(mate.public_id, "mate", Level.MANAGE),)
    people.world.run(give_grants, caller, WriteGrants(target, users))


@pytest.mark.parametrize(
    "document",
    [
        native(("allow", ["repository:pull", "repository:push", "repository:create"])),
        tcr(("allow", ["tcr:PullRepository", "tcr:PushRepository", "tcr:CreateRepository"])),
        swr(("allow", ["swr:repo:download", "swr:repo:upload", "swr:repo:createRepo"])),
    ],
    ids=["entrepot", "tcr", "swr"],
)
def test_who_may_make_repositories_by_a_policy_gives_no_rights_on_them(people, document):
    builder = people.user("ci", document)

    with pytest.raises(Forbidden):
        give(people, builder)
    command = RevokeGrants(Target(people.instance, "team", "app"), ("0" * 32,))
    with pytest.raises(Forbidden):
        people.world.run(revoke_grants, builder, command)


def test_a_grant_of_edit_on_the_organization_does(people):
    editor = people.user("editor")
    people.grant("editor", 3)

    give(people, editor)


@pytest.mark.parametrize(
    "document",
    [
        native(("deny", ["repository:manage"])),
        tcr(("deny", ["tcr:ModifyRepository"])),
        swr(("deny", ["swr:repo:createRepoAccess"])),
    ],
    ids=["entrepot", "tcr", "swr"],
)
def test_but_not_where_a_policy_denies_to_manage_repositories(people, document):
    editor = people.user("editor", document)
    people.grant("editor", 3)

    with pytest.raises(Forbidden):
        give(people, editor)


@pytest.mark.parametrize(
    "document",
    [
        native(("allow", ["*"]), ("deny", ["repository:manage"])),
        native(("allow", ["repository:pull", "repository:push", "repository:create"])),
    ],
    ids=["denied", "not allowed"],
)
def test_nor_where_a_cap_of_the_tenant_does(people, document):
    editor = people.user("editor")
    people.grant("editor", 3)
    cap(people.world, people.cast, document)

    with pytest.raises(Forbidden):
        give(people, editor)


# -- what TCR's actions come to elsewhere -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [None, "app"])
def test_changing_and_deleting_in_tcrs_words_is_no_giving_of_rights(people, path):
    actions = [f"tcr:{verb}{what}" for verb in ("Modify", "Delete") for what in THINGS]
    keeper = people.user("keeper", tcr(("allow", actions)))

    with pytest.raises(Forbidden):
        give(people, keeper, path)
    command = SetGrant(Target(people.instance, "team", path), "keeper", Level.MANAGE)
    with pytest.raises(Forbidden):
        people.world.run(set_grant, keeper, command)
    share = WriteShare(Target(people.instance, "team", "app"), "others", "read", "forever")
    with pytest.raises(Forbidden):
        people.world.run(create_share, keeper, share)


THINGS = ("Namespace", "Repository")


def test_everything_in_tcrs_words_is(people):
    chief = people.user("chief", tcr(("allow", ["tcr:*"])))

    give(people, chief)
