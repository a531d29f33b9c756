"""Logins by signed requests: which keys are accepted, in which order faults are told, numbers used once, temporary keys."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import sqlalchemy as sa

from entrepot.capabilities.access.callers import CredentialKind
from entrepot.capabilities.access.identities.keys import (
    CreateTemporaryKey,
    EnableKey,
    KeyMade,
    KeysOf,
    NamedKey,
    create_key,
    create_temporary_key,
    delete_key,
    enable_key,
    list_keys,
    reseal_secrets,
)
from entrepot.capabilities.access.identities.tenants import delete_tenant
from entrepot.capabilities.access.identities.users import (
    EnableUser,
    NamedUser,
    delete_user,
    enable_user,
)
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.access.outdated import is_purge_wanted, purge_some
from entrepot.capabilities.access.sealing import MasterKeys, Sealer
from entrepot.capabilities.access.secrets import derived_password
from entrepot.capabilities.access.signed import KeyAttempt, authenticate_key
from entrepot.capabilities.access.state import AccessState
from entrepot.capabilities.instances.namespaces import CreateNamespace, create_namespace
from entrepot.metadata.database import Database
from entrepot.metadata.hot import HotReads
from entrepot.metadata.schema import access_keys, audit, epochs, nonces
from entrepot.model.errors import (
    Forbidden,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    UserUnknown,
    ValueInvalid,
)
from entrepot.model.identities import (
    KeyKindWrong,
    KeyRefused,
    RequestReplayed,
    SessionTokenWrong,
    SignatureWrong,
)

pytestmark = pytest.mark.broad

NOW = int(time.time())
HOUR = 3600


@dataclass
class Signed:
    """A proof that holds with one secret, and what it was asked."""

    secret: str
    asked: list[str] = field(default_factory=list)

    def __call__(self, secret: str) -> bool:
        self.asked.append(secret)
        return secret == self.secret


def signed(made: KeyMade, **changes) -> KeyAttempt:
    """A request signed as it should be, but for the changes."""
    attempt = KeyAttempt(
        access_key_id=made.key.access_key_id,
        session_token=made.session_token,
        signed_at=NOW,
        window_seconds=300,
        proves=Signed(made.secret),
        source="192.0.2.1",
        request_id="r1",
    )
    return replace(attempt, **changes)


def log_in(world, attempt: KeyAttempt):
    return world.do(authenticate_key(world.ctx, attempt))


@pytest.fixture
def made(world, cast) -> KeyMade:
    """A lasting key of acme's member."""
    return world.run(create_key, world.operator, KeysOf(cast.acme.id, "member"))


@pytest.fixture
def temporary(world, cast) -> KeyMade:
    """A temporary one, for an hour."""
    return make_temporary(world, cast)


def make_temporary(world, cast, *, user: str = "member", seconds: float = HOUR) -> KeyMade:
    command = CreateTemporaryKey(cast.acme.id, user, seconds)
    return world.run(create_temporary_key, world.operator, command)


def expire(world, made: KeyMade, *, seconds: float) -> None:
    """Let the key have ended that long ago."""
    row = access_keys.c.access_key_id == made.key.access_key_id
    ended = int((time.time() - seconds) * 1_000_000)
    statement = sa.update(access_keys).where(row).values(expires_at=ended)
    world.ctx.db.write_sync(lambda conn: conn.execute(statement))


def logins(world) -> list[tuple]:
    columns = (audit.c.actor, audit.c.resource, audit.c.outcome, audit.c.tenant_id, audit.c.details)
    query = sa.select(*columns).where(audit.c.action == "login").order_by(audit.c.id)
    return [tuple(row) for row in world.read(lambda conn: conn.execute(query).all())]


# -- who it is --------------------------------------------------------------------------------------------------------


def test_a_signed_request_is_its_keys_user(world, cast, made):
    caller = log_in(world, signed(made, operation="svc:DoIt"))

    assert (caller.subject, caller.name) == (cast.member.subject, "member")
    assert (caller.user, caller.tenant, caller.account) == (cast.member.user, cast.acme.id, None)
    assert (caller.credential.kind, caller.credential.id) == (CredentialKind.KEY, made.key.id)
    assert (caller.source, caller.request_id, caller.operation) == ("192.0.2.1", "r1", "svc:DoIt")
    assert caller.epoch == world.read(
        lambda conn: conn.execute(sa.select(sa.func.max(epochs.c.value))).scalar()
    )
    assert logins(world) == []  # what the caller then changes is audited, and what is refused


