"""Logins for a day: whose rights they have, what they are named after, and everything that ends them."""

import time
from functools import partial

import pytest
import sqlalchemy as sa

from entrepot.capabilities.access.account_pages import BrowseAccounts, browse_tokens
from entrepot.capabilities.access.accounts import (
    CreateToken,
    DeleteToken,
    ListTokens,
    create_token,
    delete_token,
    list_tokens,
)
from entrepot.capabilities.access.callers import Credential, CredentialKind, LoggedIn
from entrepot.capabilities.access.expiring import end_some
from entrepot.capabilities.access.identities.keys import (
    CreateTemporaryKey,
    EnableKey,
    KeysOf,
    NamedKey,
    create_key,
    create_temporary_key,
    delete_key,
    enable_key,
)
from entrepot.capabilities.access.identities.tenants import delete_tenant
from entrepot.capabilities.access.identities.users import (
    EnableUser,
    NamedUser,
    SetPassword,
    delete_user,
    enable_user,
    set_password,
)
from entrepot.capabilities.access.issuing import Asked, Scope, issue_token
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.access.logins import LIFETIME_SECONDS, CreateLogin, create_login
from entrepot.capabilities.access.secrets import fingerprint
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.capabilities.instances.regions import CreateRegion, create_region
from entrepot.metadata import accounts as rows
from entrepot.metadata import instances
from entrepot.metadata.namespaces import find_namespace
from entrepot.metadata.schema import accounts
from entrepot.model.access import AccountKind, Permission, Resource, Role
from entrepot.model.errors import AccountUnknown, Forbidden, InstanceUnknown, Unauthenticated
from entrepot.model.identities import ProjectUnknown
from entrepot.model.tenancy import InstanceKind

pytestmark = pytest.mark.broad


@pytest.fixture(autouse=True)
def _started(world):
    """Signing keys are read, and a name means the default region. The world stops it."""
    world.ctx.access.aliases = frozenset({"cloud-1"})
    world.do(world.ctx.access.start())


@pytest.fixture
def key(world, cast):
    """A lasting key of acme's member."""
    return world.run(create_key, world.operator, KeysOf(cast.acme.id, "member"))


def by_key(caller: LoggedIn, made) -> LoggedIn:
    """The caller, signing with that key."""
    return LoggedIn(
        subject=caller.subject,
        name=caller.name,
        tenant=caller.tenant,
        user=caller.user,
        credential=Credential(CredentialKind.KEY, made.key.id),
    )


def make(world, caller, project="here-1"):
    return world.run(create_login, caller, CreateLogin(world.shared, project))


def log_in(world, login, instance=None):
    world.do(world.ctx.access.epochs.refresh())
    return world.do(
        authenticate_basic(
            world.ctx.access,
            instance or world.shared,
            login.username,
            login.secret,
            source="192.0.2.1",
        )
    )


def is_good(world, login) -> bool:
    try:
        log_in(world, login)
    except Unauthenticated:
        return False
    return True


# -- making one -------------------------------------------------------------------------------------------------------


def test_it_is_named_after_the_key_that_signed_and_has_the_users_rights(world, cast, key):
    login = make(world, by_key(cast.member, key))
    assert login.username == f"here-1@{key.key.access_key_id}"
    assert len(login.secret) == 64
    int(login.secret, 16)
    left = login.expires_at / 1e6 - time.time()
    assert LIFETIME_SECONDS - 60 < left <= LIFETIME_SECONDS

    caller = log_in(world, login)
    assert (caller.subject, caller.user) == (cast.member.subject, cast.member.user)
    assert caller.credential.kind is CredentialKind.ACCOUNT
    may = partial(world.ctx.access.allowed, permission=Permission.NAMESPACE_CREATE)
    resource = Resource(cast.acme.id, instance=world.shared.id)
    assert not world.read(lambda conn: may(conn, caller, resource=resource))
    of_admin = log_in(world, make(world, cast.admin))
    assert world.read(lambda conn: may(conn, of_admin, resource=resource))


def test_each_is_another_and_only_its_hash_is_kept(world, cast, key):
    first, second = (make(world, by_key(cast.member, key)) for _ in range(2))
    assert first.username == second.username
    assert first.secret != second.secret
    assert is_good(world, first)
    assert is_good(world, second)
    found = world.read(
        lambda conn: conn.execute(
            sa.select(accounts).where(accounts.c.kind == AccountKind.LOGIN.value)
        ).all()
    )
    assert {bytes(row.secret_sha256) for row in found} == {
        fingerprint(first.secret),
        fingerprint(second.secret),
    }
    assert not any(first.secret in str(value) for row in found for value in row)
    assert world.audited("account.create") == [
        ("member", f"login {first.username}", "done"),
        ("member", f"login {second.username}", "done"),
    ]


