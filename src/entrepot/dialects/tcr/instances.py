"""Instances: their life, status and names."""

import calendar
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import changing, creating, describing, naming
from entrepot.capabilities.instances.describing import ListInstances
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.capabilities.instances.naming import CheckName
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging, times
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.dialects.tcr.shapes import (
    Answers,
    Asks,
    Echo,
    Filter,
    Limit,
    Nothing,
    Offset,
    OfRegistry,
    TagSpecification,
    Text,
    filters,
    specification,
    tag_pair,
)
from entrepot.metadata.instance_details import InstanceFilter
from entrepot.model.access import Caller
from entrepot.model.errors import ValueInvalid
from entrepot.model.ids import InstanceId, Micros
from entrepot.model.instances import Content, InstanceDetails, InstancePage, NameVerdict
from entrepot.model.tenancy import Instance, InstanceKind, InstanceStatus

_KIND: Final = "instance"  # of its tags
_LARGEST_PAGE: Final = 100
_TOKEN_HOURS: Final = 1
_FILTERS: Final = frozenset({"RegistryName", "RegistryId", "RegistryType", "Status", "Tags"})
_STATUSES: Final = {
    InstanceStatus.PENDING: "Pending",
    InstanceStatus.DEPLOYING: "Deploying",
    InstanceStatus.RUNNING: "Running",
    InstanceStatus.CHANGING: "Deploying",
    InstanceStatus.CREATE_FAILED: "FailedCreated",
    InstanceStatus.ISOLATED: "Isolate",
    InstanceStatus.DELETING: "Deleting",
    InstanceStatus.DELETE_FAILED: "DeleteFailed",
    InstanceStatus.DELETED: "Deleting",
}
# What clients tell us about billing and the cloud's storage is kept under these names and given back.
_PREPAID: Final = "PayMod"
_RENEWAL: Final = "RenewFlag"
_MONTHS: Final = "Period"

Edition: TypeAlias = Annotated[str, Meta(max_length=64)]
Period: TypeAlias = Annotated[int, Meta(ge=1, le=120)]


class RegistryChargePrepaid(Struct, frozen=True, rename="pascal"):
    """For how many months, and what happens then: 0 asks, 1 renews, 2 does neither."""

    period: Period
    renew_flag: Literal[0, 1, 2]


# -- making -----------------------------------------------------------------------------------------------------------


class CreateInstance(Asks, frozen=True, kw_only=True):
    """Make one. `RegistryChargeType` 1: paid for in advance, which here is only told back."""

    registry_name: Text
    registry_type: Edition
    tag_specification: TagSpecification | None = None
    registry_charge_type: Literal[0, 1] | None = None
    registry_charge_prepaid: RegistryChargePrepaid | None = None
    sync_tag: bool | None = None
    enable_cos_maz: bool | None = field(default=None, name="EnableCosMAZ")
    enable_cos_versioning: bool | None = None
    deletion_protection: bool | None = None

    def to_command(self, asked: Asked) -> creating.CreateInstance:
        """It begins closed."""
        prepaid = self.registry_charge_prepaid
        if self.registry_charge_type and prepaid is None:
            raise Refusal(
                "MissingParameter",
                "RegistryChargePrepaid is required where RegistryChargeType is 1",
            )
        if self.enable_cos_maz:
            raise ValueInvalid("EnableCosMAZ", "the storage here is not marked redundant")
        is_prepaid = bool(self.registry_charge_type)
        spec = self.tag_specification
        return creating.CreateInstance(
            asked.tenant,
            self.registry_name,
            edition=self.registry_type,
            region=asked.region.name,
            tags={} if spec is None else dict(spec.pairs(_KIND)),
            facts=self._facts(prepaid if is_prepaid else None),
            expires_at=_later(_now(), prepaid.period) if is_prepaid and prepaid else None,
            is_protected=self.deletion_protection is True,
        )

    def _facts(self, prepaid: RegistryChargePrepaid | None) -> dict[str, Any]:
        said: dict[str, Any] = {_PREPAID: 0 if prepaid is None else 1}
        if prepaid is not None:
            said |= {_RENEWAL: prepaid.renew_flag, _MONTHS: prepaid.period}
        told = {"SyncTag": self.sync_tag, "EnableCosVersioning": self.enable_cos_versioning}
        return said | {name: value for name, value in told.items() if value is not None}


