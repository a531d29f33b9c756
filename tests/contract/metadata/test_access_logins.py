"""Basic logins: every kind of user name, what is remembered, throttled and audited; tokens and service accounts."""

import asyncio
import time
from dataclasses import replace

import pytest
from access_world import (
    ACME_UIN,
    ROOT_UIN,
    SECRET_KEY,
    add_namespace,
    allow,
    context,
    elsewhere,
    started,
)

from entrepot.capabilities.access.accounts import (
    CreateToken,
    DeleteToken,
    ListTokens,
    ModifyToken,
    create_token,
    delete_token,
    list_tokens,
    modify_token,
)
from entrepot.capabilities.access.expiring import end_some
from entrepot.capabilities.access.issuing import (
    Asked,
    authenticate_refresh,
    issue_token,
)
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.access.secrets import derived_password
from entrepot.capabilities.access.service_accounts import (
    CreateServiceAccount,
    ListServiceAccounts,
    ModifyServiceAccount,
    NamedServiceAccount,
    create_service_account,
    delete_service_account,
    list_service_accounts,
    modify_service_account,
    renew_service_account,
)
from entrepot.config import Duration, Settings
from entrepot.config.tree import Auth
from entrepot.metadata import epochs, schema
from entrepot.model.access import SYSTEM, AccountKind, Permission
from entrepot.model.errors import (
    AccountUnknown,
    Denied,
    Forbidden,
    InstanceUnknown,
    NameInvalid,
    NamespaceUnknown,
    NameTaken,
    RateLimited,
    RightsStale,
    Unauthenticated,
    ValueInvalid,
)
from entrepot.model.ids import Micros

P = Permission
PAIR = derived_password("AKIDALICE", SECRET_KEY)


def log_in(access, world, username, password, *, source="192.0.2.1", instance=None):
    instance = instance or world.shared
    return authenticate_basic(access, instance, username, password, source=source, request_id="r1")


async def is_good(*args, **kwargs) -> bool:
    try:
        await log_in(*args, **kwargs)
    except Unauthenticated:
        return False
    return True


def in_world(scenario, world, settings=None):
    async def run():
        async with started(world, settings) as access:
            return await scenario(access)

    return asyncio.run(run())


# -- who it is --------------------------------------------------------------------------------------------------------


NAMES_AND_PASSWORDS = [
    ("alice", "alice-password", "alice"),
    ("root/alice", "alice-password", "alice"),
    ("acme/dora", "dora-password", "dora"),
    ("200000000001", "alice-password", "alice"),
    ("200000000004", "dora-password", "dora"),
    ("local-1@AKIDALICE", PAIR, "alice"),
    ("alice", "bob-password", None),
    ("alice", "", None),
    ("alice", "alice-password" * 200, None),
    ("dora", "dora-password", None),
    ("root/dora", "dora-password", None),
    ("/alice", "alice-password", None),
    ("nobody", "alice-password", None),
    ("", "", None),
    ("x" * 600, "alice-password", None),
    ("local-1@AKIDALICE", PAIR.upper(), None),
    ("local-1@AKIDALICE", SECRET_KEY, None),
    ("elsewhere@AKIDALICE", PAIR, None),
    ("@AKIDALICE", PAIR, None),
    ("local-1@AKIDNOBODY", PAIR, None),
    ("alice\udcff", "alice\udcff", None),
    ("alice\0", "alice-password", None),
]


def test_names_and_passwords(world):
    async def scenario(access):
        for username, password, expected in NAMES_AND_PASSWORDS:
            if expected is None:
                with pytest.raises(Unauthenticated, match="wrong user name or password"):
                    await log_in(access, world, username, password)
                continue
            caller = await log_in(access, world, username, password)
            assert caller.name == expected
            assert caller.user == world.users[expected]
            assert caller.tenant == world.caller(expected).tenant
            assert caller.subject == f"user:{caller.user}"
            assert (caller.source, caller.request_id) == ("192.0.2.1", "r1")

    in_world(scenario, world)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("users", {"enabled": False}),
        ("users", {"deleted_at": 1}),
        ("tenants", {"deleted_at": 1}),
    ],
)
def test_the_disabled_and_deleted_do_not_log_in(world, table, values):
    world.set(
        schema.SCHEMA.tables[table], world.users["alice"] if table == "users" else 1, **values
    )

    async def scenario(access):
        assert not await is_good(access, world, "alice", "alice-password")
        assert not await is_good(access, world, "local-1@AKIDALICE", PAIR)

    in_world(scenario, world)


