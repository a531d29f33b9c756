"""Triggers of repositories: what a push of a tag sets off in the tenant's clusters. `trigger_runs` carries it out."""

import re
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from entrepot.capabilities.access.rights import of_repository
from entrepot.capabilities.content.place import Place, absent, existing, settle
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import namespaces, triggers
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission
from entrepot.model.clusters import check_label, check_subdomain
from entrepot.model.content import Repository
from entrepot.model.errors import NameTaken, QuotaExceeded, RepositoryUnknown, ValueInvalid
from entrepot.model.triggers import Aim, Condition, Trigger, TriggerRun, TriggerUnknown

MOST_TRIGGERS: Final = 100  # of a repository: each push asks every one of them
KEPT_RUNS: Final = 100  # of a trigger: what its page shows at once
LONGEST_CONDITION: Final = 4096  # characters
_LONGEST_NAME: Final = 64
_LONGEST_CLUSTER: Final = 128
_CLUSTER: Final = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class CreateTrigger:
    """A trigger of the repository. The cluster need not be there yet: a run looks for it, among those of the creator's tenant."""

    place: Place
    name: str
    condition: Condition
    aim: Aim
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class NamedTrigger:
    """A trigger of the repository."""

    place: Place
    name: str


@dataclass(frozen=True, slots=True)
class EnableTrigger:
    """Let it run at pushes, or not."""

    which: NamedTrigger
    enabled: bool


@dataclass(frozen=True, slots=True)
class TriggerShown:
    """A trigger with its runs, the latest first."""

    trigger: Trigger
    runs: tuple[TriggerRun, ...]


async def create_trigger(ctx: Context, caller: Caller, command: CreateTrigger) -> Trigger:
    """Make it. Raises Denied, RepositoryUnknown, NamespaceUnknown, ValueInvalid, PatternInvalid, NameTaken, QuotaExceeded."""
    _check(command)
    found = await existing(ctx, caller, Permission.PUSH, command.place)

    def write(conn: Connection) -> Trigger:
        repository = _editable(ctx, conn, caller, found)
        if triggers.find_trigger(conn, repository.id, command.name) is not None:
            raise NameTaken(command.name)
        if triggers.count_triggers(conn, repository.id) >= MOST_TRIGGERS:
            raise QuotaExceeded("triggers", MOST_TRIGGERS)
        made = triggers.insert_trigger(
            conn,
            repository.id,
            command.name,
            tenant=caller.tenant or repository.tenant,
            condition=command.condition,
            aim=command.aim,
            enabled=command.enabled,
            creator_name=caller.name,
        )
        _note(conn, caller, "trigger.create", repository, name=made.name)
        return made

    return await change(ctx, caller, "trigger.create", write)


async def enable_trigger(ctx: Context, caller: Caller, command: EnableTrigger) -> None:
    """Switch it. Raises Denied, RepositoryUnknown, NamespaceUnknown, TriggerUnknown."""
    found = await existing(ctx, caller, Permission.PUSH, command.which.place)

    def write(conn: Connection) -> None:
        repository = _editable(ctx, conn, caller, found)
        trigger = _trigger_for(conn, repository, command.which.name)
        triggers.set_enabled(conn, trigger.id, enabled=command.enabled)
        verb = "enable" if command.enabled else "disable"
        _note(conn, caller, f"trigger.{verb}", repository, name=trigger.name)

    await change(ctx, caller, "trigger.enable", write)


async def delete_trigger(ctx: Context, caller: Caller, command: NamedTrigger) -> None:
    """Remove it with its runs. Raises Denied, RepositoryUnknown, NamespaceUnknown, TriggerUnknown."""
    found = await existing(ctx, caller, Permission.PUSH, command.place)

    def write(conn: Connection) -> None:
        repository = _editable(ctx, conn, caller, found)
        trigger = _trigger_for(conn, repository, command.name)
        triggers.delete_trigger(conn, trigger.id)
        _note(conn, caller, "trigger.delete", repository, name=trigger.name)

    await change(ctx, caller, "trigger.delete", write)


