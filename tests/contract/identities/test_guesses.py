"""Guesses at a password: what people are called, and that whoever guesses has one allowance for all of it."""

import pytest

from entrepot.capabilities.access.accounts import CreateToken, create_token
from entrepot.capabilities.access.identity_tokens import (
    IssueToken,
    Scope,
    issue_identity_token,
)
from entrepot.capabilities.access.login import Person, authenticate_basic
from entrepot.metadata import identities, tenants
from entrepot.model.access import AccountKind
from entrepot.model.errors import RateLimited, Unauthenticated

pytestmark = pytest.mark.broad

PASSWORD = "of the owner"
PERSON = Person("owner", "acme")


@pytest.fixture(autouse=True)
def _started(world):
    world.do(world.ctx.access.start())


def issue(world, person: Person = PERSON, password: str = PASSWORD):
    command = IssueToken(person, password, Scope())
    world.do(world.ctx.access.epochs.refresh())  # nothing reads them while no use case runs
    return world.do(issue_identity_token(world.ctx, command, source="192.0.2.1"))


def names_of(world, cast) -> list[Person]:
    """Whatever acme's owner can be called here."""
    owner = world.read(lambda conn: identities.get_user(conn, cast.owner.user))
    return [
        PERSON,
        Person("owner", tenant_id=cast.acme.public_id),
        Person("", user_id=owner.public_id),
        Person("owner", "acme", cast.acme.public_id, owner.public_id),
    ]


def guess(world, person: Person) -> bool:
    """Whether a wrong password is looked at at all."""
    try:
        issue(world, person, "a guess")
    except Unauthenticated:
        return True
    except RateLimited:
        return False
    raise AssertionError("that was no guess")


def log_in(world, username: str, password: str):
    return world.do(
        authenticate_basic(world.ctx.access, world.shared, username, password, source="192.0.2.1")
    )


def test_whoever_guesses_has_one_allowance_for_all_names_of_a_user(world, cast):
    names = names_of(world, cast)
    failures = world.ctx.settings.auth.throttle_failures
    assert [guess(world, names[n % len(names)]) for n in range(failures)] == [True] * failures
    assert [guess(world, person) for person in names] == [False] * len(names)
    owner = world.read(lambda conn: identities.get_user(conn, cast.owner.user))
    for username in ("acme/owner", owner.uin):
        with pytest.raises(RateLimited):
            log_in(world, username, PASSWORD)
    assert issue(world, Person("owner", "others")).holder.place.tenant.name == "others"


def test_nobodys_own_success_gives_new_guesses_at_somebody_else(world, cast):
    """Also where what is said of the tenant means two: the guesser's own by its id, the other's by its name."""
    others = world.read(lambda conn: identities.get_user(conn, cast.stranger.user)).tenant
    mine = world.read(lambda conn: tenants.get_tenant(conn, others))
    mixed = Person("owner", "acme", mine.public_id)
    failures = world.ctx.settings.auth.throttle_failures
    for _ in range(failures - 1):
        assert guess(world, PERSON)
    with pytest.raises(Unauthenticated):
        issue(world, mixed, PASSWORD)
    assert issue(world, Person("owner", tenant_id=mine.public_id)).holder.place.tenant == mine
    assert guess(world, PERSON)
    assert not guess(world, PERSON)


def test_another_login_of_the_user_gives_no_new_guesses_at_the_password(world, cast):
    token = world.run(create_token, cast.owner, CreateToken(world.shared, AccountKind.LONGTERM))
    for _ in range(world.ctx.settings.auth.throttle_failures):
        assert guess(world, PERSON)
        assert log_in(world, token.account.username, token.secret).user == cast.owner.user
    assert not guess(world, PERSON)


def test_names_and_ids_that_mean_different_people_mean_nobody(world, cast):
    owner = world.read(lambda conn: identities.get_user(conn, cast.owner.user))
    for person in (
        Person("member", user_id=owner.public_id),
        Person("", "others", user_id=owner.public_id),
        Person("owner", "others", tenant_id=cast.acme.public_id),
        Person("", tenant_id=world.root.public_id, user_id=owner.public_id),
    ):
        with pytest.raises(Unauthenticated):
            issue(world, person)
    for person in names_of(world, cast):
        assert issue(world, person).holder.user == owner


@pytest.mark.parametrize("field", range(4))
def test_what_no_database_takes_is_nobodys_name(world, cast, field):
    said = ["owner", "acme", cast.acme.public_id, ""]
    for spoilt in ("\0", "a\0", "\ud800", "\udcff"):
        with pytest.raises(Unauthenticated, match="wrong user name or password"):
            issue(world, Person(*said[:field], spoilt, *said[field + 1 :]))