@pytest.mark.parametrize(
    "values",
    [{"enabled": False}, {"deleted_at": 1}, {"expires_at": 1}, {"session_token_sha256": b"x"}],
)
def test_a_key_that_ended_or_is_temporary_logs_nobody_in(world, values):
    world.set(schema.access_keys, 1, **values)

    async def scenario(access):
        assert not await is_good(access, world, "local-1@AKIDALICE", PAIR)

    in_world(scenario, world)


def test_a_project_of_the_tenant_names_the_pair_too(world):
    for name, tenant in (("mine", "root"), ("theirs", "acme")):
        world.insert(
            schema.projects,
            tenant_id=world.tenants[tenant],
            region_id=1,
            public_id=name,
            name=name,
            created_at=1,
        )

    async def scenario(access):
        assert await is_good(access, world, "mine@AKIDALICE", PAIR)
        assert not await is_good(access, world, "theirs@AKIDALICE", PAIR)

    in_world(scenario, world)


# -- remembered -------------------------------------------------------------------------------------------------------


def test_a_good_login_is_remembered_for_its_instance_only(world):
    async def scenario(access):
        await log_in(access, world, "alice", "alice-password")
        before = world.db.statistics.counts()
        again = await log_in(access, world, "alice", "alice-password", source="192.0.2.2")
        spent = world.db.statistics.counts() - before

        assert spent.statements == 0
        assert again.source == "192.0.2.2"
        assert access.remembered.find(world.own.id, "alice", "alice-password") is None
        assert access.remembered.find(world.shared.id, "alicea", "lice-password") is None

    in_world(scenario, world)


def test_a_change_in_the_tenant_makes_it_forgotten_in_every_process(world):
    async def scenario(here):
        async with elsewhere(world) as there:
            await log_in(here, world, "alice", "alice-password")
            await log_in(there, world, "alice", "alice-password")

            def change(conn):
                conn.execute(schema.users.update().values(enabled=False))
                here.raise_epoch(conn, epochs.of_tenant(world.tenants["root"]))

            await here.change(change)
            changed_at = time.monotonic()

            assert not await is_good(here, world, "alice", "alice-password")
            while await is_good(there, world, "alice", "alice-password"):
                assert time.monotonic() - changed_at < 2
                await asyncio.sleep(0.02)

    in_world(scenario, world)


def test_another_tenants_change_forgets_nothing(world):
    async def scenario(access):
        await log_in(access, world, "alice", "alice-password")
        scope = epochs.of_tenant(world.tenants["acme"])
        await access.change(lambda conn: access.raise_epoch(conn, scope))
        assert access.remembered.find(world.shared.id, "alice", "alice-password")

    in_world(scenario, world)


def test_nothing_remembered_counts_while_epochs_are_stale(world):
    async def scenario(access):
        await log_in(access, world, "alice", "alice-password")
        access._task.cancel()
        access._task = None
        access.epochs._read_at -= 6
        with pytest.raises(RightsStale):
            await log_in(access, world, "alice", "alice-password")

    in_world(scenario, world)


def test_remembering_can_be_turned_off(world):
    async def scenario(access):
        await log_in(access, world, "alice", "alice-password")
        assert access.remembered.find(world.shared.id, "alice", "alice-password") is None

    in_world(scenario, world, Settings(auth=Auth(basic_cache=Duration(0))))


def test_a_crowd_with_one_password_costs_one_check(world):
    async def scenario(access):
        before = world.db.statistics.counts()
        callers = [log_in(access, world, "alice", "alice-password") for _ in range(60)]
        assert len(await asyncio.gather(*callers)) == 60
        assert (world.db.statistics.counts() - before).writes == 1

    in_world(scenario, world)


# -- throttled and audited --------------------------------------------------------------------------------------------

THREE = Settings(auth=Auth(throttle_failures=3))


def test_after_three_wrong_passwords_not_even_the_right_one_is_tried(world):
    async def scenario(access):
        await log_in(access, world, "alice", "alice-password")
        for _ in range(3):
            assert not await is_good(access, world, "alice", "wrong")
        for password in ("wrong", "alice-password"):
            with pytest.raises(RateLimited):
                await log_in(access, world, "alice", password)

        assert await is_good(access, world, "alice", "alice-password", source="192.0.2.2")
        assert await is_good(access, world, "bob", "bob-password")

    in_world(scenario, world, THREE)


