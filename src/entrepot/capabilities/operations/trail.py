"""The audit trail of use cases: what changed, in the transaction that changed it. What was denied is noted by the wire, in batches:
whoever may not must not make us write as often as they ask."""

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
    audit.record(
        conn,
        AuditEntry(
            actor=caller.name,
            action=action,
            resource=resource,
            outcome=Outcome.DONE,
            tenant=tenant,
            source=caller.source,
            request_id=caller.request_id,
            details={**details, "operation": caller.operation} if caller.operation else details,
        ),
    )


async def change(
    ctx: Context,
    caller: Caller,  # noqa: ARG001  (a change says who makes it; refused, the wire notes who asked)
    action: str,
    fn: Callable[[Connection], T],
) -> T:
    """Run a use case's writing transaction; what it forbids carries the action's name, for the trail. Epochs it raised are known here
    afterwards."""
    try:
        return await ctx.access.change(fn)
    except Forbidden as error:
        error.action = action
        raise
