"""Instances: made, modified, renewed, deleted."""

import calendar
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import changing, creating, describing
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.dialects.tcr.shapes import (
    Answers,
    Asks,
    Echo,
    Nothing,
    OfRegistry,
    TagSpecification,
    Text,
)
from entrepot.model.access import Caller
from entrepot.model.errors import ValueInvalid
from entrepot.model.ids import InstanceId, Micros
from entrepot.model.instances import Content, InstanceDetails
from entrepot.model.tenancy import Instance

TAGGED: Final = "instance"  # of its tags
# What clients tell us about billing and the cloud's storage is kept under these names and given back.
PREPAID: Final = "PayMod"
RENEWAL: Final = "RenewFlag"
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
            tags={} if spec is None else dict(spec.pairs(TAGGED)),
            facts=self._facts(prepaid if is_prepaid else None),
            expires_at=_later(_now(), prepaid.period) if is_prepaid and prepaid else None,
            is_protected=self.deletion_protection is True,
        )

    def _facts(self, prepaid: RegistryChargePrepaid | None) -> dict[str, Any]:
        said: dict[str, Any] = {PREPAID: 0 if prepaid is None else 1}
        if prepaid is not None:
            said |= {RENEWAL: prepaid.renew_flag, _MONTHS: prepaid.period}
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
    if command.must_be_prepaid and not found.facts.get(PREPAID):
        raise Refusal("InvalidParameter", "it is not prepaid; Flag 1 makes it so")
    begin = max(_now(), found.expires_at or Micros(0))
    facts = {
        PREPAID: 1,
        RENEWAL: command.prepaid.renew_flag,
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
)