def test_guesses_made_at_once_are_counted_one_by_one(world):
    async def scenario(access):
        guesses = [log_in(access, world, "alice", f"wrong{n}") for n in range(12)]
        answers = await asyncio.gather(*guesses, return_exceptions=True)
        assert sum(isinstance(a, Unauthenticated) for a in answers) == 3
        assert sum(isinstance(a, RateLimited) for a in answers) == 9

    in_world(scenario, world, THREE)


def test_logins_are_audited_without_what_was_typed_for_nobody(world):
    async def scenario(access):
        await log_in(access, world, "alice", "alice-password")
        await log_in(access, world, "alice", "alice-password")
        await is_good(access, world, "alice", "wrong-password")
        await is_good(access, world, "my-secret-by-mistake", "x")

    in_world(scenario, world)
    a = schema.audit.c
    rows = world.select(a.actor, a.action, a.outcome, a.source, a.tenant_id, a.request_id)
    root = world.tenants["root"]
    assert rows == [
        ("alice", "login", "done", "192.0.2.1", root, "r1"),
        ("alice", "login", "denied", "192.0.2.1", root, "r1"),
        ("unknown", "login", "denied", "192.0.2.1", None, "r1"),
    ]


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_logs_in_as_its_maker_where_it_was_made(world):
    async def scenario(access):
        ctx, alice = context(access), world.caller("alice")
        made = await create_token(ctx, alice, CreateToken(world.shared, AccountKind.LONGTERM, "ci"))
        caller = await log_in(access, world, ROOT_UIN, made.secret)

        assert (caller.user, caller.account) == (alice.user, made.account.id)
        assert caller.subject == alice.subject
        assert made.account.expires_at is None
        assert not await is_good(access, world, ROOT_UIN, made.secret, instance=world.own)
        assert not await is_good(access, world, ACME_UIN, made.secret)
        assert not await is_good(access, world, "alice", made.secret)
        stored = world.select(schema.accounts.c.secret_sha256)
        assert made.secret.encode() not in stored[0][0]
        assert made.secret not in repr(made)
        listed = await list_tokens(ctx, alice, ListTokens(world.shared))
        assert [(t.public_id, t.description) for t in listed] == [(made.account.public_id, "ci")]

    in_world(scenario, world)


