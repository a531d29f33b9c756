"""Copying images elsewhere: peers, rules, jobs, and what can be wrong about them."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from entrepot.model.errors import Conflict, InvalidInput, Unavailable, Unknown
from entrepot.model.ids import Micros, RepositoryId, TenantId, UserId
from entrepot.model.tenancy import NameRule

# As regions are called, for a peer stands where a region does.
PEER_NAME: Final = NameRule(
    re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"), 1, 63, "1 to 63 letters, digits and - inside"
)


class JobStatus(StrEnum):
    """Of one tag that is to be copied."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCEL = "cancel"
    EXISTED = "existed"  # the tag means something else there, and is not to be overridden


class Outcome(StrEnum):
    """What copying one tag came to."""

    COPIED = "copied"
    UNCHANGED = "unchanged"  # all of it was there
    EXISTED = "existed"  # the tag means something else there; nothing was done


@dataclass(frozen=True, slots=True)
class Peer:
    """Another deployment that a tenant copies images to. `url`: scheme, host and port; `authorities`: PEM, empty: those trusted here."""

    id: int
    public_id: str
    tenant: TenantId
    name: str
    url: str
    username: str
    authorities: str
    created_at: Micros


@dataclass(frozen=True, slots=True)
class SyncTarget:
    """Where to: a region served here or a peer by name, and a namespace there. The repository keeps its path."""

    region: str
    namespace: str


@dataclass(frozen=True, slots=True)
class SyncRule:
    """Where images of a repository go. `user`: with whose rights (None: the operator's); `operation`: what policies call the request
    that wrote it; `tenant`: whose peers it may name."""

    id: int
    repository: RepositoryId
    target: SyncTarget
    is_automatic: bool
    overrides: bool
    tenant: TenantId
    user: UserId | None
    operation: str
    created_at: Micros
    updated_at: Micros


@dataclass(frozen=True, slots=True)
class SyncJob:
    """One tag that is, was or will be copied. `user_id`, `user_name`: who is behind it, empty for the operator."""

    id: int
    repository: RepositoryId
    tag: str
    target: SyncTarget
    overrides: bool
    status: JobStatus
    reason: str
    tenant: TenantId
    user_id: str
    user_name: str
    created_at: Micros
    updated_at: Micros


# -- errors -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class PeerUnknown(Unknown):
    """No such peer."""

    name: str


@dataclass(eq=False)
class PeerUsed(Conflict):
    """A sync rule names the peer."""

    name: str


@dataclass(eq=False)
class RegionUnserved(InvalidInput):
    """No region here and no peer has that name."""

    name: str


@dataclass(eq=False)
class SyncRuleUnknown(Unknown):
    """The repository has no such sync rule."""

    region: str
    namespace: str


@dataclass(eq=False)
class SyncJobUnknown(Unknown):
    """The repository has no such sync job."""

    number: int


@dataclass(eq=False)
class ImageMoved(Unavailable):
    """The tag was set to something else again and again while it was copied."""

    tag: str


@dataclass(eq=False)
class RemoteUnavailable(Unavailable):
    """The other registry does not answer, or not as it should."""

    host: str
    detail: str


@dataclass(eq=False)
class RemoteRefused(Conflict):
    """The other registry says no. `code`: its own, if it gave one."""

    host: str
    action: str
    status: int
    code: str


@dataclass(eq=False)
class RemoteAltered(Conflict):
    """The other registry keeps something else than it was sent."""

    host: str
    expected: str
    actual: str
