"""Epochs: revocation is known to every process within a second or two, and staleness lets nobody in."""

import asyncio
import threading
import time

import pytest
from access_world import elsewhere, started

from entrepot.capabilities.access.epochs import Epochs
from entrepot.metadata import epochs
from entrepot.metadata.database import Database
from entrepot.model.errors import RightsStale


def test_values_grow_over_all_scopes(world):
    values = [
        world.db.write_sync(lambda conn, s=scope: epochs.raise_epoch(conn, s))
        for scope in ("tenant:1", "routing", "tenant:1", "keys")
    ]

    assert values == [1, 2, 3, 4]
    assert world.db.read_sync(lambda conn: epochs.read_since(conn, 1)) == [
        ("routing", 2),
        ("tenant:1", 3),
        ("keys", 4),
    ]
    assert world.db.read_sync(epochs.current) == 4


def test_racing_writers_never_get_the_same_value(world):
    others = [Database.open(world.url) for _ in range(4)]
    values: list[int] = []

    def work(db, number):
        for _ in range(10):
            values.append(db.write_sync(lambda conn: epochs.raise_epoch(conn, f"tenant:{number}")))

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(others, range(4), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for db in others:
        db.close_sync()

    assert sorted(values) == list(range(1, 41))


def test_a_change_counts_here_at_once_and_elsewhere_within_two_seconds(world):
    async def scenario():
        async with started(world) as here, elsewhere(world) as there:
            for _ in range(3):
                await here.change(lambda conn: here.raise_epoch(conn, "tenant:1"))
                value = here.epochs.of_tenant(1)
                changed_at = time.monotonic()
                while there.epochs.of_tenant(1) != value:
                    assert time.monotonic() - changed_at < 2
                    await asyncio.sleep(0.01)

            assert here.epochs.of_tenant(1) == value > 0
            assert here.epochs.of_tenant(2) == here.epochs.of_tenant(None) == 0

    asyncio.run(scenario())


def test_without_hints_the_poll_finds_it(world):
    async def scenario():
        async with elsewhere(world) as there:
            await world.db.write(lambda conn: epochs.raise_epoch(conn, "tenant:7"))  # no hint sent
            changed_at = time.monotonic()
            while there.epochs.of_tenant(7) == 0:
                assert time.monotonic() - changed_at < 2
                await asyncio.sleep(0.02)

    asyncio.run(scenario())


def test_what_was_not_read_for_five_seconds_is_not_trusted(world):
    now = 100.0

    async def scenario():
        nonlocal now
        known = Epochs(world.db, clock=lambda: now)
        with pytest.raises(RightsStale):
            known.fresh()
        await known.refresh()
        now += 5.0
        known.fresh()
        now += 0.1
        with pytest.raises(RightsStale) as error:
            known.fresh()
        assert error.value.age_seconds == 5.1
        await known.refresh()
        known.fresh()

    asyncio.run(scenario())


def test_a_database_that_is_gone_makes_them_stale_and_not_a_crash(world):
    async def scenario():
        async with elsewhere(world) as there:
            await there.db.close()
            await asyncio.sleep(0.05)
            there.epochs._read_at -= 6
            there.epochs._wake.set()
            await asyncio.sleep(0.1)
            with pytest.raises(RightsStale):
                there.epochs.fresh()
            assert not there._task.done()

    asyncio.run(scenario())