def test_a_temporary_token_ends_after_an_hour_and_is_remembered_no_longer(world):
    async def scenario(access):
        ctx, alice = context(access), world.caller("alice")
        made = await create_token(ctx, alice, CreateToken(world.shared, AccountKind.TEMPORARY))
        left = made.account.expires_at - time.time_ns() // 1000
        assert 3590_000_000 < left <= 3600_000_000
        assert await list_tokens(ctx, alice, ListTokens(world.shared)) == []

        soon = Micros(time.time_ns() // 1000 + 300_000)
        world.set(schema.accounts, made.account.id, expires_at=soon)
        assert await is_good(access, world, ROOT_UIN, made.secret)
        await asyncio.sleep(0.35)
        assert not await is_good(access, world, ROOT_UIN, made.secret)

    in_world(scenario, world)


def test_temporary_tokens_that_ended_over_a_day_ago_leave_the_living(world):
    async def scenario(access):
        ctx, alice = context(access), world.caller("alice")
        old = await create_token(ctx, alice, CreateToken(world.shared, AccountKind.TEMPORARY))
        new = await create_token(ctx, alice, CreateToken(world.shared, AccountKind.TEMPORARY))
        long_ago = Micros(time.time_ns() // 1000 - 2 * 86_400_000_000)
        world.set(schema.accounts, old.account.id, expires_at=long_ago)

        assert await access.db.write(end_some) == 1
        assert await access.db.write(end_some) == 0

        living = world.select(schema.accounts.c.id, schema.accounts.c.deleted_at)
        ended = {number: deleted is not None for number, deleted in living}
        assert ended[old.account.id]
        assert not ended[new.account.id]

    in_world(scenario, world)


@pytest.mark.parametrize("how", ["disable", "delete", "user", "expiry"])
def test_an_ended_token_takes_its_bearer_and_refresh_tokens_with_it(world, how):
    world.grant("alice", "team", 1)

    async def scenario(access):
        ctx, alice = context(access), world.caller("alice")
        made = await create_token(ctx, alice, CreateToken(world.shared, AccountKind.LONGTERM))
        public_id = made.account.public_id
        caller = await log_in(access, world, ROOT_UIN, made.secret)
        asked = Asked(wants_refresh=True)
        issued = await issue_token(access, world.shared, caller, asked)
        refresh = issued.refresh_token
        on = world.repository("team/app")
        assert await access.permits(caller, P.PULL, on)

        if how == "disable":
            await modify_token(ctx, alice, ModifyToken(world.shared, public_id, enabled=False))
        elif how == "delete":
            await delete_token(ctx, alice, DeleteToken(world.shared, public_id))
        elif how == "user":
            world.set(schema.users, alice.user, enabled=False)
            scope = epochs.of_tenant(alice.tenant)
            await access.change(lambda conn: access.raise_epoch(conn, scope))
        else:
            world.set(schema.accounts, made.account.id, expires_at=5)
            await access.change(
                lambda conn: access.raise_epoch(conn, epochs.of_tenant(alice.tenant))
            )

        assert not await access.permits(caller, P.PULL, on)
        assert not await is_good(access, world, ROOT_UIN, made.secret)
        back = await authenticate_refresh(access, world.shared, refresh, source="s")
        with pytest.raises(Unauthenticated):
            await issue_token(access, world.shared, back, asked)

    in_world(scenario, world)


def test_tokens_of_others_are_for_who_manages_accounts(world):
    async def scenario(access):
        ctx = context(access)
        root, alice, bob, carl = map(world.caller, ("root", "alice", "bob", "carl"))
        made = await create_token(ctx, alice, CreateToken(world.shared, AccountKind.LONGTERM))
        modify = ModifyToken(world.shared, made.account.public_id, description="new")

        for stranger in (bob, carl):
            with pytest.raises(AccountUnknown):
                await modify_token(ctx, stranger, modify)
            with pytest.raises(AccountUnknown):
                await delete_token(ctx, stranger, DeleteToken(world.shared, made.account.public_id))
        assert (await modify_token(ctx, root, modify)).description == "new"
        assert len(await list_tokens(ctx, root, ListTokens(world.shared, everybody=True))) == 1
        assert await list_tokens(ctx, carl, ListTokens(world.shared, everybody=True)) == []
        with pytest.raises(Forbidden):
            await list_tokens(ctx, bob, ListTokens(world.shared, everybody=True))
        command = CreateToken(world.shared, AccountKind.LONGTERM, user=alice.user)
        with pytest.raises(Forbidden):
            await create_token(ctx, bob, command)
        assert await create_token(ctx, SYSTEM, command)

    in_world(scenario, world)


def test_a_token_makes_no_tokens_and_other_tenants_instances_are_not_there(world):
    async def scenario(access):
        ctx, alice = context(access), world.caller("alice")
        made = await create_token(ctx, alice, CreateToken(world.shared, AccountKind.TEMPORARY))
        caller = await log_in(access, world, ROOT_UIN, made.secret)
        with pytest.raises(Forbidden):
            await create_token(ctx, caller, CreateToken(world.shared, AccountKind.LONGTERM))
        with pytest.raises(InstanceUnknown):
            await create_token(ctx, alice, CreateToken(world.own, AccountKind.LONGTERM))
        with pytest.raises(ValueInvalid):
            await create_token(ctx, alice, CreateToken(world.shared, AccountKind.SERVICE))
        command = CreateToken(world.shared, AccountKind.LONGTERM, "x" * 1025)
        with pytest.raises(ValueInvalid):
            await create_token(ctx, alice, command)

    in_world(scenario, world)


# -- service accounts -------------------------------------------------------------------------------------------------


def create(world, name="robot", permissions=None, **more):
    given = {"team": [P.PULL]} if permissions is None else permissions
    return CreateServiceAccount(world.shared, name, given, **more)


def test_a_service_account_has_its_own_rights_and_its_password_can_be_renewed(world):
    async def scenario(access):
        ctx, root = context(access), world.caller("root")
        made = await create_service_account(ctx, root, create(world))
        robot = await log_in(access, world, "tcr$robot", made.secret)
        app = world.repository("team/app")

        assert (robot.user, robot.subject) == (None, f"account:{made.account.id}")
        assert await access.permits(robot, P.PULL, app)
        assert not await access.permits(robot, P.PUSH, app)
        assert not await access.permits(robot, P.PULL, world.repository("theirs/app"))

        modify = ModifyServiceAccount(
            world.shared, "tcr$robot", permissions={"team": [P.PUSH, P.PULL]}, description="d"
        )
        changed = await modify_service_account(ctx, root, modify)
        assert changed.permissions == {app.namespace: (P.PUSH, P.PULL)}
        assert await access.permits(robot, P.PUSH, app)

        renewed = await renew_service_account(ctx, root, NamedServiceAccount(world.shared, "robot"))
        assert not await access.permits(robot, P.PULL, app)
        assert not await is_good(access, world, "tcr$robot", made.secret)
        assert await is_good(access, world, "tcr$robot", renewed.secret)

        listed = await list_service_accounts(ctx, root, ListServiceAccounts(world.shared))
        assert [account.username for account in listed] == ["tcr$robot"]
        await delete_service_account(ctx, root, NamedServiceAccount(world.shared, "robot"))
        assert not await is_good(access, world, "tcr$robot", renewed.secret)
        assert await create_service_account(ctx, root, create(world))

    in_world(scenario, world)


def test_service_accounts_end_when_they_are_told_to(world):
    async def scenario(access):
        ctx, root = context(access), world.caller("root")
        with pytest.raises(ValueInvalid):
            await create_service_account(ctx, root, create(world, expires_at=Micros(5)))
        soon = Micros(time.time_ns() // 1000 + 2_500_000)
        made = await create_service_account(ctx, root, create(world, expires_at=soon))
        robot = await log_in(access, world, "tcr$robot", made.secret)
        await asyncio.sleep(soon / 1e6 - time.time() + 0.05)
        assert not await access.permits(robot, P.PULL, world.repository("team/app"))
        assert not await is_good(access, world, "tcr$robot", made.secret)
        never = ModifyServiceAccount(world.shared, "robot", expires_at=Micros(0))
        assert (await modify_service_account(ctx, root, never)).expires_at is None
        assert await is_good(access, world, "tcr$robot", made.secret)

    in_world(scenario, world)


def test_what_a_service_account_cannot_be_given(world):
    add_namespace(world, "own", tenant="acme", instance=world.own)

    async def scenario(access):
        ctx, root, bob = context(access), world.caller("root"), world.caller("bob")
        await create_service_account(ctx, root, create(world, "taken"))
        refused = {
            NamespaceUnknown: create(world, permissions={"theirs": [P.PULL]}),
            ValueInvalid: create(world, permissions={"team": [P.NAMESPACE_MANAGE]}),
            NameInvalid: create(world, "Bad$name"),
            NameTaken: create(world, "taken"),
            InstanceUnknown: replace(create(world), instance=world.own),
        }
        for error, command in refused.items():
            with pytest.raises(error):
                await create_service_account(ctx, root, command)
        with pytest.raises(Forbidden):
            await create_service_account(ctx, bob, create(world))
        named = NamedServiceAccount(world.shared, "taken")
        with pytest.raises(AccountUnknown):
            await delete_service_account(ctx, world.caller("carl"), named)
        assert await create_service_account(
            ctx, SYSTEM, replace(create(world), tenant=world.tenants["root"])
        )

    in_world(scenario, world)


def test_nobody_gives_a_robot_what_they_do_not_have(world):
    world.policy("bob", allow("account:manage", "*"), allow("repository:pull", "team/*"))

    async def scenario(access):
        ctx, bob = context(access), world.caller("bob")
        assert await create_service_account(ctx, bob, create(world))
        command = create(world, "other", {"team": [P.PULL, P.PUSH]})
        with pytest.raises(Denied):
            await create_service_account(ctx, bob, command)
        wider = ModifyServiceAccount(world.shared, "robot", permissions={"team": [P.PUSH]})
        with pytest.raises(Denied):
            await modify_service_account(ctx, bob, wider)

    in_world(scenario, world)


def test_changes_of_accounts_are_audited(world):
    async def scenario(access):
        ctx, root = context(access), world.caller("root", source="192.0.2.7")
        await create_service_account(ctx, root, create(world))
        await delete_service_account(ctx, root, NamedServiceAccount(world.shared, "robot"))

    in_world(scenario, world)
    a = schema.audit.c
    assert world.select(a.actor, a.action, a.source, a.outcome) == [
        ("root", "account.create", "192.0.2.7", "done"),
        ("root", "account.delete", "192.0.2.7", "done"),
    ]
