"""Bearer tokens: what is in them, what is refused, and how rights that change reach them."""

import asyncio
import base64
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import jwt
import pytest
from access_world import add_repository, allow, delete_repository, elsewhere, started
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace as replace_fields

from entrepot.capabilities.access.bearer import Access, Lifetime, sign
from entrepot.capabilities.access.callers import TokenCaller
from entrepot.capabilities.access.issuing import Asked, Scope, authenticate_refresh, issue_token
from entrepot.capabilities.access.login import authenticate_basic
from entrepot.capabilities.access.rights import of_namespace, of_repository
from entrepot.capabilities.access.sealing import MasterKeys, Sealer
from entrepot.capabilities.access.signing import reseal_keys, rotate
from entrepot.capabilities.access.state import AccessState
from entrepot.config import Duration, Settings
from entrepot.config.tree import Auth
from entrepot.metadata import epochs, schema, signing_keys
from entrepot.model.access import ANONYMOUS, Permission, Resource
from entrepot.model.errors import RightsStale, Unauthenticated, ValueInvalid
from entrepot.model.ids import InstanceId, Micros

P = Permission


def asked(*words: str, refresh: bool = False) -> Asked:
    return Asked(
        tuple(
            Scope(kind, name, tuple(a.split(",")))
            for kind, name, a in (w.split(":") for w in words)
        ),
        refresh,
    )


async def token_for(access, world, caller, *words, instance=None):
    instance = instance or world.shared
    issued = await issue_token(access, instance, caller, asked(*words))
    return issued.token


async def bearer(access, world, caller, *words, instance=None) -> TokenCaller:
    instance = instance or world.shared
    token = await token_for(access, world, caller, *words, instance=instance)
    return await access.authenticate_bearer(token, instance.id, source="192.0.2.9")