class InstanceCreated(Answers, frozen=True, kw_only=True):
    """Its id, at once."""

    registry_id: str

    @classmethod
    def of(cls, result: Instance, _asked: Asked) -> "InstanceCreated":
        """While it is still being made."""
        return cls(registry_id=result.public_id)


class ModifyInstance(OfRegistry, frozen=True, kw_only=True):
    """Another edition, or protection on or off. What is absent stays."""

    registry_type: Edition | None = None
    deletion_protection: bool | None = None
    enable_cos_versioning: bool | None = None

    def to_command(self, asked: Asked) -> changing.ModifyInstance:
        """Whatever the page prints as the default of `DeletionProtection`, absent means unchanged."""
        facts = None
        if self.enable_cos_versioning is not None:
            facts = {"EnableCosVersioning": self.enable_cos_versioning}
        return changing.ModifyInstance(
            asked.instance.id,
            asked.tenant,
            edition=self.registry_type,
            is_protected=self.deletion_protection,
            facts=facts,
        )


class Renewal(Struct, frozen=True):
    """So many months more. `must_be_prepaid`: it was so before."""

    instance: InstanceId
    prepaid: RegistryChargePrepaid
    must_be_prepaid: bool


class RenewInstance(OfRegistry, frozen=True, kw_only=True):
    """So many months more (`Flag` 0), or from now on paid for in advance (1)."""

    registry_charge_prepaid: RegistryChargePrepaid
    flag: Literal[0, 1]

    def to_command(self, asked: Asked) -> Renewal:
        """Its end moves on from where it is."""
        return Renewal(
            asked.instance.id, self.registry_charge_prepaid, must_be_prepaid=self.flag == 0
        )


async def renew(ctx: Context, caller: Caller, command: Renewal) -> InstanceDetails:
    """Raises OperationDenied where a renewal is asked for and it was never paid for in advance."""
    found = await describing.get_instance(ctx, caller, OfInstance(command.instance))
    if command.must_be_prepaid and not found.facts.get(_PREPAID):
        raise Refusal("InvalidParameter", "it is not prepaid; Flag 1 makes it so")
    begin = max(_now(), found.expires_at or Micros(0))
    facts = {
        _PREPAID: 1,
        _RENEWAL: command.prepaid.renew_flag,
        _MONTHS: command.prepaid.period,
    }
    end = _later(begin, command.prepaid.period)
    asked = changing.RenewInstance(command.instance, end, facts=facts)
    return await changing.renew_instance(ctx, caller, asked)


class DeleteInstance(OfRegistry, frozen=True, kw_only=True):
    """Delete it. Without `DeleteBucket` its content is kept for an operator to restore or purge."""

    delete_bucket: bool | None = None
    dry_run: bool | None = None

    def to_command(self, asked: Asked) -> changing.DeleteInstance:
        """`DryRun`: only all the checks."""
        return changing.DeleteInstance(
            asked.instance.id,
            asked.tenant,
            content=Content.DELETE if self.delete_bucket else Content.KEEP,
            dry_run=self.dry_run is True,
        )


async def delete(ctx: Context, caller: Caller, command: changing.DeleteInstance) -> None:
    """A dry run that would succeed is told by an error."""
    await changing.delete_instance(ctx, caller, command)
    if command.dry_run:
        raise Refusal("DryRunOperation", "it could be deleted")


# -- looking ----------------------------------------------------------------------------------------------------------


