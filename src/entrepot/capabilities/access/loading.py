"""What is known about a caller now: standing, grants, policies and caps, or a service account's permissions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network

from entrepot.capabilities.access.callers import NO_CREDENTIAL, CredentialKind, LoggedIn
from entrepot.capabilities.access.conditions import NO_NEEDS, Need, address_of
from entrepot.capabilities.access.documents import NO_POLICIES, Reading, Vocabularies
from entrepot.capabilities.access.evaluator import EVERYTHING, NOBODY, Rights
from entrepot.metadata import access as rows
from entrepot.metadata import attached
from entrepot.metadata.attached import AttachedDocument
from entrepot.metadata.database import Connection, now
from entrepot.metadata.networks import list_networks
from entrepot.model.access import NO_NAMES, AccountKind, Caller, Naming, Resource
from entrepot.model.ids import AccountId, Micros, TenantId, UserId

_LONG_AGO = Micros(0)


@dataclass(frozen=True, slots=True)
class Loader:
    """Reads it in the transaction it is given."""

    vocabularies: Vocabularies
    anonymous_pull: bool = True

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
            return self._of_account(conn, caller, caller.account, on=on)
        return NOBODY

    def _of_user(
        self, conn: Connection, caller: Caller, user: UserId, *, on: Resource | None
    ) -> Rights:
        standing = rows.user_standing(conn, user)
        if standing is None or not standing.is_active or _has_new_password(caller, standing):
            return NOBODY
        documents = attached.policy_documents(conn, user, standing.tenant)
        by_namespace, by_repository = rows.grant_levels(conn, user, on.namespace if on else None)
        rights = Rights(
            tenant=standing.tenant,
            role=standing.role,
            is_root_tenant=standing.is_root_tenant,
            namespace_grants=by_namespace,
            repository_grants=by_repository,
            source=caller.source,
            operation=caller.operation,
            principal=standing.principal,
        )
        return self._with_documents(conn, rights, documents, on=on) if documents else rights

    def _of_account(
        self, conn: Connection, caller: Caller, account: AccountId, *, on: Resource | None
    ) -> Rights:
        standing = rows.account_standing(conn, account)
        if (
            standing is None
            or standing.kind is not AccountKind.SERVICE
            or not standing.is_good_at(Micros(now(conn)))
        ):
            return NOBODY
        rights = Rights(
            tenant=standing.tenant,
            permissions=rows.account_actions(conn, account),
            source=caller.source,
            operation=caller.operation,
            principal=standing.principal,
        )
        if not standing.is_capped:
            return rights
        return self._with_documents(conn, rights, attached.caps(conn, standing.tenant), on=on)

    def _with_documents(
        self,
        conn: Connection,
        rights: Rights,
        documents: Sequence[AttachedDocument],
        *,
        on: Resource | None,
    ) -> Rights:
        """With what policies say, and what these need to be judged."""
        given = self._read(one for one in documents if not one.is_cap)
        caps = [one for one in documents if one.is_cap]
        limits = self._read(caps) if caps else None
        needs = given.needs if limits is None else given.needs | limits.needs
        tenant = rights.tenant
        return replace(
            rights,
            policies=given,
            caps=limits,
            now=Micros(now(conn)) if Need.MOMENT in needs else _LONG_AGO,
            naming=_naming(conn, tenant, on) if tenant and Need.NAMES in needs else NO_NAMES,
            networks=_networks(conn, tenant, rights.source) if Need.NETWORKS in needs else None,
        )

    def _read(self, documents: Iterable[AttachedDocument]) -> Reading:
        found = NO_POLICIES
        for one in dict.fromkeys(documents):  # somebody may have it by several groups
            reading = self.vocabularies.read([(one.dialect, one.document)])
            found += reading.only_in(one.region) if one.region else reading
        return found


def is_settled(rights: Rights) -> bool:
    """Whether what these rights say holds until somebody changes them: no policy asks from where a request comes, or when."""
    needs = rights.policies.needs | (NO_NEEDS if rights.caps is None else rights.caps.needs)
    return needs.isdisjoint((Need.MOMENT, Need.NETWORKS))


def _networks(conn: Connection, tenant: TenantId | None, source: str) -> tuple[str, ...] | None:
    """Ids of those networks of the tenant that the source lies in; None where its address cannot be told."""
    address = address_of(source)
    if address is None:
        return None
    return tuple(
        network.public_id
        for network in list_networks(conn, tenant)
        if any(address in ip_network(cidr) for cidr in network.cidrs)
    )


def _naming(conn: Connection, tenant: TenantId, on: Resource | None) -> Naming:
    if on is None:
        return rows.naming_of_all(conn, tenant)
    return rows.naming(conn, tenant, on.instance)


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
