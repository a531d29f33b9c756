"""Whether a caller may, asked outside a transaction: by the bearer token's scope where nothing was revoked since it was made,
else by the evaluator on rights read now.
"""

from entrepot.capabilities.access.callers import LoggedIn, TokenCaller
from entrepot.capabilities.context import Context
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import Denied, Forbidden, Unauthenticated


def granted(ctx: Context, caller: Caller, permission: Permission, resource: Resource) -> bool:
    """Whether that is known without waiting; where not, `require` asks. Raises as that does."""
    answer = ctx.access.at_once(caller, permission, resource)
    if answer is False:
        raise refusal(caller, permission, resource)
    return answer is True


async def require(ctx: Context, caller: Caller, permission: Permission, resource: Resource) -> None:
    """Raises Unauthenticated (log in, or with a wider scope), Forbidden, RightsStale."""
    if not granted(ctx, caller, permission, resource):
        judge = ctx.access.judge
        await ctx.db.read(lambda conn: judge.require(conn, caller, permission, resource))


async def allowed(ctx: Context, caller: Caller, permission: Permission, resource: Resource) -> bool:
    """Likewise, as a yes or no."""
    try:
        await require(ctx, caller, permission, resource)
    except Denied:
        return False
    return True


async def require_right(
    ctx: Context, caller: Caller, permission: Permission, resource: Resource
) -> None:
    """Ask for the caller's own right, whatever a token's scope says. Raises Unauthenticated, Forbidden."""
    own = unscoped(caller)
    judge = ctx.access.judge
    await ctx.db.read(lambda conn: judge.require(conn, own, permission, resource))


async def has_right(
    ctx: Context, caller: Caller, permission: Permission, resource: Resource
) -> bool:
    """Likewise, as a yes or no."""
    own = unscoped(caller)
    judge = ctx.access.judge
    return await ctx.db.read(lambda conn: judge.allowed(conn, own, permission, resource))


def refusal(
    caller: Caller, permission: Permission, resource: Resource
) -> Unauthenticated | Forbidden:
    """What to answer a caller who may not: one without enough scope is asked for a better token."""
    if caller.is_anonymous or isinstance(caller, TokenCaller):
        return Unauthenticated("insufficient scope")
    return Forbidden(str(permission), str(resource))


def unscoped(caller: Caller) -> Caller:
    """The person behind a bearer token, with the same credential."""
    if not isinstance(caller, TokenCaller):
        return caller
    return LoggedIn(
        subject=caller.subject,
        name=caller.name,
        tenant=caller.tenant,
        user=caller.user,
        account=caller.account,
        source=caller.source,
        request_id=caller.request_id,
        credential=caller.credential,
        epoch=caller.epoch,
    )