def test_without_a_signature_it_is_named_after_a_lasting_key_or_after_nothing(world, cast, key):
    assert make(world, cast.member).username == f"here-1@{key.key.access_key_id}"
    names = {make(world, cast.owner).username for _ in range(2)}
    assert len(names) == 2
    for name in names:
        project, _, made_up = name.partition("@")
        assert project == "here-1"
        assert len(made_up) == 20
        int(made_up, 16)
    world.run(create_temporary_key, world.operator, CreateTemporaryKey(cast.acme.id, "owner", 3600))
    named = EnableKey(cast.acme.id, key.key.access_key_id, False)
    world.run(enable_key, world.operator, named)
    assert key.key.access_key_id not in make(world, cast.member).username
    assert "TKID" not in make(world, cast.owner).username


def test_a_project_that_is_none_of_the_tenants_gives_none(world, cast):
    for project in ("", "nowhere", "cloud-2"):
        with pytest.raises(ProjectUnknown):
            make(world, cast.member, project)
    login = make(world, cast.member, "cloud-1")
    assert login.username.startswith("here-1@")
    assert is_good(world, login)


def test_a_token_makes_none_and_nobody_else_does(world, cast):
    token = world.run(create_token, cast.member, CreateToken(world.shared, AccountKind.LONGTERM))
    as_token = log_in_token(world, token)
    for caller in (as_token, cast.disabled, log_in(world, make(world, cast.member))):
        with pytest.raises(Forbidden):
            make(world, caller)


def log_in_token(world, made):
    return world.do(
        authenticate_basic(
            world.ctx.access,
            world.shared,
            made.account.username,
            made.secret,
            source="192.0.2.1",
        )
    )


# -- where it counts --------------------------------------------------------------------------------------------------


def test_it_counts_at_its_instance_only(world, cast):
    region = world.run(create_region, world.operator, CreateRegion("here-2", 2))
    elsewhere = world.read(lambda conn: instances.shared_of(conn, region.id))
    login = make(world, cast.owner)
    there = world.run(create_login, cast.owner, CreateLogin(elsewhere, "here-2"))
    assert is_good(world, login)
    with pytest.raises(Unauthenticated):
        log_in(world, login, elsewhere)
    assert log_in(world, there, elsewhere).name == "owner"
    assert not is_good(world, there)


def test_no_instance_of_another_tenant_has_one(world, cast):
    theirs = world.ctx.db.write_sync(
        lambda conn: instances.insert_instance(
            conn, InstanceKind.DEDICATED, "theirs", tenant=cast.acme.id, region=1
        )
    )
    with pytest.raises(InstanceUnknown):
        world.run(create_login, cast.stranger, CreateLogin(theirs, "here-1"))


def test_bearer_tokens_made_with_it_end_with_it(world, cast, key):
    world.run(
        create_namespace, cast.owner, CreateNamespace(world.shared.id, cast.acme.id, "lasting")
    )
    login = make(world, by_key(cast.admin, key_of(world, cast, "admin")))
    caller = log_in(world, login)
    scopes = (Scope("repository", "lasting/app", ("pull", "push")),)
    issued = world.do(issue_token(world.ctx.access, world.shared, caller, Asked(scopes)))
    bearer = world.do(world.ctx.access.authenticate_bearer(issued.token, world.shared.id))
    resource = Resource(
        cast.acme.id,
        instance=world.shared.id,
        namespace=namespace_of(world, "lasting"),
        namespace_name="lasting",
        path="app",
    )
    may = world.ctx.access.permits

    assert world.do(may(bearer, Permission.PUSH, resource))
    world.run(delete_key, world.operator, NamedKey(cast.acme.id, login.username.split("@")[1]))
    assert not world.do(may(bearer, Permission.PUSH, resource))


def key_of(world, cast, name):
    return world.run(create_key, world.operator, KeysOf(cast.acme.id, name))


def namespace_of(world, name):
    instance = world.shared.id
    return world.read(lambda conn: find_namespace(conn, instance, name)).id


# -- lists ------------------------------------------------------------------------------------------------------------


def listed(world, caller, **more) -> list[str]:
    """User names of what the list of tokens has."""
    found = world.run(list_tokens, caller, ListTokens(world.shared, **more))
    return [one.username for one in found]


