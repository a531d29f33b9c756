"""Retention: rules that say which tags of a repository stay, and what was removed by them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from entrepot.model.errors import Unknown
from entrepot.model.ids import Micros, NamespaceId, RepositoryId, UserId

RetentionId = NewType("RetentionId", int)
"""A policy's number, which is also what people call it. Never given again."""


class Keep(StrEnum):
    """What a rule keeps; it removes the others."""

    NEWEST = "newest"  # so many tags, those that were set last
    RECENT = "recent"  # tags that were set within so many days


class SelectorKind(StrEnum):
    """How a selector names tags."""

    NAME = "name"  # the one tag
    PATTERN = "pattern"  # a regular expression (`model.patterns`) for the whole tag


@dataclass(frozen=True, slots=True)
class Selector:
    """Tags by their name."""

    kind: SelectorKind
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`number`: of tags or days, at least 1. What `exempt` names is neither removed nor counted by this rule."""

    keep: Keep
    number: int
    exempt: tuple[Selector, ...] = ()


class Cycle(StrEnum):
    """How often a policy runs by itself."""

    MANUAL = "manual"  # never
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a policy says. A tag goes when any of the rules removes it."""

    rules: tuple[Rule, ...]
    cycle: Cycle = Cycle.DAILY
    after_push: bool = True  # it also runs when a tag of its repositories was pushed
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """A policy of a namespace, for each of its repositories alone, or of one `repository`.

    `version` is raised with each change. `next_at`: when it runs by itself; None: never.
    """

    id: RetentionId
    namespace: NamespaceId
    repository: RepositoryId | None
    plan: Plan
    version: int
    created_by: UserId | None
    created_at: Micros
    updated_at: Micros
    next_at: Micros | None


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """A present tag. `set_at`: when it was last pushed, or set."""

    tag: str
    digest: str
    set_at: Micros


@dataclass(frozen=True, slots=True)
class Removed:
    """A tag that a rule removed, and what it meant."""

    id: int
    policy: RetentionId
    tag: str
    digest: str
    rule: Rule
    removed_at: Micros


@dataclass(eq=False)
class RetentionUnknown(Unknown):
    """No such retention policy."""

    name: str
