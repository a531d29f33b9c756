"""Tags of instances and namespaces by what they are on: read for many things, changed for one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from entrepot.capabilities.access.rights import of_namespace
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.managed import (
    OfInstance,
    is_seen,
    owned_instance,
    read_instance,
)
from entrepot.capabilities.instances.tagging import check_tags
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import instance_details, instances, namespaces, resource_tags
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission
from entrepot.model.errors import (
    Denied,
    InstanceUnknown,
    NamespaceUnknown,
    Unknown,
    ValueInvalid,
)
from entrepot.model.ids import TenantId
from entrepot.model.tenancy import Instance, Namespace

_NAMESPACE = "namespace"
MAX_PART = 512  # characters


@dataclass(frozen=True, slots=True)
class Thing:
    """An instance by its public id, a namespace in it, or (`part`) anything else in it by a name of the client's own."""

    instance: str
    namespace: str = ""
    part: str = ""

    @property
    def kind(self) -> str:
        """As rows of tags name it."""
        if self.part:
            return resource_tags.PART
        return _NAMESPACE if self.namespace else instance_details.TAGGED

    def __str__(self) -> str:
        inside = self.part or self.namespace
        return f"{self.instance}#{inside}" if inside else self.instance


@dataclass(frozen=True, slots=True)
class DescribeTags:
    """Of the tenant's things (None: the caller's)."""

    things: Collection[Thing]
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class ModifyTags:
    """Keys to take away, then tags to put; others stay."""

    thing: Thing
    put: Mapping[str, str] = field(default_factory=dict)
    remove: Collection[str] = ()
    tenant: TenantId | None = None


async def describe_tags(
    ctx: Context, caller: Caller, command: DescribeTags
) -> Mapping[Thing, Mapping[str, str]]:
    """By thing. Those that are not there for the caller, and those without tags, are left out."""

    def read(conn: Connection) -> dict[Thing, dict[str, str]]:
        found = {}
        for thing in command.things:
            try:
                _require_readable(ctx, conn, caller, thing=thing, tenant=command.tenant)
            except (Denied, Unknown):
                continue
            if tags := resource_tags.tags_of(conn, thing.kind, str(thing)):
                found[thing] = tags
        return found

    return await ctx.db.read(read)


async def modify_tags(ctx: Context, caller: Caller, command: ModifyTags) -> Mapping[str, str]:
    """All of its tags then. Raises Denied, InstanceUnknown, NamespaceUnknown, Protected (the shared instance), ValueInvalid."""
    thing = command.thing
    if len(thing.part) > MAX_PART:
        raise ValueInvalid("part", f"at most {MAX_PART} characters")

    def write(conn: Connection) -> dict[str, str]:
        owner = _owner(ctx, conn, caller, thing=thing, tenant=command.tenant)
        name = str(thing)
        present = resource_tags.tags_of(conn, thing.kind, name)
        left = {key: value for key, value in present.items() if key not in command.remove}
        wanted = check_tags({**left, **command.put})
        resource_tags.replace_tags(conn, thing.kind, name, wanted, tenant=owner)
        note(conn, caller, f"{thing.kind}.tag", name, tenant=owner)
        return dict(sorted(wanted.items()))

    return await change(ctx, caller, "resource.tag", write)


def _require_readable(
    ctx: Context, conn: Connection, caller: Caller, *, thing: Thing, tenant: TenantId | None
) -> None:
    instance = _instance(conn, caller, thing, tenant)
    if thing.namespace:
        found = _namespace(conn, instance, thing, tenant or caller.tenant)
        ctx.access.require(conn, caller, Permission.NAMESPACE_READ, of_namespace(found))
    else:
        read_instance(ctx, conn, caller, OfInstance(instance.id, tenant))


def _owner(
    ctx: Context, conn: Connection, caller: Caller, *, thing: Thing, tenant: TenantId | None
) -> TenantId:
    """Whose it is, for a caller who manages it."""
    instance = _instance(conn, caller, thing, tenant)
    if not thing.namespace:
        owned = owned_instance(ctx, conn, caller, OfInstance(instance.id, tenant))
        if owned.tenant is None:
            raise InstanceUnknown(thing.instance)
        return owned.tenant
    found = _namespace(conn, instance, thing, tenant or caller.tenant)
    ctx.access.require(conn, caller, Permission.NAMESPACE_MANAGE, of_namespace(found))
    return found.tenant


def _instance(conn: Connection, caller: Caller, thing: Thing, tenant: TenantId | None) -> Instance:
    """What others have is not there."""
    found = instances.find_instance(conn, thing.instance)
    asker = tenant or caller.tenant
    if (
        found is None
        or found.public_id != thing.instance
        or (asker is not None and not is_seen(found, asker))
    ):
        raise InstanceUnknown(thing.instance[:100])
    return found


def _namespace(
    conn: Connection, instance: Instance, thing: Thing, tenant: TenantId | None
) -> Namespace:
    found = namespaces.find_namespace(conn, instance.id, thing.namespace)
    if found is None or tenant not in (None, found.tenant):
        raise NamespaceUnknown(thing.namespace[:300])
    return found
