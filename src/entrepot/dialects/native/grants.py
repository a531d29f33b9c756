"""Grants: what users of the owning tenant may do in a namespace or in one repository."""

from enum import StrEnum
from typing import Final

from entrepot.capabilities.access.identities import grants
from entrepot.capabilities.access.targets import Target
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.namespaces import OfNamespace
from entrepot.dialects.native.shapes import Answers, Limit, Nothing, Paged, Windowed, on, windowed
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.access import Level
from entrepot.model.identities import Grant


class LevelName(StrEnum):
    """Pull; push and delete too; grant and change too."""

    READ = "read"
    EDIT = "edit"
    MANAGE = "manage"


_LEVELS: Final = {
    LevelName.READ: Level.READ,
    LevelName.EDIT: Level.EDIT,
    LevelName.MANAGE: Level.MANAGE,
}
_NAMES: Final = {level: name for name, level in _LEVELS.items()}


class OfTarget(OfNamespace, frozen=True, kw_only=True):
    """A request about a namespace, or with `repository` (the part of its name behind the namespace's) about one repository of it."""

    repository: str | None = None

    def target(self, asked: Asked) -> Target:
        """The tenant's."""
        return Target(asked.instance.id, self.namespace, self.repository, asked.tenant)


class ListGrants(OfTarget, frozen=True, kw_only=True):
    """List the grants on a namespace and its repositories, or on one repository."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[Target]:
        """By name."""
        return on(self, self.target(asked))


class SetGrant(OfTarget, frozen=True, kw_only=True):
    """Give a user of the tenant a level, in place of the former one."""

    user: str
    level: LevelName

    def to_command(self, asked: Asked) -> grants.SetGrant:
        """By name."""
        return grants.SetGrant(self.target(asked), self.user, _LEVELS[self.level])


class RemoveGrant(OfTarget, frozen=True, kw_only=True):
    """Take back what a user was given."""

    user: str

    def to_command(self, asked: Asked) -> grants.RemoveGrant:
        """By name."""
        return grants.RemoveGrant(self.target(asked), self.user)


class GrantShown(Answers, frozen=True, kw_only=True):
    """A grant. `repository`: None where it is on the whole namespace."""

    namespace: str
    repository: str | None
    user: str
    level: LevelName

    @classmethod
    def of(cls, result: Grant, _asked: Asked) -> "GrantShown":
        """As it is."""
        return cls(
            namespace=result.namespace_name,
            repository=result.path or None,
            user=result.user_name,
            level=_NAMES[result.level],
        )


class GrantList(Answers, frozen=True, kw_only=True):
    """A page of grants."""

    items: list[GrantShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Grant], asked: Asked) -> "GrantList":
        """By target, then user."""
        return cls(items=[GrantShown.of(row, asked) for row in result.rows], next=result.next)


def _key(grant: Grant) -> str:
    """Neither paths nor users have blanks."""
    return f"{grant.path} {grant.user_name}"


_ALL: Final = "/tenants/{tenant}/instances/{instance}/namespaces/{namespace}/grants"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation("ListGrants", ListGrants, windowed(grants.list_grants, _key), GrantList),
    ),
    Endpoint(
        "PUT",
        f"{_ALL}/{{user}}",
        Operation("SetGrant", SetGrant, grants.set_grant, Nothing, changes=True),
        204,
    ),
    Endpoint(
        "DELETE",
        f"{_ALL}/{{user}}",
        Operation("RemoveGrant", RemoveGrant, grants.remove_grant, Nothing, changes=True),
        204,
    ),
)
