"""Shapes that many operations share: what is asked, pages, moments, and an answer that says nothing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, Protocol, TypeAlias, TypeVar

from msgspec import Meta, Struct

from entrepot.capabilities.context import Context
from entrepot.dialects.operation import Asked, UseCase
from entrepot.model.access import Caller, Permission
from entrepot.model.errors import Forbidden
from entrepot.model.ids import Micros, TenantId

OWN: Final = "-"
"""In a path: the caller's own tenant, the default instance."""
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]


class Asks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends: the path's names, and the query's (GET, DELETE) or the body's. A field without default is required."""

    def __repr__(self) -> str:
        """Nothing of what is in it: some have passwords."""
        return type(self).__name__


class OfTenant(Asks, frozen=True, kw_only=True):
    """A request about a tenant: the wire finds it."""

    tenant: str


class OfInstance(OfTenant, frozen=True, kw_only=True):
    """A request about an instance, by name or id: the wire finds it, as far as the tenant sees it."""

    instance: str


class Answers(Struct, frozen=True, kw_only=True):
    """What a client gets."""

    def __repr__(self) -> str:
        """Nothing of what is in it: some tell secrets."""
        return type(self).__name__


class Nothing(Answers, frozen=True, kw_only=True):
    """Done, and nothing to say."""

    @classmethod
    def of(cls, _result: Any, _asked: Asked) -> "Nothing":
        """Whatever the use case gave."""
        return cls()


# -- moments ----------------------------------------------------------------------------------------------------------


def shown(at: Micros) -> datetime:
    """A moment in UTC, to the second."""
    return datetime.fromtimestamp(at // 1_000_000, UTC)


def shown_end(at: Micros | None) -> datetime | None:
    """Likewise, of what may have no end."""
    return None if at is None else shown(at)


def micros(at: datetime) -> Micros:
    """A moment that a client named."""
    return Micros(int(at.timestamp()) * 1_000_000 + at.microsecond)


# -- pages ------------------------------------------------------------------------------------------------------------

T = TypeVar("T")
C = TypeVar("C")


class Limited(Protocol):
    """A command that takes at most so many rows."""

    @property
    def limit(self) -> int: ...


L = TypeVar("L", bound=Limited)


@dataclass(frozen=True, slots=True)
class Paged(Generic[T]):
    """A page. `next`: what to give as `after` for the following one; None behind the last."""

    rows: Sequence[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Windowed(Generic[C]):
    """A use case's command, and which part of all it finds is wanted."""

    command: C
    after: str
    limit: int


class Window(Protocol):
    """A request for a page of a list: rows behind `after`, at most `limit`."""

    @property
    def after(self) -> str: ...
    @property
    def limit(self) -> int: ...


def on(window: Window, command: C) -> Windowed[C]:
    """The window on what the command finds."""
    return Windowed(command, window.after, window.limit)


def ahead(
    use_case: Callable[[Context, Caller, L], Awaitable[Sequence[T]]], key: Callable[[T], str]
) -> UseCase[L, Paged[T]]:
    """A use case in pages of its own, asked for one row more than is shown: so it is known whether there are more."""

    async def page(ctx: Context, caller: Caller, command: L) -> Paged[T]:
        return cut(await use_case(ctx, caller, command), command.limit - 1, key)

    return page


def windowed(
    use_case: Callable[[Context, Caller, C], Awaitable[Sequence[T]]], key: Callable[[T], str]
) -> UseCase[Windowed[C], Paged[T]]:
    """A use case that gives all it finds, in pages by the key's order."""

    async def page(ctx: Context, caller: Caller, command: Windowed[C]) -> Paged[T]:
        found = await use_case(ctx, caller, command.command)
        behind = [row for row in sorted(found, key=key) if key(row) > command.after]
        return cut(behind, command.limit, key)

    return page


def cut(rows: Sequence[T], limit: int, key: Callable[[T], str]) -> Paged[T]:
    """The page of so many rows, of which there may be more."""
    page = rows[:limit]
    return Paged(page, key(page[-1]) if len(rows) > limit else None)


# -- whose ------------------------------------------------------------------------------------------------------------


def own_tenant(asked: Asked) -> TenantId:
    """The tenant, which must be the caller's: accounts are made and ended by their own people. Raises Forbidden."""
    if asked.tenant != asked.caller.tenant:
        raise Forbidden(Permission.ACCOUNT_MANAGE, f"tenant {asked.tenant_name}")
    return asked.tenant
