"""Asking the evaluator inside a transaction: load what is known about the caller, decide, and raise where it is no.

Use cases reach this as `ctx.access.require(conn, caller, permission, resource)`. A caller by bearer token is held to its scopes here
too, so no use case can forget them.
"""

from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from entrepot.capabilities.access.callers import (
    NO_CREDENTIAL,
    CredentialKind,
    LoggedIn,
    TokenCaller,
)
from entrepot.capabilities.access.documents import Effect, Vocabularies
from entrepot.capabilities.access.evaluator import (
    EVERYTHING,
    INACTIVE,
    NO_RULE,
    NOBODY,
    Decision,
    Rights,
    decide,
)
from entrepot.metadata import access as rows
from entrepot.metadata.access import Visibility
from entrepot.metadata.database import Connection, now
from entrepot.model.access import NO_NAMES, AccountKind, Caller, Naming, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import Forbidden, Unauthenticated
from entrepot.model.ids import AccountId, InstanceId, Micros, TenantId, UserId
from entrepot.model.tenancy import Namespace

_LONG_AGO = Micros(0)
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
            resource = replace(resource, is_public=False)
        return decide(self.rights, Permission.PULL, resource).allowed

    def admits_namespace(self, namespace: Namespace) -> bool:
        """Whether the namespace may be shown in a list of namespaces."""
        return decide(self.rights, Permission.NAMESPACE_READ, of_namespace(namespace)).allowed


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides in the transaction it is given. `anonymous_pull`: the setting `auth.anonymous_pull`."""

    vocabularies: Vocabularies
    anonymous_pull: bool = True

    def require(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> None:
        """Return if the caller may. Raises Unauthenticated for anonymous callers, ended credentials and tokens of too little scope, Forbidden otherwise."""
        decision = self.decide(conn, caller, permission, resource)
        if decision.allowed:
            return
        log.info(
            "denied",
            subject=caller.subject,
            permission=permission.value,
            resource=str(resource),
            reason=decision.reason,
            request_id=caller.request_id,
        )
        if caller.is_anonymous:
            raise Unauthenticated("login required")
        if decision.reason == _OUTSIDE_SCOPE:
            raise Unauthenticated("insufficient scope")  # the client may ask for a wider token
        if decision.reason == INACTIVE:
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
        """Whether nothing takes it from the caller: own matters need no rule, yet a policy may deny them."""
        decision = self.decide(conn, caller, permission, resource)
        return decision.allowed or decision.reason == NO_RULE

    def decide(
        self, conn: Connection, caller: Caller, permission: Permission, resource: Resource
    ) -> Decision:
        """The decision with its reason. At most four small reads, five where policies speak of things by name; none for anonymous
        callers and jobs."""
        if isinstance(caller, TokenCaller) and not _in_scope(caller, permission, resource):
            return Decision(allowed=False, reason=_OUTSIDE_SCOPE)
        rights = self.rights(conn, caller, resource)
        return decide(rights, permission, resource)

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
        if caller.is_system:
            return EVERYTHING
        if caller.is_anonymous:
            return Rights(
                is_anonymous=True, may_pull_public=self.anonymous_pull, source=caller.source
            )
        if not _is_credential_good(conn, caller):
            return NOBODY
        if caller.user is not None:
            return self._of_user(conn, caller, caller.user, on=on)
        if caller.account is not None:
            return _of_account(conn, caller.account, caller.source)
        return NOBODY

    def _of_user(
        self, conn: Connection, caller: Caller, user: UserId, *, on: Resource | None
    ) -> Rights:
        standing = rows.user_standing(conn, user)
        if standing is None or not standing.is_active or _has_new_password(caller, standing):
            return NOBODY
        policies = self.vocabularies.read(rows.policy_documents(conn, user))
        by_namespace, by_repository = rows.grant_levels(conn, user, on.namespace if on else None)
        return Rights(
            tenant=standing.tenant,
            role=standing.role,
            is_root_tenant=standing.is_root_tenant,
            namespace_grants=by_namespace,
            repository_grants=by_repository,
            policies=policies,
            source=caller.source,
            now=Micros(now(conn)) if policies.statements else _LONG_AGO,
            operation=caller.operation,
            naming=_naming(conn, standing.tenant, on) if policies.needs_names else NO_NAMES,
        )


def _naming(conn: Connection, tenant: TenantId, on: Resource | None) -> Naming:
    if on is None:
        return rows.naming_of_all(conn, tenant)
    return rows.naming(conn, tenant, on.instance)


def _in_scope(caller: TokenCaller, permission: Permission, resource: Resource) -> bool:
    if permission is Permission.CATALOG:
        return caller.may_list and resource.instance == caller.instance
    return caller.scope(permission, resource) is not None


def _is_credential_good(conn: Connection, caller: Caller) -> bool:
    """Whether the account or key logged in with still counts; users are looked at with their standing."""
    credential = caller.credential if isinstance(caller, LoggedIn) else NO_CREDENTIAL
    match credential.kind:
        case CredentialKind.NONE | CredentialKind.USER:
            return True
        case CredentialKind.ACCOUNT:
            account = rows.account_standing(conn, AccountId(credential.id))
            return (
                account is not None
                and account.version == credential.version
                and account.is_good_at(Micros(now(conn)))
            )
        case CredentialKind.KEY:
            return rows.key_is_good(conn, credential.id, Micros(now(conn)))


def _has_new_password(caller: Caller, standing: rows.UserStanding) -> bool:
    """Whether the caller logged in with a password that has been changed since."""
    return (
        isinstance(caller, LoggedIn)
        and caller.credential.kind is CredentialKind.USER
        and caller.credential.version != standing.credential_version
    )


def _of_account(conn: Connection, account: AccountId, source: str) -> Rights:
    standing = rows.account_standing(conn, account)
    if (
        standing is None
        or standing.kind is not AccountKind.SERVICE
        or not standing.is_good_at(Micros(now(conn)))
    ):
        return NOBODY
    permissions = rows.account_actions(conn, account)
    return Rights(tenant=standing.tenant, permissions=permissions, source=source)


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
        is_exact=only_administrator or not effects,
        include_public=include_public,
    )
