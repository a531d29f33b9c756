"""Sync rules of a repository: where its images go.

Who may push to a repository may have its images copied elsewhere, and sees where they go. A rule acts with the rights of whoever wrote
it last, as they are at each run: to push to the target, where that is here. At a peer its credentials decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from entrepot.capabilities.access.targets import Target, permitted, require_own
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.policies.destinations import AtPeer, destination, goal, source
from entrepot.metadata import peers, syncing, tenants
from entrepot.metadata.database import Connection
from entrepot.metadata.syncing import NewRule
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.content import Repository
from entrepot.model.errors import Forbidden, QuotaExceeded
from entrepot.model.ids import TenantId
from entrepot.model.syncing import (
    SyncRule,
    SyncRuleUnknown,
    SyncTarget,
)

MOST_RULES: Final = 50  # of a repository


@dataclass(frozen=True, slots=True)
class PutRule:
    """Copy what is pushed from now on (`is_automatic`), or only what is asked for, to the target. `overrides`: tags that mean
    something else there."""

    place: Place
    target: SyncTarget
    is_automatic: bool
    overrides: bool


@dataclass(frozen=True, slots=True)
class DropRule:
    """The rule for a target goes."""

    place: Place
    target: SyncTarget


@dataclass(frozen=True, slots=True)
class RulesOf:
    """A repository's rules."""

    repository: Repository
    rules: Sequence[SyncRule]


@dataclass(frozen=True, slots=True)
class RegionsFor:
    """What a rule of the tenant may name."""

    tenant: TenantId


# -- rules ------------------------------------------------------------------------------------------------------------


async def put_rule(ctx: Context, caller: Caller, command: PutRule) -> None:
    """Make the rule, or change the one for that target. Raises Denied, RepositoryUnknown, NamespaceUnknown, RegionUnserved,
    ValueInvalid, QuotaExceeded."""

    def write(conn: Connection) -> None:
        target = command.target
        repository = source(ctx, conn, caller, command.place, region=target.region)
        tenant = peers_of(caller, repository)
        to = destination(ctx, conn, repository, target=target, tenant=tenant)
        if not isinstance(to, AtPeer):
            goal(ctx, conn, caller, to, region=target.region)
        is_new = syncing.put_rule(
            conn,
            NewRule(
                repository.id,
                command.target,
                is_automatic=command.is_automatic,
                overrides=command.overrides,
                tenant=tenant,
                user=caller.user,
                operation=caller.operation,
            ),
        )
        if is_new and len(syncing.list_rules(conn, repository.id)) > MOST_RULES:
            raise QuotaExceeded("sync rules", MOST_RULES)
        noted(
            conn,
            caller,
            "rule",
            repository=repository,
            target=command.target,
            automatic=command.is_automatic,
            overrides=command.overrides,
        )

    await change(ctx, caller, "sync.rule", write)


async def list_rules(ctx: Context, caller: Caller, command: Place) -> RulesOf:
    """All of the repository, oldest first. Raises Denied, RepositoryUnknown, NamespaceUnknown."""

    def read(conn: Connection) -> RulesOf:
        repository = readable(ctx, conn, caller, command)
        return RulesOf(repository, syncing.list_rules(conn, repository.id))

    return await ctx.db.read(read)


async def drop_rule(ctx: Context, caller: Caller, command: DropRule) -> None:
    """Nothing more is copied by it, what was copied stays. Raises Denied, RepositoryUnknown, NamespaceUnknown, SyncRuleUnknown."""

    def write(conn: Connection) -> None:
        target = command.target
        repository = source(ctx, conn, caller, command.place, region=target.region, is_read=False)
        if not syncing.delete_rule(conn, repository.id, target):
            raise SyncRuleUnknown(target.region[:300], target.namespace[:300])
        noted(conn, caller, "rule.delete", repository=repository, target=target)

    await change(ctx, caller, "sync.rule.delete", write)


async def list_sync_regions(ctx: Context, caller: Caller, command: RegionsFor) -> list[str]:
    """Names that a rule of the tenant may have for a region, for its users: those served here, then its peers. Raises Denied."""

    def read(conn: Connection) -> list[str]:
        is_own = caller.tenant == command.tenant and ctx.access.judge.rights(conn, caller).is_active
        if not is_own:
            ctx.access.require(conn, caller, Permission.DEPLOYMENT_MANAGE, Resource(None))
        here = [one.name for one in tenants.list_regions(conn) if one.is_local]
        return [*here, *(peer.name for peer in peers.list_peers(conn, command.tenant))]

    return await ctx.db.read(read)


# -- what they share --------------------------------------------------------------------------------------------------


def peers_of(caller: Caller, repository: Repository) -> TenantId:
    """Whose peers may be named: the caller's own tenant's, for the operator the repository's."""
    if caller.is_system:
        return repository.tenant
    if caller.tenant is None or caller.user is None:
        raise Forbidden(Permission.PUSH.value, repository.full_name)
    return caller.tenant


def readable(ctx: Context, conn: Connection, caller: Caller, place: Place) -> Repository:
    """In a transaction: the repository, for those who were given a right to read it; that anybody, or another tenant, may pull says
    nothing about where it goes. Raises Denied, NamespaceUnknown, RepositoryUnknown."""
    wanted = Target(place.instance.id, place.name.namespace, place.name.path)
    found = permitted(ctx, conn, caller, wanted, Permission.PULL)
    require_own(caller, found, Permission.PULL)
    resource = replace(found.resource, is_public=False)
    ctx.access.require(conn, caller, Permission.PULL, resource)
    assert found.repository is not None  # noqa: S101  (it has a path)
    return found.repository


def noted(
    conn: Connection,
    caller: Caller,
    verb: str,
    *,
    repository: Repository,
    target: SyncTarget,
    **details: str | float | bool | None,
) -> None:
    """In a transaction: the audit trail of a change."""
    note(
        conn,
        caller,
        f"sync.{verb}",
        repository.full_name,
        tenant=repository.tenant,
        region=target.region,
        namespace=target.namespace,
        **details,
    )
