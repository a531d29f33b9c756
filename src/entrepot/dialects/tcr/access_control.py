"""Who reaches an instance: its public entry with the list of networks let in, and its private links."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from entrepot.capabilities.instances import allow_list, entries
from entrepot.capabilities.instances.allow_list import (
    AddAllowed,
    ModifyAllowed,
    NewAllowed,
    RemoveAllowed,
    Which,
)
from entrepot.capabilities.instances.entries import SetEntry
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr.refusal import Refusal
from entrepot.dialects.tcr.shapes import Answers, Echo, OfRegistry, Text
from entrepot.model.errors import ValueInvalid
from entrepot.model.network_access import AllowedNetwork, AllowList, EntryStatus

MAX_POLICIES: Final = 200  # of one request
_ENTRY: Final = {
    EntryStatus.CLOSED: "Closed",
    EntryStatus.OPENING: "Opening",
    EntryStatus.OPENED: "Opened",
}


# -- the public entry -------------------------------------------------------------------------------------------------


class ManageExternalEndpoint(OfRegistry, frozen=True, kw_only=True):
    """Open or close it."""

    operation: Literal["Create", "Delete"]

    def to_command(self, asked: Asked) -> SetEntry:
        """What is so already stays so."""
        return SetEntry(asked.instance.id, self.operation == "Create", asked.tenant)


class DescribeExternalEndpointStatus(OfRegistry, frozen=True, kw_only=True):
    """Whether it is open."""

    def to_command(self, asked: Asked) -> OfInstance:
        """Of one instance."""
        return OfInstance(asked.instance.id, asked.tenant)


class EntryDescribed(Answers, frozen=True, kw_only=True):
    """Closed, Opening or Opened."""

    status: str
    reason: str

    @classmethod
    def of(cls, result: EntryStatus, _asked: Asked) -> "EntryDescribed":
        """Opening it does not fail, so there is no reason."""
        return cls(status=_ENTRY[result], reason="")


# -- the allow list ---------------------------------------------------------------------------------------------------


class SecurityPolicy(Struct, frozen=True, rename="pascal"):
    """An entry, as it is told and as it is given."""

    cidr_block: Text | None = None
    description: Text | None = None
    policy_index: int | None = None
    policy_version: Text | None = None


class CreateSecurityPolicy(OfRegistry, frozen=True, kw_only=True):
    """Append one."""

    cidr_block: Text
    description: Text

    def to_command(self, asked: Asked) -> AddAllowed:
        """The public entry must be opened."""
        new = NewAllowed(self.cidr_block, self.description)
        return AddAllowed(asked.instance.id, (new,), tenant=asked.tenant)


class ManyPolicies(OfRegistry, frozen=True, kw_only=True):
    """Several at once, all or none."""

    security_group_policy_set: Annotated[
        list[SecurityPolicy], Meta(min_length=1, max_length=MAX_POLICIES)
    ]


class CreateMultipleSecurityPolicy(ManyPolicies, frozen=True, kw_only=True):
    """Append several. Their index and version do not count."""

    def to_command(self, asked: Asked) -> AddAllowed:
        """In the order they are given."""
        new = []
        for number, policy in enumerate(self.security_group_policy_set):
            if policy.cidr_block is None:
                where = f"SecurityGroupPolicySet.{number}.CidrBlock"
                raise Refusal("MissingParameter", f"{where} is required")
            new.append(NewAllowed(policy.cidr_block, policy.description or ""))
        return AddAllowed(asked.instance.id, tuple(new), tenant=asked.tenant)


class ModifySecurityPolicy(OfRegistry, frozen=True, kw_only=True):
    """Make the entry at an index another one."""

    policy_index: Annotated[int, Meta(ge=0, le=2**31)]
    cidr_block: Text
    description: Text

    def to_command(self, asked: Asked) -> ModifyAllowed:
        """It keeps its place."""
        return ModifyAllowed(
            asked.instance.id,
            Which(index=self.policy_index),
            self.cidr_block,
            self.description,
            tenant=asked.tenant,
        )


class DeleteSecurityPolicy(OfRegistry, frozen=True, kw_only=True):
    """Take one out: by network, which counts more, or by index."""

    policy_index: Annotated[int, Meta(ge=0, le=2**31)] | None = None
    policy_version: Text | None = None
    cidr_block: Text | None = None

    def to_command(self, asked: Asked) -> RemoveAllowed:
        """The version, where given, must be the list's."""
        which = _which(self.cidr_block, self.policy_index, "CidrBlock or PolicyIndex")
        version = _version(self.policy_version)
        return RemoveAllowed(asked.instance.id, (which,), version, asked.tenant)


