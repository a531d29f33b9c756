"""The identity service as its users reach it: a started registry, and a tenant that tests share."""

from collections.abc import Callable

import pytest
from identity_client import Firm, found_firm
from started import Operator, Started


@pytest.fixture(scope="session")
def new_firm(registry: Started, operator: Operator) -> Callable[[], Firm]:
    return lambda: found_firm(registry, operator)


@pytest.fixture(scope="session")
def firm(new_firm: Callable[[], Firm]) -> Firm:
    return new_firm()
