"""Callers that logged in: what `Caller` says, and with which credential, so that it can be looked at again."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from msgspec.structs import replace

from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.ids import InstanceId, Micros, RepositoryId


class CredentialKind(StrEnum):
    """What was shown at login."""

    NONE = "none"  # anonymous
    USER = "user"  # a password
    ACCOUNT = "account"  # temporary or long-term token, service account, login
    KEY = "key"  # an access key


@dataclass(frozen=True, slots=True)
class Credential:
    """The row that was logged in with. `id` is a user's, account's or access key's; `version` changes with the secret; keys have none."""

    kind: CredentialKind
    id: int = 0
    version: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> "Credential":
        """What `str` wrote. ValueError otherwise."""
        kind, number, version = text.split(":")
        return cls(CredentialKind(kind), int(number), int(version))


NO_CREDENTIAL = Credential(CredentialKind.NONE)
_NO_INSTANCE = InstanceId(0)
_LONG_AGO = Micros(0)


class LoggedIn(Caller, frozen=True):
    """A caller whose login this process checked. `epoch`: the highest epoch the check had seen."""

    credential: Credential = NO_CREDENTIAL
    epoch: int = 0

    def at(self, source: str, request_id: str) -> Self:
        """The same caller in another request."""
        return replace(self, source=source, request_id=request_id)


# Scope actions of the token protocol and what they let through.
SCOPE_ACTIONS: Mapping[str, frozenset[Permission]] = {
    "pull": frozenset({Permission.PULL}),
    "push": frozenset({Permission.PUSH, Permission.REPOSITORY_CREATE}),
    "delete": frozenset({Permission.DELETE}),
    "*": frozenset(
        {Permission.PULL, Permission.PUSH, Permission.REPOSITORY_CREATE, Permission.DELETE}
    ),
}


@dataclass(frozen=True, slots=True)
class RepositoryScope:
    """What a token lets through on one repository. `id` None: it was not there when the token was made."""

    permissions: frozenset[Permission]
    id: RepositoryId | None


class TokenCaller(LoggedIn, frozen=True):
    """A caller by bearer token: may do no more than its scopes, and no more than its rights."""

    instance: InstanceId = _NO_INSTANCE
    expires_at: Micros = _LONG_AGO
    token_id: str = ""
    repositories: Mapping[str, RepositoryScope] | None = None  # by full name
    may_list: bool = False

    def scope(self, permission: Permission, resource: Resource) -> RepositoryScope | None:
        """The scope that includes this; None: none does."""
        if self.repositories is None or resource.instance != self.instance:
            return None
        scope = self.repositories.get(f"{resource.namespace_name}/{resource.path}")
        if scope is None or permission not in scope.permissions:
            return None
        # A name that was deleted and made again is another repository.
        if scope.id is not None and scope.id != resource.repository:
            return None
        return scope
