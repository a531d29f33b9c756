"""Sharing with another tenant: who shares, what the receiver's users may do with it, and when it ends; on both engines."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.access.identities.grants import SetGrant, set_grant
from entrepot.capabilities.access.identities.policies import (
    AttachPolicy,
    WritePolicy,
    attach_policy,
    create_policy,
)
from entrepot.capabilities.access.identities.tenants import delete_tenant
from entrepot.capabilities.access.identities.users import CreateUser, create_user
from entrepot.capabilities.access.issuing import Asked, Scope, issue_token
from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.access.shares import (
    BrowseShared,
    NamedShare,
    WriteShare,
    browse_shared,
    create_share,
    delete_share,
    get_share,
    list_shares,
    update_share,
)
from entrepot.capabilities.access.targets import Target
from entrepot.metadata import counters, identities, namespaces, purging
from entrepot.metadata.access import Visibility
from entrepot.metadata.browsing import Slice
from entrepot.metadata.schema import repositories, shares, tenants
from entrepot.model.access import ANONYMOUS, SYSTEM, Level, Permission
from entrepot.model.content import Repository
from entrepot.model.errors import (
    Denied,
    Forbidden,
    NamespaceUnknown,
    RepositoryUnknown,
    ValueInvalid,
)
from entrepot.model.ids import Micros
from entrepot.model.shares import (
    DeadlineInvalid,
    PermitInvalid,
    ReceiverInvalid,
    ShareTaken,
    ShareUnknown,
    end_of,
)

pytestmark = pytest.mark.broad

P = Permission
DAY = 86_400_000_000


@dataclass
class Stage:
    """Repositories of acme in the shared instance, and users of `others` and of `thirds`, who have nothing."""

    world: object
    cast: object
    app: Repository
    web: Repository
    receiver: LoggedIn  # a plain user of others
    third: LoggedIn

    def target(self, repository: Repository | None = None, path: str | None = None) -> Target:
        one = repository or self.app
        return Target(one.instance, one.namespace_name, path or one.path)

    def share(self, repository=None, *, to="others", deadline="forever", by=None, text="") -> None:
        command = WriteShare(self.target(repository), to, "read", deadline, text)
        self.world.run(create_share, by or self.cast.owner, command)

    def may(self, caller, permission, repository=None) -> bool:
        judge, on = self.world.ctx.access.judge, of_repository(repository or self.app)
        return self.world.read(lambda conn: judge.allowed(conn, caller, permission, on))

    def end(self, micros_from_now: int) -> None:
        """All shares end then."""
        at = datetime.now(UTC) + timedelta(microseconds=micros_from_now)
        values = {"ends_at": Micros(int(at.timestamp() * 1_000_000))}
        self.world.ctx.db.write_sync(lambda conn: conn.execute(sa.update(shares).values(**values)))

    def deny(self, tenant, user: str, statement: str) -> None:
        document = f'{{"statements": [{statement}]}}'
        self.world.run(create_policy, SYSTEM, WritePolicy(tenant, "denial", document))
        self.world.run(attach_policy, SYSTEM, AttachPolicy(tenant, "denial", user=user))


@pytest.fixture
def stage(world, cast) -> Stage:
    thirds, _ = world.tenant("thirds")
    shared = world.shared.id

    def write(conn) -> tuple[Repository, Repository]:
        team = namespaces.insert_namespace(
            conn, shared, cast.acme.id, name="team", is_public=False, created_by=None
        )
        return (
            namespaces.insert_repository(conn, team, "app", created_by=None),
            namespaces.insert_repository(conn, team, "web/front", created_by=None),
        )

    app, web = world.ctx.db.write_sync(write)
    others = world.read(lambda conn: identities.get_user(conn, cast.stranger.user)).tenant
    return Stage(
        world, cast, app, web, plain(world, others, "receiver"), plain(world, thirds.id, "third")
    )


def plain(world, tenant, name) -> LoggedIn:
    """A user without any right."""
    return world.caller(world.run(create_user, SYSTEM, CreateUser(tenant, name)).user)


# -- what it gives ----------------------------------------------------------------------------------------------------


def test_every_user_of_the_receiving_tenant_may_pull_from_it_and_nothing_else(stage):
    stage.share()

    for caller in (stage.receiver, stage.cast.stranger):
        assert {p for p in P if stage.may(caller, p)} - {P.CATALOG} == {P.PULL}
        assert not stage.may(caller, P.PULL, stage.web)
    assert not stage.may(stage.third, P.PULL)
    assert not stage.may(stage.cast.member, P.PULL)
    assert not stage.may(ANONYMOUS, P.PULL)


def test_a_policy_of_the_receiver_may_still_deny(stage):
    stage.share()
    stage.deny(
        stage.receiver.tenant,
        "receiver",
        '{"effect": "deny", "actions": ["repository:pull"], "resources": ["team/*"]}',
    )

    assert not stage.may(stage.receiver, P.PULL)
    assert stage.may(stage.cast.stranger, P.PULL)


def test_it_ends_at_its_end_and_at_once_when_it_is_deleted(stage):
    stage.share()
    stage.end(60_000_000)
    assert stage.may(stage.receiver, P.PULL)
    stage.end(-1)
    assert not stage.may(stage.receiver, P.PULL)

    stage.end(60_000_000)
    before = stage.world.epoch(f"tenant:{stage.cast.acme.id}")
    stage.world.run(delete_share, stage.cast.owner, NamedShare(stage.target(), "others"))
    assert not stage.may(stage.receiver, P.PULL)
    assert stage.world.epoch(f"tenant:{stage.cast.acme.id}") > before


def test_a_token_given_for_a_share_ends_with_it_and_is_worthless_once_it_is_taken_back(stage):
    world, access = stage.world, stage.world.ctx.access

    def token(caller):
        scope = Scope("repository", "team/app", ("pull", "push"))
        made = world.do(issue_token(access, world.shared, caller, Asked((scope,))))
        return made, access.bearer(made.token, world.shared.id)

    stage.share(deadline=datetime.now(UTC).strftime("%Y-%m-%d"))
    world.do(access.start())
    left = (end_of(datetime.now(UTC).strftime("%Y-%m-%d")) or 0) / 1e6 - datetime.now(
        UTC
    ).timestamp()
    made, _ = token(stage.receiver)
    assert made.expires_in <= left + 1

    stage.end(7_900_000)
    made, caller = token(stage.receiver)
    assert 6 <= made.expires_in <= 8
    assert access.at_once(caller, P.PULL, of_repository(stage.app)) is True
    assert access.at_once(caller, P.PUSH, of_repository(stage.app)) is False

    world.run(delete_share, stage.cast.owner, NamedShare(stage.target(), "others"))
    assert access.at_once(caller, P.PULL, of_repository(stage.app)) is None
    assert not world.do(access.permits(caller, P.PULL, stage.app))


def test_shared_repositories_are_in_no_catalog_of_the_receiver(stage):
    stage.share()

    def listed(conn):
        listing = stage.world.ctx.access.visible_repositories(
            conn, stage.receiver, include_public=False, instance=stage.app.instance
        )
        return listing.visibility

    assert stage.world.read(listed) == Visibility()


def test_only_where_nothing_else_lets_a_foreigner_in_it_costs_a_statement(stage):
    def statements(caller, permission=P.PULL) -> int:
        before = stage.world.ctx.db.statistics.counts()
        stage.may(caller, permission)
        return (stage.world.ctx.db.statistics.counts() - before).statements

    own = statements(stage.cast.member)
    assert statements(stage.cast.owner) == own
    assert statements(stage.third, P.PUSH) == own
    assert statements(stage.third) == own + 1
    assert statements(ANONYMOUS) == 0


# -- who, and what not ------------------------------------------------------------------------------------------------


def test_whoever_manages_the_repository_shares_it(stage):
    world, cast = stage.world, stage.cast
    grant = Target(stage.app.instance, "team", "app")
    for level in (None, Level.READ, Level.EDIT):
        if level is not None:
            world.run(set_grant, cast.owner, SetGrant(grant, "member", level))
        with pytest.raises(Forbidden):
            stage.share(by=cast.member)
    world.run(set_grant, cast.owner, SetGrant(grant, "member", Level.MANAGE))

    stage.share(by=cast.member)
    for stranger in (cast.stranger, stage.third, ANONYMOUS):
        with pytest.raises(Denied):
            stage.share(by=stranger, to="thirds")
        with pytest.raises(Denied):
            world.run(delete_share, stranger, NamedShare(stage.target(), "others"))
        with pytest.raises(Denied):
            world.run(list_shares, stranger, stage.target())
        with pytest.raises(Denied):
            world.run(get_share, stranger, NamedShare(stage.target(), "others"))
    shown = world.run(get_share, cast.member, NamedShare(stage.target(), "others"))
    assert (shown.share.creator_name, shown.is_valid) == ("member", True)
    assert stage.world.audited("share.create")[:2] == [
        ("member", "team/app", "done"),
        ("member", "team/app", "denied"),  # three of them
    ]


def test_what_is_not_there_is_told_to_who_could_manage_it_only(stage):
    world, cast = stage.world, stage.cast
    shared = world.shared.id
    for target, error in (
        (Target(shared, "nothing", "app"), NamespaceUnknown),
        (Target(shared, "team", "nothing"), RepositoryUnknown),
    ):
        command = WriteShare(target, "others", "read", "forever")
        with pytest.raises(error):
            world.run(create_share, cast.admin, command)
        with pytest.raises(Forbidden):
            world.run(create_share, cast.member, command)
    with pytest.raises(ValueInvalid):
        world.run(
            create_share,
            cast.admin,
            WriteShare(Target(shared, "team"), "others", "read", "forever"),
        )


def test_only_another_tenant_can_receive_it(stage):
    for to in ("acme", "nobody", "", "OTHERS", "x" * 400):
        with pytest.raises(ReceiverInvalid):
            stage.share(to=to)


NO_DEADLINES = [
    "",
    "never",
    "Forever",
    "2030-13-01",
    "2030-02-30T00:00:00Z",
    "2030-10-01T25:00:00Z",
    "2018-10-01T16:00:00.000Z",
    "20301001",
    "2030-10-01T16:00:00.Z",
    "2030-10-01T16:00:00+99:00",
    "0001-01-01T00:00:00+14:00",
    "\uff12030-10-01",
    "2030-10-01T16:00:00Z\n",
    "1" * 5000,
]


def test_a_deadline_that_is_none_or_over_is_refused(stage):
    for deadline in NO_DEADLINES:
        with pytest.raises(DeadlineInvalid):
            stage.share(deadline=deadline)


def test_a_deadline_runs_until_its_day_is_over_in_utc():
    midnight = Micros(int(datetime(2030, 10, 2, tzinfo=UTC).timestamp()) * 1_000_000)
    for text in (
        "2030-10-01",
        "2030-10-01T00:00:00Z",
        "2030-10-01T23:59:59.999999999Z",
        "2030-10-01 16:00",
        "2030-10-02T01:30:00+02:00",
        "2030-10-01T23:59:59-00:00",
    ):
        assert end_of(text) == midnight, text
    assert end_of("2030-10-01T23:30:00-02:00") == midnight + DAY
    assert end_of("9999-12-31T23:59:59Z") > midnight
    assert end_of("forever") is None


def test_the_day_of_today_is_not_over(stage):
    today = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    stage.share(deadline=today)

    shown = stage.world.run(list_shares, stage.cast.owner, stage.target())
    assert [(one.share.deadline, one.is_valid) for one in shown] == [(today, True)]
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT23:59:59Z")
    with pytest.raises(DeadlineInvalid):
        stage.share(stage.web, deadline=yesterday)


def test_one_share_a_receiver_which_may_be_changed(stage):
    world, owner = stage.world, stage.cast.owner
    stage.share(deadline="2030-10-01T16:00:00.000Z", text="for a while")
    with pytest.raises(ShareTaken):
        stage.share()

    def change(to="others", permit="read", deadline="forever", text=""):
        command = WriteShare(stage.target(), to, permit, deadline, text)
        world.run(update_share, owner, command)

    (former,) = world.run(list_shares, owner, stage.target())
    change()
    (now,) = world.run(list_shares, owner, stage.target())
    assert (former.share.deadline, former.share.description) == (
        "2030-10-01T16:00:00.000Z",
        "for a while",
    )
    assert (now.share.deadline, now.share.ends_at, now.share.description) == ("forever", None, "")
    assert now.share.created_at == former.share.created_at < now.share.updated_at
    with pytest.raises(PermitInvalid):
        change(permit="write")
    with pytest.raises(ValueInvalid):
        change(text="x" * 1001)
    for missing in ("thirds", "nobody"):
        with pytest.raises(ShareUnknown):
            change(missing)
        with pytest.raises(ShareUnknown):
            world.run(delete_share, owner, NamedShare(stage.target(), missing))
        with pytest.raises(ShareUnknown):
            world.run(get_share, owner, NamedShare(stage.target(), missing))
    world.run(delete_share, owner, NamedShare(stage.target(), "others"))
    with pytest.raises(ShareUnknown):
        world.run(delete_share, owner, NamedShare(stage.target(), "others"))


def test_two_who_share_the_same_at_once_make_one_share(stage):
    async def both():
        command = WriteShare(stage.target(), "others", "read", "forever")
        run = [create_share(stage.world.ctx, stage.cast.owner, command) for _ in range(2)]
        return await asyncio.gather(*run, return_exceptions=True)

    results = stage.world.do(both())
    assert sorted(type(one) for one in results if one)[:1] == [ShareTaken]
    assert len(stage.world.run(list_shares, stage.cast.owner, stage.target())) == 1


# -- what goes with it ------------------------------------------------------------------------------------------------


def test_shares_go_with_the_repository_and_with_the_receiver(stage):
    world = stage.world
    stage.share()
    stage.share(stage.web, to="thirds")
    world.run(delete_tenant, world.operator, stage.third.tenant)
    assert not stage.may(stage.third, P.PULL, stage.web)
    with pytest.raises(ReceiverInvalid):
        stage.share(stage.web, to="thirds")

    world.ctx.db.write_sync(lambda conn: purging.remove_repository(conn, stage.app.id))
    assert world.read(lambda conn: conn.execute(sa.select(shares)).all()) == []


def test_a_deleted_repository_is_shared_with_nobody_and_its_name_inherits_nothing(stage):
    world = stage.world
    stage.share()

    def again(conn):
        namespaces.tombstone_repository(conn, stage.app.id, Micros(1))
        space = namespaces.find_namespace(conn, stage.app.instance, "team")
        return namespaces.insert_repository(conn, space, "app", created_by=None)

    made = world.ctx.db.write_sync(again)
    assert not stage.may(stage.receiver, P.PULL, made)
    assert page(stage, stage.receiver) == ([], 0)
    assert world.run(list_shares, stage.cast.owner, stage.target(made)) == []


# -- lists ------------------------------------------------------------------------------------------------------------


def page(stage, caller, *, own=False, window=None, **asked):
    command = BrowseShared(
        stage.world.shared.id,
        own,
        window=window or Slice(),
        **{"sort": "name", "descending": False, **asked},
    )
    found = stage.world.run(browse_shared, caller, command)
    rows = [
        (one.summary.details.repository.full_name, one.summary.tenant_name, one.is_valid)
        for one in found.rows
    ]
    return rows, found.total


def test_lists_of_what_is_shared_by_me_and_with_me(stage):
    stage.share()
    stage.share(to="thirds")
    stage.share(stage.web, to="thirds")

    both = [("team/app", "acme", False), ("team/web/front", "acme", False)]
    assert page(stage, stage.cast.owner, own=True) == (both, 2)
    assert page(stage, stage.cast.owner) == ([], 0)
    assert page(stage, stage.cast.member, own=True) == ([], 0)
    assert page(stage, stage.receiver) == ([("team/app", "acme", True)], 1)
    assert page(stage, stage.receiver, own=True) == ([], 0)
    assert page(stage, ANONYMOUS) == ([], 0)
    grant = SetGrant(Target(stage.app.instance, "team", "app"), "member", Level.READ)
    stage.world.run(set_grant, stage.cast.owner, grant)
    assert page(stage, stage.cast.member, own=True) == (both[:1], 1)


def test_lists_tell_what_has_ended_and_filter_by_it(stage):
    stage.share()
    stage.end(-1)
    stage.share(stage.web)

    ended, valid = ("team/app", "acme", False), ("team/web/front", "acme", True)
    assert page(stage, stage.receiver) == ([ended, valid], 2)
    assert page(stage, stage.receiver, is_valid=True) == ([valid], 1)
    assert page(stage, stage.receiver, is_valid=False) == ([ended], 1)
    assert page(stage, stage.receiver, name="front") == ([valid], 1)
    assert page(stage, stage.receiver, name="nt") == ([valid], 1)
    assert page(stage, stage.receiver, namespace="tea") == ([], 0)
    assert page(stage, stage.receiver, namespace="team")[1] == 2
    assert page(stage, stage.receiver, owner="acme")[1] == 2
    assert page(stage, stage.receiver, owner="others") == ([], 0)
    window = Slice(1, 1)
    assert page(stage, stage.receiver, window=window) == ([valid], 2)
    assert page(stage, stage.receiver, window=Slice(2, 10)) == ([], 2)


def test_lists_hide_what_a_policy_denies_and_count_without_it(stage):
    stage.share()
    stage.share(stage.web)
    stage.deny(
        stage.receiver.tenant,
        "receiver",
        '{"effect": "deny", "actions": ["repository:pull"], "resources": ["team/app"]}',
    )
    stage.deny(
        stage.cast.acme.id,
        "owner",
        '{"effect": "deny", "actions": ["*"], "resources": ["team/web/*"]}',
    )

    assert page(stage, stage.receiver) == ([("team/web/front", "acme", True)], 1)
    assert page(stage, stage.cast.owner, own=True) == ([("team/app", "acme", False)], 1)


def test_lists_are_sorted_by_any_of_their_columns(stage):
    world, cast = stage.world, stage.cast

    def more(conn):
        thirds = conn.scalar(sa.select(tenants.c.id).where(tenants.c.name == "thirds"))
        space = namespaces.insert_namespace(
            conn, stage.app.instance, thirds, name="alpha", is_public=False, created_by=None
        )
        made = namespaces.insert_repository(conn, space, "zoo", created_by=None)
        for number, count, at in ((made.id, 2, 30), (stage.app.id, 3, 10), (stage.web.id, 1, 20)):
            counters.add(conn, "repository", number, "tags", count)
            conn.execute(
                sa.update(repositories).where(repositories.c.id == number).values(updated_at=at)
            )
        counters.fold(conn)
        counters.add(conn, "repository", stage.app.id, "tags", 1)
        return made

    zoo = world.ctx.db.write_sync(more)
    stage.share()
    stage.share(stage.web)
    owner = world.read(lambda conn: identities.find_user(conn, zoo.tenant, "owner"))
    stage.share(zoo, by=world.caller(owner))
    for sort, order in (
        ("updated_at", ["team/app", "team/web/front", "alpha/zoo"]),
        ("name", ["team/app", "team/web/front", "alpha/zoo"]),
        ("tag_count", ["team/web/front", "alpha/zoo", "team/app"]),
        ("namespace", ["alpha/zoo", "team/app", "team/web/front"]),
        ("tenant", ["team/app", "team/web/front", "alpha/zoo"]),
    ):
        rows, total = page(stage, cast.stranger, sort=sort)
        assert ([name for name, _, _ in rows], total) == (order, 3), sort
    assert page(stage, cast.stranger, sort="updated_at", descending=True)[0][0][0] == "alpha/zoo"
    with pytest.raises(ValueInvalid):
        page(stage, cast.stranger, sort="size")


def test_what_has_ended_tells_nothing_of_what_the_repository_became(stage):
    world = stage.world
    stage.share()
    stage.end(-DAY)
    stage.share(stage.web)

    def live_on(conn):
        said = {"description": "secret plans", "category": "linux", "is_public": True}
        far = Micros(2**60)
        for number in (stage.app.id, stage.web.id):
            namespaces.describe_repository(conn, number, said, far)
            for name, count in (("tags", 7), ("tagged_bytes", 99), ("pulls", 3)):
                counters.add(conn, "repository", number, name, count)

    world.ctx.db.write_sync(live_on)
    command = BrowseShared(world.shared.id, is_own=False, sort="name", descending=False)
    ended, valid = (one.summary for one in world.run(browse_shared, stage.receiver, command).rows)
    assert (ended.details.repository.full_name, ended.tenant_name) == ("team/app", "acme")
    assert (ended.tag_count, ended.size, ended.pulls, ended.tags) == (0, 0, 0, ())
    assert (ended.details.description, ended.details.category) == ("", "")
    assert not ended.details.repository.is_public
    assert ended.details.updated_at < 2**60
    assert (valid.tag_count, valid.size, valid.details.description) == (7, 99, "secret plans")
    for sort in ("updated_at", "tag_count"):
        rows, _ = page(stage, stage.receiver, sort=sort)
        assert [name for name, _, _ in rows] == ["team/app", "team/web/front"], sort