class DescribeInstances(Asks, frozen=True, kw_only=True):
    """A page of the account's instances, of this region or of all."""

    registryids: list[Text] | None = None
    offset: Offset = None
    limit: Limit = None
    filters: list[Filter] | None = None
    all_region: bool | None = None

    def to_command(self, asked: Asked) -> ListInstances:
        """Filters and ids must all hold."""
        window = paging.rows_from_zero(self.offset, self.limit, _LARGEST_PAGE)
        given = filters(self.filters, _FILTERS)
        ids = [*(self.registryids or ()), *given.get("RegistryId", ())]
        if self.registryids and "RegistryId" in given:
            ids = [one for one in self.registryids if one in given["RegistryId"]] or [""]
        which = InstanceFilter(
            public_ids=ids,
            names=given.get("RegistryName", ()),
            editions=given.get("RegistryType", ()),
            statuses=_statuses(given.get("Status", ())),
            tags=[tag_pair(text) for text in given.get("Tags", ())],
            region="" if self.all_region else asked.region.name,
        )
        return ListInstances(which, asked.tenant, window.offset, window.limit)


def _statuses(words: Any) -> list[InstanceStatus]:
    found = [status for status, word in _STATUSES.items() if word in words]
    if len({_STATUSES[status] for status in found}) != len(set(words)):
        raise ValueInvalid(
            "Filters.Status", f"expected {', '.join(dict.fromkeys(_STATUSES.values()))}"
        )
    return found


class Registry(Answers, frozen=True, kw_only=True):
    """An instance."""

    registry_id: str
    registry_name: str
    registry_type: str
    status: str
    public_domain: str
    created_at: str
    region_name: str
    region_id: int
    enable_anonymous: bool
    token_valid_time: int
    internal_endpoint: str
    tag_specification: TagSpecification
    expired_at: str
    pay_mod: int
    renew_flag: int
    deletion_protection: bool

    @classmethod
    def of(cls, found: InstanceDetails, asked: Asked) -> "Registry":
        """As the vendor tells it; the built-in one as of the largest edition, and protected."""
        instance, is_shared = found.instance, found.instance.kind is InstanceKind.SHARED
        domain = asked.addresses.of(instance.name, found.region_name, is_shared=is_shared)
        return cls(
            registry_id=instance.public_id,
            registry_name=instance.name,
            registry_type=found.edition or "premium",
            status=_STATUSES[found.status],
            public_domain=domain,
            created_at=times.iso(found.created_at),
            region_name=found.region_name,
            region_id=found.region_number,
            enable_anonymous=found.has_public_namespace,
            token_valid_time=_TOKEN_HOURS,
            internal_endpoint=domain,
            tag_specification=specification(_KIND, found.tags),
            expired_at=times.iso(found.expires_at),
            pay_mod=found.facts.get(_PREPAID, 0),
            renew_flag=found.facts.get(_RENEWAL, 0),
            deletion_protection=found.is_protected or is_shared,
        )


class InstancesDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    total_count: int
    registries: list[Registry]

    @classmethod
    def of(cls, result: InstancePage, asked: Asked) -> "InstancesDescribed":
        """Rows and how many there are."""
        rows = [Registry.of(row, asked) for row in result.instances]
        return cls(total_count=result.total, registries=rows)


class DescribeInstanceStatus(Asks, frozen=True, kw_only=True):
    """How far these instances are."""

    registry_ids: Annotated[list[Text], Meta(max_length=100)]

    def to_command(self, asked: Asked) -> ListInstances:
        """Unknown ids give no row."""
        ids = self.registry_ids or [""]
        return ListInstances(InstanceFilter(public_ids=ids), asked.tenant, 0, len(ids))


class RegistryCondition(Answers, frozen=True, kw_only=True):
    """How far a step is."""

    type: str
    status: str
    reason: str


