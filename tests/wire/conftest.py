"""The started registry of the wire tests: one for each xdist worker, shared by its tests, which work in repositories of their own."""

from collections.abc import Iterator

import pytest
from started import Operator, Started, operating, started


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with started(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def operator(registry: Started) -> Iterator[Operator]:
    with operating(registry.environment) as found:
        yield found
