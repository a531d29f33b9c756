"""The architecture tests run documented clients with what the blackbox tests have for it."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "blackbox"))

from documented_clients import Clients
from engines import containerd, dockerd
from private_authority import create_certificates


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    with ExitStack() as stack:
        addresses: list[str] = []

        def engine() -> str:
            if not addresses:
                backend = stack.enter_context(containerd(tmp_path_factory.mktemp("ctrd")))
                trust = create_certificates(tmp_path_factory.mktemp("trust"), "localhost")
                folder = tmp_path_factory.mktemp("dkr")
                addresses.append(stack.enter_context(dockerd(folder, backend, trust.authority)))
            return addresses[0]

        yield Clients(engine)
