"""Instances in full: their life, names, editions, and what can be wrong about them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from entrepot.model.errors import Conflict, InvalidInput, Unknown
from entrepot.model.ids import InstanceId, Micros, TenantId
from entrepot.model.network_access import EntryStatus
from entrepot.model.tenancy import Instance, InstanceStatus, NameRule

INSTANCE_NAME: Final = NameRule(
    re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*"),
    5,
    50,
    "5 to 50 lower-case letters and digits, single - inside",
)
# First labels that the deployment's own services have under the suffix (DESIGN section 2).
SERVICE_LABELS: Final = frozenset({"tcr", "tag", "iam", "swr", "swr-api", "console", "localhost"})
# What could be taken for an instance's id, and names of regions' shared instances.
_ALIKE: Final = re.compile(r"tcr-[a-z0-9]{8}|swr-.*")

_S = InstanceStatus
MOVES: Final[Mapping[InstanceStatus, frozenset[InstanceStatus]]] = MappingProxyType(
    {
        _S.PENDING: frozenset({_S.DEPLOYING, _S.CREATE_FAILED, _S.DELETING}),
        _S.DEPLOYING: frozenset({_S.RUNNING, _S.CREATE_FAILED, _S.DELETING}),
        _S.RUNNING: frozenset({_S.CHANGING, _S.ISOLATED, _S.DELETING}),
        _S.CHANGING: frozenset({_S.RUNNING, _S.DELETING}),
        _S.CREATE_FAILED: frozenset({_S.DELETING}),
        _S.ISOLATED: frozenset({_S.RUNNING, _S.DELETING}),
        _S.DELETING: frozenset({_S.DELETED, _S.DELETE_FAILED}),
        _S.DELETE_FAILED: frozenset({_S.DELETING}),
        _S.DELETED: frozenset({_S.RUNNING, _S.DELETING}),  # restoring or purging kept content
    }
)
"""From each status to those that may follow it."""


class NameVerdict(StrEnum):
    """Whether a new instance could have a name."""

    FREE = "free"
    ILLEGAL = "illegal"
    RESERVED = "reserved"
    TAKEN = "taken"


class Content(StrEnum):
    """What deleting an instance does with its content."""

    REFUSE = "refuse"  # do not delete an instance that has namespaces
    KEEP = "keep"  # out of reach, until an operator restores or purges it
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class InstanceDetails:
    """An instance as APIs show it. `reason`: why its status is one of failure, else empty; `facts`: what a dialect keeps with it.

    Of a shared instance: its edition is empty, it has no tags, and `has_public_namespace` is about the asking tenant's namespaces.
    """

    instance: Instance
    region_name: str
    region_number: int
    edition: str
    reason: str
    is_protected: bool
    public_entry: EntryStatus
    facts: Mapping[str, Any]
    created_at: Micros
    expires_at: Micros | None
    has_public_namespace: bool
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> InstanceStatus:
        """Where it is in its life."""
        return self.instance.status

    @property
    def conditions(self) -> "tuple[Condition, ...]":
        """How far each step of its creation is."""
        storage = names = self.status
        if self.status is InstanceStatus.DEPLOYING:
            storage = InstanceStatus.RUNNING
        return (Condition("storage", storage, self.reason), Condition("names", names, self.reason))


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of an instance: `storage` takes its content, at `names` it answers."""

    step: str
    status: InstanceStatus
    reason: str


@dataclass(frozen=True, slots=True)
class InstancePage:
    """A page of instances, and how many there are of them."""

    total: int
    instances: tuple[InstanceDetails, ...]


@dataclass(frozen=True, slots=True)
class KeptBucket:
    """The content of a deleted instance, kept. `size`: logical bytes."""

    instance: InstanceId
    public_id: str
    name: str
    tenant: TenantId
    edition: str
    kept_at: Micros
    namespaces: int
    size: int


def check_instance_name(name: str, reserved: frozenset[str] = frozenset()) -> str:
    """The name in lower case, if instances may have it. `reserved`: by the operator. Raises NameInvalid, NameReserved."""
    folded = INSTANCE_NAME.check(name.lower())
    if folded in SERVICE_LABELS or folded in reserved or _ALIKE.fullmatch(folded):
        raise NameReserved(folded)
    return folded


# -- errors -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class NameReserved(InvalidInput):
    """The name is kept for the deployment."""

    name: str


@dataclass(eq=False)
class InstanceNotRunning(Conflict):
    """The instance does not run."""

    name: str
    status: InstanceStatus


@dataclass(eq=False)
class EditionTooSmall(Conflict):
    """The edition allows less than the instance uses."""

    edition: str
    resource: str
    used: int
    limit: int


@dataclass(eq=False)
class FeatureMissing(Conflict):
    """The instance's edition does not have the feature."""

    feature: str
    edition: str


@dataclass(eq=False)
class BucketUnknown(Unknown):
    """No such kept bucket."""

    name: str
