"""The one evaluator (DESIGN section 7): pure, from what is known about a caller to allowed or not, and why.

Order: explicit deny, and what no cap of the tenant allows; tenant's owner and administrators; then any of grant, policy, service
account's permissions, public visibility, valid share; else deny.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from entrepot.capabilities.access.conditions import NO_FACTS, Facts
from entrepot.capabilities.access.documents import NO_POLICIES, BoundStatement, Effect, Reading
from entrepot.model.access import (
    NO_NAMES,
    NO_PRINCIPAL,
    Fact,
    Level,
    Naming,
    Permission,
    Principal,
    Resource,
    Role,
)
from entrepot.model.errors import QuotaExceeded
from entrepot.model.ids import Micros, NamespaceId, RepositoryId, TenantId

# Only the root tenant's owner and administrators have these; no document, grant or account gives them.
DEPLOYMENT_PERMISSIONS: Final = frozenset({Permission.DEPLOYMENT_MANAGE, Permission.QUOTA_MANAGE})
# What a grant's level gives on a repository, and what else it gives where it stands on the namespace.
_ON_REPOSITORY: Final[Mapping[Permission, Level]] = {
    Permission.PULL: Level.READ,
    Permission.PUSH: Level.EDIT,
    Permission.DELETE: Level.EDIT,
    Permission.REPOSITORY_EDIT: Level.EDIT,
    Permission.REPOSITORY_MANAGE: Level.MANAGE,
}
_ON_NAMESPACE: Final[Mapping[Permission, Level]] = {
    **_ON_REPOSITORY,
    Permission.NAMESPACE_READ: Level.READ,
    Permission.REPOSITORY_CREATE: Level.EDIT,
    Permission.NAMESPACE_MANAGE: Level.MANAGE,
}
_LEVELS_ON_NAMESPACE: Final = (
    (Permission.NAMESPACE_MANAGE, Level.MANAGE),
    (Permission.REPOSITORY_CREATE, Level.EDIT),
    (Permission.NAMESPACE_READ, Level.READ),
)
_LEVELS_ON_REPOSITORY: Final = (
    (Permission.REPOSITORY_MANAGE, Level.MANAGE),
    (Permission.PUSH, Level.EDIT),
    (Permission.PULL, Level.READ),
)
PUBLICITY: Final = (Fact.PUBLIC, Fact.PUBLIC_NAMESPACE)
MAX_COMPARISONS: Final = 20_000_000  # of a name with a pattern: some ten seconds
_LONG_AGO = Micros(0)
INACTIVE: Final = "inactive"
NO_RULE: Final = "no rule"
BEYOND_CAP: Final = "beyond the tenant's cap"


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or not. `reason` names the rule, for logs and `explain`; clients never see it. `until`: when that ends by itself, None:
    never."""

    allowed: bool
    reason: str
    until: Micros | None = None


@dataclass(slots=True)
class Memo:
    """What was found out about one caller's policies. `applying`: statements that count, by what they were asked of; `plain`: the rights
    whatever is being done; `spent`: how often names were compared."""

    applying: dict[tuple[object, ...], tuple[BoundStatement, ...]] = field(default_factory=dict)
    plain: "Rights | None" = None
    spent: int = 0

    def spend(self, comparisons: int) -> None:
        """Count them. Raises QuotaExceeded: a request that would keep everybody waiting for minutes ends."""
        self.spent += comparisons
        if self.spent > MAX_COMPARISONS:
            raise QuotaExceeded("comparisons with policies in one request", MAX_COMPARISONS)