class DeleteMultipleSecurityPolicy(ManyPolicies, frozen=True, kw_only=True):
    """Take several out."""

    def to_command(self, asked: Asked) -> RemoveAllowed:
        """Every version that is given must be the list's."""
        policies = self.security_group_policy_set
        versions = {_version(policy.policy_version) for policy in policies} - {None}
        if len(versions) > 1:
            raise ValueInvalid("PolicyVersion", "a list has one version at a time")
        which = [
            _which(
                policy.cidr_block,
                policy.policy_index,
                f"SecurityGroupPolicySet.{number}.CidrBlock or PolicyIndex",
            )
            for number, policy in enumerate(policies)
        ]
        version = versions.pop() if versions else None
        return RemoveAllowed(asked.instance.id, which, version, asked.tenant)


def _which(cidr: str | None, index: int | None, where: str) -> Which:
    if cidr:
        return Which(cidr=cidr)
    if index is None:
        raise Refusal("MissingParameter", f"{where} is required")
    if index < 0:
        raise ValueInvalid("PolicyIndex", "counts from 0")
    return Which(index=index)


def _version(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueInvalid("PolicyVersion", "is a number as DescribeSecurityPolicies gives it")
    return int(text)


class DescribeSecurityPolicies(OfRegistry, frozen=True, kw_only=True):
    """All of the list."""

    def to_command(self, asked: Asked) -> OfInstance:
        """Of one instance."""
        return OfInstance(asked.instance.id, asked.tenant)


class PoliciesDescribed(Answers, frozen=True, kw_only=True):
    """In the list's order."""

    security_policy_set: list[SecurityPolicy]

    @classmethod
    def of(cls, result: AllowList, _asked: Asked) -> "PoliciesDescribed":
        """Networks as they were entered; one version for all."""
        return cls(security_policy_set=[_told(one, result.version) for one in result.entries])


def _told(entry: AllowedNetwork, version: int) -> SecurityPolicy:
    return SecurityPolicy(entry.cidr.entered, entry.description, entry.index, str(version))


OPERATIONS: Final = (
    Operation(
        "ManageExternalEndpoint",
        ManageExternalEndpoint,
        entries.set_entry,
        Echo,
        changes=True,
    ),
    Operation(
        "DescribeExternalEndpointStatus",
        DescribeExternalEndpointStatus,
        entries.get_entry,
        EntryDescribed,
        needs_running=False,
    ),
    Operation(
        "CreateSecurityPolicy", CreateSecurityPolicy, allow_list.add_allowed, Echo, changes=True
    ),
    Operation(
        "CreateMultipleSecurityPolicy",
        CreateMultipleSecurityPolicy,
        allow_list.add_allowed,
        Echo,
        changes=True,
    ),
    Operation(
        "ModifySecurityPolicy", ModifySecurityPolicy, allow_list.modify_allowed, Echo, changes=True
    ),
    Operation(
        "DeleteSecurityPolicy", DeleteSecurityPolicy, allow_list.remove_allowed, Echo, changes=True
    ),
    Operation(
        "DeleteMultipleSecurityPolicy",
        DeleteMultipleSecurityPolicy,
        allow_list.remove_allowed,
        Echo,
        changes=True,
    ),
    Operation(
        "DescribeSecurityPolicies",
        DescribeSecurityPolicies,
        allow_list.get_allow_list,
        PoliciesDescribed,
        needs_running=False,
    ),
)
