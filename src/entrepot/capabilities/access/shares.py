"""Sharing a repository with another tenant until a deadline: whose users may then pull from it, and nothing else.

Whoever manages the repository shares it. A share is no grant: it gives nobody else a right to hand on, and a policy of the receiver's
may still deny. It stays in the lists when it has ended.
"""

from dataclasses import dataclass, field, replace

from entrepot.capabilities.access.evaluator import decide
from entrepot.capabilities.access.identities.standing import rights_changed
from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.access.targets import Target, permitted, require_own
from entrepot.capabilities.content.browsing import Rows
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import shares, summaries, tenants
from entrepot.metadata.browsing import Slice
from entrepot.metadata.database import Connection, now
from entrepot.metadata.shares import SharedFilter, SharedRepository, Terms
from entrepot.model.access import Caller, Fact, Permission
from entrepot.model.content import Repository, RepositorySummary
from entrepot.model.errors import TextTooLong, ValueInvalid
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.shares import (
    MAX_DESCRIPTION,
    READ,
    DeadlineInvalid,
    PermitInvalid,
    ReceiverInvalid,
    Share,
    ShareTaken,
    ShareUnknown,
    end_of,
)
from entrepot.model.tenancy import Tenant

P = Permission


@dataclass(frozen=True, slots=True)
class WriteShare:
    """What a share is to say. `target` names a repository; `receiver`: a tenant; `deadline`: a time, or `forever`."""

    target: Target
    receiver: str
    permit: str
    deadline: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class NamedShare:
    """A share, by repository and receiver."""

    target: Target
    receiver: str


@dataclass(frozen=True, slots=True)
class ShareShown:
    """A share and whether it counts now."""

    share: Share
    is_valid: bool


@dataclass(frozen=True, slots=True)
class BrowseShared:
    """The caller's repositories that are shared (`is_own`), or those of others that are shared with the caller's tenant.

    `namespace`: its name; `name`: a part of the repository's; `owner`: the tenant it belongs to, by name; `is_valid`: of received ones only
    those that have not ended, or only those that have; `sort`: one of `metadata.shares.SORTS`; `with_tags`: with names of their tags.
    """

    instance: InstanceId
    is_own: bool
    namespace: str = ""
    name: str = ""
    owner: str = ""
    is_valid: bool | None = None
    sort: str = "updated_at"
    descending: bool = True
    with_tags: bool = True
    window: Slice = field(default_factory=Slice)


@dataclass(frozen=True, slots=True)
class SharedSummary:
    """A repository with what is counted about it. `is_valid`: it is shared with the caller, and that has not ended.

    Where it has ended, little but names is told: see `metadata.shares.SharedRepository`.
    """

    summary: RepositorySummary
    is_valid: bool


# -- changes ----------------------------------------------------------------------------------------------------------


async def create_share(ctx: Context, caller: Caller, command: WriteShare) -> None:
    """Share it. Raises Denied, NamespaceUnknown, RepositoryUnknown, ReceiverInvalid, ShareTaken, PermitInvalid, DeadlineInvalid,
    ValueInvalid."""
    terms = _terms(command)

    def write(conn: Connection) -> None:
        receiver = tenants.find_tenant(conn, command.receiver)
        repository = _managed(ctx, conn, caller, command.target, receiver=receiver)
        _check_end(conn, terms)
        if receiver is None or receiver.id == repository.tenant:
            raise ReceiverInvalid(command.receiver[:300])
        if shares.shares_of(conn, repository, tenant=receiver.id):
            raise ShareTaken(_named(repository, receiver))
        shares.insert_share(conn, repository.id, receiver.id, terms=terms, created_by=caller.user)
        _note(conn, caller, "share.create", repository, receiver=receiver, deadline=terms.deadline)

    await change(ctx, caller, "share.create", write)


async def update_share(ctx: Context, caller: Caller, command: WriteShare) -> None:
    """Replace permit, deadline and description. Raises Denied, NamespaceUnknown, RepositoryUnknown, ShareUnknown, PermitInvalid,
    DeadlineInvalid, ValueInvalid."""
    terms = _terms(command)

    def write(conn: Connection) -> None:
        receiver = tenants.find_tenant(conn, command.receiver)
        repository = _managed(ctx, conn, caller, command.target, receiver=receiver)
        _check_end(conn, terms)
        if receiver is None or not shares.update_share(
            conn, repository.id, receiver.id, terms=terms
        ):
            raise ShareUnknown(command.receiver[:300])
        rights_changed(
            ctx, conn, repository.tenant
        )  # what was pulled by until then may end earlier
        _note(conn, caller, "share.update", repository, receiver=receiver, deadline=terms.deadline)

    await change(ctx, caller, "share.update", write)


async def delete_share(ctx: Context, caller: Caller, command: NamedShare) -> None:
    """End it at once. Raises Denied, NamespaceUnknown, RepositoryUnknown, ShareUnknown."""

    def write(conn: Connection) -> None:
        receiver = tenants.find_tenant(conn, command.receiver)
        repository = _managed(ctx, conn, caller, command.target, receiver=None)
        if receiver is None or not shares.delete_share(conn, repository.id, receiver.id):
            raise ShareUnknown(command.receiver[:300])
        rights_changed(ctx, conn, repository.tenant)
        _note(conn, caller, "share.delete", repository, receiver=receiver)

    await change(ctx, caller, "share.delete", write)


# -- what there is ----------------------------------------------------------------------------------------------------


