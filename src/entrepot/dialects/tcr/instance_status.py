"""Instances as they are: pages of them, how far they are, and which names are free."""

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, field

from entrepot.capabilities.instances import describing, naming
from entrepot.capabilities.instances.describing import ListInstances
from entrepot.capabilities.instances.naming import CheckName
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging, times
from entrepot.dialects.tcr.instances import PREPAID, RENEWAL, TAGGED
from entrepot.dialects.tcr.shapes import (
    Answers,
    Asks,
    Filters,
    Limit,
    Offset,
    TagSpecification,
    Text,
    filters,
    specification,
    tag_pair,
)
from entrepot.metadata.instance_details import InstanceFilter
from entrepot.model.errors import ValueInvalid
from entrepot.model.instances import InstanceDetails, InstancePage, NameVerdict
from entrepot.model.tenancy import InstanceKind, InstanceStatus

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


class DescribeInstances(Asks, frozen=True, kw_only=True):
    """A page of the account's instances, of this region or of all."""

    registryids: Annotated[list[Text], Meta(max_length=1000)] | None = None
    offset: Offset = None
    limit: Limit = None
    filters: Filters = None
    all_region: bool | None = None

    def to_command(self, asked: Asked) -> ListInstances:
        """Filters and ids must all hold."""
        window = paging.rows_from_zero(self.offset, self.limit, _LARGEST_PAGE)
        given = filters(self.filters, _FILTERS)
        ids = [*(self.registryids or ()), *given.get("RegistryId", ())]
        if self.registryids and "RegistryId" in given:
            ids = sorted({*self.registryids} & {*given["RegistryId"]}) or [""]
        which = InstanceFilter(
            public_ids=ids,
            names=given.get("RegistryName", ()),
            editions=given.get("RegistryType", ()),
            statuses=_statuses(given.get("Status", ())),
            tags=[tag_pair(text) for text in given.get("Tags", ())],
            region="" if self.all_region else asked.region.name,
        )
        return ListInstances(which, asked.tenant, window.offset, window.limit)


def _statuses(words: Sequence[str]) -> list[InstanceStatus]:
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
            tag_specification=specification(TAGGED, found.tags),
            expired_at=times.iso(found.expires_at),
            pay_mod=found.facts.get(PREPAID, 0),
            renew_flag=found.facts.get(RENEWAL, 0),
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

    checked: Text = field(name="RegistryId")  # by another name than what must be there

    def to_command(self, asked: Asked) -> ListInstances:
        """In any region."""
        return ListInstances(InstanceFilter(public_ids=[self.checked or "-"]), asked.tenant, 0, 1)


class InstanceChecked(Answers, frozen=True, kw_only=True):
    """An unknown one is an answer, no error."""

    is_validated: bool
    region_id: int

    @classmethod
    def of(cls, result: InstancePage, _asked: Asked) -> "InstanceChecked":
        """Region 0 where there is none."""
        region = result.instances[0].region_number if result.instances else 0
        return cls(is_validated=bool(result.instances), region_id=region)


OPERATIONS: Final = (
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
