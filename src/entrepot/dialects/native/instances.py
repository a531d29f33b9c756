"""Instances: registries with host names of their own, and the shared ones of the regions."""

from typing import Final, Literal

from entrepot.capabilities.instances import changing, creating, describing
from entrepot.capabilities.instances.instances import InstanceShown, list_instances
from entrepot.capabilities.instances.managed import OfInstance as About
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Asks,
    Limit,
    Moment,
    Nothing,
    OfInstance,
    OfTenant,
    Paged,
    Windowed,
    on,
    shown,
    shown_end,
    windowed,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.ids import TenantId
from entrepot.model.instances import Content, InstanceDetails
from entrepot.model.network_access import EntryStatus
from entrepot.model.tenancy import Instance, InstanceKind, InstanceStatus


class ListEveryInstance(Asks, frozen=True, kw_only=True):
    """List the instances of all tenants, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, _asked: Asked) -> Windowed[TenantId | None]:
        """Everybody's."""
        return on(self, None)


class ListInstances(OfTenant, frozen=True, kw_only=True):
    """List the tenant's instances and the shared ones, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[TenantId | None]:
        """What the tenant sees."""
        return on(self, asked.tenant)


class CreateInstance(OfTenant, frozen=True, kw_only=True):
    """Create a dedicated instance; it answers at `<name>.<suffix>` at once. `entry` closed: nobody reaches it until its entry is opened."""

    name: str
    edition: str = ""
    entry: Literal["opened", "closed"] = "opened"

    def to_command(self, asked: Asked) -> creating.CreateInstance:
        """Of the tenant."""
        return creating.CreateInstance(
            asked.tenant,
            self.name,
            edition=self.edition,
            entry=EntryStatus(self.entry),
            at_once=True,
        )


class GetInstance(OfInstance, frozen=True, kw_only=True):
    """Show an instance in full; `-` is the default one."""

    def to_command(self, asked: Asked) -> About:
        """By id."""
        return About(asked.instance.id, asked.tenant)


class ModifyInstance(OfInstance, frozen=True, kw_only=True):
    """Change edition or protection against deletion; what is left out stays."""

    edition: str | None = None
    protected: bool | None = None

    def to_command(self, asked: Asked) -> changing.ModifyInstance:
        """By id."""
        return changing.ModifyInstance(
            asked.instance.id,
            asked.tenant,
            edition=self.edition,
            is_protected=self.protected,
            at_once=True,
        )


class DeleteInstance(OfInstance, frozen=True, kw_only=True):
    """Delete a dedicated instance. `content`: refuse where it has namespaces, keep them as a bucket, or delete them in the background."""

    content: Content = Content.REFUSE

    def to_command(self, asked: Asked) -> changing.DeleteInstance:
        """By id."""
        return changing.DeleteInstance(
            asked.instance.id, asked.tenant, content=self.content, at_once=True
        )


class InstanceSummary(Answers, frozen=True, kw_only=True):
    """An instance. `tenant`: whose it is; shared ones are nobody's. `hosts`: further names it answers at."""

    name: str
    id: str
    kind: InstanceKind
    tenant: str | None
    status: InstanceStatus
    default: bool
    hosts: list[str]

    @classmethod
    def of(cls, result: InstanceShown, _asked: Asked) -> "InstanceSummary":
        """As it is."""
        one = result.instance
        return cls(
            name=one.name,
            id=one.public_id,
            kind=one.kind,
            tenant=result.tenant_name or None,
            status=one.status,
            default=one.is_default,
            hosts=list(result.hosts),
        )


class InstanceList(Answers, frozen=True, kw_only=True):
    """A page of instances."""

    items: list[InstanceSummary]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[InstanceShown], asked: Asked) -> "InstanceList":
        """By name."""
        return cls(items=[InstanceSummary.of(row, asked) for row in result.rows], next=result.next)


class InstanceCreated(Answers, frozen=True, kw_only=True):
    """A new instance."""

    instance: InstanceSummary

    @classmethod
    def of(cls, result: Instance, asked: Asked) -> "InstanceCreated":
        """Of the tenant it was asked for."""
        found = InstanceShown(result, asked.tenant_name, ())
        return cls(instance=InstanceSummary.of(found, asked))


class InstanceInFull(Answers, frozen=True, kw_only=True):
    """An instance in full. `reason`: why its status is one of failure."""

    name: str
    id: str
    kind: InstanceKind
    status: InstanceStatus
    reason: str | None
    region: str
    edition: str | None
    protected: bool
    entry: EntryStatus
    created: Moment
    expires: Moment | None
    tags: dict[str, str]

    @classmethod
    def of(cls, result: InstanceDetails, _asked: Asked) -> "InstanceInFull":
        """As it is."""
        return cls(
            name=result.instance.name,
            id=result.instance.public_id,
            kind=result.instance.kind,
            status=result.status,
            reason=result.reason or None,
            region=result.region_name,
            edition=result.edition or None,
            protected=result.is_protected,
            entry=result.public_entry,
            created=shown(result.created_at),
            expires=shown_end(result.expires_at),
            tags=dict(result.tags),
        )


_ALL: Final = "/tenants/{tenant}/instances"
_ONE: Final = f"{_ALL}/{{instance}}"
_list = windowed(list_instances, lambda found: found.instance.name)
ENDPOINTS: Final = (
    Endpoint(
        "GET", "/instances", Operation("ListEveryInstance", ListEveryInstance, _list, InstanceList)
    ),
    Endpoint("GET", _ALL, Operation("ListInstances", ListInstances, _list, InstanceList)),
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "CreateInstance",
            CreateInstance,
            creating.create_instance,
            InstanceCreated,
            changes=True,
        ),
        201,
    ),
    Endpoint(
        "GET", _ONE, Operation("GetInstance", GetInstance, describing.get_instance, InstanceInFull)
    ),
    Endpoint(
        "PATCH",
        _ONE,
        Operation(
            "ModifyInstance", ModifyInstance, changing.modify_instance, InstanceInFull, changes=True
        ),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteInstance", DeleteInstance, changing.delete_instance, Nothing, changes=True
        ),
        204,
    ),
)
