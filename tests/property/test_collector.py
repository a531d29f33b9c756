"""Thousands of random steps with the collector in between: what is reachable is pullable, what is not is gone after its delay."""

import asyncio
import time

import pytest
from collector_model import DELAY, HOUR, KEEP, UNTAGGED, World

from entrepot.capabilities.operations.collector import collect
from entrepot.metadata.database import Database
from entrepot.metadata.schema import SCHEMA
from registry_in_memory import open_registry


async def play(world: World, steps: int) -> None:
    """Work, waiting and collecting in random order, each beside the others at times."""
    chance = world.random
    for step in range(1, steps + 1):
        if chance.random() < 0.25:
            beside = asyncio.ensure_future(collect(world.registry.ctx))
            await world.act()
            await beside
        else:
            await world.act()
        if chance.random() < 0.2:
            await world.wait(chance.choice([HOUR, DELAY / 3, DELAY, KEEP, UNTAGGED]))
            await world.collect()
        if step % 10 == 0:
            await world.check()
    await world.check()
    await world.drain()


def run(database: Database, folder, *, seed: int, steps: int, untagged: bool) -> dict[str, int]:
    settings = {"gc__delay": f"{DELAY:.0f}s", "history__keep": f"{KEEP:.0f}s", "gc__batch": "7"}
    if untagged:
        settings["gc__untagged_after"] = f"{UNTAGGED:.0f}s"

    async def body() -> dict[str, int]:
        async with open_registry(database, folder, **settings) as registry:
            world = World(registry, seed)
            await play(world, steps)
            return world.done

    print(f"seed {seed}, untagged manifests {'go' if untagged else 'stay'}")
    return asyncio.run(body())


@pytest.mark.parametrize("untagged", [False, True], ids=["untagged stay", "untagged go"])
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.broad)])
def test_reachable_is_pullable_and_unreachable_is_gone(migrated_database, tmp_path, seed, untagged):
    steps = 150 if migrated_database.dialect == "sqlite" else 60
    done = run(migrated_database, tmp_path, seed=seed, steps=steps, untagged=untagged)
    assert len(done) >= 12


@pytest.mark.soak
def test_an_hour_of_random_work(tmp_path):
    """Fresh seeds until the time is up; the seed is printed."""
    until = time.monotonic() + 3600
    seed = time.time_ns()
    while time.monotonic() < until:
        seed += 1
        database = Database.open(f"sqlite:///{tmp_path / f'{seed}.db'}")
        database.change_schema(SCHEMA.create_all)
        try:
            run(database, tmp_path / str(seed), seed=seed, steps=400, untagged=bool(seed % 2))
        finally:
            database.close_sync()
