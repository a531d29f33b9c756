"""The audit trail: who did what, who was refused what, and who logged in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta

from entrepot.capabilities.access.identities.tenants import get_tenant, names_of_tenants
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.auditing import list_entries
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import Answers, Asks, Limit, Moment, Paged, cut, micros
from entrepot.dialects.operation import Asked, Operation
from entrepot.metadata.audit import Outcome, Recorded, Search
from entrepot.model.access import Caller
from entrepot.model.ids import Micros, TenantId


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for. `about`: a tenant's name."""

    search: Search
    about: str | None


@dataclass(frozen=True, slots=True)
class Entries:
    """A page of entries, and what the tenants in it are called."""

    page: Paged[Recorded]
    names: Mapping[TenantId, str]


class ListAudit(Asks, frozen=True, kw_only=True):
    """List entries, newest first. `about`: a tenant's name; `action`: one, or `namespace.*` for all of a kind."""

    about: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    action: str = ""
    outcome: Outcome | None = None
    after: Annotated[str, Meta(pattern=r"^([0-9]{1,18}-[0-9]{1,18})?$")] = ""
    limit: Limit = 100

    def to_command(self, _asked: Asked) -> Wanted:
        """One more than is shown."""
        at, _, number = self.after.partition("-")
        search = Search(
            since=None if self.since is None else micros(self.since),
            until=None if self.until is None else micros(self.until),
            action=self.action,
            outcome=self.outcome,
            before=(Micros(int(at)), int(number)) if self.after else None,
            limit=self.limit + 1,
        )
        return Wanted(search, self.about)


class EntryShown(Answers, frozen=True, kw_only=True):
    """An entry. `details`: what else it says, by the action."""

    id: int
    at: Moment
    actor: str
    tenant: str | None
    action: str
    resource: str
    outcome: Outcome
    source: str
    request_id: str
    details: dict[str, str]


class EntryList(Answers, frozen=True, kw_only=True):
    """A page of the audit trail."""

    items: list[EntryShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Entries, _asked: Asked) -> "EntryList":
        """Newest first."""
        rows = [_shown(one, result.names) for one in result.page.rows]
        return cls(items=rows, next=result.page.next)


async def list_audit(ctx: Context, caller: Caller, command: Wanted) -> Entries:
    """Raises as `get_tenant` and `list_entries`."""
    search = command.search
    if command.about is not None:
        search = replace(search, tenant=(await get_tenant(ctx, caller, command.about)).id)
    page = cut(await list_entries(ctx, caller, search), search.limit - 1, _place)
    tenants = {one.entry.tenant for one in page.rows if one.entry.tenant is not None}
    return Entries(page, await names_of_tenants(ctx, caller, tenants))


def _place(one: Recorded) -> str:
    return f"{one.entry.happened_at or 0}-{one.id}"


def _shown(one: Recorded, names: Mapping[TenantId, str]) -> EntryShown:
    entry = one.entry
    tenant = None if entry.tenant is None else names.get(entry.tenant, f"#{entry.tenant}")
    return EntryShown(
        id=one.id,
        at=datetime.fromtimestamp((entry.happened_at or 0) / 1e6, UTC),
        actor=entry.actor,
        tenant=tenant,
        action=entry.action,
        resource=entry.resource,
        outcome=entry.outcome,
        source=entry.source,
        request_id=entry.request_id,
        details={str(key): str(value) for key, value in entry.details.items()},
    )


ENDPOINTS: Final = (
    Endpoint("GET", "/audit", Operation("ListAudit", ListAudit, list_audit, EntryList)),
)
