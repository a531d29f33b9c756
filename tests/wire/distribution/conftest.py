"""Fixtures of the wire tests of /v2/."""

from collections.abc import Iterator

import pytest
from registry_client import Client
from started import Operator, Started
from world import World, make_world


@pytest.fixture(scope="session")
def world(registry: Started, operator: Operator) -> Iterator[World]:
    yield from make_world(registry, operator)


@pytest.fixture
def repository(world: World) -> str:
    """A repository name of this test's own, in acme's namespace."""
    return world.repository()


@pytest.fixture
def owner(world: World) -> Client:
    return world.owner