def claims_of(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@asynccontextmanager
async def login(world, name="root"):
    """A started state and the caller after a password login."""
    async with started(world) as access:
        user = name if name in ("root", "alice", "bob") else f"acme/{name}"
        yield (
            access,
            await authenticate_basic(access, world.shared, user, f"{name}-password", source="s"),
        )


# -- what is granted --------------------------------------------------------------------------------------------------


def test_only_the_allowed_part_of_what_was_asked_is_granted(world):
    world.grant("alice", "team/app", 1)
    world.grant("alice", "open", 3)

    async def scenario():
        async with login(world, "alice") as (access, alice):
            token = await token_for(
                access,
                world,
                alice,
                "repository:team/app:push,pull",
                "repository:team/web:pull",
                "repository:open/new/one:pull,push",
                "repository:open/app:*",
                "repository:nowhere/app:pull",
                "repository:Bad Name:pull",
                "repository:team:pull",
                "repository:open/app:pull,unknown",
                "registry:catalog:*",
                "other:x:y",
            )
            return claims_of(token)

    claims = asyncio.run(scenario())
    open_app = world.repository("open/app").id
    assert claims["access"] == [
        {
            "type": "repository",
            "name": "team/app",
            "actions": ["pull"],
            "id": world.repository("team/app").id,
        },
        {"type": "repository", "name": "open/new/one", "actions": ["pull", "push"]},
        {
            "type": "repository",
            "name": "open/app",
            "actions": ["pull", "push", "delete"],
            "id": open_app,
        },
        {"type": "registry", "name": "catalog", "actions": ["*"]},
    ]
    assert claims["aud"] == str(world.shared.id)
    assert claims["sub"] == f"user:{world.users['alice']}"
    assert claims["exp"] - claims["iat"] == 300


def test_anonymous_callers_get_what_is_public_and_no_catalog(world):
    async def scenario():
        async with started(world) as access:
            words = (
                "repository:open/app:pull,push",
                "repository:team/app:pull",
                "registry:catalog:*",
            )
            issued = await issue_token(
                access, world.shared, ANONYMOUS, replace(asked(*words), wants_refresh=True)
            )
            caller = await access.authenticate_bearer(issued.token, world.shared.id)
            return claims_of(issued.token), issued.refresh_token, caller

    claims, refresh, caller = asyncio.run(scenario())
    assert [(a["name"], a["actions"]) for a in claims["access"]] == [("open/app", ["pull"])]
    assert refresh is None
    assert caller.is_anonymous


def test_a_refresh_token_is_in_the_audit_trail_and_bearer_tokens_are_not(world):
    async def scenario():
        async with started(world) as access:
            alice = world.caller("alice", source="192.0.2.3")
            for refresh in (False, True, True):
                await issue_token(access, world.shared, alice, asked(refresh=refresh))
            await issue_token(access, world.shared, ANONYMOUS, asked(refresh=True))

    asyncio.run(scenario())
    a = schema.audit.c
    resource = f"refresh token of instance {world.shared.public_id}"
    assert (
        world.select(a.actor, a.action, a.resource, a.outcome, a.source)
        == [("alice", "token.issue", resource, "done", "192.0.2.3")] * 2
    )


def test_a_token_that_allows_nothing_is_a_token(world):
    async def scenario():
        async with login(world, "alice") as (access, alice):
            caller = await bearer(access, world, alice, "repository:team/app:pull")
            assert not await access.permits(caller, P.PULL, world.repository("team/app"))
            assert caller.user == world.users["alice"]
            assert caller.source == "192.0.2.9"

    asyncio.run(scenario())


def test_where_anonymous_pull_is_off_nobody_comes_without_a_name(world):
    closed = Settings(auth=Auth(anonymous_pull=False))

    async def scenario():
        async with started(world) as access:
            token = await token_for(access, world, ANONYMOUS, "repository:open/app:pull")
        async with started(world, closed) as access:
            with pytest.raises(Unauthenticated):
                access.anonymous()
            with pytest.raises(Unauthenticated):
                await access.authenticate_bearer(token, world.shared.id)
            assert (
                claims_of(await token_for(access, world, ANONYMOUS, "repository:open/app:pull"))[
                    "access"
                ]
                == []
            )

    asyncio.run(scenario())


def test_a_token_too_long_to_be_sent_is_refused_when_made(world):
    words = [f"repository:open/{'a' * 200}{n}:pull" for n in range(32)]

    async def scenario():
        async with login(world) as (access, root):
            with pytest.raises(ValueInvalid):
                await issue_token(access, world.shared, root, asked(*words))

    asyncio.run(scenario())


# -- what is refused --------------------------------------------------------------------------------------------------


def tampered(access, token: str, claims: dict) -> dict[str, str]:
    """Tokens that must not be accepted, by what is wrong with them."""
    head, body, signature = token.split(".")
    private, kid = access.ring.signing.private, access.ring.signing.id
    stranger = Ed25519PrivateKey.generate()
    seconds = int(time.time())

    def made(key=private, algorithm="EdDSA", headers=None, **changes):
        changed = {k: v for k, v in {**claims, **changes}.items() if v is not ...}
        return jwt.encode(changed, key, algorithm=algorithm, headers=headers or {"kid": kid})

    none = b64(json.dumps({"alg": "none", "typ": "JWT", "kid": kid}).encode())
    stolen = b64(json.dumps({**claims, "sub": "user:1"}).encode())
    raw = private.public_key().public_bytes_raw()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(stranger.public_key().public_bytes_raw())}
    last = "A" if signature[10] != "A" else "B"
    return {
        "empty": "",
        "no token": "abc",
        "two parts": f"{head}.{body}",
        "alg none": f"{none}.{body}.",
        "alg none with signature": f"{none}.{body}.{signature}",
        "other claims": f"{head}.{stolen}.{signature}",
        "other signature": f"{head}.{body}.{signature[:10]}{last}{signature[11:]}",
        "stranger's key under our kid": made(stranger),
        "stranger's kid": made(stranger, headers={"kid": "stranger"}),
        "no kid": made(headers={"kid": ""}),
        "public key as mac key": made(b"0" * 32 + raw, "HS256"),
        "key in the header": made(stranger, headers={"kid": kid, "jwk": jwk}),
        "key address in the header": made(headers={"kid": kid, "jku": "http://127.0.0.1/"}),
        "critical extension": made(headers={"kid": kid, "crit": ["x"], "x": 1}),
        "expired": made(iat=seconds - 900, nbf=seconds - 900, exp=seconds - 1),
        "expires now": made(exp=seconds),
        "not yet": made(nbf=seconds + 60),
        "issued in the future": made(iat=seconds + 60),
        "other audience": made(aud="999"),
        "list of audiences": made(aud=[claims["aud"], "999"]),
        "audience no number": made(aud="x"),
        "other issuer": made(iss="other"),
        "no expiry": made(exp=...),
        "no iat": made(iat=...),
        "text as time": made(exp="9999999999"),
        "boolean as time": made(exp=True),
        "no epoch": made(epo=...),
        "no credential": made(cred=...),
        "odd credential": made(cred="user:1"),
        "odd subject": made(sub="user:x"),
        "odd access": made(access={"x": 1}),
        "too long": made(name="x" * 9000),
        "deep header": f"{b64(b'[' * 5900)}.{body}.{signature}",
        "surrogates": token + "\udcff",
    }


