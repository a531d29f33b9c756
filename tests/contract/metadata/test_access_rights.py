"""Rights as they stand in the database, asked inside a transaction."""

import pytest
import sqlalchemy as sa
from access_world import add_namespace, add_repository, allow

from entrepot.capabilities.access.documents import Vocabularies
from entrepot.capabilities.access.rights import Judge, of_namespace, of_repository
from entrepot.metadata import schema
from entrepot.metadata.access import visible
from entrepot.metadata.namespaces import find_repository
from entrepot.model.access import ANONYMOUS, SYSTEM, Caller, Permission, Resource
from entrepot.model.errors import Forbidden, Unauthenticated
from entrepot.model.ids import AccountId

P = Permission
JUDGE = Judge(Vocabularies())


def may(world, caller, permission, name):
    if isinstance(caller, str):
        caller = world.caller(caller)
    on = (
        of_repository(world.repository(name))
        if "/" in name
        else of_namespace(world.namespace(name))
    )
    return world.db.read_sync(lambda conn: JUDGE.allowed(conn, caller, permission, on))


def listed(world, caller, *, include_public=False):
    if isinstance(caller, str):
        caller = world.caller(caller)

    def read(conn):
        listing = JUDGE.listing(conn, caller, include_public=include_public)
        query = (
            sa.select(schema.repositories.c.full_name)
            .join(schema.namespaces, schema.namespaces.c.id == schema.repositories.c.namespace_id)
            .where(visible(listing.visibility))
        )
        names = sorted(conn.execute(query).scalars())
        found = [find_repository(conn, world.shared.id, name) for name in names]
        return [r.full_name for r in found if listing.admits(r)], listing.is_exact

    return world.db.read_sync(read)


ALL = ["fair/app", "open/app", "team/app", "team/web", "theirs/app"]


def test_owners_reach_their_tenant_and_nothing_else(world):
    assert may(world, "root", P.DELETE, "team/app")
    assert may(world, "root", P.NAMESPACE_MANAGE, "team")
    assert not may(world, "root", P.PULL, "theirs/app")
    assert may(world, "carl", P.PULL, "theirs/app")
    assert not may(world, "carl", P.PUSH, "open/app")
    assert may(world, "carl", P.PULL, "open/app")


def test_members_begin_with_nothing(world):
    assert not may(world, "alice", P.PULL, "team/app")
    assert may(world, "alice", P.PULL, "open/app")


def test_grants_and_their_end(world):
    grant = world.grant("alice", "team", 3)
    world.grant("bob", "team/app", 1)

    assert may(world, "alice", P.PUSH, "team/app")
    assert may(world, "alice", P.REPOSITORY_CREATE, "team")
    assert not may(world, "alice", P.REPOSITORY_MANAGE, "team/app")
    assert may(world, "bob", P.PULL, "team/app")
    assert not may(world, "bob", P.PULL, "team/web")
    world.db.write_sync(
        lambda conn: conn.execute(sa.delete(schema.grants).where(schema.grants.c.id == grant))
    )
    assert not may(world, "alice", P.PULL, "team/app")


def test_policies_of_the_user_and_of_living_groups_count(world):
    group = world.insert(
        schema.groups,
        tenant_id=world.tenants["root"],
        public_id="g",
        name="g",
        created_at=1,
    )
    world.db.write_sync(
        lambda conn: conn.execute(
            sa.insert(schema.group_members).values(group_id=group, user_id=world.users["alice"])
        )
    )
    world.policy("alice", allow("repository:pull", "team/*"), group=group)
    world.policy("bob", allow("repository:push", "team/app"))
    policy = world.policy("root", allow("*", "team/web", "deny"))

    assert may(world, "alice", P.PULL, "team/web")
    assert not may(world, "alice", P.PUSH, "team/app")
    assert may(world, "bob", P.PUSH, "team/app")
    assert not may(world, "root", P.PULL, "team/web")
    world.set(schema.groups, group, deleted_at=2)
    world.set(schema.policies, policy, deleted_at=2)
    assert not may(world, "alice", P.PULL, "team/web")
    assert may(world, "root", P.PULL, "team/web")


def test_a_document_of_an_unknown_dialect_denies_everything(world):
    world.policy("root", allow("*", "*"), dialect="other")

    assert not may(world, "root", P.PULL, "open/app")
    assert listed(world, "root", include_public=True) == ([], True)


@pytest.mark.parametrize("change", [{"enabled": False}, {"deleted_at": 5}])
def test_disabled_and_deleted_users_have_no_rights_at_all(world, change):
    world.set(schema.users, world.users["root"], **change)

    assert not may(world, "root", P.PULL, "open/app")
    assert listed(world, "root", include_public=True)[0] == []


def test_users_of_a_deleted_tenant_have_no_rights_at_all(world):
    world.set(schema.tenants, world.tenants["acme"], deleted_at=5)

    assert not may(world, "carl", P.PULL, "theirs/app")


def test_a_user_nobody_knows_and_a_caller_without_user_have_no_rights(world):
    assert not may(world, Caller("user:999", "x", user=999), P.PULL, "open/app")
    assert not may(world, Caller("account:999", "x", account=AccountId(999)), P.PULL, "open/app")
    assert not may(world, Caller("odd", "x"), P.PULL, "open/app")


