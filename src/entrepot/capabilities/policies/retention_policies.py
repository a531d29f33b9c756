"""Retention policies of a repository: made, replaced, shown, ended, and what they removed.

Who may delete in the repository may say what is to be deleted; who may read it may see that, but not because it is public or shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.content.browsing import Rows
from entrepot.capabilities.content.place import Place, existing, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.policies.retention_runs import next_start
from entrepot.metadata import retention
from entrepot.metadata.browsing import Slice
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller, Permission
from entrepot.model.content import Repository
from entrepot.model.errors import Forbidden, QuotaExceeded, ValueInvalid
from entrepot.model.ids import Micros
from entrepot.model.patterns import MAX_LENGTH, compile_pattern
from entrepot.model.retention import (
    Plan,
    Removed,
    RetentionId,
    RetentionPolicy,
    RetentionUnknown,
    Rule,
    SelectorKind,
)

MAX_POLICIES: Final = 20  # of a repository
MAX_RULES: Final = 20  # of a policy
MAX_SELECTORS: Final = 50  # of a rule
MAX_NUMBER: Final = 100_000  # tags or days


@dataclass(frozen=True, slots=True)
class CreateRetention:
    """A policy for a repository."""

    place: Place
    plan: Plan


@dataclass(frozen=True, slots=True)
class NumberedRetention:
    """A policy of the repository, by its number."""

    place: Place
    number: RetentionId


@dataclass(frozen=True, slots=True)
class ReplaceRetention:
    """What the policy is to say instead."""

    place: Place
    number: RetentionId
    plan: Plan


@dataclass(frozen=True, slots=True)
class BrowseRemoved:
    """What retention removed from the repository."""

    place: Place
    window: Slice = field(default_factory=Slice)


@dataclass(frozen=True, slots=True)
class RemovedFrom:
    """A page of what was removed from a repository."""

    repository: Repository
    page: Rows[Removed]


async def create_retention(
    ctx: Context, caller: Caller, command: CreateRetention
) -> RetentionPolicy:
    """Make one. It runs at its time, or after the next push; not at once.

    Raises Denied, RepositoryUnknown, NamespaceUnknown, ValueInvalid, PatternInvalid, QuotaExceeded.
    """
    _check(command.plan.rules)
    found = await existing(ctx, caller, Permission.DELETE, command.place)

    def write(conn: Connection) -> RetentionPolicy:
        repository = _permitted(ctx, conn, caller, found)
        if len(retention.policies_of(conn, repository.id)) >= MAX_POLICIES:
            raise QuotaExceeded("retention policies", MAX_POLICIES)
        number = retention.insert_policy(
            conn,
            repository.namespace,
            repository.id,
            command.plan,
            created_by=caller.user,
        )
        _plan_next(conn, number, command.plan)
        _noted(conn, caller, "create", repository=repository, number=number)
        return _of(conn, repository, number)

    return await change(ctx, caller, "retention.create", write)


async def replace_retention(
    ctx: Context, caller: Caller, command: ReplaceRetention
) -> RetentionPolicy:
    """Let it say something else. A run under way begins anew.

    Raises Denied, RepositoryUnknown, NamespaceUnknown, RetentionUnknown, ValueInvalid, PatternInvalid.
    """
    _check(command.plan.rules)
    found = await existing(ctx, caller, Permission.DELETE, command.place)

    def write(conn: Connection) -> RetentionPolicy:
        repository = _permitted(ctx, conn, caller, found)
        before = _of(conn, repository, command.number)
        retention.replace_plan(conn, command.number, command.plan)
        if _when(before.plan) != _when(command.plan):
            _plan_next(conn, command.number, command.plan)
        _noted(conn, caller, "replace", repository=repository, number=command.number)
        return _of(conn, repository, command.number)

    return await change(ctx, caller, "retention.replace", write)


async def delete_retention(ctx: Context, caller: Caller, command: NumberedRetention) -> None:
    """End it; a run under way stops. Raises Denied, RepositoryUnknown, NamespaceUnknown, RetentionUnknown."""
    found = await existing(ctx, caller, Permission.DELETE, command.place)

    def write(conn: Connection) -> None:
        repository = _permitted(ctx, conn, caller, found)
        policy = _of(conn, repository, command.number)
        retention.remove_policy(conn, policy.id)
        _noted(conn, caller, "delete", repository=repository, number=policy.id)

    await change(ctx, caller, "retention.delete", write)


async def show_retention(
    ctx: Context, caller: Caller, command: NumberedRetention
) -> RetentionPolicy:
    """One policy. Raises Denied, RepositoryUnknown, NamespaceUnknown, RetentionUnknown."""
    found = await existing(ctx, caller, Permission.PULL, command.place)
    return await ctx.db.read(
        lambda conn: _of(conn, _readable(ctx, conn, caller, found), command.number)
    )


async def list_retentions(ctx: Context, caller: Caller, command: Place) -> list[RetentionPolicy]:
    """All of the repository, oldest first. Raises Denied, RepositoryUnknown, NamespaceUnknown."""
    found = await existing(ctx, caller, Permission.PULL, command)
    return await ctx.db.read(
        lambda conn: retention.policies_of(conn, _readable(ctx, conn, caller, found).id)
    )


async def browse_removed(ctx: Context, caller: Caller, command: BrowseRemoved) -> RemovedFrom:
    """A page of what was removed, the last first. Raises Denied, RepositoryUnknown, NamespaceUnknown."""
    found = await existing(ctx, caller, Permission.PULL, command.place)

    def read(conn: Connection) -> RemovedFrom:
        repository = _readable(ctx, conn, caller, found)
        rows, total = retention.log_page(conn, repository.id, command.window)
        return RemovedFrom(repository, Rows(rows, total, command.window.offset))

    return await ctx.db.read(read)


# -- what they share --------------------------------------------------------------------------------------------------


def _permitted(ctx: Context, conn: Connection, caller: Caller, found: Repository) -> Repository:
    repository = settle(conn, found, caller)
    ctx.access.require(conn, caller, Permission.DELETE, of_repository(repository))
    return repository


def _readable(ctx: Context, conn: Connection, caller: Caller, found: Repository) -> Repository:
    """For those who were given a right to read it; that anybody, or another tenant, may pull says nothing about its policies."""
    repository = settle(conn, found, caller)
    resource = replace(of_repository(repository), is_public=False)
    ctx.access.require(conn, caller, Permission.PULL, resource)
    if not caller.is_system and caller.tenant != repository.tenant:
        raise Forbidden(Permission.PULL.value, repository.full_name)
    return repository


def _of(conn: Connection, repository: Repository, number: RetentionId) -> RetentionPolicy:
    policy = retention.find_policy(conn, number)
    if policy is None or policy.repository != repository.id:
        raise RetentionUnknown(str(number))
    return policy


def _when(plan: Plan) -> tuple[object, ...]:
    return plan.cycle, plan.enabled


def _plan_next(conn: Connection, number: RetentionId, plan: Plan) -> None:
    at = next_start(number, plan.cycle, Micros(now(conn))) if plan.enabled else None
    retention.set_next(conn, number, at)


def _noted(
    conn: Connection, caller: Caller, verb: str, *, repository: Repository, number: RetentionId
) -> None:
    note(
        conn,
        caller,
        f"retention.{verb}",
        repository.full_name,
        tenant=repository.tenant,
        policy=number,
    )


def _check(rules: Sequence[Rule]) -> None:
    if not 1 <= len(rules) <= MAX_RULES:
        raise ValueInvalid("rules", f"expected 1 to {MAX_RULES}")
    for rule in rules:
        if not 1 <= rule.number <= MAX_NUMBER:
            raise ValueInvalid("number", f"expected 1 to {MAX_NUMBER}")
        if len(rule.exempt) > MAX_SELECTORS:
            raise ValueInvalid("exempt", f"at most {MAX_SELECTORS}")
        for selector in rule.exempt:
            if selector.kind is SelectorKind.PATTERN:
                compile_pattern(selector.text)
            elif not 1 <= len(selector.text) <= MAX_LENGTH:
                raise ValueInvalid("exempt", f"a name has 1 to {MAX_LENGTH} characters")