def test_it_is_listed_beside_tokens_where_that_is_asked_for(world, cast):
    token = world.run(create_token, cast.member, CreateToken(world.shared, AccountKind.LONGTERM))
    mine, others = make(world, cast.member), make(world, cast.admin)
    name = token.account.username
    assert listed(world, cast.member) == [name]
    assert listed(world, cast.member, logins=True) == [name, mine.username]
    everybodys = listed(world, cast.owner, logins=True, everybody=True)
    assert everybodys == [name, mine.username, others.username]
    assert listed(world, cast.stranger, logins=True, everybody=True) == []
    browse = BrowseAccounts(world.shared, cast.acme.id, logins=True)
    page = world.run(browse_tokens, cast.member, browse)
    assert [one.username for one in page.rows] == [name, mine.username]


def test_it_is_ended_alone_by_its_user_and_by_who_manages_accounts(world, cast):
    for caller in (cast.member, cast.owner):
        kept, login = make(world, cast.member), make(world, cast.member)
        assert is_good(world, login)
        found = world.run(list_tokens, cast.member, ListTokens(world.shared, logins=True))
        (number,) = (one.public_id for one in found if one.username == login.username)
        command = DeleteToken(world.shared, number)
        for other in (cast.stranger, world.caller(world.user(cast.acme, f"not-{caller.name}"))):
            with pytest.raises(AccountUnknown):
                world.run(delete_token, other, command)
        world.run(delete_token, caller, command)
        assert not is_good(world, login)
        assert is_good(world, kept)


# -- what ends it -----------------------------------------------------------------------------------------------------


def ended_by(world, cast, how) -> bool:
    """Whether a login that was good, and is remembered, is no more."""
    member = world.user(cast.acme, "worker", Role.MEMBER)
    made = world.run(create_key, world.operator, KeysOf(cast.acme.id, "worker"))
    login = make(world, by_key(world.caller(member), made))
    assert is_good(world, login)
    how(made)
    return not is_good(world, login)


def test_it_ends_with_the_password(world, cast):
    command = SetPassword(cast.acme.id, "worker", "a password")
    assert ended_by(world, cast, lambda _: world.run(set_password, world.operator, command))


def test_it_ends_with_the_user(world, cast):
    command = NamedUser(cast.acme.id, "worker")
    assert ended_by(world, cast, lambda _: world.run(delete_user, world.operator, command))


def test_it_rests_while_the_user_is_disabled(world, cast):
    command = EnableUser(cast.acme.id, "worker", False)
    assert ended_by(world, cast, lambda _: world.run(enable_user, world.operator, command))


def test_it_ends_with_the_tenant(world, cast):
    assert ended_by(world, cast, lambda _: world.run(delete_tenant, world.operator, cast.acme.id))


@pytest.mark.parametrize("is_deleted", [True, False])
def test_it_ends_with_its_key_and_other_keys_logins_stay(world, cast, is_deleted):
    other = []

    def end(made):
        second = world.run(create_key, world.operator, KeysOf(cast.acme.id, "worker"))
        worker = world.run(create_key, world.operator, KeysOf(cast.acme.id, "admin"))
        other.append(make(world, by_key(cast.admin, worker)))
        name = made.key.access_key_id
        caller = LoggedIn(
            subject=f"user:{made.key.user}",
            name="worker",
            tenant=cast.acme.id,
            user=made.key.user,
            credential=Credential(CredentialKind.KEY, second.key.id),
        )
        other.append(make(world, caller))
        if is_deleted:
            world.run(delete_key, world.operator, NamedKey(cast.acme.id, name))
        else:
            world.run(enable_key, world.operator, EnableKey(cast.acme.id, name, False))
            world.run(enable_key, world.operator, EnableKey(cast.acme.id, name, True))

    assert ended_by(world, cast, end)
    assert all(is_good(world, login) for login in other)


def test_it_ends_after_its_day_and_leaves_the_lists_a_day_later(world, cast):
    login = make(world, cast.member)
    set_end = partial(_set_end, world, login)
    set_end(seconds=-1)
    assert not is_good(world, login)
    assert world.ctx.db.write_sync(end_some) == 0
    set_end(seconds=-90_000)
    assert world.ctx.db.write_sync(end_some) == 1
    instance = world.shared.id
    left = world.read(
        lambda conn: rows.list_living(conn, instance, AccountKind.LOGIN, tenant=cast.acme.id)
    )
    assert left == []


def _set_end(world, login, *, seconds: float) -> None:
    at = int((time.time() + seconds) * 1_000_000)
    change = sa.update(accounts).where(accounts.c.username == login.username).values(expires_at=at)
    world.ctx.db.write_sync(lambda conn: conn.execute(change))


def test_one_of_a_temporary_key_ends_with_it(world, cast):
    command = CreateTemporaryKey(cast.acme.id, "member", 3600)
    made = world.run(create_temporary_key, world.operator, command)
    login = make(world, by_key(cast.member, made))
    assert login.username == f"here-1@{made.key.access_key_id}"
    assert login.expires_at == made.key.expires_at
    assert is_good(world, login)
