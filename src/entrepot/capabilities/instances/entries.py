"""The public entry of a dedicated instance: closed, opening, opened. Who comes through it, the allow list says."""

from dataclasses import dataclass
from typing import Final

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.managed import OfInstance, managed_instance, read_instance
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.operations.work import Handler, JobContext, Summary
from entrepot.metadata import entries, epochs, work
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.network_access import EntryStatus
from entrepot.model.work import NewTask

OPEN: Final = "instances.open_entry"


@dataclass(frozen=True, slots=True)
class SetEntry:
    """Whether the public entry shall be opened."""

    instance: InstanceId
    opened: bool
    tenant: TenantId | None = None


async def get_entry(ctx: Context, caller: Caller, command: OfInstance) -> EntryStatus:
    """The public entry as it is now; the shared instance's is always opened. Raises Denied, InstanceUnknown."""

    def read(conn: Connection) -> EntryStatus:
        instance = read_instance(ctx, conn, caller, command)
        if instance.tenant is None:
            return EntryStatus.OPENED
        return entries.entry_status(conn, instance.id)

    return await ctx.db.read(read)


async def set_entry(ctx: Context, caller: Caller, command: SetEntry) -> EntryStatus:
    """Open it by a job, or close it at once; no change where that is so, or under way. Its status then. Raises Denied, InstanceUnknown, Protected."""
    action = "entry.open" if command.opened else "entry.close"

    def write(conn: Connection) -> EntryStatus:
        instance = managed_instance(ctx, conn, caller, command)
        present = entries.entry_status(conn, instance.id)
        if (present is not EntryStatus.CLOSED) == command.opened:
            return present
        wanted = EntryStatus.OPENING if command.opened else EntryStatus.CLOSED
        entries.set_entry_status(conn, instance.id, wanted)
        if command.opened:
            work.defer(conn, _opening(ctx, instance.id))
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        note(conn, caller, action, instance.name, tenant=instance.tenant)
        return wanted

    return await change(ctx, caller, action, write)


def _opening(ctx: Context, instance: InstanceId) -> NewTask:
    return NewTask(
        OPEN,
        target=str(instance),
        arguments={"instance": instance},
        delay_seconds=ctx.settings.instances.step_time.seconds,
        unique_key=f"{OPEN}:{instance}",
    )


def open_entry_handler(ctx: Context) -> Handler:
    """The job that opens an entry, unless it was closed meanwhile."""

    async def run(job: JobContext) -> Summary:
        instance = InstanceId(int(job.task.arguments["instance"]))

        def write(conn: Connection) -> Summary:
            if entries.entry_status(conn, instance) is not EntryStatus.OPENING:
                return {"opened": 0}
            entries.set_entry_status(conn, instance, EntryStatus.OPENED)
            ctx.access.raise_epoch(conn, epochs.ROUTING)
            return {"opened": 1}

        await job.finish(write)
        return {}

    return Handler(kind=OPEN, run=run, per_target=1)