@dataclass(frozen=True, slots=True)
class Rights:
    """What is known about a caller at one moment.

    `is_active` False: disabled, deleted, expired or of a deleted tenant; nothing at all is allowed. `role` None: no user
    (anonymous, service account). `permissions`: of a service account, by namespace. `operation` is the caller's; `naming` and `networks`
    are filled where the policies need them. `caps`: what limits the whole tenant, None: nothing. `shares`: repositories of others that are
    shared with the tenant now, and until when (None: for ever); looked up only where they decide.
    """

    is_active: bool = True
    is_system: bool = False
    is_anonymous: bool = False
    tenant: TenantId | None = None
    role: Role | None = None
    is_root_tenant: bool = False
    namespace_grants: Mapping[NamespaceId, Level] = field(default_factory=dict)
    repository_grants: Mapping[RepositoryId, Level] = field(default_factory=dict)
    policies: Reading = NO_POLICIES
    permissions: Mapping[NamespaceId, frozenset[Permission]] = field(default_factory=dict)
    may_pull_public: bool = True
    source: str = ""
    now: Micros = _LONG_AGO
    operation: str = ""
    naming: Naming = NO_NAMES
    principal: Principal = NO_PRINCIPAL
    networks: tuple[str, ...] | None = None
    caps: Reading | None = None
    shares: Mapping[RepositoryId, Micros | None] = field(default_factory=dict)
    memo: Memo = field(default_factory=Memo, init=False, repr=False, compare=False)

    @property
    def is_administrator(self) -> bool:
        """Whether a user runs the tenant."""
        return self.role in (Role.OWNER, Role.ADMINISTRATOR)

    @property
    def is_limited(self) -> bool:
        """Whether anything could be denied that is given."""
        effects = {bound.statement.effect for bound in self.policies.statements}
        return self.caps is not None or Effect.DENY in effects


NOBODY = Rights(is_active=False)
EVERYTHING = Rights(is_system=True)


def decide(rights: Rights, permission: Permission, resource: Resource) -> Decision:
    """Whether a caller with these rights has the permission on the resource."""
    if rights.is_system:
        return Decision(allowed=True, reason="system")
    if denied := _denial(rights, permission, resource):
        return Decision(allowed=False, reason=denied)
    if permission in DEPLOYMENT_PERMISSIONS:
        reason = _by_root(rights)
    else:
        reason = (
            _by_standing(rights, permission, resource)
            or _by_grant(rights, permission, resource)
            or _by_policy(rights, permission, resource)
            or _by_account(rights, permission, resource)
            or _by_visibility(rights, permission, resource)
        )
    if reason is None:
        return _by_share(rights, permission, resource)
    return Decision(allowed=True, reason=reason)


def may_be_shared(rights: Rights, permission: Permission, resource: Resource) -> bool:
    """Whether a share could let this caller in: a user, who wants to pull from a repository of another tenant."""
    return (
        permission is Permission.PULL
        and resource.repository is not None
        and rights.role is not None
        and rights.tenant is not None
        and rights.tenant != resource.tenant
    )


def level_on(rights: Rights, resource: Resource) -> Level:
    """The highest level that somebody of these rights has on a namespace or repository, by whatever rule."""
    rights = _plain(rights)
    levels = _LEVELS_ON_NAMESPACE if resource.repository is None else _LEVELS_ON_REPOSITORY
    for permission, level in levels:
        if decide(rights, permission, resource).allowed:
            return level
    return Level.NONE


def _plain(rights: Rights) -> Rights:
    """The same, whatever is being done: what may be done is asked."""
    if not rights.operation:
        return rights
    memo = rights.memo
    if memo.plain is None:
        memo.plain = replace(rights, operation="")
    return memo.plain


def _denial(rights: Rights, permission: Permission, resource: Resource) -> str | None:
    if not rights.is_active:
        return INACTIVE
    if not rights.policies.is_readable:
        return "unreadable policy"
    if _is_named(rights.policies, rights, permission, resource, Effect.DENY):
        return "explicit deny"
    caps = rights.caps
    return None if caps is None else _excess(caps, rights, permission, resource)


def _excess(
    caps: Reading, rights: Rights, permission: Permission, resource: Resource
) -> str | None:
    """Why a cap of the tenant forbids it. A list shows only what may be read: it needs no allowance of its own."""
    if not caps.is_readable:
        return "unreadable cap"
    if _is_named(caps, rights, permission, resource, Effect.DENY):
        return "explicit deny by a cap"
    if permission is Permission.CATALOG:
        return None
    allowed = _is_named(caps, rights, permission, resource, Effect.ALLOW)
    return None if allowed else BEYOND_CAP


