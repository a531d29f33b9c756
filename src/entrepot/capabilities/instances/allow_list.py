"""The networks that an instance's public entry lets in. Every change is all or nothing, raises the list's version, and counts at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.managed import (
    OfInstance,
    managed_instance,
    read_instance,
)
from entrepot.capabilities.instances.quotas import admit_in_instance
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import entries, epochs
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.errors import ValueInvalid
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.network_access import (
    EVERYBODY,
    AllowedNetwork,
    AllowedUnknown,
    AllowList,
    Cidr,
    EntryClosed,
    EntryStatus,
    NetworkRepeated,
    VersionOutdated,
)
from entrepot.model.tenancy import Instance

MAX_DESCRIPTION: Final = 255  # characters


@dataclass(frozen=True, slots=True)
class NewAllowed:
    """A network or one address, as somebody enters it."""

    cidr: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Which:
    """An entry, by its network (which counts where both are given) or by its place from 0."""

    cidr: str | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class AddAllowed:
    """Append entries. `version`, where given, must be the list's."""

    instance: InstanceId
    entries: Sequence[NewAllowed]
    version: int | None = None
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class ModifyAllowed:
    """Make an entry another network; `description` None: stays."""

    instance: InstanceId
    which: Which
    cidr: str
    description: str | None = None
    version: int | None = None
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class RemoveAllowed:
    """Take entries out. Places count as they are before anything is removed."""

    instance: InstanceId
    which: Sequence[Which]
    version: int | None = None
    tenant: TenantId | None = None


async def get_allow_list(ctx: Context, caller: Caller, command: OfInstance) -> AllowList:
    """The list in its order; the shared instance's lets everybody in. Raises Denied, InstanceUnknown."""

    def read(conn: Connection) -> AllowList:
        instance = read_instance(ctx, conn, caller, command)
        return _EVERYBODY if instance.tenant is None else entries.get_allow_list(conn, instance.id)

    return await ctx.db.read(read)


async def add_allowed(ctx: Context, caller: Caller, command: AddAllowed) -> AllowList:
    """The list afterwards. Raises Denied, InstanceUnknown, Protected, ValueInvalid, EntryClosed, VersionOutdated, NetworkRepeated, QuotaExceeded."""
    new = [(Cidr.parse(one.cidr), _described(one.description)) for one in command.entries]
    if not new:
        raise ValueInvalid("entries", "at least one network is needed")

    def apply(conn: Connection, instance: Instance, present: AllowList) -> str:
        if entries.entry_status(conn, instance.id) is not EntryStatus.OPENED:
            raise EntryClosed(instance.name)
        _check_repeated([entry.cidr for entry in present.entries], [cidr for cidr, _ in new])
        admit_in_instance(conn, instance.id, "allow_list_entries", len(new))
        entries.insert_allowed(conn, instance.id, new)
        return ", ".join(cidr.entered for cidr, _ in new)

    return await _changed(ctx, caller, "allow-list.add", command=command, apply=apply)


async def modify_allowed(ctx: Context, caller: Caller, command: ModifyAllowed) -> AllowList:
    """The list afterwards; the entry keeps its place. Raises Denied, InstanceUnknown, Protected, ValueInvalid, VersionOutdated, AllowedUnknown, NetworkRepeated."""
    cidr = Cidr.parse(command.cidr)
    words = None if command.description is None else _described(command.description)

    def apply(conn: Connection, _instance: Instance, present: AllowList) -> str:
        entry = _entry(present, command.which)
        _check_repeated([other.cidr for other in present.entries if other.id != entry.id], [cidr])
        description = entry.description if words is None else words
        entries.update_allowed(conn, entry.id, cidr, description=description)
        return f"{entry.cidr.entered} to {cidr.entered}"

    return await _changed(ctx, caller, "allow-list.modify", command=command, apply=apply)


async def remove_allowed(ctx: Context, caller: Caller, command: RemoveAllowed) -> AllowList:
    """The list afterwards. Raises Denied, InstanceUnknown, Protected, ValueInvalid, VersionOutdated, AllowedUnknown."""
    if not command.which:
        raise ValueInvalid("entries", "at least one entry is needed")

    def apply(conn: Connection, _instance: Instance, present: AllowList) -> str:
        gone = {entry.id: entry for entry in (_entry(present, which) for which in command.which)}
        entries.delete_allowed(conn, list(gone))
        return ", ".join(entry.cidr.entered for entry in gone.values())

    return await _changed(ctx, caller, "allow-list.remove", command=command, apply=apply)


# -- the steps --------------------------------------------------------------------------------------------------------


async def _changed(
    ctx: Context,
    caller: Caller,
    action: str,
    *,
    command: AddAllowed | ModifyAllowed | RemoveAllowed,
    apply: Callable[[Connection, Instance, AllowList], str],
) -> AllowList:
    """What every change does around its own part, which says what it changed."""

    def write(conn: Connection) -> AllowList:
        instance = managed_instance(ctx, conn, caller, command)
        present = entries.get_allow_list(conn, instance.id)
        if command.version is not None and command.version != present.version:
            raise VersionOutdated(command.version, present.version)
        entries.raise_version(conn, instance.id)  # first: others who change the list wait here
        changed = apply(conn, instance, present)
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        note(conn, caller, action, instance.name, tenant=instance.tenant, networks=changed[:1000])
        return entries.get_allow_list(conn, instance.id)

    return await change(ctx, caller, action, write)


def _check_repeated(present: Sequence[Cidr], new: Sequence[Cidr]) -> None:
    """Raises NetworkRepeated."""
    known = {cidr.network for cidr in present}
    for cidr in new:
        if cidr.network in known:
            raise NetworkRepeated(cidr.entered)
        known.add(cidr.network)


def _entry(present: AllowList, which: Which) -> AllowedNetwork:
    """Raises ValueInvalid, AllowedUnknown."""
    if which.cidr is not None:
        network = Cidr.parse(which.cidr).network
        found = [entry for entry in present.entries if entry.cidr.network == network]
    elif which.index is not None:
        found = [entry for entry in present.entries if entry.index == which.index]
    else:
        raise ValueInvalid("entry", "a network or a place in the list is needed")
    if not found:
        raise AllowedUnknown(which.cidr or str(which.index))
    return found[0]


def _described(text: str) -> str:
    if len(text) > MAX_DESCRIPTION:
        raise ValueInvalid("description", f"at most {MAX_DESCRIPTION} characters")
    return text


_EVERYBODY: Final = AllowList(
    0,
    tuple(
        AllowedNetwork(0, index, Cidr(cidr, cidr), "everybody", Micros(0))
        for index, cidr in enumerate(EVERYBODY)
    ),
)
