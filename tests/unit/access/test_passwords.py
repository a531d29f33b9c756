"""Passwords: how they are kept, and how many are checked at once."""

import asyncio
import threading

import pytest

from entrepot.capabilities.access.passwords import Passwords
from entrepot.capabilities.access.secrets import (
    derived_password,
    fingerprint,
    new_access_key,
    new_secret,
    same,
)
from entrepot.model.errors import RateLimited, ValueInvalid


@pytest.fixture
def passwords():
    passwords = Passwords(2)
    yield passwords
    passwords.close()


def test_a_password_is_verified_by_what_was_stored(passwords: Passwords):
    async def scenario():
        stored = await passwords.hash("pässword")

        assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert await passwords.verify(stored, "pässword")
        assert not await passwords.verify(stored, "password")
        assert not await passwords.verify(stored, "")
        assert not await passwords.verify(stored, "x" * 5000)
        assert not await passwords.verify("no hash", "password")

    asyncio.run(scenario())


def test_nobodys_password_is_hashed_too_and_never_right(passwords: Passwords):
    seen = []
    real = passwords._hasher.verify

    class Watching:
        def verify(self, stored, password):
            seen.append(stored)
            return real(stored, password)

    passwords._hasher = Watching()

    assert not asyncio.run(passwords.verify(None, "password"))
    assert len(seen) == 1
    assert seen[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("password", ["", "x" * 1025])
def test_a_password_of_no_or_too_great_length_is_not_taken(passwords: Passwords, password: str):
    with pytest.raises(ValueInvalid):
        asyncio.run(passwords.hash(password))


def test_two_run_at_once_a_few_wait_and_the_rest_are_told_to_come_back(passwords: Passwords):
    gate, lock = threading.Event(), threading.Lock()
    running = most = 0

    class Slow:
        def verify(self, stored, password):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            gate.wait(20)
            with lock:
                running -= 1
            return True

    passwords._hasher = Slow()

    async def scenario():
        attempts = [asyncio.create_task(passwords.verify("x", "y")) for _ in range(40)]
        await asyncio.sleep(0.05)
        refused = [a for a in attempts if a.done() and isinstance(a.exception(), RateLimited)]
        assert len(refused) == 40 - 34
        gate.set()
        good = [a for a in attempts if a not in refused]
        assert all(await asyncio.gather(*good))
        assert await passwords.verify("x", "y")

    asyncio.run(scenario())
    assert most == 2


def test_a_client_that_gave_up_keeps_its_place_until_its_hash_is_done(passwords: Passwords):
    gate = threading.Event()

    class Slow:
        def verify(self, stored, password):
            return gate.wait(20)

    passwords._hasher = Slow()

    async def scenario():
        attempts = [asyncio.create_task(passwords.verify("x", "y")) for _ in range(2)]
        await asyncio.sleep(0.05)
        room = passwords._room
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
        assert passwords._room == room
        gate.set()
        await passwords.verify("x", "y")
        async with asyncio.timeout(10):
            while passwords._room != 34:
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_generated_secrets_are_long_and_never_the_same():
    secrets = {new_secret() for _ in range(100)}
    keys = [new_access_key() for _ in range(100)]

    assert len(secrets) == 100
    assert all(len(secret) == 32 for secret in secrets)
    assert len({key.secret for key in keys}) == len({key.id for key in keys}) == 100
    assert all(key.id.startswith("AKID") and len(key.secret) == 40 for key in keys)
    assert keys[0].secret not in repr(keys[0])


def test_secrets_are_compared_whole():
    assert same("abc", b"abc")
    assert not same("abc", "abd")
    assert fingerprint("abc").hex().startswith("ba7816bf")


def test_the_derived_password_is_the_mac_of_the_key_id_under_the_secret():
    # RFC 4231's second case, which has both as text
    mac = derived_password("what do ya want for nothing?", "Jefe")

    assert mac == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
