"""Namespaces: created under a quota, made public or private, deleted when they are empty."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import structs

from entrepot.capabilities.access.rights import of_namespace, of_repository
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.instances import instance_for
from entrepot.capabilities.instances.quotas import admit_namespace, default_of_shared
from entrepot.capabilities.instances.tagging import check_tags
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import access, epochs, events, namespaces, policies, resource_tags, retention
from entrepot.metadata.database import Connection, now
from entrepot.metadata.instances import public_id_of
from entrepot.model.access import (
    Caller,
    Fact,
    Level,
    Permission,
    Resource,
    Role,
    to_be_public,
)
from entrepot.model.errors import NamespaceUnknown, NameTaken, NotEmpty
from entrepot.model.events import Event, EventKind
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.tenancy import InstanceKind, Namespace, check_namespace_name

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class CreateNamespace:
    """A namespace of the tenant in the instance. `facts`: what a dialect keeps with it."""

    instance: InstanceId
    tenant: TenantId
    name: str
    is_public: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NamedNamespace:
    """A namespace of an instance. `tenant`: whose it must be, if that matters."""

    instance: InstanceId
    name: str
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class ModifyNamespace:
    """Make it public or private. `tags`, `facts`: None leaves them as they are; new facts are added to the old."""

    namespace: NamedNamespace
    is_public: bool
    tags: Mapping[str, str] | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ListNamespaces:
    """Behind `after`, in name order. `tenant` None: the caller's own; for the operator everybody's."""

    instance: InstanceId
    tenant: TenantId | None = None
    after: str = ""
    limit: int = 1000


async def create_namespace(ctx: Context, caller: Caller, command: CreateNamespace) -> Namespace:
    """Make one. A member who makes it may manage it. Raises Denied, InstanceUnknown, NameInvalid, NameTaken, QuotaExceeded."""

    def write(conn: Connection) -> Namespace:
        resource = Resource(
            command.tenant,
            command.instance,
            namespace_name=command.name,
            about=to_be_public(Fact.PUBLIC_NAMESPACE, command.is_public),
        )
        ctx.access.require(conn, caller, Permission.NAMESPACE_CREATE, resource)
        instance = instance_for(conn, command.instance, command.tenant)
        check_namespace_name(instance.kind, command.name)
        if namespaces.find_namespace(conn, instance.id, command.name) is not None:
            raise NameTaken(command.name)
        admit_namespace(
            conn, command.tenant, instance.id, default=_default_limit(ctx, instance.kind)
        )
        namespace = namespaces.insert_namespace(
            conn,
            instance.id,
            command.tenant,
            name=command.name,
            is_public=command.is_public,
            created_by=caller.user,
            facts=command.facts,
        )
        tagged = f"{instance.public_id}#{namespace.name}"
        resource_tags.replace_tags(
            conn, "namespace", tagged, check_tags(command.tags), tenant=command.tenant
        )
        if instance.kind is InstanceKind.SHARED:
            _let_creator_manage(conn, caller, namespace)
        ctx.access.raise_epoch(conn, epochs.of_tenant(command.tenant))
        _record(conn, caller, namespace, EventKind.NAMESPACE_CREATED)
        return namespace

    return await change(ctx, caller, "namespace.create", write)


async def get_namespace(ctx: Context, caller: Caller, command: NamedNamespace) -> Namespace:
    """One namespace the caller may read. Raises Denied, NamespaceUnknown."""
    return await ctx.db.read(
        lambda conn: permitted(ctx, conn, caller, command, Permission.NAMESPACE_READ)
    )


async def owner_of(ctx: Context, named: NamedNamespace) -> TenantId | None:
    """Whose the namespace of that name is; None: there is none. Says nothing of what anybody may."""
    found = await ctx.hot.namespace(named.instance, named.name)
    return None if found is None else found.tenant


async def list_namespaces(ctx: Context, caller: Caller, command: ListNamespaces) -> list[Namespace]:
    """Those the caller may see: for administrators the tenant's, for members what they were given."""

    def read(conn: Connection) -> list[Namespace]:
        tenant = command.tenant
        if not caller.is_system and tenant is None:
            tenant = caller.tenant
            if tenant is None:
                return []
        listing = ctx.access.visible_repositories(
            conn, caller, include_public=False, instance=command.instance
        )
        found: list[Namespace] = []
        for namespace in _all(conn, command, tenant):
            if listing.admits_namespace(namespace):
                found.append(namespace)
                if len(found) == command.limit:
                    break
        return found

    return await ctx.db.read(read)


async def modify_namespace(ctx: Context, caller: Caller, command: ModifyNamespace) -> Namespace:
    """Change who may pull without being asked. Raises Denied, NamespaceUnknown."""

    def write(conn: Connection) -> Namespace:
        namespace = permitted(
            ctx,
            conn,
            caller,
            command.namespace,
            Permission.NAMESPACE_MANAGE,
            about=to_be_public(Fact.PUBLIC_NAMESPACE, command.is_public),
        )
        _mark(conn, namespace, command)
        if namespace.is_public == command.is_public:
            return namespace
        if command.is_public:
            _check_publishing(ctx, conn, caller, namespace)
        namespaces.update_namespace(conn, namespace.id, is_public=command.is_public)
        ctx.access.raise_epoch(conn, epochs.of_tenant(namespace.tenant))
        verb = "publish" if command.is_public else "unpublish"
        note(conn, caller, f"namespace.{verb}", namespace.name, tenant=namespace.tenant)
        return _named(conn, command.namespace) or namespace

    return await change(ctx, caller, "namespace.modify", write)