def test_nothing_but_our_own_token_for_this_instance_and_moment_is_accepted(world):
    async def scenario():
        async with login(world) as (access, root):
            token = await token_for(access, world, root, "repository:team/app:pull")
            accepted = []
            for what, wrong in tampered(access, token, claims_of(token)).items():
                for _ in range(2):  # the second time from memory
                    try:
                        await access.authenticate_bearer(wrong, world.shared.id)
                        accepted.append(what)
                    except Unauthenticated:
                        pass
            assert accepted == []
            assert await access.authenticate_bearer(token, world.shared.id)

    asyncio.run(scenario())


def test_a_token_of_another_instance_is_refused_even_when_remembered(world):
    async def scenario():
        async with login(world) as (access, root):
            token = await token_for(access, world, root, "repository:team/app:pull")
            await access.authenticate_bearer(token, world.shared.id)
            with pytest.raises(Unauthenticated):
                await access.authenticate_bearer(token, world.own.id)

    asyncio.run(scenario())


def test_a_remembered_token_expires_too(world):
    async def scenario():
        async with login(world) as (access, root):
            at = Micros(1_000_000_000_000_000)
            token = sign(
                access.ring,
                root,
                instance=world.shared.id,
                access=[Access("registry", "catalog", ["*"])],
                lifetime=Lifetime(at, 60),
            )
            verify = access.verifier.verify
            assert verify(token, world.shared.id, at).may_list
            assert verify(token, world.shared.id, Micros(at + 59_999_999)).may_list
            for _ in range(2):
                with pytest.raises(Unauthenticated):
                    verify(token, world.shared.id, Micros(at + 60_000_000))

    asyncio.run(scenario())


# -- what it permits --------------------------------------------------------------------------------------------------


def test_a_token_permits_what_its_scopes_say_and_no_more(world):
    async def scenario():
        async with login(world) as (access, root):
            caller = await bearer(access, world, root, "repository:team/app:pull,push")
            app, web = world.repository("team/app"), world.repository("team/web")
            before = world.db.statistics.counts()

            assert await access.permits(caller, P.PULL, app)
            assert await access.permits(caller, P.PUSH, app)
            assert not await access.permits(caller, P.DELETE, app)
            assert not await access.permits(caller, P.REPOSITORY_MANAGE, app)
            assert not await access.permits(caller, P.PULL, web)
            elsewhere_named = replace_fields(of_repository(app), instance=world.own.id)
            assert not await access.permits(caller, P.PULL, elsewhere_named)
            assert (world.db.statistics.counts() - before).statements == 0

    asyncio.run(scenario())