class RegistryStatus(Answers, frozen=True, kw_only=True):
    """How far an instance is."""

    registry_id: str
    status: str
    conditions: list[RegistryCondition]

    @classmethod
    def of(cls, found: InstanceDetails) -> "RegistryStatus":
        """One condition a step of its creation."""
        return cls(
            registry_id=found.instance.public_id,
            status=_STATUSES[found.status],
            conditions=[
                RegistryCondition(type=one.step, status=_STATUSES[one.status], reason=one.reason)
                for one in found.conditions
            ],
        )


class StatusDescribed(Answers, frozen=True, kw_only=True):
    """In no order that counts."""

    registry_status_set: list[RegistryStatus]

    @classmethod
    def of(cls, result: InstancePage, _asked: Asked) -> "StatusDescribed":
        """One row an instance."""
        return cls(registry_status_set=[RegistryStatus.of(row) for row in result.instances])


class CheckInstanceName(Asks, frozen=True, kw_only=True):
    """Whether a new instance could be called so."""

    registry_name: Text

    def to_command(self, asked: Asked) -> CheckName:
        """Upper case counts as lower."""
        return CheckName(self.registry_name, asked.tenant)


class NameChecked(Answers, frozen=True, kw_only=True):
    """`DetailCode`: 1 illegal, 2 reserved, 3 taken."""

    is_validated: bool
    detail_code: int

    @classmethod
    def of(cls, result: NameVerdict, _asked: Asked) -> "NameChecked":
        """A bad name is an answer, no error."""
        codes = [NameVerdict.FREE, NameVerdict.ILLEGAL, NameVerdict.RESERVED, NameVerdict.TAKEN]
        return cls(is_validated=result is NameVerdict.FREE, detail_code=codes.index(result))


class CheckInstance(Asks, frozen=True, kw_only=True):
    """Whether there is such an instance, and in which region."""

    registry_id: Text

    def to_command(self, asked: Asked) -> ListInstances:
        """In any region."""
        return ListInstances(
            InstanceFilter(public_ids=[self.registry_id or "-"]), asked.tenant, 0, 1
        )


class InstanceChecked(Answers, frozen=True, kw_only=True):
    """An unknown one is an answer, no error."""

    is_validated: bool
    region_id: int

    @classmethod
    def of(cls, result: InstancePage, _asked: Asked) -> "InstanceChecked":
        """Region 0 where there is none."""
        region = result.instances[0].region_number if result.instances else 0
        return cls(is_validated=bool(result.instances), region_id=region)


def _now() -> Micros:
    return Micros(int(datetime.now(UTC).timestamp() * 1_000_000))


def _later(at: Micros, months: int) -> Micros:
    """The same day so many months later, or that month's last."""
    begin = datetime.fromtimestamp(at / 1_000_000, UTC)
    month = begin.month - 1 + months
    year, month = begin.year + month // 12, month % 12 + 1
    day = min(begin.day, calendar.monthrange(year, month)[1])
    return Micros(int(begin.replace(year=year, month=month, day=day).timestamp() * 1_000_000))


OPERATIONS: Final = (
    Operation(
        "CreateInstance",
        CreateInstance,
        creating.create_instance,
        InstanceCreated,
        changes=True,
    ),
    Operation(
        "ModifyInstance",
        ModifyInstance,
        changing.modify_instance,
        Nothing,
        changes=True,
        needs_running=False,
    ),
    Operation("RenewInstance", RenewInstance, renew, Echo, changes=True, needs_running=False),
    Operation("DeleteInstance", DeleteInstance, delete, Nothing, changes=True, needs_running=False),
    Operation(
        "DescribeInstances", DescribeInstances, describing.describe_instances, InstancesDescribed
    ),
    Operation(
        "DescribeInstanceStatus",
        DescribeInstanceStatus,
        describing.describe_instances,
        StatusDescribed,
    ),
    Operation("CheckInstanceName", CheckInstanceName, naming.check_name, NameChecked),
    Operation("CheckInstance", CheckInstance, describing.describe_instances, InstanceChecked),
)
