"""Retention policies as people make and read them: who may, what is refused, what is remembered."""

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from entrepot.capabilities.access.identities.grants import SetGrant, Target, set_grant
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.instances.namespaces import (
    CreateNamespace,
    NamedNamespace,
    create_namespace,
    delete_namespace,
)
from entrepot.capabilities.policies.retention_policies import (
    MAX_NUMBER,
    MAX_POLICIES,
    MAX_RULES,
    MAX_SELECTORS,
    BrowseRemoved,
    CreateRetention,
    NumberedRetention,
    ReplaceRetention,
    browse_removed,
    create_retention,
    delete_retention,
    list_retentions,
    replace_retention,
    show_retention,
)
from entrepot.metadata import namespaces, retention
from entrepot.metadata.browsing import Slice
from entrepot.metadata.schema import retention_policies
from entrepot.model.access import ANONYMOUS, Level
from entrepot.model.errors import (
    Forbidden,
    NamespaceUnknown,
    QuotaExceeded,
    RepositoryUnknown,
    Unauthenticated,
    ValueInvalid,
)
from entrepot.model.patterns import PatternInvalid
from entrepot.model.retention import (
    Cycle,
    Keep,
    Plan,
    RetentionUnknown,
    Rule,
    Selector,
    SelectorKind,
    TaggedImage,
)
from entrepot.oci.reference import RepositoryName

pytestmark = pytest.mark.broad

TEN = Rule(Keep.NEWEST, 10)
MONTH = Rule(
    Keep.RECENT,
    30,
    (Selector(SelectorKind.NAME, "v5"), Selector(SelectorKind.PATTERN, "^123$")),
)


def place_of(world, name="team/app"):
    return Place(world.shared, RepositoryName.parse(name))


@pytest.fixture
def app(world, cast):
    """A repository of acme's."""
    return put_repository(world, cast, "team")


def put_repository(world, cast, name, *, is_public=False, path="app"):
    command = CreateNamespace(world.shared.id, cast.acme.id, name, is_public=is_public)
    space = world.run(create_namespace, world.operator, command)
    return world.ctx.db.write_sync(
        lambda conn: namespaces.insert_repository(conn, space, path, created_by=None)
    )


def grant(world, cast, level, path=None):
    where = Target(world.shared.id, "team", path)
    world.run(set_grant, cast.admin, SetGrant(where, "member", level))


def make(world, caller, *rules, name="team/app", **plan):
    return world.run(
        create_retention, caller, CreateRetention(place_of(world, name), Plan(rules, **plan))
    )


def numbers(world, caller, name="team/app"):
    return [one.id for one in world.run(list_retentions, caller, place_of(world, name))]


# -- what they are ----------------------------------------------------------------------------------------------------


def test_a_policy_is_shown_as_it_was_made_and_planned_for_a_night(world, cast, app):
    made = make(world, cast.owner, MONTH, TEN)

    shown = world.run(show_retention, cast.owner, NumberedRetention(place_of(world), made.id))
    assert shown == made
    assert made.plan == Plan((MONTH, TEN), Cycle.DAILY, after_push=True, enabled=True)
    assert (made.namespace, made.repository) == (app.namespace, app.id)
    assert made.created_by == cast.owner.user
    assert 0 < made.next_at - made.created_at <= 86_400_000_000
    assert world.audited("retention.create") == [("owner", "team/app", "done")]


def test_a_policy_is_replaced_whole_and_keeps_its_number_and_time(world, cast, app):
    made = make(world, cast.owner, MONTH, TEN)

    command = ReplaceRetention(place_of(world), made.id, Plan((Rule(Keep.NEWEST, 3),)))
    replaced = world.run(replace_retention, cast.owner, command)

    assert replaced.plan.rules == (Rule(Keep.NEWEST, 3),)
    assert (replaced.id, replaced.next_at) == (made.id, made.next_at)
    assert replaced.version > made.version
    assert world.audited("retention.replace") == [("owner", "team/app", "done")]


def test_a_policy_that_is_switched_off_is_not_planned_until_it_is_on_again(world, cast, app):
    made = make(world, cast.owner, TEN, enabled=False)
    assert made.next_at is None

    on = ReplaceRetention(place_of(world), made.id, Plan((TEN,)))
    assert world.run(replace_retention, cast.owner, on).next_at is not None
    by_hand = ReplaceRetention(place_of(world), made.id, Plan((TEN,), Cycle.MANUAL))
    assert world.run(replace_retention, cast.owner, by_hand).next_at is None


def test_a_deleted_policy_is_gone_and_its_number_is_never_given_again(world, cast, app):
    made = make(world, cast.owner, TEN)
    named = NumberedRetention(place_of(world), made.id)

    world.run(delete_retention, cast.owner, named)

    assert numbers(world, cast.owner) == []
    with pytest.raises(RetentionUnknown):
        world.run(delete_retention, cast.owner, named)
    assert make(world, cast.owner, TEN).id > made.id
    assert world.audited("retention.delete") == [("owner", "team/app", "done")]


def test_policies_of_other_repositories_are_not_known_here(world, cast, app):
    other = put_repository(world, cast, "others-of-acme")
    made = make(world, cast.owner, TEN, name=other.full_name)
    named = NumberedRetention(place_of(world), made.id)

    for use_case, command in (
        (show_retention, named),
        (delete_retention, named),
        (replace_retention, ReplaceRetention(place_of(world), made.id, Plan((MONTH,)))),
    ):
        with pytest.raises(RetentionUnknown):
            world.run(use_case, cast.owner, command)
    assert numbers(world, cast.owner) == []
    assert numbers(world, cast.owner, other.full_name) == [made.id]


