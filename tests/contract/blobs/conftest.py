"""One fixture for all stores, with a check that nothing stays behind that its listings do not explain."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from blob_places import KINDS, Place, make_place

from entrepot.ports.blobs import BlobStore


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = make_place(request.param, tmp_path)
    yield made
    made.sweep()
    assert made.leftovers() == []


@pytest.fixture
def store(place: Place) -> BlobStore:
    return place.store