async def delete_namespace(ctx: Context, caller: Caller, command: NamedNamespace) -> None:
    """Delete an empty one; its name is free again. Raises Denied, NamespaceUnknown, NotEmpty."""

    def write(conn: Connection) -> None:
        namespace = permitted(ctx, conn, caller, command, Permission.NAMESPACE_MANAGE)
        remove_namespace(conn, caller, namespace)
        ctx.access.raise_epoch(conn, epochs.of_tenant(namespace.tenant))

    await change(ctx, caller, "namespace.delete", write)


def remove_namespace(conn: Connection, caller: Caller, namespace: Namespace) -> None:
    """In a transaction that was permitted: delete an empty namespace. Raises NotEmpty."""
    if namespaces.has_repositories(conn, namespace.id):
        raise NotEmpty(namespace.name)
    namespaces.tombstone_namespace(conn, namespace.id, Micros(now(conn)))
    retention.forget_namespace(conn, namespace.id)
    resource_tags.forget(conn, "namespace", _tagged(conn, namespace))
    _record(conn, caller, namespace, EventKind.NAMESPACE_DELETED)


def _mark(conn: Connection, namespace: Namespace, command: ModifyNamespace) -> None:
    """What a change of it says besides who may pull."""
    if command.facts:
        namespaces.add_facts(conn, namespace.id, command.facts)
    if command.tags is not None:
        name = _tagged(conn, namespace)
        tags = check_tags(command.tags)
        resource_tags.replace_tags(conn, "namespace", name, tags, tenant=namespace.tenant)


def _check_publishing(ctx: Context, conn: Connection, caller: Caller, namespace: Namespace) -> None:
    """Raise Forbidden where a policy denies to make public any of the repositories that follow the namespace."""
    judge = ctx.access.judge
    rights = judge.rights(conn, caller, of_namespace(namespace))
    if not rights.is_limited:
        return
    about = to_be_public(Fact.PUBLIC, is_public=True)
    for repository in namespaces.followers(conn, namespace.id):
        resource = structs.replace(of_repository(repository), about=about)
        judge.require_left(rights, caller, Permission.REPOSITORY_EDIT, resource)


def _tagged(conn: Connection, namespace: Namespace) -> str:
    """How tags name it; its instance may be deleted already."""
    return f"{public_id_of(conn, namespace.instance)}#{namespace.name}"


def _default_limit(ctx: Context, kind: InstanceKind) -> int | None:
    """SWR organizations are limited by default; TCR namespaces are not, and 0 is no limit."""
    setting = ctx.settings.quota.swr_organizations
    return default_of_shared(setting) if kind is InstanceKind.SHARED else None


def _let_creator_manage(conn: Connection, caller: Caller, namespace: Namespace) -> None:
    """SWR's rule: who creates an organization manages it. Administrators of the tenant do so anyway."""
    if caller.user is None:
        return
    creator = access.user_standing(conn, caller.user)
    if creator is not None and creator.tenant == namespace.tenant and creator.role is Role.MEMBER:
        policies.set_grant(conn, caller.user, namespace.id, repository=None, level=Level.MANAGE)


def permitted(
    ctx: Context,
    conn: Connection,
    caller: Caller,
    command: NamedNamespace,
    permission: Permission,
    *,
    about: Mapping[Fact, str] | None = None,
) -> Namespace:
    """The namespace, if the caller may. Where it is not there, only who might have it is told so. `about`: what else the request says."""
    namespace = _named(conn, command)
    if namespace is None:
        resource = Resource(caller.tenant, command.instance, namespace_name=command.name)
        ctx.access.require(conn, caller, permission, resource)
        raise NamespaceUnknown(command.name[:300])
    resource = of_namespace(namespace)
    resource = structs.replace(resource, about=about) if about else resource
    ctx.access.require(conn, caller, permission, resource)
    return namespace


def _named(conn: Connection, command: NamedNamespace) -> Namespace | None:
    namespace = namespaces.find_namespace(conn, command.instance, command.name)
    if namespace is not None and command.tenant in (None, namespace.tenant):
        return namespace
    return None


def _all(conn: Connection, command: ListNamespaces, tenant: TenantId | None) -> Iterator[Namespace]:
    after = command.after
    while True:
        page = namespaces.list_namespaces(
            conn, command.instance, tenant=tenant, after=after, limit=_PAGE
        )
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].name


def _record(conn: Connection, caller: Caller, namespace: Namespace, kind: EventKind) -> None:
    """The event and the audit row of a namespace that came or went."""
    events.record(
        conn,
        Event(
            kind=kind,
            actor=caller.name,
            happened_at=Micros(now(conn)),
            tenant=namespace.tenant,
            instance=namespace.instance,
            namespace=namespace.id,
            details={"name": namespace.name, "public": namespace.is_public},
        ),
    )
    verb = "create" if kind is EventKind.NAMESPACE_CREATED else "delete"
    note(
        conn,
        caller,
        f"namespace.{verb}",
        namespace.name,
        tenant=namespace.tenant,
        public=namespace.is_public,
    )
