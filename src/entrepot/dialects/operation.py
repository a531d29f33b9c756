"""An operation of a vendor's API as a row: what is asked, the use case that does it, what is answered.

`Operation[C, R]` is checked by mypy: the request's `to_command` gives what the use case takes, the response's `of` takes what it gives.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from entrepot.capabilities.access.callers import LoggedIn
from entrepot.capabilities.context import Context
from entrepot.model.errors import RegistryError
from entrepot.model.identities import Project, Region
from entrepot.model.ids import TenantId
from entrepot.model.tenancy import Instance

C = TypeVar("C")
R = TypeVar("R")
C_co = TypeVar("C_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Addresses:
    """How the names of instances are told to clients. `port`: what follows them, such as `:5000`; empty for the scheme's own."""

    suffix: str
    port: str

    def of(self, name: str, region: str, *, is_shared: bool) -> str:
        """Where docker reaches the instance of that name."""
        host = f"swr.{region}.{self.suffix}" if is_shared else f"{name}.{self.suffix}"
        return host + self.port


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and where. `tenant`: whose things it is about; `place`: the instance the request names, as far as this tenant sees it.

    `registry`: host (and port) at which docker reaches that instance, as this client knows it; `project`: the one it asks in, if it says.
    """

    caller: LoggedIn
    tenant: TenantId
    uin: str
    region: Region
    addresses: Addresses
    place: Instance | None = None
    tenant_name: str = ""
    tenant_public_id: str = ""
    registry: str = ""
    project: Project | None = None

    @property
    def instance(self) -> Instance:
        """The instance the request names. Only of operations that name one."""
        if self.place is None:
            raise LookupError("this operation names no instance")
        return self.place


class Request(Protocol[C_co]):
    """What a client sends: a msgspec struct."""

    def to_command(self, asked: Asked, /) -> C_co:
        """The use case's command. Raises RegistryError for what no command can say."""


class Response(Protocol[R_contra]):
    """What a client gets: a msgspec struct."""

    @classmethod
    def of(cls, result: R_contra, asked: Asked, /) -> "Response[R_contra]":
        """The answer that says it."""


UseCase: TypeAlias = Callable[[Context, LoggedIn, C], Awaitable[R]]


@dataclass(frozen=True, slots=True)
class Operation(Generic[C, R]):
    """One row.

    `changes`: whether it may change anything. `needs_running`: whether the instance it names must be running.
    `ignores`: parameters that clients send and nothing here depends on, by name. `codes`: where an error means something else here than
    everywhere.
    """

    name: str
    request: type[Request[C]]
    use_case: UseCase[C, R]
    response: type[Response[R]]
    changes: bool = False
    needs_running: bool = True
    is_documented: bool = True
    ignores: frozenset[str] = frozenset()
    codes: Mapping[type[RegistryError], str] = field(default_factory=dict)
