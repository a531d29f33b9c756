"""Asking the evaluator inside a transaction: load what is known about the caller, decide, and raise where it is no.

Use cases reach this as `ctx.access.require(conn, caller, permission, resource)`. A caller by bearer token is held to its scopes here
too, so no use case can forget them.
"""

from dataclasses import dataclass, field, replace
from typing import NoReturn

import msgspec
import structlog

from entrepot.capabilities.access.callers import TokenCaller
from entrepot.capabilities.access.documents import Effect, Vocabularies
from entrepot.capabilities.access.evaluator import (
    BEYOND_CAP,
    INACTIVE,
    NO_RULE,
    NOBODY,
    Decision,
    Rights,
    decide,
    level_on,
    may_be_shared,
)
from entrepot.capabilities.access.loading import Loader
from entrepot.metadata import shares
from entrepot.metadata.access import Visibility
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Level, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import Forbidden, Unauthenticated
from entrepot.model.ids import InstanceId
from entrepot.model.tenancy import Namespace

_OUTSIDE_SCOPE = "outside the token's scope"

log = structlog.get_logger(__name__)


def of_repository(repository: Repository) -> Resource:
    """A repository as what a permission is asked on."""
    return Resource(
        tenant=repository.tenant,
        instance=repository.instance,
        namespace=repository.namespace,
        namespace_name=repository.namespace_name,
        repository=repository.id,
        path=repository.path,
        is_public=repository.is_public,
    )


