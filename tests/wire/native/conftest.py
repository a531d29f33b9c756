"""The native API as its users reach it: a started registry, a tenant with people of every standing."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from api_client import PASSWORD, Api, Firm
from started import ROOT_PASSWORD, Operator, Started

from entrepot.capabilities.access.identities.tenants import CreateTenant, create_tenant

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def login(registry: Started) -> Iterator[Callable[..., Api]]:
    """Makes clients; their connections are closed in the end."""
    made: list[Api] = []

    def connect(name: str | None = None, password: str = PASSWORD) -> Api:
        made.append(Api(registry.port, name, password))
        return made[-1]

    yield connect
    for api in made:
        with suppress(OSError):
            api._connection.close()


@pytest.fixture(scope="session")
def root(login: Callable[..., Api]) -> Api:
    """The owner of the root tenant."""
    return login("root", ROOT_PASSWORD)


@pytest.fixture(scope="session")
def found_firm(operator: Operator, login: Callable[..., Api]) -> Callable[[], Firm]:
    def found() -> Firm:
        name = f"native{next(_numbers)}"
        operator.run(create_tenant, CreateTenant(name, "owner", PASSWORD))
        owner = login(f"{name}/owner")
        people = {"admin": "administrator", "member": "member"}
        for user, role in people.items():
            said = {"name": user, "role": role, "password": PASSWORD}
            owner.ok("POST", "/tenants/-/users", said)
        return Firm(name, owner, login(f"{name}/admin"), login(f"{name}/member"))

    return found


@pytest.fixture(scope="session")
def firm(found_firm: Callable[[], Firm]) -> Firm:
    return found_firm()
