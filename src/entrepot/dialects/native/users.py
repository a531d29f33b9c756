"""Users: people and robots of a tenant."""

from typing import Final, Literal, TypeAlias

from entrepot.capabilities.access.identities import users
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfTenant,
    Paged,
    ahead,
    shown,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.access import Role
from entrepot.model.identities import User

Grantable: TypeAlias = Literal["administrator", "member"]


class OfUser(OfTenant, frozen=True, kw_only=True):
    """A request about a user of the tenant, by name."""

    user: str

    def named(self, asked: Asked) -> users.NamedUser:
        """The user."""
        return users.NamedUser(asked.tenant, self.user)


class ListUsers(OfTenant, frozen=True, kw_only=True):
    """List the tenant's users, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> users.ListUsers:
        """One more than is shown."""
        return users.ListUsers(asked.tenant, self.after, self.limit + 1)


class CreateUser(OfTenant, frozen=True, kw_only=True):
    """Create a user. A member has no rights until somebody gives some; without `password` or `generate_password` nobody can log in as it."""

    name: str
    role: Grantable = "member"
    password: str | None = None
    generate_password: bool = False

    def to_command(self, asked: Asked) -> users.CreateUser:
        """Of the tenant."""
        return users.CreateUser(
            asked.tenant, self.name, Role(self.role), self.password, generate=self.generate_password
        )


class GetUser(OfUser, frozen=True, kw_only=True):
    """Show a user; everybody may see themselves."""

    def to_command(self, asked: Asked) -> users.NamedUser:
        """By name."""
        return self.named(asked)


class EnableUser(OfUser, frozen=True, kw_only=True):
    """Let a user in, or refuse them with their keys and tokens within a second."""

    enabled: bool

    def to_command(self, asked: Asked) -> users.EnableUser:
        """By name."""
        return users.EnableUser(asked.tenant, self.user, self.enabled)


class SetRole(OfUser, frozen=True, kw_only=True):
    """Make a user an administrator, who may do everything in the tenant, or a member."""

    role: Grantable

    def to_command(self, asked: Asked) -> users.SetRole:
        """By name."""
        return users.SetRole(asked.tenant, self.user, Role(self.role))


class SetPassword(OfUser, frozen=True, kw_only=True):
    """Set a password; logins with the former one end. Without one it is made up. Whoever changes their own says the `current` one."""

    password: str | None = None
    current: str | None = None

    def to_command(self, asked: Asked) -> users.SetPassword:
        """By name."""
        return users.SetPassword(asked.tenant, self.user, self.password, self.current)


class DeleteUser(OfUser, frozen=True, kw_only=True):
    """Delete a user with keys, tokens and grants. What they pushed stays, and so do service accounts they made."""

    def to_command(self, asked: Asked) -> users.NamedUser:
        """By name."""
        return self.named(asked)


class UserShown(Answers, frozen=True, kw_only=True):
    """A user. `password`: whether there is one to log in with."""

    name: str
    role: Role
    enabled: bool
    password: bool
    uin: str
    id: str
    created: Moment

    @classmethod
    def of(cls, result: User, _asked: Asked) -> "UserShown":
        """As it is."""
        return cls(
            name=result.name,
            role=result.role,
            enabled=result.enabled,
            password=result.has_password,
            uin=result.uin,
            id=result.public_id,
            created=shown(result.created_at),
        )


class UserCreated(Answers, frozen=True, kw_only=True):
    """A new user. `generated_password`: if it was made up, told this once."""

    user: UserShown
    generated_password: str | None = None

    @classmethod
    def of(cls, result: users.UserMade, asked: Asked) -> "UserCreated":
        """The secret, this once."""
        return cls(user=UserShown.of(result.user, asked), generated_password=result.password)


class UserList(Answers, frozen=True, kw_only=True):
    """A page of users."""

    items: list[UserShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[User], asked: Asked) -> "UserList":
        """By name."""
        return cls(items=[UserShown.of(row, asked) for row in result.rows], next=result.next)


class PasswordSet(Answers, frozen=True, kw_only=True):
    """`generated_password`: if it was made up, told this once."""

    generated_password: str | None = None

    @classmethod
    def of(cls, result: str | None, _asked: Asked) -> "PasswordSet":
        """The secret, this once."""
        return cls(generated_password=result)


_ONE: Final = "/tenants/{tenant}/users/{user}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/tenants/{tenant}/users",
        Operation("ListUsers", ListUsers, ahead(users.list_users, lambda u: u.name), UserList),
    ),
    Endpoint(
        "POST",
        "/tenants/{tenant}/users",
        Operation("CreateUser", CreateUser, users.create_user, UserCreated, changes=True),
        201,
    ),
    Endpoint("GET", _ONE, Operation("GetUser", GetUser, users.get_user, UserShown)),
    Endpoint(
        "PATCH",
        _ONE,
        Operation("EnableUser", EnableUser, users.enable_user, UserShown, changes=True),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation("DeleteUser", DeleteUser, users.delete_user, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "PUT",
        f"{_ONE}/role",
        Operation("SetRole", SetRole, users.set_role, UserShown, changes=True),
    ),
    Endpoint(
        "PUT",
        f"{_ONE}/password",
        Operation("SetPassword", SetPassword, users.set_password, PasswordSet, changes=True),
    ),
)
