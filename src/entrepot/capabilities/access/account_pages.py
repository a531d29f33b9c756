"""Tokens and service accounts in pages, with the names of the namespaces that service accounts may use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from entrepot.capabilities.access.accounts import ListTokens, list_tokens
from entrepot.capabilities.access.service_accounts import (
    PREFIX,
    ListServiceAccounts,
    list_service_accounts,
)
from entrepot.capabilities.context import Context
from entrepot.metadata.accounts import Account
from entrepot.metadata.browsing import Slice
from entrepot.metadata.database import Connection
from entrepot.metadata.namespaces import names_of
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.ids import NamespaceId, TenantId
from entrepot.model.tenancy import Instance


@dataclass(frozen=True, slots=True)
class BrowseAccounts:
    """Accounts of the tenant in the instance. `names`: none, or which service accounts, with or without their prefix. `logins`: beside
    tokens, those for a day."""

    instance: Instance
    tenant: TenantId
    names: Sequence[str] = ()
    window: Slice = field(default_factory=Slice)
    logins: bool = False


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One page, how many there are on all, and what namespaces are called."""

    rows: Sequence[Account]
    total: int
    namespaces: Mapping[NamespaceId, str]


async def browse_tokens(ctx: Context, caller: Caller, command: BrowseAccounts) -> AccountPage:
    """Long-term tokens: for who manages accounts the tenant's, else the caller's own. Raises Forbidden, InstanceUnknown."""
    resource = Resource(command.tenant, instance=command.instance.id)
    everybody = await ctx.db.read(
        lambda conn: ctx.access.allowed(conn, caller, Permission.ACCOUNT_MANAGE, resource)
    )
    listed = ListTokens(
        command.instance, everybody=everybody, tenant=command.tenant, logins=command.logins
    )
    return _page(await list_tokens(ctx, caller, listed), command.window, {})


async def browse_service_accounts(
    ctx: Context, caller: Caller, command: BrowseAccounts
) -> AccountPage:
    """Service accounts, oldest first. Raises Forbidden, InstanceUnknown."""
    listed = ListServiceAccounts(command.instance, command.tenant)
    found = await list_service_accounts(ctx, caller, listed)
    if command.names:
        wanted = {PREFIX + name.removeprefix(PREFIX) for name in command.names}
        found = [account for account in found if account.username in wanted]
    page = _page(found, command.window, {})
    numbers = {number for account in page.rows for number in account.permissions}

    def read(conn: Connection) -> dict[NamespaceId, str]:
        return names_of(conn, numbers)

    return AccountPage(page.rows, page.total, await ctx.db.read(read))


def _page(
    found: Sequence[Account], window: Slice, namespaces: Mapping[NamespaceId, str]
) -> AccountPage:
    rows = found[window.offset : window.offset + window.limit]
    return AccountPage(rows, len(found), namespaces)