def test_it_is_the_caller_that_the_password_made_of_the_pair_gives(world, made):
    username = f"here-1@{made.key.access_key_id}"
    password = derived_password(made.key.access_key_id, made.secret)
    login = authenticate_basic(
        world.ctx.access, world.shared, username, password, source="192.0.2.1", request_id="r1"
    )

    assert log_in(world, signed(made)) == world.do(login)


def test_its_rights_are_the_users_and_end_with_the_key(world, cast):
    owners = world.run(create_key, world.operator, KeysOf(cast.acme.id, cast.owner.name))
    caller = log_in(world, signed(owners))
    world.run(create_namespace, caller, CreateNamespace(world.shared.id, cast.acme.id, "team"))

    world.run(delete_key, world.operator, NamedKey(cast.acme.id, owners.key.access_key_id))

    with pytest.raises(Unauthenticated):  # also for what has logged in already
        world.run(create_namespace, caller, CreateNamespace(world.shared.id, cast.acme.id, "more"))


def test_a_login_is_one_statement_and_no_write(world, made):
    attempt = signed(made)
    log_in(world, attempt)
    before = world.ctx.db.statistics.counts()

    log_in(world, attempt)

    spent = world.ctx.db.statistics.counts() - before
    assert (spent.points, spent.statements) == (1, 1)
    assert (spent.reads, spent.writes) == (0, 0)


# -- which keys are not accepted --------------------------------------------------------------------------------------


