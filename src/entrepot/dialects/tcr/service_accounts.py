"""Service accounts: robots of an instance with rights of their own. Told as `tcr$<name>`; made by the bare name, named either way."""

import time
from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct

from entrepot.capabilities.access import account_pages
from entrepot.capabilities.access import service_accounts as accounts
from entrepot.capabilities.access.account_pages import AccountPage, BrowseAccounts
from entrepot.capabilities.access.accounts import MadeAccount
from entrepot.capabilities.access.service_accounts import NamedServiceAccount, Permissions
from entrepot.capabilities.context import Context
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging, times
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.dialects.tcr.shapes import (
    Answers,
    Filters,
    Limit,
    Nothing,
    Offset,
    OfRegistry,
    Text,
    filters,
)
from entrepot.metadata.accounts import Account
from entrepot.metadata.browsing import Slice
from entrepot.model.access import Caller
from entrepot.model.access import Permission as Right
from entrepot.model.errors import NamespaceUnknown, RegistryError, ValueInvalid
from entrepot.model.ids import Micros

_RIGHTS: Final = {
    "tcr:PushRepository": Right.PUSH,
    "tcr:PullRepository": Right.PULL,
    "tcr:CreateRepository": Right.REPOSITORY_CREATE,
    "tcr:CreateHelmChart": Right.CHART_PUSH,
    "tcr:DescribeHelmCharts": Right.CHART_PULL,
}
_WORDS: Final = {right: word for word, right in _RIGHTS.items()}
_FILTERS: Final = frozenset({"ServiceAccountName"})
_MAX_DAYS: Final = 36_500
_DAY: Final = 86_400_000_000  # microseconds


class Permission(Struct, frozen=True, rename="pascal"):
    """What the account may do in the namespace `resource`."""

    resource: Text
    actions: Annotated[list[Text], Meta(max_length=20)]


