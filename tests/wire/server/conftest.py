"""Fixtures of the server's wire tests; the machinery is in server_harness.py."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from server_harness import Pair, Running, Serve, make_pair, running
from server_reading import OneLoop, one_loop

from entrepot.http.bodies import ASGIApp
from entrepot.http.server import Limits, tls_context


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "first")


@pytest.fixture
def serve(pair: Pair) -> Iterator[Serve]:
    """Starts servers: `serve(app, limits=…, tls=True, loop_name=…)`; they stop with the test."""
    with ExitStack() as stack:

        def start(
            app: ASGIApp,
            *,
            limits: Limits | None = None,
            tls: bool = False,
            loop_name: str = "uvloop",
            pool_size: int = 4,
        ) -> Running:
            context, client = None, None
            if tls:
                context = tls_context(pair.certificate, pair.key)
                client = ssl.create_default_context(cafile=str(pair.certificate))
            return stack.enter_context(
                running(
                    app,
                    limits=limits or Limits(),
                    tls=context,
                    client_tls=client,
                    loop_name=loop_name,
                    pool_size=pool_size,
                )
            )

        yield start


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def one(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OneLoop]:
    """An echoing server and its client on one loop, on each of the two kinds of loop."""
    with one_loop(tmp_path_factory.mktemp("one"), request.param) as one:
        yield one


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneLoop]:
    """The same on uvloop alone, where the loop makes no difference."""
    with one_loop(tmp_path_factory.mktemp("quick"), "uvloop") as one:
        yield one