def refusals(world, attempt: KeyAttempt, kind: type[Unauthenticated]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        log_in(world, attempt)
    assert type(caught.value) is kind
    assert len(attempt.proves.asked) == 1  # whatever is wrong costs one proof


def test_a_wrong_signature_is_refused(world, made):
    refusals(world, signed(made, proves=Signed("another")), SignatureWrong)


def test_an_unknown_key_is_refused(world, made):
    for name in ("AKIDNOBODY", "", "x" * 129, "AKID\0", "AKID\udcff", "中文", "' OR 1=1"):
        refusals(world, signed(made, access_key_id=name), KeyRefused)


def test_the_name_of_another_kind_of_login_is_told_so(world, made):
    for name in ("100000000001", "tcr$robot", "here-1@AKID", "acme/member"):
        refusals(world, signed(made, access_key_id=name), KeyKindWrong)


def test_a_disabled_key_is_refused_at_once_and_accepted_again(world, cast, made):
    name = made.key.access_key_id
    log_in(world, signed(made))

    world.run(enable_key, world.operator, EnableKey(cast.acme.id, name, enabled=False))
    refusals(world, signed(made), KeyRefused)

    world.run(enable_key, world.operator, EnableKey(cast.acme.id, name, enabled=True))
    assert log_in(world, signed(made)).name == "member"


ENDINGS = {
    "key deleted": lambda w, c, k: w.run(
        delete_key, w.operator, NamedKey(c.acme.id, k.key.access_key_id)
    ),
    "user disabled": lambda w, c, _: w.run(
        enable_user, w.operator, EnableUser(c.acme.id, "member", enabled=False)
    ),
    "user deleted": lambda w, c, _: w.run(delete_user, w.operator, NamedUser(c.acme.id, "member")),
    "tenant deleted": lambda w, c, _: w.run(delete_tenant, w.operator, c.acme.id),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_key_ends_with_what_it_hangs_on(world, cast, made, ending):
    log_in(world, signed(made))

    ending(world, cast, made)

    refusals(world, signed(made), KeyRefused)


def test_what_one_process_ends_another_refuses_at_once(world, cast, made):
    async def scenario():
        async with elsewhere(world) as other:
            await authenticate_key(other, signed(made))
            await delete_key(
                world.ctx, world.operator, NamedKey(cast.acme.id, made.key.access_key_id)
            )
            with pytest.raises(KeyRefused):
                await authenticate_key(other, signed(made))

    world.do(scenario())


def test_a_secret_sealed_with_a_master_key_that_is_not_here_is_refused(world, made):
    other = Sealer.of(MasterKeys((b"z" * 32,)))
    world.ctx.access.sealer, own = other, world.ctx.access.sealer
    refusals(world, signed(made), KeyRefused)

    world.ctx.access.sealer = own
    assert log_in(world, signed(made))


def test_a_resealed_secret_verifies(world, made):
    both = Sealer.of(MasterKeys((b"n" * 32, b"k" * 32)))
    world.ctx.access.sealer = both
    world.run(reseal_secrets, world.operator)

    world.ctx.access.sealer = Sealer.of(MasterKeys((b"n" * 32,)))

    assert log_in(world, signed(made))


# -- temporary keys ---------------------------------------------------------------------------------------------------


def test_a_temporary_key_signs_together_with_its_token(world, cast, temporary):
    caller = log_in(world, signed(temporary))

    assert (caller.user, caller.credential.id) == (cast.member.user, temporary.key.id)


def test_a_temporary_key_without_its_token_is_refused(world, temporary):
    for token in (None, "", "wrong", "中文"):
        refusals(world, signed(temporary, session_token=token), SessionTokenWrong)


def test_the_token_of_another_key_is_refused(world, cast, temporary):
    other = make_temporary(world, cast)

    refusals(world, signed(temporary, session_token=other.session_token), SessionTokenWrong)


def test_a_lasting_key_takes_no_token(world, made, temporary):
    refusals(world, signed(made, session_token=temporary.session_token), SessionTokenWrong)


def test_an_ended_temporary_key_is_refused(world, temporary):
    log_in(world, signed(temporary))

    expire(world, temporary, seconds=1)

    refusals(world, signed(temporary), SessionTokenWrong)


def test_a_caller_by_a_temporary_key_ends_with_it(world, cast):
    temporary = make_temporary(world, cast, user=cast.owner.name)
    caller = log_in(world, signed(temporary))

    expire(world, temporary, seconds=1)

    with pytest.raises(Unauthenticated):
        world.run(create_namespace, caller, CreateNamespace(world.shared.id, cast.acme.id, "late"))


def test_temporary_keys_do_not_count_among_the_two(world, cast, made):
    for _ in range(3):
        make_temporary(world, cast)
    world.run(create_key, world.operator, KeysOf(cast.acme.id, "member"))
    make_temporary(world, cast)

    with pytest.raises(QuotaExceeded):
        world.run(create_key, world.operator, KeysOf(cast.acme.id, "member"))

    listed = world.run(list_keys, cast.member, KeysOf(cast.acme.id, "member"))
    assert [key.expires_at is None for key in listed] == [True, False, False, False, True, False]


def test_a_temporary_key_looks_different_and_only_a_hash_of_its_token_is_kept(world, temporary):
    query = sa.select(access_keys.c.session_token_sha256, access_keys.c.secret_sealed).where(
        access_keys.c.id == temporary.key.id
    )
    token, secret = world.read(lambda conn: conn.execute(query).one())

    assert temporary.key.access_key_id.startswith("TKID")
    assert len(temporary.session_token) >= 32  # of 64 letters: more than 160 bits
    assert len(token) == 32
    assert temporary.session_token.encode() not in bytes(token)
    assert temporary.secret.encode() not in bytes(secret)
    assert temporary.secret not in repr(temporary)
    assert temporary.session_token not in repr(temporary)
    left = temporary.key.expires_at / 1e6 - time.time()
    assert HOUR - 30 < left <= HOUR


def test_a_lifetime_is_of_15_minutes_to_36_hours(world, cast):
    for seconds in (0, -1, 899.9, 36 * HOUR + 1, float("nan"), float("inf")):
        with pytest.raises(ValueInvalid):
            make_temporary(world, cast, seconds=seconds)
    for seconds in (900, 36 * HOUR):
        assert make_temporary(world, cast, seconds=seconds).key.expires_at


def test_temporary_keys_are_made_for_oneself_or_for_whom_one_manages(world, cast):
    def make(caller, user):
        return world.run(create_temporary_key, caller, CreateTemporaryKey(cast.acme.id, user, HOUR))

    assert make(cast.member, "member")
    assert make(cast.admin, "member")
    for caller, user in ((cast.member, "admin"), (cast.stranger, "member")):
        with pytest.raises(Forbidden):
            make(caller, user)
    with pytest.raises(Unauthenticated):
        make(cast.disabled, "member")
    with pytest.raises(UserUnknown):
        make(cast.admin, "nobody")
    assert [row[2] for row in world.audited("key.create")] == ["done", "done", "denied", "denied"]


def test_a_temporary_key_makes_no_other_keys(world, cast, made):
    temporary = make_temporary(world, cast)
    caller = log_in(world, signed(temporary))

    with pytest.raises(Forbidden):
        world.run(create_key, caller, KeysOf(cast.acme.id, "member"))
    with pytest.raises(Forbidden):
        world.run(create_temporary_key, caller, CreateTemporaryKey(cast.acme.id, "member", HOUR))

    lasting = log_in(world, signed(made))
    assert world.run(create_key, lasting, KeysOf(cast.acme.id, "member"))


def test_a_temporary_pair_is_no_registry_login(world, temporary):
    password = derived_password(temporary.key.access_key_id, temporary.secret)
    username = f"here-1@{temporary.key.access_key_id}"

    with pytest.raises(Unauthenticated):
        world.do(authenticate_basic(world.ctx.access, world.shared, username, password, source="x"))


# -- the order in which faults are told -------------------------------------------------------------------------------


def test_faults_are_told_key_first_then_token_then_signature_then_number(world, cast, temporary):
    log_in(world, signed(temporary, nonce=7))
    wrong = signed(temporary, nonce=7, session_token="wrong", proves=Signed("wrong"))

    def told(attempt):
        with pytest.raises(Unauthenticated) as caught:
            log_in(world, replace(attempt, source=f"192.0.2.{next(sources)}"))
        return type(caught.value)

    sources = iter(range(10, 20))
    assert told(replace(wrong, session_token=temporary.session_token)) is SignatureWrong
    assert told(wrong) is SessionTokenWrong
    assert told(signed(temporary, nonce=7)) is RequestReplayed
    name = temporary.key.access_key_id
    world.run(enable_key, world.operator, EnableKey(cast.acme.id, name, enabled=False))
    assert told(wrong) is KeyRefused


# -- numbers used once ------------------------------------------------------------------------------------------------


def test_a_request_with_a_number_is_accepted_once(world, made):
    attempt = signed(made, nonce=2**63 - 1)
    log_in(world, attempt)

    with pytest.raises(RequestReplayed):
        log_in(world, attempt)

    assert log_in(world, replace(attempt, nonce=1))
    assert log_in(world, replace(attempt, signed_at=NOW + 1))
    for _ in range(3):  # without a number there is none to remember
        assert log_in(world, signed(made))


def test_the_same_number_of_another_key_is_another(world, cast, made):
    other = world.run(create_key, world.operator, KeysOf(cast.acme.id, "admin"))

    assert log_in(world, signed(made, nonce=5))
    assert log_in(world, signed(other, nonce=5))


def test_a_number_counts_as_used_only_if_the_signature_was_right(world, made):
    with pytest.raises(SignatureWrong):
        log_in(world, signed(made, nonce=5, proves=Signed("wrong")))

    assert log_in(world, signed(made, nonce=5))


@asynccontextmanager
async def elsewhere(world):
    """The context of another process, with its own connections."""
    db = Database.open(world.ctx.settings.metadata.url.reveal())
    access = AccessState(world.ctx.settings, db, world.ctx.access.sealer)
    try:
        yield replace(world.ctx, db=db, access=access, hot=HotReads(db))
    finally:
        await access.stop()
        await db.close()


def test_of_two_processes_that_get_the_same_request_one_accepts_it(world, made):
    async def scenario():
        async with elsewhere(world) as other:
            attempts = [signed(made, nonce=n) for n in range(1, 16)]
            both = [authenticate_key(c, a) for a in attempts for c in (world.ctx, other)]
            return await asyncio.gather(*both, return_exceptions=True)

    answers = world.do(scenario())

    for pair in zip(answers[::2], answers[1::2], strict=True):
        assert sorted(type(answer).__name__ for answer in pair) == ["LoggedIn", "RequestReplayed"]


# -- throttled and audited --------------------------------------------------------------------------------------------


def test_after_too_many_failures_not_even_the_right_signature_is_tried(world, cast, made):
    failures = world.ctx.settings.auth.throttle_failures
    wrong = signed(made, proves=Signed("wrong"))
    for _ in range(failures):
        with pytest.raises(SignatureWrong):
            log_in(world, wrong)

    for attempt in (wrong, signed(made)):
        with pytest.raises(RateLimited):
            log_in(world, attempt)

    assert len(wrong.proves.asked) == failures
    assert log_in(world, signed(made, source="192.0.2.99"))
    other = world.run(create_key, world.operator, KeysOf(cast.acme.id, "admin"))
    assert log_in(world, signed(other))


def test_a_success_forgets_the_failures_before_it(world, made):
    for _ in range(3 * world.ctx.settings.auth.throttle_failures):
        with pytest.raises(SignatureWrong):
            log_in(world, signed(made, proves=Signed("wrong")))
        log_in(world, signed(made))


def test_refusals_are_audited_without_ids_that_no_key_has(world, cast, made):
    name = made.key.access_key_id
    for attempt in (
        signed(made, proves=Signed("wrong")),
        signed(made, session_token="my-secret-by-mistake"),
        signed(made, access_key_id="my-secret-by-mistake"),
    ):
        with pytest.raises(Unauthenticated):
            log_in(world, attempt)

    rows = logins(world)
    assert [row[:4] for row in rows] == [
        ("member", f"key {name}", "denied", cast.acme.id),
        ("member", f"key {name}", "denied", cast.acme.id),
    ]  # an id that no key has is told to the wire, which writes such things down in batches
    assert all(row[4]["with"] == "key" and row[4]["reason"] for row in rows)
    assert "my-secret-by-mistake" not in repr(rows)


def test_an_attempt_is_not_printed(temporary):
    assert temporary.session_token not in repr(signed(temporary))


def test_a_heavy_proof_leaves_the_event_loop_alone(world, made):
    seen = []

    def proves(secret: str) -> bool:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            seen.append("thread")
        else:
            seen.append("loop")
        return secret == made.secret

    assert log_in(world, signed(made, proves=proves, weight=65_536))
    assert log_in(world, signed(made, proves=proves, weight=65_537))
    assert seen == ["loop", "thread"]


# -- housekeeping -----------------------------------------------------------------------------------------------------


def test_numbers_are_forgotten_once_their_requests_are_too_old(world, made):
    for nonce in range(1, 4):
        log_in(world, signed(made, nonce=nonce))
    log_in(world, signed(made, nonce=9, signed_at=NOW - 700))
    assert world.read(is_purge_wanted)

    assert world.ctx.db.write_sync(purge_some) == 1

    assert not world.read(is_purge_wanted)
    left = world.read(lambda conn: conn.execute(sa.select(nonces.c.nonce)).scalars().all())
    assert sorted(left) == [1, 2, 3]
    with pytest.raises(RequestReplayed):
        log_in(world, signed(made, nonce=3))


def test_a_number_outlives_the_time_in_which_its_request_is_accepted(world, made):
    log_in(world, signed(made, nonce=1, signed_at=NOW + 300))

    until = world.read(lambda conn: conn.execute(sa.select(nonces.c.expires_at)).scalar())

    assert until / 1_000_000 >= NOW + 600


def test_ended_temporary_keys_are_forgotten_after_a_day(world, cast, made):
    fresh, recent, old = (make_temporary(world, cast) for _ in range(3))
    expire(world, recent, seconds=HOUR)
    expire(world, old, seconds=25 * HOUR)

    assert world.ctx.db.write_sync(purge_some) == 1

    listed = world.run(list_keys, cast.member, KeysOf(cast.acme.id, "member"))
    assert {key.id for key in listed} == {made.key.id, fresh.key.id, recent.key.id}
    again = make_temporary(world, cast)
    assert again.key.id > old.key.id  # ids are in callers and must not come again
