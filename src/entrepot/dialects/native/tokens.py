"""Tokens of an instance: what programs log in with to push and pull, with their user's rights."""

from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.access import accounts
from entrepot.capabilities.access.account_pages import BrowseAccounts, browse_tokens
from entrepot.capabilities.access.identities.users import NamedUser, get_user
from entrepot.capabilities.context import Context
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfInstance,
    Paged,
    Windowed,
    on,
    own_tenant,
    shown,
    shown_end,
    windowed,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.metadata.accounts import Account
from entrepot.model.access import AccountKind, Caller


@dataclass(frozen=True, slots=True)
class MakeToken:
    """A token for a user, or (None) for the caller."""

    token: accounts.CreateToken
    user: NamedUser | None


class ListTokens(OfInstance, frozen=True, kw_only=True):
    """List long-term tokens and logins for a day by id: for who manages accounts the tenant's, else the caller's own."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[BrowseAccounts]:
        """All of them."""
        return on(self, BrowseAccounts(asked.instance, own_tenant(asked), logins=True))


class CreateToken(OfInstance, frozen=True, kw_only=True):
    """Make a token for the caller or for another user of the tenant. `temporary`: it ends after an hour."""

    user: str | None = None
    temporary: bool = False
    description: str = ""

    def to_command(self, asked: Asked) -> MakeToken:
        """By the user's name."""
        tenant = own_tenant(asked)
        kind = AccountKind.TEMPORARY if self.temporary else AccountKind.LONGTERM
        user = None if self.user is None else NamedUser(tenant, self.user)
        return MakeToken(accounts.CreateToken(asked.instance, kind, self.description), user)


class OfToken(OfInstance, frozen=True, kw_only=True):
    """A request about a token, by its id."""

    token: str


class ModifyToken(OfToken, frozen=True, kw_only=True):
    """Enable, disable or describe a token or a login; what is left out stays."""

    enabled: bool | None = None
    description: str | None = None

    def to_command(self, asked: Asked) -> accounts.ModifyToken:
        """By id."""
        own_tenant(asked)
        return accounts.ModifyToken(asked.instance, self.token, self.enabled, self.description)


class DeleteToken(OfToken, frozen=True, kw_only=True):
    """Delete a token or a login for a day; what logged in with it ends within a second."""

    def to_command(self, asked: Asked) -> accounts.DeleteToken:
        """By id."""
        own_tenant(asked)
        return accounts.DeleteToken(asked.instance, self.token)


class AccountShown(Answers, frozen=True, kw_only=True):
    """A token without its secret. `kind`: longterm, temporary, or login (for a day); `login`: the user name that goes with it."""

    id: str
    kind: str
    login: str
    description: str
    enabled: bool
    created: Moment
    expires: Moment | None = None

    @classmethod
    def of(cls, result: Account, _asked: Asked) -> "AccountShown":
        """As it is."""
        return cls(
            id=result.public_id,
            kind=result.kind.value,
            login=result.username,
            description=result.description,
            enabled=result.enabled,
            created=shown(result.created_at),
            expires=shown_end(result.expires_at),
        )


class TokenCreated(Answers, frozen=True, kw_only=True):
    """A new token; `password` is told this once."""

    token: AccountShown
    password: str

    @classmethod
    def of(cls, result: accounts.MadeAccount, asked: Asked) -> "TokenCreated":
        """The secret, this once."""
        return cls(token=AccountShown.of(result.account, asked), password=result.secret)


class TokenList(Answers, frozen=True, kw_only=True):
    """A page of tokens."""

    items: list[AccountShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Account], asked: Asked) -> "TokenList":
        """By id."""
        return cls(items=[AccountShown.of(row, asked) for row in result.rows], next=result.next)


async def list_tokens(ctx: Context, caller: Caller, command: BrowseAccounts) -> list[Account]:
    """All of them."""
    return list((await browse_tokens(ctx, caller, command)).rows)


async def create_token(ctx: Context, caller: Caller, command: MakeToken) -> accounts.MadeAccount:
    """Raises as `get_user` and `create_token`."""
    token = command.token
    if command.user is not None:
        user = await get_user(ctx, caller, command.user)
        token = accounts.CreateToken(token.instance, token.kind, token.description, user=user.id)
    return await accounts.create_token(ctx, caller, token)


_ALL: Final = "/tenants/{tenant}/instances/{instance}/tokens"
_ONE: Final = f"{_ALL}/{{token}}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListTokens", ListTokens, windowed(list_tokens, lambda a: a.public_id), TokenList
        ),
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation("CreateToken", CreateToken, create_token, TokenCreated, changes=True),
        201,
    ),
    Endpoint(
        "PATCH",
        _ONE,
        Operation("ModifyToken", ModifyToken, accounts.modify_token, AccountShown, changes=True),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation("DeleteToken", DeleteToken, accounts.delete_token, Nothing, changes=True),
        204,
    ),
)