async def get_share(ctx: Context, caller: Caller, command: NamedShare) -> ShareShown:
    """One, for users of the owning tenant who may read the repository. Raises Denied, NamespaceUnknown, RepositoryUnknown, ShareUnknown."""

    def read(conn: Connection) -> ShareShown:
        repository = _readable(ctx, conn, caller, command.target)
        receiver = tenants.find_tenant(conn, command.receiver)
        found = [] if receiver is None else shares.shares_of(conn, repository, tenant=receiver.id)
        if not found:
            raise ShareUnknown(command.receiver[:300])
        return ShareShown(found[0], found[0].is_valid_at(Micros(now(conn))))

    return await ctx.db.read(read)


async def list_shares(ctx: Context, caller: Caller, target: Target) -> list[ShareShown]:
    """All of the repository, newest first; likewise. Raises Denied, NamespaceUnknown, RepositoryUnknown."""

    def read(conn: Connection) -> list[ShareShown]:
        repository = _readable(ctx, conn, caller, target)
        moment = Micros(now(conn))
        return [
            ShareShown(one, one.is_valid_at(moment)) for one in shares.shares_of(conn, repository)
        ]

    return await ctx.db.read(read)


async def browse_shared(ctx: Context, caller: Caller, command: BrowseShared) -> Rows[SharedSummary]:
    """Those that the caller may read, or could before the share ended. Whoever has no tenant sees none."""

    def read(conn: Connection) -> Rows[SharedSummary]:
        listing = ctx.access.visible_repositories(
            conn, caller, include_public=True, instance=command.instance
        )
        rights = listing.rights
        if rights.tenant is None or rights.role is None:
            return Rows([], 0)
        asked = _filter(command, rights.tenant)
        if command.is_own:
            asked = replace(asked, visibility=listing.visibility)
        first = command.window.offset
        if listing.is_exact:
            page, total = shares.shared_page(conn, asked, command.window)
            return Rows(_summarized(conn, page, with_tags=command.with_tags), total, first)
        everything, _ = shares.shared_page(conn, asked, Slice())

        def is_seen(repository: Repository) -> bool:
            if command.is_own:
                return listing.admits(repository)
            received = replace(rights, shares={repository.id: None})
            return decide(received, P.PULL, of_repository(repository)).allowed

        seen = [one for one in everything if is_seen(one.details.repository)]
        page = seen[first : first + command.window.limit]
        return Rows(_summarized(conn, page, with_tags=command.with_tags), len(seen), first)

    return await ctx.db.read(read)


def _summarized(
    conn: Connection, page: list[SharedRepository], *, with_tags: bool
) -> list[SharedSummary]:
    """With what is counted about those that are still shared, or own."""
    living = [one.details for one in page if not one.has_ended]
    found = summaries.summaries(conn, living, with_tags=with_tags)
    ended = [one.details for one in page if one.has_ended]
    found += [_of_ended(one) for one in summaries.summaries(conn, ended, with_tags=False)]
    by_id = {one.details.repository.id: one for one in found}
    return [
        SharedSummary(by_id[number], one.is_valid)
        for one in page
        if (number := one.details.repository.id) in by_id
    ]


def _of_ended(one: RepositorySummary) -> RepositorySummary:
    """Whose it is, and nothing of what has become of it."""
    return replace(one, tag_count=0, size=0, pulls=0, creator_public_id="", creator_name="")


# -- checks -----------------------------------------------------------------------------------------------------------


def _terms(command: WriteShare) -> Terms:
    if command.permit != READ:
        raise PermitInvalid(command.permit[:100])
    if len(command.description) > MAX_DESCRIPTION:
        raise TextTooLong("description", f"at most {MAX_DESCRIPTION} characters")
    ends_at = end_of(command.deadline)
    return Terms(command.permit, command.deadline, ends_at, command.description)


def _check_end(conn: Connection, terms: Terms) -> None:
    if terms.ends_at is not None and now(conn) >= terms.ends_at:
        raise DeadlineInvalid(terms.deadline, "is over")


def _managed(
    ctx: Context, conn: Connection, caller: Caller, target: Target, *, receiver: Tenant | None
) -> Repository:
    about = {} if receiver is None else {Fact.TARGET_TENANT: receiver.public_id}
    found = permitted(ctx, conn, caller, target, P.REPOSITORY_MANAGE, about=about)
    return _repository(found.repository)


def _readable(ctx: Context, conn: Connection, caller: Caller, target: Target) -> Repository:
    found = permitted(ctx, conn, caller, target, P.PULL)
    require_own(caller, found, P.PULL)
    return _repository(found.repository)


def _repository(found: Repository | None) -> Repository:
    if found is None:
        raise ValueInvalid("repository", "only repositories are shared")
    return found


def _filter(command: BrowseShared, tenant: TenantId) -> SharedFilter:
    if command.sort not in shares.SORTS:
        raise ValueInvalid("sort", f"one of {', '.join(shares.SORTS)}")
    return SharedFilter(
        tenant,
        command.instance,
        command.is_own,
        namespace=command.namespace,
        name=command.name,
        owner=command.owner,
        is_valid=None if command.is_own else command.is_valid,
        sort=command.sort,
        descending=command.descending,
    )


def _named(repository: Repository, receiver: Tenant) -> str:
    return f"{repository.full_name} with {receiver.name}"


def _note(
    conn: Connection,
    caller: Caller,
    action: str,
    repository: Repository,
    *,
    receiver: Tenant,
    deadline: str | None = None,
) -> None:
    note(
        conn,
        caller,
        action,
        repository.full_name,
        tenant=repository.tenant,
        receiver=receiver.name,
        deadline=deadline,
    )