def test_what_was_removed_is_told_in_pages_the_last_first(world, cast, app):
    made = make(world, cast.owner, MONTH)
    removed = [(TaggedImage(f"v{n}", f"sha256:{n}", 0), MONTH) for n in range(5)]
    world.ctx.db.write_sync(
        lambda conn: retention.record(conn, made, app.id, removed, at=7_000_000)
    )
    world.run(delete_retention, cast.owner, NumberedRetention(place_of(world), made.id))

    found = world.run(browse_removed, cast.owner, BrowseRemoved(place_of(world), Slice(1, 2)))

    assert [(row.tag, row.digest) for row in found.page.rows] == [
        ("v3", "sha256:3"),
        ("v2", "sha256:2"),
    ]
    assert (found.page.total, found.page.offset) == (5, 1)
    assert {(row.policy, row.rule, row.removed_at) for row in found.page.rows} == {
        (made.id, MONTH, 7_000_000)
    }


# -- who may ----------------------------------------------------------------------------------------------------------


def test_who_may_edit_makes_policies_and_who_may_read_sees_them(world, cast, app):
    made = make(world, cast.admin, TEN)
    named = NumberedRetention(place_of(world), made.id)

    grant(world, cast, Level.READ, "app")
    assert numbers(world, cast.member) == [made.id]
    assert world.run(show_retention, cast.member, named).id == made.id
    assert world.run(browse_removed, cast.member, BrowseRemoved(place_of(world))).page.total == 0
    for use_case, command in (
        (create_retention, CreateRetention(place_of(world), Plan((TEN,)))),
        (replace_retention, ReplaceRetention(place_of(world), made.id, Plan((TEN,)))),
        (delete_retention, named),
    ):
        with pytest.raises(Forbidden):
            world.run(use_case, cast.member, command)

    grant(world, cast, Level.EDIT, "app")
    make(world, cast.member, MONTH)
    world.run(delete_retention, cast.member, named)
    assert len(numbers(world, cast.member)) == 1


@pytest.mark.parametrize("who", ["member", "disabled", "stranger"])
def test_nobody_else_sees_anything(world, cast, app, who):
    made = make(world, cast.admin, TEN)
    caller = getattr(cast, who)

    for use_case, command in (
        (list_retentions, place_of(world)),
        (show_retention, NumberedRetention(place_of(world), made.id)),
        (browse_removed, BrowseRemoved(place_of(world))),
        (create_retention, CreateRetention(place_of(world), Plan((TEN,)))),
        (delete_retention, NumberedRetention(place_of(world), made.id)),
    ):
        with pytest.raises((Forbidden, Unauthenticated)):
            world.run(use_case, caller, command)


def test_that_anybody_may_pull_says_nothing_about_policies(world, cast):
    put_repository(world, cast, "open", is_public=True)
    make(world, cast.admin, TEN, name="open/app")

    for caller in (cast.member, cast.stranger, cast.root):
        with pytest.raises(Forbidden):
            numbers(world, caller, "open/app")
    with pytest.raises(Unauthenticated):
        numbers(world, replace(ANONYMOUS), "open/app")


def test_what_is_not_there_is_told_to_who_may_know(world, cast, app):
    with pytest.raises(RepositoryUnknown):
        make(world, cast.owner, TEN, name="team/none")
    with pytest.raises(NamespaceUnknown):
        make(world, cast.owner, TEN, name="none/app")
    with pytest.raises(RetentionUnknown):
        world.run(show_retention, cast.owner, NumberedRetention(place_of(world), 99))


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (TEN,) * (MAX_RULES + 1),
        (Rule(Keep.NEWEST, 0),),
        (Rule(Keep.RECENT, -1),),
        (Rule(Keep.RECENT, MAX_NUMBER + 1),),
        (Rule(Keep.NEWEST, 1, (Selector(SelectorKind.NAME, ""),)),),
        (Rule(Keep.NEWEST, 1, (Selector(SelectorKind.NAME, "a" * 300),)),),
        (Rule(Keep.NEWEST, 1, (Selector(SelectorKind.NAME, "a"),) * (MAX_SELECTORS + 1)),),
    ],
)
def test_rules_beyond_their_bounds_are_refused(world, cast, app, rules):
    with pytest.raises(ValueInvalid):
        make(world, cast.owner, *rules)
    made = make(world, cast.owner, TEN)
    command = ReplaceRetention(place_of(world), made.id, Plan(rules))
    with pytest.raises(ValueInvalid):
        world.run(replace_retention, cast.owner, command)


def test_a_pattern_that_is_none_is_refused(world, cast, app):
    with pytest.raises(PatternInvalid):
        make(world, cast.owner, Rule(Keep.NEWEST, 1, (Selector(SelectorKind.PATTERN, "["),)))


def test_a_repository_has_so_many_policies_and_no_more(world, cast, app):
    for _ in range(MAX_POLICIES):
        make(world, cast.owner, TEN)

    with pytest.raises(QuotaExceeded):
        make(world, cast.owner, TEN)


# -- where it ends ----------------------------------------------------------------------------------------------------


def test_a_deleted_namespace_takes_its_policies_along(world, cast):
    command = CreateNamespace(world.shared.id, cast.acme.id, "team")
    space = world.run(create_namespace, world.operator, command)
    world.ctx.db.write_sync(
        lambda conn: retention.insert_policy(conn, space.id, None, Plan((TEN,)), created_by=None)
    )

    world.run(delete_namespace, cast.owner, NamedNamespace(world.shared.id, "team"))

    query = sa.select(sa.func.count()).select_from(retention_policies)
    assert world.read(lambda conn: conn.execute(query).scalar()) == 0
