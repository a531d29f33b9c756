"""The audit trail of use cases: what changed, in the transaction that changed it, and what was denied."""

from collections.abc import Callable
from typing import TypeVar

from entrepot.capabilities.context import Context
from entrepot.metadata import audit
from entrepot.metadata.audit import AuditEntry, Outcome
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.errors import Forbidden
from entrepot.model.ids import TenantId

T = TypeVar("T")


def note(
    conn: Connection,
    caller: Caller,
    action: str,
    resource: str,
    *,
    tenant: TenantId | None,
    **details: str | float | bool | None,
) -> None:
    """In the transaction of a change: who did it. `tenant`: whose thing it is. Never a secret in `details`."""
    audit.record(conn, _entry(caller, action, resource, Outcome.DONE, tenant, details))


async def change(ctx: Context, caller: Caller, action: str, fn: Callable[[Connection], T]) -> T:
    """Run a use case's writing transaction; what it forbids is in the audit trail too. Epochs it raised are known here afterwards."""
    try:
        return await ctx.access.change(fn)
    except Forbidden as error:
        details = {"permission": error.permission}
        entry = _entry(caller, action, error.resource, Outcome.DENIED, caller.tenant, details)
        await ctx.db.write(lambda conn: audit.record(conn, entry))
        error.noted = True
        raise


def _entry(  # noqa: PLR0917  (private, and all of it is an entry's)
    caller: Caller,
    action: str,
    resource: str,
    outcome: Outcome,
    tenant: TenantId | None,
    details: "dict[str, str | float | bool | None] | dict[str, str]",
) -> AuditEntry:
    return AuditEntry(
        actor=caller.name,
        action=action,
        resource=resource,
        outcome=outcome,
        tenant=tenant,
        source=caller.source,
        request_id=caller.request_id,
        details={**details, "operation": caller.operation} if caller.operation else details,
    )