def test_service_accounts_have_their_own_rows_until_they_end(world):
    values = {
        "public_id": "a",
        "kind": "service",
        "instance_id": world.shared.id,
        "tenant_id": world.tenants["root"],
        "user_id": world.users["root"],
        "username": "tcr$robot",
        "secret_sha256": b"x",
        "description": "",
        "enabled": True,
        "created_at": 1,
    }
    number = world.insert(schema.accounts, **values)
    world.insert(
        schema.account_permissions,
        account_id=number,
        namespace_id=world.namespace("team").id,
        actions=["repository:pull", "repository:unknown"],
    )
    robot = Caller(f"account:{number}", "tcr$robot", account=AccountId(number))

    assert may(world, robot, P.PULL, "team/app")
    assert not may(world, robot, P.PUSH, "team/app")
    assert not may(world, robot, P.PULL, "theirs/app")
    assert listed(world, robot) == (["team/app", "team/web"], True)
    for ended in ({"enabled": False}, {"enabled": True, "expires_at": 5}, {"deleted_at": 5}):
        world.set(schema.accounts, number, **ended)
        assert not may(world, robot, P.PULL, "team/app")


def test_require_says_who_must_log_in_and_who_may_not(world):
    on = of_repository(world.repository("team/app"))

    def require(caller):
        return world.db.read_sync(lambda conn: JUDGE.require(conn, caller, P.PULL, on))

    require(SYSTEM)
    require(world.caller("root"))
    with pytest.raises(Unauthenticated):
        require(ANONYMOUS)
    with pytest.raises(Forbidden) as error:
        require(world.caller("carl"))
    assert (error.value.permission, error.value.resource) == ("repository:pull", "team/app")
    world.set(schema.users, world.users["root"], enabled=False)
    with pytest.raises(Unauthenticated):
        require(world.caller("root"))


def test_anonymous_pull_is_a_setting(world):
    on = of_repository(world.repository("open/app"))
    closed = Judge(Vocabularies(), anonymous_pull=False)

    assert world.db.read_sync(lambda conn: JUDGE.allowed(conn, ANONYMOUS, P.PULL, on))
    assert not world.db.read_sync(lambda conn: closed.allowed(conn, ANONYMOUS, P.PULL, on))
    assert closed.anonymous_pull is False


def test_lists_show_what_may_be_read(world):
    world.grant("alice", "team/app", 1)
    world.grant("bob", "theirs", 1)
    world.policy("dora", allow("repository:pull", "theirs/a*"))

    assert listed(world, SYSTEM) == (ALL, True)
    assert listed(world, "root") == (["open/app", "team/app", "team/web"], True)
    assert listed(world, "root", include_public=True)[0] == ALL[:-1]
    assert listed(world, "alice") == (["team/app"], True)
    assert listed(world, "bob", include_public=True)[0] == ["fair/app", "open/app", "theirs/app"]
    assert listed(world, "dora") == (["theirs/app"], False)
    assert listed(world, ANONYMOUS) == ([], True)
    assert listed(world, ANONYMOUS, include_public=True)[0] == ["fair/app", "open/app"]


def test_lists_hide_what_is_denied(world):
    world.policy("root", allow("repository:pull", "*/app", "deny"))

    assert listed(world, "root", include_public=True)[0] == ["team/web"]


def test_a_repository_may_be_less_or_more_public_than_its_namespace(world):
    add_repository(world, "open/hidden", is_public=False)
    add_repository(world, "team/shown", is_public=True)

    assert not may(world, ANONYMOUS, P.PULL, "open/hidden")
    assert may(world, ANONYMOUS, P.PULL, "team/shown")
    assert listed(world, ANONYMOUS, include_public=True)[0] == [
        "fair/app",
        "open/app",
        "team/shown",
    ]


def test_a_decision_costs_few_statements(world):
    world.grant("alice", "team", 1)
    before = world.db.statistics.counts()
    on = of_repository(world.repository("team/app"))
    world.db.read_sync(lambda conn: JUDGE.allowed(conn, world.caller("alice"), P.PULL, on))

    spent = world.db.statistics.counts() - before
    assert spent.statements <= 4  # one of them found the repository
    before = world.db.statistics.counts()
    world.db.read_sync(lambda conn: JUDGE.allowed(conn, ANONYMOUS, P.PULL, on))
    assert (world.db.statistics.counts() - before).statements == 0


def test_equal_names_in_another_instance_are_another_namespace(world):
    add_namespace(world, "team", tenant="acme", instance=world.own)
    add_repository(world, "team/app", instance=world.own)
    world.grant("alice", "team", 7)
    there = of_repository(world.repository("team/app", world.own))

    assert not world.db.read_sync(
        lambda conn: JUDGE.allowed(conn, world.caller("alice"), P.PULL, there)
    )


def test_the_deployment_is_run_by_the_root_tenants_administrators(world):
    def runs(name):
        caller = world.caller(name)
        return world.db.read_sync(
            lambda conn: JUDGE.allowed(conn, caller, P.DEPLOYMENT_MANAGE, Resource(None))
        )

    assert [name for name in world.users if runs(name)] == ["root"]
