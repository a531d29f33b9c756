"""Service accounts with the names of the namespaces they may use, which use cases tell by number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from entrepot.capabilities.access import service_accounts as robots
from entrepot.capabilities.access.account_pages import BrowseAccounts, browse_service_accounts
from entrepot.capabilities.access.accounts import MadeAccount
from entrepot.capabilities.context import Context
from entrepot.metadata.accounts import Account
from entrepot.model.access import Caller, Permission
from entrepot.model.errors import AccountUnknown
from entrepot.model.tenancy import Instance


@dataclass(frozen=True, slots=True)
class Robot:
    """A service account, what its namespaces are called, and its password where it was just made."""

    account: Account
    permissions: Mapping[str, Sequence[Permission]]
    secret: str = ""

    def __repr__(self) -> str:
        return f"Robot({self.account.username}, ***)"


async def list_robots(ctx: Context, caller: Caller, command: BrowseAccounts) -> list[Robot]:
    """All of them, or those named. Raises as `browse_service_accounts`."""
    found = await browse_service_accounts(ctx, caller, command)
    return [
        Robot(
            account,
            {
                found.namespaces.get(number, str(number)): given
                for number, given in account.permissions.items()
            },
        )
        for account in found.rows
    ]


async def get_robot(ctx: Context, caller: Caller, command: BrowseAccounts) -> Robot:
    """The one that is named. Raises AccountUnknown."""
    found = await list_robots(ctx, caller, command)
    if not found:
        raise AccountUnknown(command.names[0][:64])
    return found[0]


async def create_robot(ctx: Context, caller: Caller, command: robots.CreateServiceAccount) -> Robot:
    """Raises as `create_service_account`."""
    made = await robots.create_service_account(ctx, caller, command)
    return await _made(ctx, caller, command.instance, made)


async def modify_robot(ctx: Context, caller: Caller, command: robots.ModifyServiceAccount) -> Robot:
    """Raises as `modify_service_account`."""
    account = await robots.modify_service_account(ctx, caller, command)
    return await get_robot(ctx, caller, _browse(command.instance, account))


async def renew_robot(ctx: Context, caller: Caller, command: robots.NamedServiceAccount) -> Robot:
    """Raises as `renew_service_account`."""
    made = await robots.renew_service_account(ctx, caller, command)
    return await _made(ctx, caller, command.instance, made)


async def _made(ctx: Context, caller: Caller, instance: Instance, made: MadeAccount) -> Robot:
    robot = await get_robot(ctx, caller, _browse(instance, made.account))
    return replace(robot, secret=made.secret)


def _browse(instance: Instance, account: Account) -> BrowseAccounts:
    return BrowseAccounts(instance, account.tenant, [account.username])
