"""Tags on an instance and on what is in it, read and written by the names of things."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.managed import (
    OfInstance,
    is_seen,
    managed_instance,
    read_instance,
)
from entrepot.capabilities.instances.tagging import check_tags
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import instances, resource_tags
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.errors import InstanceUnknown, ValueInvalid
from entrepot.model.ids import InstanceId, TenantId

MAX_RESOURCE = 512  # characters


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that carries tags: of a kind, by its name, which begins with the public id of its instance (see `resource_tags`)."""

    kind: str
    resource: str

    @property
    def instance(self) -> str:
        """The public id of the instance it is, or is in."""
        return self.resource.partition("#")[0]


@dataclass(frozen=True, slots=True)
class ReadTags:
    """Tags of several things."""

    things: Sequence[Thing]
    tenant: TenantId


@dataclass(frozen=True, slots=True)
class WriteTags:
    """Set these on a thing and take those away."""

    thing: Thing
    tenant: TenantId
    set: Mapping[str, str]
    remove: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TagOf:
    """One tag of one thing."""

    resource: str
    key: str
    value: str


async def read_tags(ctx: Context, caller: Caller, command: ReadTags) -> list[TagOf]:
    """The tenant's own, by thing, then by key. Things of unknown and of foreign instances have none. Raises Denied."""

    def read(conn: Connection) -> list[TagOf]:
        found: list[TagOf] = []
        for thing in command.things:
            instance = _instance(conn, thing, command.tenant)
            if instance is None:
                continue
            read_instance(ctx, conn, caller, OfInstance(instance, command.tenant))
            held = resource_tags.tags_of(conn, thing.kind, thing.resource, tenant=command.tenant)
            found += [TagOf(thing.resource, key, value) for key, value in held.items()]
        return found

    return await ctx.db.read(read)


async def write_tags(ctx: Context, caller: Caller, command: WriteTags) -> None:
    """Change them. Raises Denied, InstanceUnknown, Protected (of the shared one), ValueInvalid (too many, too long)."""
    thing = command.thing
    if len(thing.resource) > MAX_RESOURCE:
        raise ValueInvalid("resource", f"at most {MAX_RESOURCE} characters")

    def write(conn: Connection) -> None:
        number = _instance(conn, thing, command.tenant)
        if number is None:
            raise InstanceUnknown(thing.instance[:100])
        instance = managed_instance(ctx, conn, caller, OfInstance(number, command.tenant))
        held = resource_tags.tags_of(conn, thing.kind, thing.resource)
        after = {key: value for key, value in held.items() if key not in command.remove}
        tags = check_tags(after | dict(command.set))
        resource_tags.replace_tags(conn, thing.kind, thing.resource, tags, tenant=command.tenant)
        note(conn, caller, "tags.write", thing.resource, tenant=instance.tenant, kind=thing.kind)

    await change(ctx, caller, "tags.write", write)


def _instance(conn: Connection, thing: Thing, tenant: TenantId) -> InstanceId | None:
    found = instances.find_instance(conn, thing.instance)
    if found is None or found.public_id != thing.instance or not is_seen(found, tenant):
        return None
    return found.id