async def get_trigger(ctx: Context, caller: Caller, command: NamedTrigger) -> TriggerShown:
    """One with its runs. Raises Denied, RepositoryUnknown, NamespaceUnknown, TriggerUnknown."""
    found = await _known(ctx, caller, command.place)

    def read(conn: Connection) -> TriggerShown:
        repository = _readable(ctx, conn, caller, found)
        return _shown(conn, _trigger_for(conn, repository, command.name))

    return await ctx.db.read(read)


async def list_triggers(ctx: Context, caller: Caller, place: Place) -> list[TriggerShown]:
    """All of the repository, oldest first. Raises Denied, RepositoryUnknown, NamespaceUnknown."""
    found = await _known(ctx, caller, place)

    def read(conn: Connection) -> list[TriggerShown]:
        repository = _readable(ctx, conn, caller, found)
        return [_shown(conn, one) for one in triggers.list_triggers(conn, repository.id)]

    return await ctx.db.read(read)


def _shown(conn: Connection, trigger: Trigger) -> TriggerShown:
    return TriggerShown(trigger, tuple(triggers.list_runs(conn, trigger.id, limit=KEPT_RUNS)))


def _trigger_for(conn: Connection, repository: Repository, name: str) -> Trigger:
    found = triggers.find_trigger(conn, repository.id, name)
    if found is None:
        raise TriggerUnknown(name[:300])
    return found


# -- who may ----------------------------------------------------------------------------------------------------------


def _editable(ctx: Context, conn: Connection, caller: Caller, found: Repository) -> Repository:
    repository = settle(conn, found, caller)
    ctx.access.require(conn, caller, Permission.PUSH, of_repository(repository))
    return repository


async def _known(ctx: Context, caller: Caller, place: Place) -> Repository:
    """The repository; `_readable` asks whether the caller may."""
    repository = await ctx.hot.repository(place.instance.id, str(place.name))
    if repository is None:
        raise await absent(ctx, caller, Permission.PULL, place)
    return repository


def _readable(ctx: Context, conn: Connection, caller: Caller, found: Repository) -> Repository:
    """Whoever may pull it by a right of their own. That anybody may is no reason to tell what runs where."""
    repository = namespaces.get_repository(conn, found.id)
    if repository is None:
        raise RepositoryUnknown(found.full_name)
    private = replace(of_repository(repository), is_public=False)
    ctx.access.require(conn, caller, Permission.PULL, private)
    return repository


def _note(
    conn: Connection, caller: Caller, action: str, repository: Repository, *, name: str
) -> None:
    note(conn, caller, action, repository.full_name, tenant=repository.tenant, trigger=name)


# -- what is given ----------------------------------------------------------------------------------------------------


def _check(command: CreateTrigger) -> None:
    """Raises ValueInvalid, PatternInvalid."""
    name, aim = command.name, command.aim
    is_name = 0 < len(name) <= _LONGEST_NAME and name.isprintable() and not set(name) & set("/ ")
    if not is_name or name in {".", ".."}:
        reason = f"1 to {_LONGEST_NAME} printable characters without / and spaces"
        raise ValueInvalid("name", reason)
    if len(command.condition.text) > LONGEST_CONDITION:
        raise ValueInvalid("condition", f"at most {LONGEST_CONDITION} characters")
    command.condition.read()
    check_subdomain("workload", aim.workload)
    check_label("namespace", aim.namespace)
    if aim.container:
        check_label("container", aim.container)
    if aim.cluster is not None and not _CLUSTER.fullmatch(aim.cluster):
        raise ValueInvalid("cluster", "the id of a cluster")
    if len(aim.cluster_name) > _LONGEST_CLUSTER or not aim.cluster_name.isprintable():
        raise ValueInvalid("cluster_name", f"at most {_LONGEST_CLUSTER} printable characters")
