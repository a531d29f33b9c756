"""Who has what on organizations and repositories: grants of users, many at once. Bodies are arrays, that of DELETE too."""

from typing import Final, TypeAlias

from entrepot.capabilities.access.identities import granting
from entrepot.capabilities.access.identities.granting import (
    GrantsShown,
    RevokeGrants,
    UserLevel,
    WriteGrants,
)
from entrepot.capabilities.access.targets import Target
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.swr.endpoints import Endpoint
from entrepot.dialects.swr.shapes import Answers, Asks, Nothing, OfOrganization, OfRepository, Text
from entrepot.model.access import Level
from entrepot.model.errors import RegistryError, UserUnknown
from entrepot.model.identities import GrantTaken, GrantUnknown, LevelInvalid, OwnGrant, UserMisnamed

Codes: TypeAlias = dict[type[RegistryError], str]
_LEVELS: Final = frozenset(level.value for level in Level if level)
_BAD_USER: Final[Codes] = {UserUnknown: "4001067", UserMisnamed: "4001067", OwnGrant: "4001067"}
_ON_ORGANIZATION: Final[Codes] = {
    **_BAD_USER,
    GrantTaken: "4090076",
    GrantUnknown: "4040078",
    LevelInvalid: "4001065",
}
_ON_REPOSITORY: Final[Codes] = {
    **_BAD_USER,
    GrantTaken: "4090089",
    GrantUnknown: "4040091",
    LevelInvalid: "4001066",
}


class UserAuth(Asks, frozen=True, kw_only=True):
    """What a user has: 1 read, 3 edit, 7 manage."""

    user_id: Text
    user_name: Text
    auth: int

    def level(self) -> UserLevel:
        """In our words. Raises LevelInvalid."""
        if self.auth not in _LEVELS:
            raise LevelInvalid(self.auth)
        return UserLevel(self.user_id, self.user_name, Level(self.auth))


class OnOrganization(OfOrganization, frozen=True, kw_only=True):
    """A request about the grants on an organization."""

    def target(self, asked: Asked) -> Target:
        """In the shared instance."""
        return Target(asked.instance.id, self.namespace)


class OnRepository(OfRepository, frozen=True, kw_only=True):
    """A request about the grants on a repository."""

    def target(self, asked: Asked) -> Target:
        """In the shared instance."""
        place = self.place(asked)
        return Target(asked.instance.id, place.name.namespace, place.name.path)


class CreateNamespaceAuth(OnOrganization, frozen=True, kw_only=True):
    """Give users who have none grants on an organization: all of them, or none."""

    users: list[UserAuth]

    def to_command(self, asked: Asked) -> WriteGrants:
        """All of them."""
        return WriteGrants(self.target(asked), tuple(one.level() for one in self.users))


class UpdateNamespaceAuth(CreateNamespaceAuth, frozen=True, kw_only=True):
    """Change grants on an organization: all of them, or none."""


class DeleteNamespaceAuth(OnOrganization, frozen=True, kw_only=True):
    """Take grants on an organization back. Ids of users who have none do not matter, as long as one has."""

    users: list[Text]

    def to_command(self, asked: Asked) -> RevokeGrants:
        """By ids."""
        return RevokeGrants(self.target(asked), tuple(self.users))


class ShowNamespaceAuth(OnOrganization, frozen=True, kw_only=True):
    """Show who has what on an organization."""

    def to_command(self, asked: Asked) -> Target:
        """Of the organization."""
        return self.target(asked)


class CreateUserRepositoryAuth(OnRepository, frozen=True, kw_only=True):
    """Give users who have none grants on a repository: all of them, or none."""

    users: list[UserAuth]

    def to_command(self, asked: Asked) -> WriteGrants:
        """All of them."""
        return WriteGrants(self.target(asked), tuple(one.level() for one in self.users))


class UpdateUserRepositoryAuth(CreateUserRepositoryAuth, frozen=True, kw_only=True):
    """Change grants on a repository: all of them, or none."""


class DeleteUserRepositoryAuth(OnRepository, frozen=True, kw_only=True):
    """Take grants on a repository back. Ids of users who have none do not matter, as long as one has."""

    users: list[Text]

    def to_command(self, asked: Asked) -> RevokeGrants:
        """By ids."""
        return RevokeGrants(self.target(asked), tuple(self.users))


class ShowUserRepositoryAuth(OnRepository, frozen=True, kw_only=True):
    """Show who has what on a repository."""

    def to_command(self, asked: Asked) -> Target:
        """Of the repository."""
        return self.target(asked)


