"""Tokens of the identity service: who gets one, what it is for, what ends it, and that it is nobody else's token."""

import time
from dataclasses import replace
from functools import partial

import jwt
import pytest

from entrepot.capabilities.access import identity_tokens, jws
from entrepot.capabilities.access.callers import CredentialKind
from entrepot.capabilities.access.identities.keys import rotate_signing_key
from entrepot.capabilities.access.identities.projects import (
    ListOwnProjects,
    find_place,
    list_own_projects,
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
from entrepot.capabilities.access.identity_tokens import (
    LIFETIME_SECONDS,
    IssueToken,
    Scope,
    check_identity_token,
    holder_of,
    issue_identity_token,
)
from entrepot.capabilities.access.issuing import Asked, issue_token
from entrepot.capabilities.access.login import Person
from entrepot.capabilities.instances.regions import CreateRegion, create_region
from entrepot.metadata import tenants
from entrepot.model.access import Permission, Resource
from entrepot.model.errors import TenantUnknown, Unauthenticated
from entrepot.model.identities import IdentityTokenRefused, ProjectUnknown

pytestmark = pytest.mark.broad

PASSWORD = "of the owner"
PERSON = Person("owner", "acme")


@pytest.fixture(autouse=True)
def _started(world):
    """Signing keys are read, and some names mean the default region. The world stops it."""
    world.ctx.access.aliases = frozenset({"cloud-1", "here-2"})
    world.do(world.ctx.access.start())


def issue(world, person: Person = PERSON, password: str = PASSWORD, **scope):
    command = IssueToken(person, password, Scope(**scope))
    world.do(world.ctx.access.epochs.refresh())  # nothing reads them while no use case runs
    return world.do(issue_identity_token(world.ctx, command, source="192.0.2.1", request_id="r1"))


def check(world, token: str):
    return world.do(
        check_identity_token(world.ctx, token, source="192.0.2.2", request_id="r2", operation="x:Y")
    )


def refused(world, token: str) -> str:
    with pytest.raises(IdentityTokenRefused) as caught:
        check(world, token)
    return caught.value.reason


def project_of(world, tenant, name="here-1"):
    found = world.read(lambda conn: tenants.list_projects(conn, tenant.id))
    return next(one for one in found if one.name == name)


# -- getting one ------------------------------------------------------------------------------------------------------


def test_a_password_gives_a_token_for_a_day_with_the_users_rights(world, cast):
    before = time.time_ns() // 1000
    issued = issue(world, project="here-1")
    login = check(world, issued.token)

    assert login.validity == issued.validity
    assert before <= issued.validity.issued_at <= time.time_ns() // 1000
    assert issued.validity.expires_at - issued.validity.issued_at == LIFETIME_SECONDS * 1_000_000
    assert issued.holder.place.tenant.name == "acme"
    assert issued.holder.user.name == "owner"
    assert login.caller.subject == cast.owner.subject
    assert login.caller.tenant == cast.acme.id
    assert login.caller.credential == cast.owner.credential
    assert login.caller.credential.kind is CredentialKind.USER
    assert (login.caller.source, login.caller.request_id) == ("192.0.2.2", "r2")
    assert login.caller.operation == "x:Y"
    assert world.do(holder_of(world.ctx, login)) == issued.holder
    allowed = world.read(
        lambda conn: world.ctx.access.allowed(
            conn, login.caller, Permission.IDENTITY_MANAGE, Resource(cast.acme.id)
        )
    )
    assert allowed


def test_people_are_named_by_names_or_by_ids(world, cast):
    owner = issue(world).holder.user
    for person in (
        Person("owner", tenant_id=cast.acme.public_id),
        Person("", user_id=owner.public_id),
    ):
        assert issue(world, person).holder.user == owner
        with pytest.raises(Unauthenticated):
            issue(world, person, "not it")


@pytest.mark.parametrize(
    "person",
    [
        Person("nobody", "acme"),
        Person("owner", "nobodys"),
        Person("owner", "others"),
        Person("owner", ""),
        Person("", "acme"),
        Person("", user_id="0" * 32),
        Person("owner", tenant_id="0" * 32),
        Person("owner\0", "acme"),
        Person("owner\udcff", "acme"),
        Person("o" * 1000, "acme"),
    ],
)
def test_nobody_else_gets_one(world, cast, person):
    # The owner of the other tenant has the same password: what is asked for is not there, or theirs.
    if person == Person("owner", "others"):
        assert issue(world, person).holder.place.tenant.name == "others"
        return
    with pytest.raises(Unauthenticated, match="wrong user name or password"):
        issue(world, person)


def test_equal_names_of_two_tenants_are_two_people_though_logins_are_remembered(world, cast):
    named_like_an_id, _ = world.tenant(cast.acme.public_id)
    by_id = Person("owner", tenant_id=cast.acme.public_id)
    by_name = Person("owner", cast.acme.public_id)
    for person, tenant in ((by_id, cast.acme), (by_name, named_like_an_id)) * 2:
        assert issue(world, person).holder.place.tenant.id == tenant.id


def test_a_token_for_another_password_login_is_no_password(world, cast):
    issued = issue(world)
    with pytest.raises(Unauthenticated):
        issue(world, password=issued.token)


def test_logins_are_in_the_audit_trail(world, cast):
    issue(world)
    with pytest.raises(Unauthenticated):
        issue(world, password="a guess")
    assert world.audited("login") == [
        ("owner", "deployment", "done"),
        ("owner", "deployment", "denied"),
    ]


# -- what it is for ---------------------------------------------------------------------------------------------------


def test_a_scope_is_a_project_by_name_or_id_or_the_tenant(world, cast):
    project = project_of(world, cast.acme)
    for scope in (
        {"project": "here-1"},
        {"project_id": project.public_id},
        {"project": "here-1", "tenant": "acme"},
        {"project": "cloud-1"},
    ):
        issued = issue(world, **scope)
        assert issued.holder.place.project == project
        assert issued.holder.projects == [project]
        assert check(world, issued.token).project == project.public_id
    for scope in ({}, {"tenant": "acme"}, {"tenant_id": cast.acme.public_id}):
        issued = issue(world, **scope)
        assert issued.holder.place.project is None
        assert issued.holder.projects == [project]
        assert check(world, issued.token).project == ""


def test_nothing_of_another_tenant_is_a_scope(world, cast):
    theirs = project_of(world, world.root)
    for scope in ({"project_id": theirs.public_id}, {"project": "nowhere"}, {"project": "cloud-2"}):
        with pytest.raises(ProjectUnknown):
            issue(world, **scope)
    for scope in ({"tenant": "others"}, {"tenant_id": world.root.public_id}):
        with pytest.raises(TenantUnknown):
            issue(world, **scope)
        with pytest.raises(TenantUnknown):
            issue(world, project="here-1", **scope)


# -- what ends it -----------------------------------------------------------------------------------------------------


def test_it_ends_with_password_user_and_tenant(world, cast):
    world.run(set_password, world.operator, SetPassword(cast.acme.id, "member", "a password"))
    member = Person("member", "acme")
    first = issue(world, member, "a password").token
    world.run(set_password, world.operator, SetPassword(cast.acme.id, "member", "another one"))
    assert refused(world, first) == "the password has changed"

    second = issue(world, member, "another one").token
    world.run(enable_user, world.operator, EnableUser(cast.acme.id, "member", False))
    assert refused(world, second) == "user disabled or deleted"
    with pytest.raises(Unauthenticated):
        issue(world, member, "another one")
    world.run(enable_user, world.operator, EnableUser(cast.acme.id, "member", True))
    assert check(world, second).caller.name == "member"
    world.run(delete_user, world.operator, NamedUser(cast.acme.id, "member"))
    assert refused(world, second) == "user disabled or deleted"

    of_owner = issue(world).token
    world.run(delete_tenant, world.operator, cast.acme.id)
    assert refused(world, of_owner) == "user disabled or deleted"


def test_it_ends_after_a_day(world, cast, monkeypatch):
    issued = issue(world)
    real = identity_tokens._now
    nearly = (LIFETIME_SECONDS - 60) * 1_000_000
    monkeypatch.setattr(identity_tokens, "_now", lambda: real() + nearly)
    assert check(world, issued.token).caller.name == "owner"
    monkeypatch.setattr(identity_tokens, "_now", lambda: issued.validity.expires_at)
    assert refused(world, issued.token) == "token expired"
    monkeypatch.setattr(identity_tokens, "_now", lambda: issued.validity.issued_at - 11_000_000)
    assert refused(world, issued.token) == "token not valid yet"


def test_it_ends_with_the_signing_key(world, cast):
    kept = issue(world).token
    world.run(partial(rotate_signing_key, keep_seconds=3600), world.operator)
    assert check(world, kept).caller.name == "owner"
    ended = issue(world).token
    world.run(partial(rotate_signing_key, keep_seconds=0), world.operator)
    assert refused(world, ended) == "no token of ours"


# -- whose it is ------------------------------------------------------------------------------------------------------


def test_it_is_no_bearer_token_and_the_reverse(world, cast):
    token = issue(world, project="here-1").token
    with pytest.raises(Unauthenticated, match="no token of ours"):
        world.do(world.ctx.access.authenticate_bearer(token, world.shared.id))
    bearer = world.do(issue_token(world.ctx.access, world.shared, cast.owner, Asked())).token
    assert refused(world, bearer) == "no token of ours"


def signed(world, kind: str = identity_tokens.KIND, **changes) -> str:
    """A token of ours but for what is changed."""
    claims = jwt.decode(issue(world).token, options={"verify_signature": False})
    return jws.sign(world.ctx.access.ring, {**claims, **changes}, kind=kind)


def test_only_what_we_signed_as_such_counts(world, cast):
    assert check(world, signed(world)).caller.name == "owner"
    for spoilt in (
        signed(world, kind="JWT"),
        signed(world, aud=str(world.shared.id)),
        signed(world, iss="another"),
        signed(world, cred=str(replace(cast.owner.credential, kind=CredentialKind.KEY))),
        signed(world, cred="user"),
        signed(world, cred="user:999999:1"),
        signed(world, exp="tomorrow"),
        signed(world, more=1),
    ):
        refused(world, spoilt)
    token = issue(world).token
    header, claims, signature = token.split(".")
    for spoilt in (
        "",
        "a.b.c",
        "é",
        "x" * 9000,
        f"{header}.{claims}.",
        f"{header}.{claims}.{signature[:-8]}AAAAAAAA",
        jwt.encode({"cred": "user:1:1"}, "a secret of thirty-two characters", algorithm="HS256"),
    ):
        assert refused(world, spoilt) == "no token of ours"


# -- projects ---------------------------------------------------------------------------------------------------------


def test_a_new_region_gives_each_living_tenant_a_project(world, cast):
    gone, _ = world.tenant("gone")
    world.run(delete_tenant, world.operator, gone.id)
    world.run(create_region, world.operator, CreateRegion("here-2", 2))
    world.run(create_region, world.operator, CreateRegion("far-1", 3, is_local=False))
    for tenant in (cast.acme, world.root):
        found = world.read(lambda conn, number=tenant.id: tenants.list_projects(conn, number))
        assert [(p.name, p.region) for p in found] == [("here-1", "here-1"), ("here-2", "here-2")]
        assert len({p.public_id for p in found}) == 2
    later, _ = world.tenant("later")
    assert project_of(world, later, "here-2").region == "here-2"
    left = world.read(lambda conn: tenants.list_projects(conn, gone.id))
    assert [p.name for p in left] == ["here-1"]


def test_projects_are_found_by_name_and_by_id_in_the_callers_tenant_only(world, cast):
    world.run(create_region, world.operator, CreateRegion("here-2", 2))
    first, second = project_of(world, cast.acme), project_of(world, cast.acme, "here-2")

    def listed(name=""):
        return world.run(list_own_projects, cast.member, ListOwnProjects(name))

    assert listed() == [first, second]
    assert listed("here-2") == [second]
    assert listed("cloud-1") == [first]
    assert listed("cloud-2") == []
    assert world.run(find_place, cast.member, "").project is None
    assert world.run(find_place, cast.member, second.public_id).project == second
    for unknown in (project_of(world, world.root).public_id, "here-1", "\0"):
        with pytest.raises(ProjectUnknown):
            world.run(find_place, cast.member, unknown)