class End(OfRegistry, frozen=True, kw_only=True):
    """When an account ends: in so many days, or at a moment in milliseconds; the days count more, 0 means never."""

    name: Text
    description: Annotated[str, Meta(max_length=1024)] | None = None
    duration: Annotated[int, Meta(ge=0, le=_MAX_DAYS)] | None = None
    expires_at: Annotated[int, Meta(ge=0, le=253_402_300_799_000)] | None = None
    disable: bool | None = None

    def end(self) -> Micros | None:
        """0 for never, None for not said."""
        if self.duration:
            return Micros(time.time_ns() // 1000 + self.duration * _DAY)
        if self.expires_at:
            return Micros(self.expires_at * 1000)
        return None if self.duration is None and self.expires_at is None else Micros(0)


class CreateServiceAccount(End, frozen=True, kw_only=True):
    """Make one."""

    permissions: Annotated[list[Permission], Meta(max_length=1000)]

    def to_command(self, asked: Asked) -> accounts.CreateServiceAccount:
        """Its password is random."""
        return accounts.CreateServiceAccount(
            asked.instance,
            self.name,
            _given(self.permissions),
            expires_at=self.end() or None,
            description=self.description or "",
            enabled=not self.disable,
            tenant=asked.tenant,
        )


class ServiceAccountCreated(Answers, frozen=True, kw_only=True):
    """The account and its password, shown this once."""

    name: str
    password: str
    expires_at: int
    create_time: str

    @classmethod
    def of(cls, result: MadeAccount, _asked: Asked) -> "ServiceAccountCreated":
        """With the prefix."""
        return cls(
            name=result.account.username,
            password=result.secret,
            expires_at=times.millis(result.account.expires_at),
            create_time=times.iso(result.account.created_at),
        )


class ModifyServiceAccount(End, frozen=True, kw_only=True):
    """Change what is given."""

    permissions: Annotated[list[Permission], Meta(max_length=1000)] | None = None

    def to_command(self, asked: Asked) -> accounts.ModifyServiceAccount:
        """Permissions replace all there were."""
        return accounts.ModifyServiceAccount(
            asked.instance,
            self.name,
            None if self.permissions is None else _given(self.permissions),
            expires_at=self.end(),
            description=self.description,
            enabled=None if self.disable is None else not self.disable,
            tenant=asked.tenant,
        )


class ModifyServiceAccountPassword(OfRegistry, frozen=True, kw_only=True):
    """A new password: a random one, or `Password`."""

    name: Text
    random: bool
    password: Annotated[str, Meta(max_length=256)] | None = None

    def to_command(self, asked: Asked) -> NamedServiceAccount | accounts.ChosenPassword:
        """A password is only taken where none is to be made up."""
        if self.random:
            return NamedServiceAccount(asked.instance, self.name, asked.tenant)
        if self.password is None:
            raise Refusal("MissingParameter", "Password is required where Random is false")
        return accounts.ChosenPassword(asked.instance, self.name, self.password, asked.tenant)


class PasswordModified(Answers, frozen=True, kw_only=True):
    """The password, shown this once."""

    password: str

    @classmethod
    def of(cls, result: MadeAccount, _asked: Asked) -> "PasswordModified":
        """As it is now."""
        return cls(password=result.secret)


class DeleteServiceAccount(OfRegistry, frozen=True, kw_only=True):
    """End it."""

    name: Text

    def to_command(self, asked: Asked) -> NamedServiceAccount:
        """By name."""
        return NamedServiceAccount(asked.instance, self.name, asked.tenant)


class DescribeServiceAccounts(OfRegistry, frozen=True, kw_only=True):
    """A page of them."""

    all: bool | None = None
    embed_permission: bool | None = None
    filters: Filters = None
    offset: Offset = None
    limit: Limit = None

    def to_command(self, asked: Asked) -> "Browse":
        """Offset counts rows."""
        window = paging.rows_from_zero(self.offset, self.limit)
        names = filters(self.filters, _FILTERS).get("ServiceAccountName", ())
        slice_ = Slice() if self.all else Slice(window.offset, window.limit)
        listed = BrowseAccounts(asked.instance, asked.tenant, names=names, window=slice_)
        return Browse(listed, with_permissions=self.embed_permission is True)


class Browse(Struct, frozen=True):
    """A page, and whether permissions are shown."""

    listed: BrowseAccounts
    with_permissions: bool


class Browsed(Struct, frozen=True):
    """Likewise."""

    page: AccountPage
    with_permissions: bool


async def browse(ctx: Context, caller: Caller, command: Browse) -> Browsed:
    """`browse_service_accounts`, remembering what is to be shown."""
    page = await account_pages.browse_service_accounts(ctx, caller, command.listed)
    return Browsed(page, command.with_permissions)


async def new_password(
    ctx: Context, caller: Caller, command: NamedServiceAccount | accounts.ChosenPassword
) -> MadeAccount:
    """A random password, or the one that was chosen."""
    if isinstance(command, accounts.ChosenPassword):
        return await accounts.choose_password(ctx, caller, command)
    return await accounts.renew_service_account(ctx, caller, command)


class ServiceAccount(Answers, frozen=True, kw_only=True):
    """An account without its password."""

    name: str
    description: str
    disable: bool
    expires_at: int
    create_time: str
    update_time: str
    permissions: list[Permission] | None

    @classmethod
    def of(cls, account: Account, result: Browsed) -> "ServiceAccount":
        """As the vendor tells it."""
        given = [
            Permission(result.page.namespaces[number], [_WORDS[right] for right in rights])
            for number, rights in account.permissions.items()
            if number in result.page.namespaces
        ]
        return cls(
            name=account.username,
            description=account.description,
            disable=not account.enabled,
            expires_at=times.millis(account.expires_at),
            create_time=times.iso(account.created_at),
            update_time=times.iso(account.updated_at),
            permissions=given if result.with_permissions else None,
        )


class ServiceAccountsDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    service_accounts: list[ServiceAccount]
    total_count: int

    @classmethod
    def of(cls, result: Browsed, _asked: Asked) -> "ServiceAccountsDescribed":
        """Rows and how many there are."""
        rows = [ServiceAccount.of(row, result) for row in result.page.rows]
        return cls(service_accounts=rows, total_count=result.page.total)


def _given(permissions: list[Permission]) -> Permissions:
    given: dict[str, list[Right]] = {}
    for permission in permissions:
        rights = given.setdefault(permission.resource, [])
        for word in permission.actions:
            if word not in _RIGHTS:
                raise ValueInvalid(
                    "Permissions.Actions", f"{word[:100]!r}: expected {', '.join(_RIGHTS)}"
                )
            rights.append(_RIGHTS[word])
    return given


_INVALID: Final[Mapping[type[RegistryError], str]] = {
    NamespaceUnknown: "InvalidParameter"  # named by a permission
}

OPERATIONS: Final = (
    Operation(
        "CreateServiceAccount",
        CreateServiceAccount,
        accounts.create_service_account,
        ServiceAccountCreated,
        changes=True,
        codes=_INVALID,
    ),
    Operation(
        "ModifyServiceAccount",
        ModifyServiceAccount,
        accounts.modify_service_account,
        Nothing,
        changes=True,
        codes=_INVALID,
    ),
    Operation(
        "ModifyServiceAccountPassword",
        ModifyServiceAccountPassword,
        new_password,
        PasswordModified,
        changes=True,
    ),
    Operation(
        "DeleteServiceAccount",
        DeleteServiceAccount,
        accounts.delete_service_account,
        Nothing,
        changes=True,
    ),
    Operation(
        "DescribeServiceAccounts",
        DescribeServiceAccounts,
        browse,
        ServiceAccountsDescribed,
    ),
)