def test_inside_transactions_a_token_is_held_to_its_scopes_as_well(world):
    async def scenario():
        async with login(world) as (access, root):
            caller = await bearer(access, world, root, "repository:team/app:pull")
            app, web = world.repository("team/app"), world.repository("team/web")

            def decisions(conn):
                catalog = Resource(None, world.shared.id)
                return [
                    access.allowed(conn, caller, P.PULL, of_repository(app)),
                    access.allowed(conn, caller, P.PUSH, of_repository(app)),
                    access.allowed(conn, caller, P.PULL, of_repository(web)),
                    access.allowed(conn, caller, P.IDENTITY_MANAGE, Resource(root.tenant)),
                    access.allowed(conn, caller, P.CATALOG, catalog),
                    access.visible_repositories(
                        conn, caller, include_public=True
                    ).visibility.tenants,
                ]

            assert await world.db.read(decisions) == [True, False, False, False, False, frozenset()]
            lists = await bearer(access, world, root, "registry:catalog:*")
            assert await access.permits(lists, P.CATALOG, Resource(None, world.shared.id))
            assert not await access.permits(lists, P.CATALOG, Resource(None, world.own.id))
            with pytest.raises(Unauthenticated, match="scope"):
                await world.db.read(
                    lambda conn: access.require(conn, caller, P.PUSH, of_repository(app))
                )

    asyncio.run(scenario())


def test_a_name_deleted_and_made_again_shares_nothing_with_the_token(world):
    async def scenario():
        async with login(world) as (access, root):
            caller = await bearer(access, world, root, "repository:team/app:pull")
            delete_repository(world, "team/app")
            add_repository(world, "team/app")
            assert not await access.permits(caller, P.PULL, world.repository("team/app"))

    asyncio.run(scenario())


def test_a_push_may_go_on_in_the_repository_it_made_and_rights_are_asked_again(world):
    async def scenario():
        async with login(world, "alice") as (access, alice):
            world.grant("alice", "team", 3)
            caller = await bearer(access, world, alice, "repository:team/fresh:pull,push")
            fresh = of_namespace(world.namespace("team"), "fresh")
            assert await access.permits(caller, P.REPOSITORY_CREATE, fresh)
            add_repository(world, "team/fresh")
            assert await access.permits(caller, P.PUSH, world.repository("team/fresh"))

    asyncio.run(scenario())


def test_a_repository_born_private_is_not_pulled_by_a_token_from_before(world):
    async def scenario():
        async with started(world) as access:
            caller = await bearer(access, world, ANONYMOUS, "repository:open/born:pull")
            add_repository(world, "open/born", is_public=False)
            assert not await access.permits(caller, P.PULL, world.repository("open/born"))

    asyncio.run(scenario())


# -- revocation -------------------------------------------------------------------------------------------------------


def revoke_grants(conn):
    conn.execute(schema.grants.delete())


REVOCATIONS = {
    "grant": lambda world, conn: revoke_grants(conn),
    "disabled": lambda world, conn: conn.execute(
        schema.users.update().where(schema.users.c.name == "alice").values(enabled=False)
    ),
    "deleted": lambda world, conn: conn.execute(
        schema.users.update().where(schema.users.c.name == "alice").values(deleted_at=1)
    ),
    "password": lambda world, conn: conn.execute(
        schema.users.update().where(schema.users.c.name == "alice").values(credential_version=2)
    ),
}


@pytest.mark.parametrize("what", REVOCATIONS)
def test_revocation_ends_tokens_in_every_process_within_two_seconds(world, what):
    world.grant("alice", "team", 1)

    async def scenario():
        async with login(world, "alice") as (here, alice), elsewhere(world) as there:
            token = await token_for(here, world, alice, "repository:team/app:pull")
            app = world.repository("team/app")
            mine = await here.authenticate_bearer(token, world.shared.id)
            theirs = await there.authenticate_bearer(token, world.shared.id)
            assert await here.permits(mine, P.PULL, app)
            assert await there.permits(theirs, P.PULL, app)

            def revoke(conn):
                REVOCATIONS[what](world, conn)
                here.raise_epoch(conn, epochs.of_tenant(world.tenants["root"]))

            await here.change(revoke)
            revoked_at = time.monotonic()

            assert not await here.permits(mine, P.PULL, app)
            while await there.permits(theirs, P.PULL, app):
                assert time.monotonic() - revoked_at < 2
                await asyncio.sleep(0.02)

    asyncio.run(scenario())


