"""Service accounts of an instance: robots with rights of their own, by namespace."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import UNSET, UnsetType, field

from entrepot.capabilities.access import service_accounts as robots
from entrepot.capabilities.access.account_pages import BrowseAccounts
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.robots import (
    Robot,
    create_robot,
    get_robot,
    list_robots,
    modify_robot,
    renew_robot,
)
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfInstance,
    Paged,
    Windowed,
    micros,
    on,
    own_tenant,
    shown,
    shown_end,
    windowed,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.access import Permission
from entrepot.model.ids import Micros


class Action(StrEnum):
    """What a robot may do in a namespace; `create`: repositories, by a push."""

    PULL = "pull"
    PUSH = "push"
    CREATE = "create"


_GIVEN: Final = {
    Action.PULL: Permission.PULL,
    Action.PUSH: Permission.PUSH,
    Action.CREATE: Permission.REPOSITORY_CREATE,
}
_WORDS: Final = {permission: action.value for action, permission in _GIVEN.items()}
_NEVER: Final = Micros(0)


class OfRobot(OfInstance, frozen=True, kw_only=True):
    """A request about a service account, by name, with or without its prefix `tcr$`."""

    account: str

    def named(self, asked: Asked) -> robots.NamedServiceAccount:
        """The tenant's."""
        return robots.NamedServiceAccount(asked.instance, self.account, own_tenant(asked))


class ListServiceAccounts(OfInstance, frozen=True, kw_only=True):
    """List the tenant's service accounts, by login."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[BrowseAccounts]:
        """All of them."""
        return on(self, BrowseAccounts(asked.instance, own_tenant(asked)))


class CreateServiceAccount(OfInstance, frozen=True, kw_only=True):
    """Make the service account `tcr$<name>`. `permissions`: by namespace, what it may do there. Without `expires` it never ends."""

    name: str
    permissions: dict[str, list[Action]] = field(default_factory=dict)
    expires: Moment | None = None
    description: str = ""

    def to_command(self, asked: Asked) -> robots.CreateServiceAccount:
        """Of the tenant."""
        return robots.CreateServiceAccount(
            asked.instance,
            self.name,
            _given(self.permissions),
            None if self.expires is None else micros(self.expires),
            self.description,
            tenant=own_tenant(asked),
        )


class GetServiceAccount(OfRobot, frozen=True, kw_only=True):
    """Show a service account."""

    def to_command(self, asked: Asked) -> BrowseAccounts:
        """By name."""
        return BrowseAccounts(asked.instance, own_tenant(asked), [self.account])


class ModifyServiceAccount(OfRobot, frozen=True, kw_only=True):
    """Change a service account; what is left out stays, `permissions` replace all, `expires` null: never."""

    permissions: dict[str, list[Action]] | None = None
    expires: Moment | UnsetType | None = UNSET
    description: str | None = None
    enabled: bool | None = None

    def to_command(self, asked: Asked) -> robots.ModifyServiceAccount:
        """By name."""
        if isinstance(self.expires, UnsetType):
            ends_at = None
        else:
            ends_at = _NEVER if self.expires is None else micros(self.expires)
        return robots.ModifyServiceAccount(
            asked.instance,
            self.account,
            None if self.permissions is None else _given(self.permissions),
            ends_at,
            self.description,
            self.enabled,
            own_tenant(asked),
        )


class RenewServiceAccount(OfRobot, frozen=True, kw_only=True):
    """Give a service account a new password; the old one ends."""

    def to_command(self, asked: Asked) -> robots.NamedServiceAccount:
        """By name."""
        return self.named(asked)


class DeleteServiceAccount(OfRobot, frozen=True, kw_only=True):
    """Delete a service account."""

    def to_command(self, asked: Asked) -> robots.NamedServiceAccount:
        """By name."""
        return self.named(asked)


class ServiceAccountShown(Answers, frozen=True, kw_only=True):
    """A service account without its password."""

    id: str
    login: str
    permissions: dict[str, list[str]]
    description: str
    enabled: bool
    created: Moment
    expires: Moment | None = None

    @classmethod
    def of(cls, result: Robot, _asked: Asked) -> "ServiceAccountShown":
        """As it is."""
        one = result.account
        return cls(
            id=one.public_id,
            login=one.username,
            permissions={
                name: [_WORDS.get(p, p.value) for p in given]
                for name, given in result.permissions.items()
            },
            description=one.description,
            enabled=one.enabled,
            created=shown(one.created_at),
            expires=shown_end(one.expires_at),
        )


class ServiceAccountCreated(Answers, frozen=True, kw_only=True):
    """A service account with a new password, which is told this once."""

    account: ServiceAccountShown
    password: str

    @classmethod
    def of(cls, result: Robot, asked: Asked) -> "ServiceAccountCreated":
        """The secret, this once."""
        return cls(account=ServiceAccountShown.of(result, asked), password=result.secret)


class ServiceAccountList(Answers, frozen=True, kw_only=True):
    """A page of service accounts."""

    items: list[ServiceAccountShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Robot], asked: Asked) -> "ServiceAccountList":
        """By login."""
        rows = [ServiceAccountShown.of(row, asked) for row in result.rows]
        return cls(items=rows, next=result.next)


def _given(permissions: Mapping[str, Sequence[Action]]) -> dict[str, list[Permission]]:
    return {name: [_GIVEN[action] for action in actions] for name, actions in permissions.items()}


_ALL: Final = "/tenants/{tenant}/instances/{instance}/service-accounts"
_ONE: Final = f"{_ALL}/{{account}}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListServiceAccounts",
            ListServiceAccounts,
            windowed(list_robots, lambda robot: robot.account.username),
            ServiceAccountList,
        ),
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateServiceAccount",
            CreateServiceAccount,
            create_robot,
            ServiceAccountCreated,
            changes=True,
        ),
        201,
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation("GetServiceAccount", GetServiceAccount, get_robot, ServiceAccountShown),
    ),
    Endpoint(
        "PATCH",
        _ONE,
        Operation(
            "ModifyServiceAccount",
            ModifyServiceAccount,
            modify_robot,
            ServiceAccountShown,
            changes=True,
        ),
    ),
    Endpoint(
        "POST",
        f"{_ONE}/renewal",
        Operation(
            "RenewServiceAccount",
            RenewServiceAccount,
            renew_robot,
            ServiceAccountCreated,
            changes=True,
        ),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteServiceAccount",
            DeleteServiceAccount,
            robots.delete_service_account,
            Nothing,
            changes=True,
        ),
        204,
    ),
)
