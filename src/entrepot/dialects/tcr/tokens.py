"""Tokens that log in to an instance with the rights of the user who made them."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from entrepot.capabilities.access import account_pages, accounts
from entrepot.capabilities.access.account_pages import AccountPage, BrowseAccounts
from entrepot.capabilities.access.accounts import MadeAccount
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging, times
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.dialects.tcr.shapes import Answers, Limit, Nothing, Offset, OfRegistry, Text
from entrepot.metadata.accounts import Account
from entrepot.metadata.browsing import Slice
from entrepot.model.access import AccountKind

_KINDS: Final = {"temp": AccountKind.TEMPORARY, "longterm": AccountKind.LONGTERM}
_LARGEST_PAGE: Final = 1000
_DESCRIPTION: Final = 1
_ENABLED: Final = 2


class CreateInstanceToken(OfRegistry, frozen=True, kw_only=True):
    """Make one. Temporary ones are never listed."""

    token_type: Literal["temp", "longterm"] | None = None
    desc: Annotated[str, Meta(max_length=1024)] | None = None

    def to_command(self, asked: Asked) -> accounts.CreateToken:
        """Temporary unless said otherwise."""
        return accounts.CreateToken(
            asked.instance, _KINDS[self.token_type or "temp"], description=self.desc or ""
        )


class TokenCreated(Answers, frozen=True, kw_only=True):
    """The token, shown this once. Times in milliseconds."""

    username: str
    token: str
    exp_time: int
    token_id: str | None

    @classmethod
    def of(cls, result: MadeAccount, _asked: Asked) -> "TokenCreated":
        """Temporary ones have no id."""
        account = result.account
        is_lasting = account.kind is AccountKind.LONGTERM
        return cls(
            username=account.username,
            token=result.secret,
            exp_time=_end(account),
            token_id=account.public_id if is_lasting else None,
        )


class OneToken(OfRegistry, frozen=True, kw_only=True):
    """A long-term token."""

    token_id: Text


class ModifyInstanceToken(OneToken, frozen=True, kw_only=True):
    """Change one of two things, as `ModifyFlag` says."""

    enable: bool | None = None
    desc: Annotated[str, Meta(max_length=1024)] | None = None
    modify_flag: Literal[1, 2] | None = None

    def to_command(self, asked: Asked) -> accounts.ModifyToken:
        """1: the description, 2 (or absent): whether it is enabled; the other one is ignored."""
        if self.modify_flag == _DESCRIPTION:
            if self.desc is None:
                raise Refusal("MissingParameter", "Desc is required where ModifyFlag is 1")
            return accounts.ModifyToken(asked.instance, self.token_id, description=self.desc)
        if self.enable is None:
            raise Refusal("MissingParameter", f"Enable is required where ModifyFlag is {_ENABLED}")
        return accounts.ModifyToken(asked.instance, self.token_id, enabled=self.enable)


class DeleteInstanceToken(OneToken, frozen=True, kw_only=True):
    """End it."""

    def to_command(self, asked: Asked) -> accounts.DeleteToken:
        """By id."""
        return accounts.DeleteToken(asked.instance, self.token_id)


class DescribeInstanceToken(OfRegistry, frozen=True, kw_only=True):
    """A page of long-term tokens."""

    limit: Limit = None
    offset: Offset = None

    def to_command(self, asked: Asked) -> BrowseAccounts:
        """Offset counts rows."""
        window = paging.rows_from_zero(self.offset, self.limit, _LARGEST_PAGE)
        return BrowseAccounts(
            asked.instance, asked.tenant, window=Slice(window.offset, window.limit)
        )


class TcrInstanceToken(Answers, frozen=True, kw_only=True):
    """A long-term token without its secret."""

    id: str
    desc: str
    registry_id: str
    enabled: bool
    created_at: str
    expired_at: int

    @classmethod
    def of(cls, account: Account, asked: Asked) -> "TcrInstanceToken":
        """As the vendor tells it."""
        return cls(
            id=account.public_id,
            desc=account.description,
            registry_id=asked.instance.public_id,
            enabled=account.enabled,
            created_at=times.iso(account.created_at),
            expired_at=_end(account),
        )


class TokensDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    total_count: int
    tokens: list[TcrInstanceToken]

    @classmethod
    def of(cls, result: AccountPage, asked: Asked) -> "TokensDescribed":
        """Rows and how many there are."""
        rows = [TcrInstanceToken.of(row, asked) for row in result.rows]
        return cls(total_count=result.total, tokens=rows)


def _end(account: Account) -> int:
    """Milliseconds; far ahead for what has no end."""
    return times.millis(account.expires_at or times.far_end(account.created_at))


OPERATIONS: Final = (
    Operation(
        "CreateInstanceToken",
        CreateInstanceToken,
        accounts.create_token,
        TokenCreated,
        changes=True,
    ),
    Operation(
        "ModifyInstanceToken", ModifyInstanceToken, accounts.modify_token, Nothing, changes=True
    ),
    Operation(
        "DeleteInstanceToken", DeleteInstanceToken, accounts.delete_token, Nothing, changes=True
    ),
    Operation(
        "DescribeInstanceToken",
        DescribeInstanceToken,
        account_pages.browse_tokens,
        TokensDescribed,
    ),
)
