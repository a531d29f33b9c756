"""Numbers and lists tell what their reader may read, and no more; on both engines."""

import pytest
from msgspec.structs import replace
from people_of import PeopleOf, bind, native, swr

from entrepot.capabilities.instances.allowances import ShowAllowance, show_allowance
from entrepot.capabilities.instances.namespace_summaries import (
    SummarizeNamespaces,
    summarize_namespaces,
)
from entrepot.capabilities.instances.overview import ShowOverview, show_overview
from entrepot.metadata import counters, tenants
from entrepot.model.errors import Forbidden

pytestmark = pytest.mark.broad

OVERVIEW, QUOTAS, LIST = "swr:getDomainOverview", "swr:listQuotas", "swr:namespace:listNamespaces"


@pytest.fixture
def people(world, cast) -> PeopleOf:
    people = PeopleOf(world, cast)
    people.other = people.namespace("other")
    sizes = {people.app: 10, people.repository(people.space, "web"): 20}
    sizes[people.repository(people.other, "far")] = 40

    def write(conn) -> None:
        for repository, size in sizes.items():
            counters.add(conn, "namespace", repository.namespace, "repositories", 1)
            counters.add(conn, "namespace", repository.namespace, "bytes", size)
            counters.add(conn, "repository", repository.id, "bytes", size)
            counters.add(conn, "repository", repository.id, "tags", size // 10)

    world.ctx.db.write_sync(write)
    return people


def numbers(people, caller) -> tuple[int, int, int, int]:
    command = ShowOverview(people.instance, people.cast.acme.id)
    shown = people.world.run(show_overview, replace(caller, operation=OVERVIEW), command)
    return shown.namespaces, shown.repositories, shown.tags, shown.size


def used(people, caller) -> int:
    acme = people.cast.acme.id
    (project,) = people.world.read(lambda conn: tenants.list_projects(conn, acme))
    command = ShowAllowance(people.instance, acme, project.public_id)
    return people.world.run(show_allowance, replace(caller, operation=QUOTAS), command).used


WHOLE = (2, 3, 7, 70)


def test_who_runs_the_tenant_sees_the_whole(people):
    for caller in (people.cast.owner, people.cast.admin):
        assert numbers(people, caller) == WHOLE
        assert used(people, caller) == 2


def test_who_was_given_nothing_sees_nothing(people):
    assert numbers(people, people.cast.member) == (0, 0, 0, 0)
    assert used(people, people.cast.member) == 0


def test_who_was_given_a_part_sees_that_part(people):
    people.grant("member", 1)
    assert numbers(people, people.cast.member) == (1, 2, 3, 30)
    assert used(people, people.cast.member) == 1
    people.grant("admin", 1, "far", "other")
    eve = people.user("eve")
    people.grant("eve", 1, "far", "other")
    assert numbers(people, eve) == (0, 1, 4, 40)


@pytest.mark.parametrize(
    ("document", "seen", "namespaces"),
    [
        (swr(("allow", ["swr:*"])), WHOLE, 2),
        (swr(("allow", [OVERVIEW])), WHOLE, 0),
        (swr(("allow", ["swr:repo:download"]), resource="swr:*:*:repo:team/*"), (0, 2, 3, 30), 0),
        (native(("allow", ["repository:pull", "namespace:read"])), WHOLE, 2),
        (native(("allow", ["namespace:create"])), (0, 0, 0, 0), 2),
    ],
    ids=["everything", "overview", "pull of some", "pull of all", "make namespaces"],
)
def test_policies_say_what_is_seen(people, document, seen, namespaces):
    bind(people.world, people.cast, "member", document)

    assert numbers(people, people.cast.member) == seen
    assert used(people, people.cast.member) == namespaces


def test_who_is_denied_it_sees_no_numbers(people):
    bind(people.world, people.cast, "member", swr(("deny", [OVERVIEW, QUOTAS])))

    with pytest.raises(Forbidden):
        numbers(people, people.cast.member)
    with pytest.raises(Forbidden):
        used(people, people.cast.member)


# -- organizations that only a repository of is seen ------------------------------------------------------------------


def reached(people, caller) -> dict[str, int]:
    command = SummarizeNamespaces(people.instance, people.cast.acme.id, reached=True)
    found = people.world.run(summarize_namespaces, replace(caller, operation=LIST), command)
    return {one.namespace.name: int(one.level) for one in found}


def test_a_repository_leads_to_its_organization_unless_it_is_denied(people):
    people.grant("member", 3, "app")
    assert reached(people, people.cast.member) == {"team": 1}
    bind(people.world, people.cast, "member", native(("deny", ["namespace:manage"])))
    assert reached(people, people.cast.member) == {"team": 1}

    bind(people.world, people.cast, "member", native(("deny", ["*"])))
    assert reached(people, people.cast.member) == {}
