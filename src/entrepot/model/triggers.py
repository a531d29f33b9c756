"""Triggers: a push of a tag that fits a condition sets the image of a workload in a cluster."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from entrepot.model.errors import Unknown, ValueInvalid
from entrepot.model.ids import Micros, RepositoryId, TenantId, UserId
from entrepot.model.patterns import Pattern, compile_pattern
from entrepot.oci.reference import TAG_PATTERN

MOST_TAGS: Final = 100  # named by one condition
SEPARATOR: Final = ";"  # between them
_EVERY_TAG: Final = (".*", "*")
# Signatures and lists of referrers stand beside an image under such tags; no workload runs them.
_ATTACHED: Final = re.compile(r"sha(?:256|512)-[0-9a-f]{32,128}(?:\.[A-Za-z0-9._-]+)?")


class ConditionKind(StrEnum):
    """How a condition is read."""

    ALL = "all"  # every tag
    TAGS = "tags"  # names, with `;` between them
    PATTERN = "pattern"  # a regular expression for the whole tag


class WorkloadKind(StrEnum):
    """What may be changed in a cluster."""

    DEPLOYMENT = "deployment"
    STATEFULSET = "statefulset"


@dataclass(frozen=True, slots=True)
class Condition:
    """Which tags set it off. `text`: as written."""

    kind: ConditionKind
    text: str

    def read(self) -> "Reading":
        """What it means. Raises ValueInvalid, PatternInvalid."""
        match self.kind:
            case ConditionKind.ALL:
                if self.text not in _EVERY_TAG:
                    raise ValueInvalid("condition", "for every tag it is .* or *")
                return EveryTag()
            case ConditionKind.TAGS:
                names = [name.strip() for name in self.text.split(SEPARATOR)]
                if len(names) > MOST_TAGS or not all(map(TAG_PATTERN.fullmatch, names)):
                    reason = f"1 to {MOST_TAGS} tags with {SEPARATOR} between them"
                    raise ValueInvalid("condition", reason)
                return frozenset(names)
            case ConditionKind.PATTERN:
                return compile_pattern(self.text)

    def fits(self, tag: str) -> bool:
        """Whether a push of the tag sets it off. What stands beside images (signatures) does so only when it is named."""
        reading = self.read()
        if isinstance(reading, frozenset):
            return tag in reading
        if _ATTACHED.fullmatch(tag):
            return False
        return isinstance(reading, EveryTag) or reading.matches_whole(tag)


@dataclass(frozen=True, slots=True)
class EveryTag:
    """A condition that asks nothing."""


Reading: TypeAlias = EveryTag | frozenset[str] | Pattern


@dataclass(frozen=True, slots=True)
class Aim:
    """What is to be changed: containers of a workload. `container` "": all of it that run an image of the repository.

    `cluster`: by public id, as written; None: the tenant's default one in the repository's region. `cluster_name`: as written, for people.
    """

    cluster: str | None
    cluster_name: str
    namespace: str
    kind: WorkloadKind
    workload: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of a repository. `tenant`: whose clusters it may name. `user`: with whose rights it acts, None: the operator's;
    `operation`: what policies call the request that made it. Pushes from before `enabled_at` do not set it off."""

    id: int
    repository: RepositoryId
    tenant: TenantId
    name: str
    condition: Condition
    aim: Aim
    is_enabled: bool
    creator_name: str
    user: UserId | None
    operation: str
    created_at: Micros
    enabled_at: Micros


@dataclass(frozen=True, slots=True)
class TriggerRun:
    """One time that it was set off. `detail`: why it failed, or what was set where."""

    tag: str
    succeeded: bool
    detail: str
    pushed_at: Micros
    created_at: Micros


@dataclass(eq=False)
class TriggerUnknown(Unknown):
    """No such trigger."""

    name: str
