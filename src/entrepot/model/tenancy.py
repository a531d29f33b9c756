"""Tenants and the places they own: instances, namespaces."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from entrepot.model.errors import NameInvalid
from entrepot.model.ids import InstanceId, Micros, NamespaceId, TenantId, UserId


class InstanceKind(StrEnum):
    """Shared: a region's registry, owned by nobody. Dedicated: one tenant's."""

    SHARED = "shared"
    DEDICATED = "dedicated"


class InstanceStatus(StrEnum):
    """Where an instance is in its life. `model.instances.MOVES` has the ways between them."""

    PENDING = "pending"  # asked for
    DEPLOYING = "deploying"
    RUNNING = "running"
    CHANGING = "changing"  # its edition; it serves meanwhile
    CREATE_FAILED = "create_failed"
    ISOLATED = "isolated"  # its end has come and is enforced; renewing lets it run again
    DELETING = "deleting"
    DELETE_FAILED = "delete_failed"  # deleting may be asked for again
    DELETED = "deleted"  # gone, or only its content is kept

    @property
    def is_serving(self) -> bool:
        """Whether its content can be reached."""
        return self in (InstanceStatus.RUNNING, InstanceStatus.CHANGING)


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account: Tencent's UIN, Huawei's domain."""

    id: TenantId
    public_id: str
    uin: str
    app_id: str
    name: str
    is_root: bool
    created_at: Micros


@dataclass(frozen=True, slots=True)
class Instance:
    """One registry with its own host name."""

    id: InstanceId
    public_id: str
    kind: InstanceKind
    tenant: TenantId | None
    name: str
    is_default: bool
    status: InstanceStatus = InstanceStatus.RUNNING


@dataclass(frozen=True, slots=True)
class Namespace:
    """TCR namespace = SWR organization; always owned by one tenant."""

    id: NamespaceId
    instance: InstanceId
    tenant: TenantId
    name: str
    is_public: bool
    created_by: UserId | None
    created_at: Micros


@dataclass(frozen=True, slots=True)
class NamespaceDetails:
    """A namespace as lists show it. `number` counts from 1 in its instance; `facts`: what a dialect keeps with it."""

    namespace: Namespace
    number: int
    facts: Mapping[str, Any]
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NameRule:
    """A name grammar: pattern and length in characters, with words for whoever broke it."""

    pattern: re.Pattern[str]
    minimum: int
    maximum: int
    words: str

    def check(self, name: str) -> str:
        """`name` if it fits. Raises NameInvalid."""
        if not self.minimum <= len(name) <= self.maximum or not self.pattern.fullmatch(name):
            raise NameInvalid(name[:300], self.words)
        return name


_SEPARATED = r"(?:(?:\.|__?|-+)[a-z0-9]+)*"
# The shared instance follows SWR's grammar, dedicated ones TCR's (DESIGN section 1).
NAMESPACE_RULES = {
    InstanceKind.SHARED: NameRule(
        re.compile(rf"[a-z][a-z0-9]*{_SEPARATED}"),
        1,
        64,
        "1 to 64 lower-case letters and digits, single separators . _ __ or dashes inside, a letter first",
    ),
    InstanceKind.DEDICATED: NameRule(
        re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*"),
        2,
        30,
        "2 to 30 lower-case letters and digits, single . _ or - inside",
    ),
}
REPOSITORY_RULES = {
    InstanceKind.SHARED: NameRule(
        re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+|/)[a-z0-9]+)*"),
        1,
        128,
        "1 to 128 lower-case letters and digits, separators . _ __ / or dashes inside",
    ),
    InstanceKind.DEDICATED: NameRule(
        re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+|/)[a-z0-9]+)*"),
        1,
        244,
        "1 to 244 lower-case letters and digits, separators . _ __ / or dashes inside",
    ),
}
# Routes of the management API live at this name under the shared instance's /v2/ (DESIGN section 2).
RESERVED_NAMESPACES = {
    InstanceKind.SHARED: frozenset({"manage"}),
    InstanceKind.DEDICATED: frozenset[str](),
}


def check_namespace_name(kind: InstanceKind, name: str) -> str:
    """`name` if an instance of this kind may have a namespace of it. Raises NameInvalid."""
    if name in RESERVED_NAMESPACES[kind]:
        raise NameInvalid(name, "this name is reserved")
    return NAMESPACE_RULES[kind].check(name)


def check_repository_name(kind: InstanceKind, name: str) -> str:
    """`name` (inside its namespace) if an instance of this kind may have a repository of it. Raises NameInvalid."""
    return REPOSITORY_RULES[kind].check(name)
