"""A started server for the soak tests: Entrepot, or the product that ENTREPOT_SOAK_PRODUCT names (to try the tests themselves)."""

import os
from pathlib import Path

import pytest
from bench.products import BINARIES, PEERS, Entrepot, Unavailable
from bench.run import CORES
from bench.servers import Server

NAMESPACE = "soak"


@pytest.fixture
def server(tmp_path: Path):
    """Started, empty, with the namespace `soak`; one process a core; stopped and wiped afterwards."""
    name = os.environ.get("ENTREPOT_SOAK_PRODUCT", "entrepot")
    product = PEERS[name]() if name in PEERS else Entrepot()
    BINARIES.mkdir(parents=True, exist_ok=True)
    try:
        product.install()
    except Unavailable as reason:
        pytest.skip(str(reason))
    started = Server(product, tmp_path / "server", processes=CORES, tls=None)
    try:
        started.start()
        started.make_namespace(NAMESPACE)
        yield started
    finally:
        started.stop()
        started.wipe()
