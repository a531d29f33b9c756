"""People and robots of a tenant, and what they were given: users, groups, access keys, policies, grants. And regions, projects."""

import re
from dataclasses import dataclass
from typing import Final

from entrepot.model.access import Level, Role
from entrepot.model.errors import Conflict, InvalidInput, Unauthenticated, Unknown
from entrepot.model.ids import (
    GroupId,
    Micros,
    NamespaceId,
    PolicyId,
    RepositoryId,
    TenantId,
    UserId,
)
from entrepot.model.tenancy import NameRule

# No colon (Basic), no slash (`tenant/user`), no at (`project@key`), and never twelve digits: those log in by account number.
_NAME: Final = re.compile(r"(?!\d{12}$)[A-Za-z0-9][A-Za-z0-9._-]*")
IDENTITY_NAME: Final = NameRule(
    _NAME,
    1,
    64,
    "1 to 64 letters, digits, . _ or -, a letter or digit first, not twelve digits",
)
POLICY_NAME: Final = NameRule(
    _NAME, 1, 128, "1 to 128 letters, digits, . _ or -, a letter or digit first"
)
MAX_ACCESS_KEYS: Final = 2  # living ones a user; temporary ones do not count
SHORTEST_TEMPORARY_SECONDS: Final = 15 * 60  # lifetime of a temporary access key
LONGEST_TEMPORARY_SECONDS: Final = 36 * 3600
MINIMUM_PASSWORD: Final = 8  # characters; the maximum is bytes, see access/passwords.py
MAX_DESCRIPTION: Final = 1000  # characters


@dataclass(frozen=True, slots=True)
class User:
    """A living user. `has_password` False: cannot log in with one."""

    id: UserId
    tenant: TenantId
    public_id: str
    uin: str
    name: str
    role: Role
    enabled: bool
    has_password: bool
    created_at: Micros


@dataclass(frozen=True, slots=True)
class Group:
    """A living group of users."""

    id: GroupId
    tenant: TenantId
    public_id: str
    name: str
    created_at: Micros


@dataclass(frozen=True, slots=True)
class UserKey:
    """A living access key, without its secret. `expires_at`: of temporary keys."""

    id: int
    user: UserId
    access_key_id: str
    enabled: bool
    created_at: Micros
    expires_at: Micros | None


@dataclass(frozen=True, slots=True)
class Policy:
    """A living policy; `document` as it was written, in the words of `dialect`. `is_preset`: built in, nobody changes or deletes it."""

    id: PolicyId
    tenant: TenantId
    public_id: str
    name: str
    dialect: str
    document: str
    description: str
    created_at: Micros
    is_preset: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """To whom a policy is attached, by name: a user, a group (`project`: and only there), or a tenant that it caps."""

    kind: str  # user | group | tenant
    name: str
    project: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A level given to a user on a namespace, or (`repository`, `path`) on one repository of it."""

    user: UserId
    user_name: str
    namespace: NamespaceId
    namespace_name: str
    repository: RepositoryId | None
    path: str
    level: Level
    user_public_id: str


@dataclass(eq=False)
class PolicyUnknown(Unknown):
    """No such policy, or not attached there."""

    name: str


@dataclass(eq=False)
class GrantUnknown(Unknown):
    """The user has no such grant."""

    name: str


@dataclass(eq=False)
class GrantTaken(Conflict):
    """The user has a grant there already, or is named twice."""

    name: str


@dataclass(eq=False)
class LevelInvalid(InvalidInput):
    """A level is 1 (read), 3 (edit) or 7 (manage)."""

    level: int


@dataclass(eq=False)
class UserMisnamed(InvalidInput):
    """The user of that id has another name."""

    name: str


@dataclass(eq=False)
class OwnGrant(InvalidInput):
    """Nobody changes their own grant on a repository."""

    name: str


@dataclass(eq=False)
class ProjectUnknown(Unknown):
    """The tenant has no such project."""

    name: str


@dataclass(eq=False)
class HostUnknown(Unknown):
    """The instance has no such further host name."""

    name: str


# -- why a signed request is not let in -------------------------------------------------------------------------------


@dataclass(eq=False)
class KeyRefused(Unauthenticated):
    """No access key of that id is accepted: unknown, disabled, or its user is."""


@dataclass(eq=False)
class KeyKindWrong(Unauthenticated):
    """The id is a login of another kind, which signs nothing."""


@dataclass(eq=False)
class SessionTokenWrong(Unauthenticated):
    """The session token of a temporary key is missing, wrong or over, or a lasting key came with one."""


@dataclass(eq=False)
class SignatureWrong(Unauthenticated):
    """The signature was not made with the key's secret over this request."""


@dataclass(eq=False)
class RequestReplayed(Unauthenticated):
    """A request with that number was accepted before."""


@dataclass(eq=False)
class CredentialsMissing(Unauthenticated):
    """The request has neither a signature nor a token."""


@dataclass(eq=False)
class IdentityTokenRefused(Unauthenticated):
    """The token of the identity service is none of ours, or over, or its user is."""


# -- where ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Region:
    """A region served here, or (`is_local` False) a peer that takes part in replication only."""

    id: int
    number: int
    name: str
    display_name: str
    is_local: bool
    is_default: bool
    created_at: Micros


@dataclass(frozen=True, slots=True)
class Project:
    """Huawei's slice of a tenant in one region."""

    public_id: str
    tenant: TenantId
    region: str
    name: str
