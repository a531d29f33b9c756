"""Rotation of signing keys and master keys by the operator."""

import asyncio

import pytest
from access_world import SEALER, SECRET_KEY, context, started

from entrepot.capabilities.access.issuing import Asked, issue_token
from entrepot.capabilities.access.keys import RotateSigningKey, reseal_secrets, rotate_signing_key
from entrepot.capabilities.access.sealing import MasterKeys, Sealer
from entrepot.capabilities.access.secrets import key_context
from entrepot.metadata import schema
from entrepot.model.access import ANONYMOUS, SYSTEM
from entrepot.model.errors import Forbidden, Unauthenticated

NEWER = Sealer.of(MasterKeys((b"n" * 32, b"k" * 32)))
ONLY = Sealer.of(MasterKeys((b"n" * 32,)))


@pytest.mark.parametrize("at_once", [False, True])
def test_the_operator_rotates_the_signing_key(world, at_once):
    async def scenario():
        async with started(world) as access:
            issued = await issue_token(access, world.shared, ANONYMOUS, Asked())
            command = RotateSigningKey(at_once=at_once)
            key = await rotate_signing_key(context(access), world.caller("root"), command)
            assert access.ring.signing.id == key
            if not at_once:
                assert await access.authenticate_bearer(issued.token, world.shared.id)
                return
            with pytest.raises(Unauthenticated):
                await access.authenticate_bearer(issued.token, world.shared.id)

    asyncio.run(scenario())
    (row,) = world.select(schema.audit.c.actor, schema.audit.c.action)
    assert row == ("root", "signing-key.rotate")


def test_nobody_else_rotates_anything(world):
    async def scenario():
        async with started(world) as access:
            for name in ("alice", "carl"):
                with pytest.raises(Forbidden):
                    await rotate_signing_key(
                        context(access), world.caller(name), RotateSigningKey()
                    )
                with pytest.raises(Forbidden):
                    await reseal_secrets(context(access), world.caller(name))

    asyncio.run(scenario())


def test_after_resealing_the_old_master_key_is_needed_no_more(world):
    world.insert(
        schema.access_keys,
        user_id=world.users["bob"],
        access_key_id="AKIDBROKEN",
        secret_sealed=SEALER.seal(b"x", "something else"),
        enabled=True,
        created_at=1,
    )

    async def scenario():
        async with started(world) as access:
            access.sealer = NEWER
            first = await reseal_secrets(context(access), SYSTEM)
            second = await reseal_secrets(context(access), SYSTEM)
            assert (first.count, first.lost) == (2, ("AKIDBROKEN",))
            assert second.count == 0

    asyncio.run(scenario())
    keys = schema.access_keys.c
    ((sealed,),) = world.select(keys.secret_sealed, where=keys.access_key_id == "AKIDALICE")
    assert ONLY.open(bytes(sealed), key_context("AKIDALICE")) == SECRET_KEY.encode()