def test_an_unrelated_change_does_not_cut_a_push(world):
    world.grant("alice", "team", 3)

    async def scenario():
        async with login(world, "alice") as (access, alice):
            caller = await bearer(access, world, alice, "repository:team/app:pull,push")
            scope = epochs.of_tenant(world.tenants["root"])
            await access.change(lambda conn: access.raise_epoch(conn, scope))

            assert (
                access.at_once(caller, P.PUSH, of_repository(world.repository("team/app"))) is None
            )
            assert await access.permits(caller, P.PUSH, world.repository("team/app"))
            assert not await access.permits(caller, P.PUSH, world.repository("team/web"))

    asyncio.run(scenario())


def test_the_namespaces_tenant_revokes_too(world):
    world.grant("alice", "theirs", 1)

    async def scenario():
        async with login(world, "alice") as (access, alice):
            caller = await bearer(access, world, alice, "repository:theirs/app:pull")

            def revoke(conn):
                revoke_grants(conn)
                access.raise_epoch(conn, epochs.of_tenant(world.tenants["acme"]))

            await access.change(revoke)
            assert not await access.permits(caller, P.PULL, world.repository("theirs/app"))

    asyncio.run(scenario())


def test_a_token_made_after_the_change_is_quick_again(world):
    async def scenario():
        async with login(world) as (access, root):
            scope = epochs.of_tenant(world.tenants["root"])
            await access.change(lambda conn: access.raise_epoch(conn, scope))
            caller = await bearer(access, world, root, "repository:team/app:pull")
            assert (
                access.at_once(caller, P.PULL, of_repository(world.repository("team/app"))) is True
            )

    asyncio.run(scenario())


def test_a_process_that_cannot_read_epochs_lets_no_token_in(world):
    async def scenario():
        async with login(world) as (access, root):
            caller = await bearer(access, world, root, "repository:team/app:pull")
            access._task.cancel()
            access.epochs._read_at -= 6
            with pytest.raises(RightsStale):
                await access.permits(caller, P.PULL, world.repository("team/app"))
            access._task = None

    asyncio.run(scenario())


def test_a_denial_written_later_ends_the_token(world):
    async def scenario():
        async with login(world) as (access, root):
            caller = await bearer(access, world, root, "repository:team/app:pull")
            world.policy("root", allow("repository:pull", "team/*", "deny"))
            scope = epochs.of_tenant(world.tenants["root"])
            await access.change(lambda conn: access.raise_epoch(conn, scope))
            assert not await access.permits(caller, P.PULL, world.repository("team/app"))

    asyncio.run(scenario())


# -- refresh ----------------------------------------------------------------------------------------------------------


def test_a_refresh_token_gives_tokens_until_the_password_changes(world):
    async def scenario():
        async with login(world) as (access, root):
            issued = await issue_token(access, world.shared, root, asked(refresh=True))
            refresh = issued.refresh_token
            caller = await authenticate_refresh(access, world.shared, refresh, source="s")
            token = await token_for(access, world, caller, "repository:team/app:pull")
            assert claims_of(token)["access"][0]["name"] == "team/app"

            for wrong in (refresh[:-4], "x" + refresh, issued.token, "", refresh[5:], "ert1.é"):
                with pytest.raises(Unauthenticated):
                    await authenticate_refresh(access, world.shared, wrong, source="s")
            with pytest.raises(Unauthenticated):
                await authenticate_refresh(access, world.own, refresh, source="s")

            world.set(schema.users, world.users["root"], credential_version=2)
            caller = await authenticate_refresh(access, world.shared, refresh, source="s")
            with pytest.raises(Unauthenticated):
                await token_for(access, world, caller, "repository:team/app:pull")

    asyncio.run(scenario())


# -- keys -------------------------------------------------------------------------------------------------------------


