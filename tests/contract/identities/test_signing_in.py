"""Who is let in to the management APIs, at which instance and for which project, and what the audit trail tells of the rest."""

import base64

import pytest

from entrepot.capabilities.access.accounts import CreateToken, create_token
from entrepot.capabilities.access.identity_tokens import (
    IssueToken,
    Scope,
    issue_identity_token,
)
from entrepot.capabilities.access.login import Person
from entrepot.capabilities.access.logins import CreateLogin, create_login
from entrepot.capabilities.instances.regions import CreateRegion, create_region
from entrepot.capabilities.operations.auditing import AuditLog
from entrepot.dialects.sign_in import SignIn
from entrepot.dialects.sign_in.basic import BasicSignIn
from entrepot.dialects.swr import dockyard
from entrepot.http.messages import Request
from entrepot.metadata import instances, tenants
from entrepot.model.access import AccountKind
from entrepot.model.errors import Forbidden, RateLimited, TenantUnknown, Unauthenticated
from entrepot.model.identities import CredentialsMissing, ProjectUnknown

PASSWORD = "of the owner"


@pytest.fixture(autouse=True)
def _started(world):
    world.do(world.ctx.access.start())


@pytest.fixture
def trail(world) -> AuditLog:
    return AuditLog(world.ctx.db, pulls=False)


def request(**headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "client": ("192.0.2.1", 1),
        "headers": sent,
    }
    return Request(scope, None, request_id="r1")


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


# -- Basic on the older paths -----------------------------------------------------------------------------------------


class Door:
    """Basic logins, and what was counted."""

    def __init__(self, world, trail) -> None:
        self.world = world
        self.outcomes: list[str] = []
        self.sign_in = BasicSignIn(world.ctx, trail, on_login=self.outcomes.append)

    def enter(self, authorization: str, instance=None):
        self.world.do(self.world.ctx.access.epochs.refresh())
        sent = request(authorization=authorization) if authorization else request()
        at = instance or self.world.shared
        return self.world.do(self.sign_in.authenticate(sent, b"", instance=at))


@pytest.fixture
def door(world, trail) -> Door:
    return Door(world, trail)


def test_a_login_counts_in_its_own_region_only(world, cast, door):
    region = world.run(create_region, world.operator, CreateRegion("here-2", 2))
    there = world.read(lambda conn: instances.shared_of(conn, region.id))
    for at, other, project in ((world.shared, there, "here-1"), (there, world.shared, "here-2")):
        login = world.run(create_login, cast.owner, CreateLogin(at, project))
        pair = basic(login.username, login.secret)
        assert door.enter(pair, at).caller.user == cast.owner.user
        with pytest.raises(Unauthenticated):
            door.enter(pair, other)


def test_only_passwords_and_keys_change_anything_there(world, cast, door):
    changing = [one.operation for one in dockyard.ENDPOINTS if one.operation.changes]
    assert changing
    login = world.run(create_login, cast.owner, CreateLogin(world.shared, "here-1"))
    command = CreateToken(world.shared, AccountKind.LONGTERM)
    token = world.run(create_token, cast.owner, command)
    for pair in (
        basic(login.username, login.secret),
        basic(token.account.username, token.secret),
    ):
        caller = door.enter(pair).caller
        for operation in changing:
            with pytest.raises(Forbidden):
                world.run(operation.use_case, caller, None)
    person = door.enter(basic("acme/owner", PASSWORD)).caller
    made = dockyard.namespaces.CreateNamespace(world.shared.id, cast.acme.id, "mine")
    assert world.run(dockyard.create_namespace, person, made).name == "mine"


def test_every_attempt_is_counted_and_every_refusal_is_in_the_trail(world, cast, door, trail):
    door.enter(basic("acme/owner", PASSWORD))
    for wrong in ("", "Bearer x", "Basic !", basic("acme/owner", "not it")):
        with pytest.raises(CredentialsMissing if not wrong else Unauthenticated):
            door.enter(wrong)
    assert door.outcomes == ["good", "refused"]
    world.do(trail.flush())
    here = f"instance {world.shared.public_id}"
    assert sorted(world.audited("login")) == [
        ("owner", here, "denied"),
        ("owner", here, "done"),
        ("unknown", "deployment", "denied"),  # three of them, in one row
    ]
    for _ in range(world.ctx.settings.auth.throttle_failures):
        with pytest.raises((Unauthenticated, RateLimited)):
            door.enter(basic("acme/owner", "not it"))
    assert door.outcomes[-1] == "throttled"


# -- projects ---------------------------------------------------------------------------------------------------------


def token(world, **scope: str) -> str:
    command = IssueToken(Person("owner", "acme"), PASSWORD, Scope(**scope))
    world.do(world.ctx.access.epochs.refresh())
    return world.do(issue_identity_token(world.ctx, command, source="192.0.2.1")).token


def projects(world, tenant) -> list[str]:
    found = world.read(lambda conn: tenants.list_projects(conn, tenant.id))
    return [one.public_id for one in found]


def test_a_token_of_a_project_is_good_for_that_one_only(world, cast, trail):
    world.run(create_region, world.operator, CreateRegion("here-2", 2))
    first, second = projects(world, cast.acme)
    sign_in = SignIn(world.ctx, trail)

    def enter(asked: str, **scope: str) -> str | None:
        sent = {"x_auth_token": token(world, **scope)} | ({"x_project_id": asked} if asked else {})
        place = world.do(sign_in.authenticate(request(**sent), b""))
        return None if place.project is None else place.project.public_id

    assert enter("", project="here-1") == first
    assert enter(first, project="here-1") == first
    assert enter("") is None
    assert enter(second) == second
    with pytest.raises(ProjectUnknown):
        enter(second, project="here-1")
    world.do(trail.flush())
    assert world.audited("project.enter") == [("owner", f"project {second}", "denied")]


def test_naming_a_project_that_is_not_the_tenants_is_in_the_trail(world, cast, trail):
    theirs = projects(world, world.root)[0]
    sent = request(x_auth_token=token(world), x_project_id=theirs)
    with pytest.raises(ProjectUnknown):
        world.do(SignIn(world.ctx, trail).authenticate(sent, b""))
    world.do(trail.flush())
    assert world.audited("project.enter") == [("owner", f"project {theirs}", "denied")]


def test_each_token_is_in_the_trail_and_so_are_scopes_that_are_not_the_users(world, cast):
    for _ in range(2):
        token(world, project="here-1")
    for scope, error in (({"project": "nowhere"}, ProjectUnknown), ({"tenant": "others"}, TenantUnknown)):  # fmt: skip
        with pytest.raises(error):
            token(world, **scope)
    issued, again, *denied = world.audited("token.issue")
    assert issued[1].startswith("identity token ")
    assert again[1].startswith("identity token ")
    assert issued[1] != again[1]
    assert {issued[2], again[2]} == {"done"}
    assert denied == [("owner", "project nowhere", "denied"), ("owner", "tenant others", "denied")]
    assert len(world.audited("login")) == 1  # what is remembered is no login
