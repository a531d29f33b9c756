"""Whoever holds somebody's key makes any number of logins: it can still be taken back, and lists still answer."""

import pytest
import sqlalchemy as sa

from entrepot.capabilities.access import logins
from entrepot.capabilities.access.callers import Credential, CredentialKind, LoggedIn
from entrepot.capabilities.access.identities.keys import (
    EnableKey,
    KeysOf,
    NamedKey,
    create_key,
    delete_key,
    enable_key,
)
from entrepot.capabilities.access.identities.users import SetPassword, set_password
from entrepot.capabilities.access.logins import CreateLogin, create_login
from entrepot.metadata.access import Visibility, visible
from entrepot.metadata.catalog import names_page
from entrepot.metadata.schema import accounts, namespaces, repositories
from entrepot.model.access import AccountKind

MANY = 66_000  # more than PostgreSQL has parameters for


@pytest.fixture(autouse=True)
def _started(world):
    world.do(world.ctx.access.start())


@pytest.fixture
def key(world, cast):
    return world.run(create_key, world.operator, KeysOf(cast.acme.id, "member"))


def fill(world, user: int, username: str, count: int) -> None:
    """That many living logins of one name, written by the engine."""
    n = sa.select(sa.literal(1).label("n")).cte(recursive=True)
    n = n.union_all(sa.select(n.c.n + 1).where(n.c.n < count))
    values = {
        "public_id": sa.cast(n.c.n, sa.Text),
        "kind": sa.literal(AccountKind.LOGIN.value),
        "instance_id": sa.literal(world.shared.id),
        "tenant_id": sa.literal(1),
        "user_id": sa.literal(user),
        "username": sa.literal(username),
        "secret_sha256": sa.literal(b"s" * 32),
        "description": sa.literal(""),
        "enabled": sa.literal(True),
        "created_at": sa.literal(1),
    }
    insert = sa.insert(accounts).from_select(list(values), sa.select(*values.values()))
    world.ctx.db.write_sync(lambda conn: conn.execute(insert))


def living(world, user: int) -> list[str]:
    """User names of the user's living logins."""
    query = sa.select(accounts.c.username).where(
        accounts.c.user_id == user, accounts.c.deleted_at.is_(None)
    )
    return world.read(lambda conn: list(conn.execute(query).scalars()))


@pytest.mark.parametrize(
    ("how", "count"),
    [
        ("disable", 5),
        ("delete", 5),
        ("password", 5),
        pytest.param("delete", MANY, marks=pytest.mark.broad),
        pytest.param("password", MANY, marks=pytest.mark.broad),
    ],
)
def test_any_number_of_logins_end_together(world, cast, key, how, count):
    name = key.key.access_key_id
    fill(world, cast.member.user, f"here-1@{name}", count)
    if how == "disable":
        world.run(enable_key, world.operator, EnableKey(cast.acme.id, name, False))
    elif how == "delete":
        world.run(delete_key, world.operator, NamedKey(cast.acme.id, name))
    else:
        world.run(set_password, world.operator, SetPassword(cast.acme.id, "member", "a password"))
    assert living(world, cast.member.user) == []


def test_only_names_of_exactly_that_key_end_with_it(world, cast, key):
    name = key.key.access_key_id
    kept = [f"here-1@{name}X", f"here-1@X{name}", f"here-1@{name.swapcase()}", name, "@", f"here@{name}@x"]  # fmt: skip
    for number, username in enumerate([*kept, f"here-1@{name}", f"h@re@{name}", f"@{name}"]):
        fill(world, cast.member.user, username, 1)
        named = sa.update(accounts).where(accounts.c.public_id == "1").values(public_id=f"n{number}")  # fmt: skip
        world.ctx.db.write_sync(lambda conn, named=named: conn.execute(named))
    world.run(delete_key, world.operator, NamedKey(cast.acme.id, name))
    assert sorted(living(world, cast.member.user)) == sorted(kept)


def test_of_too_many_logins_the_oldest_of_that_user_end(world, cast, key, monkeypatch):
    monkeypatch.setattr(logins, "MOST", 3)
    caller = LoggedIn(
        subject=cast.member.subject,
        name="member",
        tenant=cast.acme.id,
        user=cast.member.user,
        credential=Credential(CredentialKind.KEY, key.key.id),
    )
    others = world.run(create_login, cast.owner, CreateLogin(world.shared, "here-1"))
    made = [world.run(create_login, caller, CreateLogin(world.shared, "here-1")) for _ in range(5)]
    query = sa.select(accounts.c.secret_sha256).where(
        accounts.c.user_id == cast.member.user, accounts.c.deleted_at.is_(None)
    )
    left = world.read(lambda conn: {bytes(row) for row in conn.execute(query).scalars()})
    assert left == {logins.fingerprint(one.secret) for one in made[2:]}
    assert living(world, cast.owner.user) == [others.username]


def test_lists_take_any_number_of_grants(world):
    numbers = frozenset(range(1, MANY))
    seen = Visibility(namespaces=numbers, repositories=numbers)
    query = sa.select(repositories.c.id).join(namespaces).where(visible(seen))
    assert world.read(lambda conn: conn.execute(query).all()) == []
    shared = world.shared.id
    assert world.read(lambda conn: names_page(conn, shared, seen, after="", limit=5)) == []
