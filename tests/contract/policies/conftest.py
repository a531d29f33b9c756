"""A registry without wires, on both engines, and its policies."""

import asyncio

import pytest
from retention_runs_harness import Retention

from registry_in_memory import open_registry


@pytest.fixture
def retaining(migrated_database, tmp_path):
    """Runs a scenario, a coroutine that is given a registry's policies."""

    def run(scenario, **settings):
        async def body():
            async with open_registry(migrated_database, tmp_path, **settings) as found:
                return await scenario(Retention(found))

        return asyncio.run(body())

    return run
