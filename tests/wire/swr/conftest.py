"""The SWR API as its users reach it: the vendor's SDK and requests signed by its code, against a started registry."""

from collections.abc import Callable

import pytest
from office import Office, opened
from started import Operator, Started


@pytest.fixture(scope="session")
def new_office(registry: Started, operator: Operator) -> Callable[[], Office]:
    """Opens another tenant."""
    return lambda: opened(registry, operator)


@pytest.fixture(scope="session")
def office(new_office: Callable[[], Office]) -> Office:
    """A tenant that tests share: each makes names of its own."""
    return new_office()
