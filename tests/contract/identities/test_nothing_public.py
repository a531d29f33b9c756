"""Where policies or caps say that nothing is made public, no other way leads there: not by the namespace, nor by a push into a public one."""

import pytest
from msgspec.structs import replace
from people_of import PeopleOf, bind, cap, native, swr

from entrepot.capabilities.content.place import NewRepository, Place, for_push
from entrepot.capabilities.content.repositories import Described, create_repository
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    ModifyNamespace,
    NamedNamespace,
    create_namespace,
    get_namespace,
    modify_namespace,
)
from entrepot.model.errors import Forbidden
from entrepot.oci.reference import RepositoryName


def no(key: str, *actions: str, resource="*") -> str:
    """A denial of making something public."""
    return swr(("deny", list(actions)), resource=resource, Condition={"Bool": {key: "true"}})


NO_REPOSITORY = no("swr:AllowPublicAccess", "swr:repo:createRepo", "swr:repo:updateRepo")
NO_NAMESPACE = no("swr:EnablePublicNameSpace", "swr:namespace:createNamespace")
ONE_REPOSITORY = no(
    "swr:AllowPublicAccess", "swr:repo:updateRepo", resource="swr:*:*:repo:team/app"
)
ANOTHER = no("swr:AllowPublicAccess", "swr:repo:updateRepo", resource="swr:*:*:repo:team/other")


@pytest.fixture
def people(world, cast) -> PeopleOf:
    people = PeopleOf(world, cast)
    people.grant("member", 7)
    return people


def set_public(people, caller, *, is_public=True) -> None:
    command = ModifyNamespace(NamedNamespace(people.instance, "team"), is_public=is_public)
    people.world.run(modify_namespace, caller, command)


def is_public(people) -> bool:
    named = NamedNamespace(people.instance, "team")
    return people.world.run(get_namespace, people.cast.owner, named).is_public


@pytest.mark.parametrize("operation", ["", "tcr:ModifyNamespace"])
@pytest.mark.parametrize("document", [NO_REPOSITORY, NO_NAMESPACE, ONE_REPOSITORY])
def test_a_namespace_is_not_published_by_whom_a_policy_denies_that(people, document, operation):
    bind(people.world, people.cast, "member", document)

    with pytest.raises(Forbidden):
        set_public(people, replace(people.cast.member, operation=operation))
    assert not is_public(people)
    set_public(people, people.cast.owner)
    set_public(people, people.cast.member, is_public=False)


@pytest.mark.parametrize(
    "document",
    [
        ANOTHER,
        swr(("deny", ["swr:namespace:createNamespace"])),
        native(("deny", ["namespace:create", "repository:create"])),
    ],
    ids=["of another", "making", "making in our words"],
)
def test_but_by_whom_something_else_is_denied(people, document):
    bind(people.world, people.cast, "member", document)

    set_public(people, people.cast.member)
    assert is_public(people)


@pytest.mark.parametrize("document", [NO_REPOSITORY, NO_NAMESPACE])
def test_a_cap_holds_for_everybody_of_the_tenant(people, document):
    cap(people.world, people.cast, swr(("allow", ["*"])))
    set_public(people, people.cast.owner)
    set_public(people, people.cast.owner, is_public=False)
    cap(people.world, people.cast, document)

    with pytest.raises(Forbidden):
        set_public(people, people.cast.owner)


def test_a_cap_that_allows_only_what_is_private_holds_too(people):
    private = {"BoolIfExists": {"swr:AllowPublicAccess": "false"}}
    cap(people.world, people.cast, swr(("allow", ["*"]), Condition=private))

    with pytest.raises(Forbidden):
        set_public(people, people.cast.owner)
    set_public(people, people.cast.owner, is_public=False)


def test_a_public_namespace_is_made_by_whom_nothing_denies_it(people):
    bind(people.world, people.cast, "member", native(("allow", ["namespace:create"])))
    bind(people.world, people.cast, "member", NO_NAMESPACE)

    def make(name, **more):
        command = CreateNamespace(people.instance, people.cast.acme.id, name, **more)
        people.world.run(create_namespace, people.cast.member, command)

    with pytest.raises(Forbidden):
        make("open", is_public=True)
    make("closed")


def test_a_first_push_into_a_public_namespace_makes_something_public(people):
    world, member = people.world, people.cast.member
    set_public(people, people.cast.owner)

    def place(name: str) -> Place:
        return Place(world.shared, RepositoryName("team", name))

    assert isinstance(world.run(for_push, member, place("new")), NewRepository)
    bind(world, people.cast, "member", NO_REPOSITORY)
    assert world.run(for_push, member, place("app")) == replace(people.app, is_public=True)
    with pytest.raises(Forbidden):
        world.run(for_push, member, place("new"))
    with pytest.raises(Forbidden):
        world.run(create_repository, member, Described(place("new")))
    world.run(create_repository, member, Described(place("new"), {"is_public": False}))