# -- answers ----------------------------------------------------------------------------------------------------------


class Auth(Answers, frozen=True, kw_only=True):
    """What a user has."""

    user_id: str
    user_name: str
    auth: int


class OrganizationAuths(Answers, frozen=True, kw_only=True):
    """The caller's own level on an organization, and everybody else's grants."""

    id: int
    name: str
    creator_name: str
    self_auth: Auth
    others_auths: list[Auth]

    @classmethod
    def of(cls, result: GrantsShown, _asked: Asked) -> "OrganizationAuths":
        """As it is."""
        return cls(
            id=result.number,
            name=result.found.namespace.name,
            creator_name=result.creator,
            self_auth=_auth(result.own),
            others_auths=[_auth(one) for one in result.others],
        )


class RepositoryAuths(Answers, frozen=True, kw_only=True):
    """The caller's own level on a repository, and everybody else's grants on it."""

    id: int
    name: str
    self_auth: Auth
    others_auths: list[Auth]

    @classmethod
    def of(cls, result: GrantsShown, _asked: Asked) -> "RepositoryAuths":
        """As it is."""
        repository = result.found.repository
        return cls(
            id=0 if repository is None else repository.id,
            name="" if repository is None else repository.path,
            self_auth=_auth(result.own),
            others_auths=[_auth(one) for one in result.others],
        )


def _auth(one: UserLevel) -> Auth:
    return Auth(user_id=one.user_id, user_name=one.user_name, auth=one.level.value)


_NAMESPACE: Final = "/v2/manage/namespaces/{namespace}/access"
_REPOSITORY: Final = "/v2/manage/namespaces/{namespace}/repos/{repository}/access"
ENDPOINTS: Final = (
    Endpoint(
        "POST",
        _NAMESPACE,
        Operation(
            "CreateNamespaceAuth",
            CreateNamespaceAuth,
            granting.give_grants,
            Nothing,
            changes=True,
            codes=_ON_ORGANIZATION,
        ),
        "swr:namespace:createNamespaceAccess",
        201,
        array="users",
    ),
    Endpoint(
        "PATCH",
        _NAMESPACE,
        Operation(
            "UpdateNamespaceAuth",
            UpdateNamespaceAuth,
            granting.change_grants,
            Nothing,
            changes=True,
            codes=_ON_ORGANIZATION,
        ),
        "swr:namespace:updateNamespaceAccess",
        201,
        array="users",
    ),
    Endpoint(
        "DELETE",
        _NAMESPACE,
        Operation(
            "DeleteNamespaceAuth",
            DeleteNamespaceAuth,
            granting.revoke_grants,
            Nothing,
            changes=True,
            codes=_ON_ORGANIZATION,
        ),
        "swr:namespace:deleteNamespaceAccess",
        204,
        array="users",
    ),
    Endpoint(
        "GET",
        _NAMESPACE,
        Operation("ShowNamespaceAuth", ShowNamespaceAuth, granting.show_grants, OrganizationAuths),
        "swr:namespace:getNamespaceAccess",
    ),
    Endpoint(
        "POST",
        _REPOSITORY,
        Operation(
            "CreateUserRepositoryAuth",
            CreateUserRepositoryAuth,
            granting.give_grants,
            Nothing,
            changes=True,
            codes=_ON_REPOSITORY,
        ),
        "swr:repo:createRepoAccess",
        201,
        array="users",
    ),
    Endpoint(
        "PATCH",
        _REPOSITORY,
        Operation(
            "UpdateUserRepositoryAuth",
            UpdateUserRepositoryAuth,
            granting.change_grants,
            Nothing,
            changes=True,
            codes=_ON_REPOSITORY,
        ),
        "swr:repo:updateRepoAccess",
        201,
        array="users",
    ),
    Endpoint(
        "DELETE",
        _REPOSITORY,
        Operation(
            "DeleteUserRepositoryAuth",
            DeleteUserRepositoryAuth,
            granting.revoke_grants,
            Nothing,
            changes=True,
            codes=_ON_REPOSITORY,
        ),
        "swr:repo:deleteRepoAccess",
        204,
        array="users",
    ),
    Endpoint(
        "GET",
        _REPOSITORY,
        Operation(
            "ShowUserRepositoryAuth", ShowUserRepositoryAuth, granting.show_grants, RepositoryAuths
        ),
        "swr:repo:getRepoAccess",
    ),
)
