"""Quotas as operators see them: limits set on a tenant, an instance or a namespace, and what is used of them."""

from dataclasses import dataclass

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.quotas import EDITION, IN_INSTANCE, RESOURCES, SUBJECTS
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import (
    instance_details,
    instance_usage,
    instances,
    namespaces,
    quotas,
    tenants,
)
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import (
    InstanceUnknown,
    NamespaceUnknown,
    TenantUnknown,
    ValueInvalid,
)
from entrepot.model.ids import InstanceId, TenantId

_MAX_LIMIT = 2**63 - 1
# Which limits mean something where: `tags` counts in one repository, a namespace has no namespaces.
_MEANINGFUL = {
    "tenant": ("instances", "namespaces", "repositories", "bytes"),
    "instance": ("namespaces", "repositories", "bytes", *IN_INSTANCE),
    "namespace": ("repositories", "tags", "bytes"),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is limited: `kind` is tenant, instance or namespace. A namespace is looked up in `instance` (empty: the default one)."""

    kind: str
    name: str
    instance: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class SetQuota:
    """`limit` None: back to the default."""

    subject: Subject
    resource: str
    limit: int | None


@dataclass(frozen=True, slots=True)
class QuotaShown:
    """`limit` None: unlimited. `used` None: counted in each repository by itself. `is_default`: nobody set it."""

    resource: str
    limit: int | None
    used: int | None
    is_default: bool


async def set_quota(ctx: Context, caller: Caller, command: SetQuota) -> None:
    """Takes effect in the next transaction; what is over it already stays. Raises Denied, ValueInvalid, Unknown."""
    if command.resource not in _MEANINGFUL.get(command.subject.kind, ()):
        known = ", ".join(_MEANINGFUL.get(command.subject.kind, RESOURCES))
        raise ValueInvalid("resource", f"of a {command.subject.kind} expected one of {known}")
    if command.limit is not None and not 0 <= command.limit <= _MAX_LIMIT:
        raise ValueInvalid("limit", f"expected 0 to {_MAX_LIMIT}")

    def write(conn: Connection) -> None:
        number = _number(ctx, conn, caller, command.subject)
        quotas.set_limit(
            conn, command.subject.kind, number, resource=command.resource, limit=command.limit
        )
        note(
            conn,
            caller,
            "quota.set",
            str(command.subject),
            tenant=None,
            quota=command.resource,
            limit=command.limit,
        )

    await change(ctx, caller, "quota.set", write)


async def show_quota(ctx: Context, caller: Caller, subject: Subject) -> list[QuotaShown]:
    """Every resource with its limit and what is used. Raises Denied, ValueInvalid, Unknown."""

    def read(conn: Connection) -> list[QuotaShown]:
        number = _number(ctx, conn, caller, subject)
        limits = quotas.limits_of(conn, subject.kind, number)
        by_edition = quotas.limits_of(conn, EDITION, number) if subject.kind == "instance" else {}
        return [
            QuotaShown(
                resource,
                limits.get(
                    resource,
                    by_edition.get(resource, _default(ctx, subject.kind, resource)),
                ),
                _used(conn, subject.kind, number, resource),
                is_default=resource not in limits,
            )
            for resource in _MEANINGFUL[subject.kind]
        ]

    return await ctx.db.read(read)


def _default(ctx: Context, kind: str, resource: str) -> int | None:
    """SWR organizations a tenant in the shared instance, and its own instances; nothing else is limited by default."""
    if (kind, resource) == ("tenant", "namespaces"):
        return ctx.settings.quota.swr_organizations or None
    if (kind, resource) == ("tenant", "instances"):
        return ctx.settings.instances.per_tenant or None
    return None


def _used(conn: Connection, kind: str, number: int, resource: str) -> int | None:
    """A tenant's namespaces are limited in each instance: of the one that has most."""
    if resource == "tags":
        return None
    if resource == "instances":
        return instance_details.count_owned(conn, TenantId(number))
    if resource in IN_INSTANCE:
        return instance_usage.used(conn, InstanceId(number), resource)
    if resource != "namespaces":
        return quotas.usage(conn, kind, number, resource)
    if kind == "instance":
        return namespaces.count_namespaces(conn, InstanceId(number), None)
    tenant = TenantId(number)
    return max(
        namespaces.count_namespaces(conn, instance.id, tenant)
        for instance in instances.list_instances(conn, tenant)
    )


def _number(ctx: Context, conn: Connection, caller: Caller, subject: Subject) -> int:
    """The subject's id. Raises Denied, Unknown, ValueInvalid."""
    ctx.access.require(conn, caller, Permission.QUOTA_MANAGE, Resource(None))
    if subject.kind not in SUBJECTS:
        raise ValueInvalid("subject", f"expected one of {', '.join(SUBJECTS)}")
    if subject.kind == "tenant":
        tenant = tenants.find_tenant(conn, subject.name)
        if tenant is None:
            raise TenantUnknown(subject.name[:300])
        return tenant.id
    name = subject.name if subject.kind == "instance" else subject.instance
    instance = instances.find_instance(conn, name) if name else instances.default_instance(conn)
    if instance is None:
        raise InstanceUnknown(name[:300] or "default")
    if subject.kind == "instance":
        return instance.id
    namespace = namespaces.find_namespace(conn, instance.id, subject.name)
    if namespace is None:
        raise NamespaceUnknown(subject.name[:300])
    return namespace.id
