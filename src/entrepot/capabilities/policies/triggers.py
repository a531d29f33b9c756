"""Triggers of repositories: what a push of a tag sets off in the tenant's clusters. `trigger_runs` carries it out."""

import re
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from entrepot.capabilities.access.targets import Target, permitted, require_own
from entrepot.capabilities.content.place import Place
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import triggers
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission
from entrepot.model.clusters import check_label, check_subdomain
from entrepot.model.content import Repository
from entrepot.model.errors import Forbidden, NameTaken, QuotaExceeded, ValueInvalid
from entrepot.model.triggers import Aim, Condition, Trigger, TriggerRun, TriggerUnknown

MOST_TRIGGERS: Final = 100  # of a repository: each push asks every one of them
KEPT_RUNS: Final = 100  # of a trigger: what its page shows at once
LISTED_RUNS: Final = 10  # of each trigger in a list
LONGEST_CONDITION: Final = 4096  # characters
_LONGEST_NAME: Final = 64
_LONGEST_CLUSTER: Final = 128
_CLUSTER: Final = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class CreateTrigger:
    """A trigger of the repository. The cluster need not be there yet: a run looks for it, among those of the repository's tenant."""

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
    """Make it; each run has the caller's rights as they are then.

    Raises Denied, RepositoryUnknown, NamespaceUnknown, ValueInvalid, PatternInvalid, NameTaken, QuotaExceeded.
    """
    _check(command)
    if caller.account is not None:  # a person's rights can be asked at each run
        raise Forbidden(Permission.PUSH.value, str(command.place.name))

    def write(conn: Connection) -> Trigger:
        repository = _editable(ctx, conn, caller, command.place)
        if triggers.find_trigger(conn, repository.id, command.name) is not None:
            raise NameTaken(command.name)
        if triggers.count_triggers(conn, repository.id) >= MOST_TRIGGERS:
            raise QuotaExceeded("triggers", MOST_TRIGGERS)
        made = triggers.insert_trigger(
            conn,
            repository.id,
            command.name,
            tenant=repository.tenant,
            condition=command.condition,
            aim=command.aim,
            enabled=command.enabled,
            maker=triggers.Maker(caller.name, caller.user, caller.operation),
        )
        _note(conn, caller, "create", repository, trigger=made)
        return made

    return await change(ctx, caller, "trigger.create", write)


async def enable_trigger(ctx: Context, caller: Caller, command: EnableTrigger) -> None:
    """Switch it. Raises Denied, RepositoryUnknown, NamespaceUnknown, TriggerUnknown."""

    def write(conn: Connection) -> None:
        repository = _editable(ctx, conn, caller, command.which.place)
        trigger = _trigger_for(conn, repository, command.which.name)
        triggers.set_enabled(conn, trigger.id, enabled=command.enabled)
        verb = "enable" if command.enabled else "disable"
        _note(conn, caller, verb, repository, trigger=trigger)

    await change(ctx, caller, "trigger.enable", write)


async def delete_trigger(ctx: Context, caller: Caller, command: NamedTrigger) -> None:
    """Remove it with its runs. Raises Denied, RepositoryUnknown, NamespaceUnknown, TriggerUnknown."""

    def write(conn: Connection) -> None:
        repository = _editable(ctx, conn, caller, command.place)
        trigger = _trigger_for(conn, repository, command.name)
        triggers.delete_trigger(conn, trigger.id)
        _note(conn, caller, "delete", repository, trigger=trigger)

    await change(ctx, caller, "trigger.delete", write)


async def get_trigger(ctx: Context, caller: Caller, command: NamedTrigger) -> TriggerShown:
    """One with all its runs. Raises Denied, RepositoryUnknown, NamespaceUnknown, TriggerUnknown."""

    def read(conn: Connection) -> TriggerShown:
        repository = _readable(ctx, conn, caller, command.place)
        return _shown(conn, _trigger_for(conn, repository, command.name), KEPT_RUNS)

    return await ctx.db.read(read)


async def list_triggers(ctx: Context, caller: Caller, place: Place) -> list[TriggerShown]:
    """All of the repository, oldest first, with their last runs. Raises Denied, RepositoryUnknown, NamespaceUnknown."""

    def read(conn: Connection) -> list[TriggerShown]:
        repository = _readable(ctx, conn, caller, place)
        found = triggers.list_triggers(conn, repository.id)
        return [_shown(conn, one, LISTED_RUNS) for one in found]

    return await ctx.db.read(read)


def _shown(conn: Connection, trigger: Trigger, most: int) -> TriggerShown:
    return TriggerShown(trigger, tuple(triggers.list_runs(conn, trigger.id, limit=most)))


def _trigger_for(conn: Connection, repository: Repository, name: str) -> Trigger:
    found = triggers.find_trigger(conn, repository.id, name)
    if found is None:
        raise TriggerUnknown(name[:300])
    return found


# -- who may ----------------------------------------------------------------------------------------------------------


def _editable(ctx: Context, conn: Connection, caller: Caller, place: Place) -> Repository:
    """For whoever may push to it, of its own tenant: a trigger changes what runs in that tenant's clusters."""
    return _permitted(ctx, conn, caller, place, Permission.PUSH)


def _readable(ctx: Context, conn: Connection, caller: Caller, place: Place) -> Repository:
    """Whoever may pull it by a right of their own. That anybody may, or another tenant, is no reason to tell what runs where."""
    return _permitted(ctx, conn, caller, place, Permission.PULL)


def _permitted(
    ctx: Context, conn: Connection, caller: Caller, place: Place, permission: Permission
) -> Repository:
    target = Target(place.instance.id, place.name.namespace, place.name.path)
    found = permitted(ctx, conn, caller, target, permission)
    if not caller.is_anonymous:
        require_own(caller, found, permission)
    private = replace(found.resource, is_public=False)
    ctx.access.require(conn, caller, permission, private)
    assert found.repository is not None  # noqa: S101  (the target has a path)
    return found.repository


def _note(
    conn: Connection, caller: Caller, verb: str, repository: Repository, *, trigger: Trigger
) -> None:
    action, name = f"trigger.{verb}", repository.full_name
    note(conn, caller, action, name, tenant=repository.tenant, trigger=trigger.name)


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