def of_namespace(namespace: Namespace, path: str = "") -> Resource:
    """A namespace, or with `path` a repository of it that is not there yet, as what a permission is asked on."""
    return Resource(
        tenant=namespace.tenant,
        instance=namespace.instance,
        namespace=namespace.id,
        namespace_name=namespace.name,
        path=path,
        is_public=namespace.is_public,
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list may show to a caller.

    Give `visibility` to the query. Where `is_exact` is False the caller's policies say more than SQL can: ask `admits` for each row
    (no SQL) and read on until the page is full.
    """

    visibility: Visibility
    rights: Rights
    is_exact: bool
    include_public: bool = True

    def admits(self, repository: Repository) -> bool:
        """Whether the row may be shown."""
        if self.is_exact:
            return True
        resource = of_repository(repository)
        if not self.include_public:
            resource = msgspec.structs.replace(resource, is_public=False)
        return decide(self.rights, Permission.PULL, resource).allowed

    def admits_namespace(self, namespace: Namespace) -> bool:
        """Whether the namespace may be shown in a list of namespaces."""
        return decide(self.rights, Permission.NAMESPACE_READ, of_namespace(namespace)).allowed


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides in the transaction it is given. `anonymous_pull`: the setting `auth.anonymous_pull`."""

    vocabularies: Vocabularies
    anonymous_pull: bool = True
    _loader: Loader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_loader", Loader(self.vocabularies, self.anonymous_pull))

    def require(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> None:
        """Return if the caller may. Raises Unauthenticated for anonymous callers, ended credentials and tokens of too little scope, Forbidden otherwise."""
        decision = self.decide(conn, caller, permission, resource)
        if not decision.allowed:
            self._refuse(caller, permission, resource, decision.reason)

    def require_undenied(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> None:
        """What an operation of another name does by the way: raise where a policy denies the permission itself, or no cap allows it.
        Nothing need give it: whoever may do the operation may do what it consists of."""
        if not caller.operation:
            return  # then that was all that was asked
        plain = msgspec.structs.replace(caller, operation="")
        self.require_left(self.rights(conn, plain, resource), caller, permission, resource)

    def require_left(
        self, rights: Rights, caller: Caller, permission: Permission, resource: Resource
    ) -> None:
        """Likewise with rights that were read, and the operation they are of."""
        decision = decide(rights, permission, resource)
        if not decision.allowed and decision.reason != NO_RULE:
            self._refuse(caller, permission, resource, decision.reason)

    def _refuse(
        self, caller: Caller, permission: Permission, resource: Resource, reason: str
    ) -> NoReturn:
        log.info(
            "denied",
            subject=caller.subject,
            permission=permission.value,
            resource=str(resource),
            reason=reason,
            request_id=caller.request_id,
        )
        if caller.is_anonymous:
            raise Unauthenticated("login required")
        if reason == _OUTSIDE_SCOPE:
            raise Unauthenticated("insufficient scope")  # the client may ask for a wider token
        if reason == INACTIVE:
            raise Unauthenticated("the credential is no longer valid")
        raise Forbidden(permission.value, str(resource))

    def allowed(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> bool:
        """Whether the caller may."""
        return self.decide(conn, caller, permission, resource).allowed

    def leaves(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> bool:
        """Whether nothing takes it from the caller: own matters need no rule and no cap's allowance, yet a policy may deny them."""
        decision = self.decide(conn, caller, permission, resource)
        return decision.allowed or decision.reason in (NO_RULE, BEYOND_CAP)

    def decide(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> Decision:
        """The decision with its reason. At most four small reads, one more each where policies speak of things or networks by name, and
        where only a share could let the caller in; none for anonymous callers and jobs."""
        if isinstance(caller, TokenCaller) and not _in_scope(caller, permission, resource):
            return Decision(allowed=False, reason=_OUTSIDE_SCOPE)
        return judged(conn, self.rights(conn, caller, resource), permission, resource)

    def level(self, conn: Connection, caller: Caller, resource: Resource) -> Level:
        """What the caller has on a namespace or repository, in levels."""
        return level_on(self.rights(conn, caller, resource), resource)

    def listing(
        self,
        conn: Connection,
        caller: Caller,
        *,
        include_public: bool,
        instance: InstanceId | None = None,
    ) -> Listing:
        """What a list may show: the caller's own tenant's as far as rights go, what is granted, and public ones if asked for.

        `instance`: the one that is listed. Without it policies know the shared instances and the tenant's own by name, no others.
        """
        if isinstance(caller, TokenCaller) and not caller.may_list:
            return Listing(Visibility(), NOBODY, is_exact=True)
        on = None if instance is None else Resource(None, instance)
        return _listing(self.rights(conn, caller, on), include_public=include_public)

    def rights(self, conn: Connection, caller: Caller, on: Resource | None = None) -> Rights:
        """What is known about the caller now. `on`: only what matters there, grants in its namespace and the name of its instance."""
        return self._loader.rights(conn, caller, on)


def judged(
    conn: Connection, rights: Rights, permission: Permission, resource: Resource
) -> Decision:
    """The evaluator's decision; where nothing else lets the caller in to another tenant's repository, its shares are looked at."""
    decision = decide(rights, permission, resource)
    if decision.reason != NO_RULE or not may_be_shared(rights, permission, resource):
        return decision
    repository, tenant = resource.repository, rights.tenant
    if repository is None or tenant is None:
        return decision
    share = shares.received(conn, repository, tenant)
    if share is None:
        return decision
    return decide(replace(rights, shares={repository: share.ends_at}), permission, resource)


def _in_scope(caller: TokenCaller, permission: Permission, resource: Resource) -> bool:
    if permission is Permission.CATALOG:
        return caller.may_list and resource.instance == caller.instance
    return caller.scope(permission, resource) is not None


def _listing(rights: Rights, *, include_public: bool) -> Listing:
    if rights.is_system:
        return Listing(Visibility(everything=True), rights, is_exact=True)
    if not rights.is_active or not rights.policies.is_readable:
        return Listing(Visibility(), NOBODY, is_exact=True)
    effects = {bound.statement.effect for bound in rights.policies.statements}
    whole_tenant = rights.is_administrator or Effect.ALLOW in effects
    pulls = (n for n, given in rights.permissions.items() if Permission.PULL in given)
    visibility = Visibility(
        tenants=frozenset({rights.tenant} if whole_tenant and rights.tenant is not None else ()),
        namespaces=frozenset(rights.namespace_grants) | frozenset(pulls),
        repositories=frozenset(rights.repository_grants),
        public=include_public and rights.may_pull_public,
    )
    only_administrator = rights.is_administrator and Effect.DENY not in effects
    return Listing(
        visibility,
        rights,
        is_exact=rights.caps is None and (only_administrator or not effects),
        include_public=include_public,
    )