def _is_named(
    reading: Reading, rights: Rights, permission: Permission, resource: Resource, effect: Effect
) -> bool:
    """Whether a statement of that effect speaks of this."""
    if not reading.statements:
        return False
    called: dict[str, tuple[str, ...]] = {}  # by dialect
    for bound in _applying(reading, rights, permission, resource, effect):
        vocabulary = bound.vocabulary
        names = called.get(vocabulary.dialect)
        if names is None:
            names = tuple(vocabulary.resources(resource, rights.naming, rights.operation))
            called[vocabulary.dialect] = names
        rights.memo.spend(len(names) * len(bound.statement.resources))
        if bound.is_on(names):
            return True
    return False


def _applying(
    reading: Reading, rights: Rights, permission: Permission, resource: Resource, effect: Effect
) -> tuple[BoundStatement, ...]:
    """The statements of that effect about this permission whose conditions hold: of whatever thing. What cannot be told is to nobody's
    advantage."""
    region, about = rights.naming.region(resource), resource.about
    key = (reading is rights.caps, effect, permission, region, tuple(about.items()))
    found = rights.memo.applying.get(key)
    if found is None:
        facts = _facts(rights, region, about)
        published = _published(about)
        found = rights.memo.applying[key] = tuple(
            bound
            for bound in reading.statements
            if bound.statement.effect is effect
            and bound.is_about(permission, rights.operation, published)
            and (not bound.region or bound.region == region)
            and bound.statement.conditions.hold(facts, unknown=effect is Effect.DENY)
        )
    return found


def _published(about: Mapping[Fact, str]) -> frozenset[Fact]:
    """What the request makes public."""
    if not about:
        return NO_FACTS
    return frozenset(fact for fact in PUBLICITY if about.get(fact) == "true")


def _facts(rights: Rights, region: str, about: Mapping[Fact, str]) -> Facts:
    return Facts(
        source=rights.source,
        now=rights.now,
        principal=rights.principal,
        region=region,
        networks=rights.networks,
        about=about,
    )


def _by_root(rights: Rights) -> str | None:
    return "root administrator" if rights.is_root_tenant and rights.is_administrator else None


def _by_standing(rights: Rights, permission: Permission, resource: Resource) -> str | None:
    if rights.is_administrator and rights.tenant is not None and rights.tenant == resource.tenant:
        return "administrator"
    if permission is Permission.CATALOG and not rights.is_anonymous:
        return "catalog"  # it lists only what may be read
    return None


def _by_grant(rights: Rights, permission: Permission, resource: Resource) -> str | None:
    none = Level.NONE
    if (needed := _ON_NAMESPACE.get(permission)) is None or resource.namespace is None:
        return None
    if rights.namespace_grants.get(resource.namespace, none) >= needed:
        return "grant on the namespace"
    if (needed := _ON_REPOSITORY.get(permission)) is None or resource.repository is None:
        return None
    if rights.repository_grants.get(resource.repository, none) >= needed:
        return "grant on the repository"
    return None


def _by_policy(rights: Rights, permission: Permission, resource: Resource) -> str | None:
    # A tenant's documents give rights on its own things only: names say nothing about whose they are.
    if rights.tenant is None or rights.tenant != resource.tenant:
        return None
    given = _is_named(rights.policies, rights, permission, resource, Effect.ALLOW)
    return "policy" if given else None


def _by_account(rights: Rights, permission: Permission, resource: Resource) -> str | None:
    if resource.namespace is None:
        return None
    given = rights.permissions.get(resource.namespace, frozenset())
    return "account permission" if permission in given else None


def _by_visibility(rights: Rights, permission: Permission, resource: Resource) -> str | None:
    if permission is not Permission.PULL or not resource.is_public:
        return None
    return "public" if rights.may_pull_public else None


def _by_share(rights: Rights, permission: Permission, resource: Resource) -> Decision:
    repository = resource.repository
    if repository is None or repository not in rights.shares:
        return Decision(allowed=False, reason=NO_RULE)
    if not may_be_shared(rights, permission, resource):
        return Decision(allowed=False, reason=NO_RULE)
    return Decision(allowed=True, reason="share", until=rights.shares[repository])