def test_the_signing_key_is_made_once_and_shared(world):
    async def scenario():
        async with started(world) as here, elsewhere(world) as there:
            assert here.ring.signing.id == there.ring.signing.id
        rows = world.select(schema.signing_keys)
        assert len(rows) == 1
        async with started(world) as again:
            assert again.ring.signing.id == rows[0].public_id
            assert again.ring.signing.private.private_bytes_raw() not in rows[0].private_sealed

    asyncio.run(scenario())


def test_after_a_rotation_old_tokens_live_and_new_ones_are_known_elsewhere_at_once(world):
    async def scenario():
        async with login(world) as (here, root), elsewhere(world) as there:
            old = await token_for(here, world, root, "repository:team/app:pull")
            await here.change(lambda conn: rotate(conn, here.sealer, keep_seconds=600))
            new = await token_for(here, world, root, "repository:team/app:pull")

            there._reloaded_at = 0.0
            assert await there.authenticate_bearer(new, world.shared.id)
            assert await there.authenticate_bearer(old, world.shared.id)
            assert await here.authenticate_bearer(old, world.shared.id)
            kids = [jwt.get_unverified_header(token)["kid"] for token in (old, new)]
            assert kids[0] != kids[1] == here.ring.signing.id

    asyncio.run(scenario())


def test_a_rotation_without_grace_ends_all_tokens_everywhere(world):
    async def scenario():
        async with login(world) as (here, root), elsewhere(world) as there:
            old = await token_for(here, world, root, "repository:team/app:pull")
            await there.authenticate_bearer(old, world.shared.id)
            await here.change(lambda conn: rotate(conn, here.sealer, keep_seconds=0))

            with pytest.raises(Unauthenticated):
                await here.authenticate_bearer(old, world.shared.id)
            rotated_at = time.monotonic()
            while True:
                try:
                    await there.authenticate_bearer(old, world.shared.id)
                except Unauthenticated:
                    break
                assert time.monotonic() - rotated_at < 2
                await asyncio.sleep(0.02)

    asyncio.run(scenario())


def test_unknown_key_ids_do_not_make_us_read_the_database_again_and_again(world):
    async def scenario():
        async with login(world) as (access, _):
            stranger = jwt.encode(
                {"x": 1}, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": "x"}
            )
            before = world.db.statistics.counts()
            access._task.cancel()
            for _ in range(50):
                with pytest.raises(Unauthenticated):
                    await access.authenticate_bearer(stranger, InstanceId(1))
            assert (world.db.statistics.counts() - before).reads <= 3
            access._task = None

    asyncio.run(scenario())


def test_signing_keys_are_sealed_anew_after_the_master_key_was_rotated(world):
    newer = Sealer.of(MasterKeys((b"n" * 32, b"k" * 32)))
    only = Sealer.of(MasterKeys((b"n" * 32,)))

    async def scenario():
        async with started(world) as access:
            key = access.ring.signing.id
        assert await world.db.write(lambda conn: reseal_keys(conn, newer)) == 1
        assert await world.db.write(lambda conn: reseal_keys(conn, newer)) == 0
        access = AccessState(Settings(), world.db, only)
        await access.start()
        assert access.ring.signing.id == key
        await access.stop()

    asyncio.run(scenario())


def test_with_a_lost_master_key_a_new_signing_key_is_made(world):
    async def scenario():
        async with started(world) as access:
            lost = access.ring.signing.id
        access = AccessState(Settings(), world.db, Sealer.of(MasterKeys((b"z" * 32,))))
        await access.start()
        assert access.ring.signing.id != lost
        await access.stop()
        assert len(world.db.read_sync(signing_keys.list_verifying)) == 2

    asyncio.run(scenario())


def test_the_lifetime_is_a_setting(world):
    async def scenario():
        settings = Settings(auth=Auth(token_lifetime=Duration(90_000_000)))
        async with started(world, settings) as access:
            issued = await issue_token(access, world.shared, ANONYMOUS, Asked())
            claims = claims_of(issued.token)
            assert issued.expires_in == claims["exp"] - claims["iat"] == 90

    asyncio.run(scenario())
