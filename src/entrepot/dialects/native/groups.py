"""Groups: users who share policies."""

from typing import Final

from entrepot.capabilities.access.identities import groups
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfTenant,
    Paged,
    Windowed,
    ahead,
    on,
    shown,
    windowed,
)
from entrepot.dialects.native.users import UserList
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.identities import Group


class OfGroup(OfTenant, frozen=True, kw_only=True):
    """A request about a group of the tenant, by name."""

    group: str


class ListGroups(OfTenant, frozen=True, kw_only=True):
    """List the tenant's groups, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> groups.ListGroups:
        """One more than is shown."""
        return groups.ListGroups(asked.tenant, self.after, self.limit + 1)


class CreateGroup(OfTenant, frozen=True, kw_only=True):
    """Create a group without members."""

    name: str

    def to_command(self, asked: Asked) -> groups.NamedGroup:
        """Of the tenant."""
        return groups.NamedGroup(asked.tenant, self.name)


class DeleteGroup(OfGroup, frozen=True, kw_only=True):
    """Delete a group; its members lose what its policies gave."""

    def to_command(self, asked: Asked) -> groups.NamedGroup:
        """By name."""
        return groups.NamedGroup(asked.tenant, self.group)


class ListMembers(OfGroup, frozen=True, kw_only=True):
    """List a group's members, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[groups.NamedGroup]:
        """By name."""
        return on(self, groups.NamedGroup(asked.tenant, self.group))


class AddMember(OfGroup, frozen=True, kw_only=True):
    """Put a user into a group; no matter if they are in it."""

    user: str

    def to_command(self, asked: Asked) -> groups.Membership:
        """By names."""
        return groups.Membership(asked.tenant, self.group, self.user)


class RemoveMember(OfGroup, frozen=True, kw_only=True):
    """Take a user out of a group."""

    user: str

    def to_command(self, asked: Asked) -> groups.Membership:
        """By names."""
        return groups.Membership(asked.tenant, self.group, self.user)


class GroupShown(Answers, frozen=True, kw_only=True):
    """A group."""

    name: str
    id: str
    created: Moment

    @classmethod
    def of(cls, result: Group, _asked: Asked) -> "GroupShown":
        """As it is."""
        return cls(name=result.name, id=result.public_id, created=shown(result.created_at))


class GroupList(Answers, frozen=True, kw_only=True):
    """A page of groups."""

    items: list[GroupShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Group], asked: Asked) -> "GroupList":
        """By name."""
        return cls(items=[GroupShown.of(row, asked) for row in result.rows], next=result.next)


_ALL: Final = "/tenants/{tenant}/groups"
_MEMBERS: Final = f"{_ALL}/{{group}}/members"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation("ListGroups", ListGroups, ahead(groups.list_groups, lambda g: g.name), GroupList),
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation("CreateGroup", CreateGroup, groups.create_group, GroupShown, changes=True),
        201,
    ),
    Endpoint(
        "DELETE",
        f"{_ALL}/{{group}}",
        Operation("DeleteGroup", DeleteGroup, groups.delete_group, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "GET",
        _MEMBERS,
        Operation(
            "ListMembers", ListMembers, windowed(groups.list_members, lambda u: u.name), UserList
        ),
    ),
    Endpoint(
        "PUT",
        f"{_MEMBERS}/{{user}}",
        Operation("AddMember", AddMember, groups.add_member, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "DELETE",
        f"{_MEMBERS}/{{user}}",
        Operation("RemoveMember", RemoveMember, groups.remove_member, Nothing, changes=True),
        204,
    ),
)
