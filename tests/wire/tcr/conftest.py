"""The TCR API as its users reach it: the vendor's SDK and requests signed by hand, against a started registry without rate limits."""

from collections.abc import Iterator

import pytest
from account import Account, open_account
from firm import Firm
from started import Operator, Started, operating, started


@pytest.fixture(scope="session")
def tcr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    settings = {"ENTREPOT_API_RATE_PERCENT": "0", "ENTREPOT_INSTANCES_STEP_TIME": "50ms"}
    with started(tmp_path_factory.mktemp("tcr"), **settings) as running:
        yield running


@pytest.fixture(scope="session")
def tcr_operator(tcr: Started) -> Iterator[Operator]:
    with operating(tcr.environment) as found:
        yield found


@pytest.fixture
def account(tcr: Started, tcr_operator: Operator) -> Account:
    """A new tenant's owner with a key."""
    return open_account(tcr, tcr_operator)


@pytest.fixture(scope="session")
def firm(tcr: Started, tcr_operator: Operator) -> Iterator[Firm]:
    """A tenant whose instance runs and is open; tests share it and make names of their own."""
    made = Firm(open_account(tcr, tcr_operator))
    yield made
    made.wire.close()
