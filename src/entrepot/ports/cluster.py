"""Clusters: the port to API servers of Kubernetes, as much of it as a push needs."""

from dataclasses import dataclass, field
from typing import Protocol

from entrepot.model.errors import Conflict, Unavailable
from entrepot.model.triggers import WorkloadKind


@dataclass(frozen=True, slots=True, repr=False)
class ClusterAccess:
    """How to reach an API server and who to be there. All checked when it was taken in; none of it a file or a program.

    `authorities`: PEM; "": those this machine trusts. `certificate` and `key`: PEM, both or neither. `token` "": none.
    `tls_name`: the name its certificate must have; "": the URL's host.
    """

    server: str
    authorities: str = ""
    token: str = ""
    certificate: str = ""
    key: str = ""
    tls_name: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadName:
    """A workload by kind, namespace and name, in Kubernetes' grammar."""

    kind: WorkloadKind
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a workload's pods. `is_init`: it runs before the others."""

    name: str
    image: str
    is_init: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """What a workload's pods are made of. `version` changes with whatever changes in it."""

    version: str
    containers: tuple[Container, ...]


@dataclass(frozen=True, slots=True)
class WorkloadChange:
    """New images by container; `restarted_at` (RFC 3339) lets its pods be made anew although nothing else changed.

    `version`: as it was read; where it is another by now, nothing changes.
    """

    version: str
    containers: tuple[Container, ...] = field(default=())
    restarted_at: str | None = None


class ClusterApi(Protocol):
    """What a trigger does in a cluster. Both calls may be repeated; they end in bounded time and read bounded answers.

    Raise ClusterUnreachable, ClusterRefused and AddressForbidden. No text of these holds a credential.
    """

    async def workload(self, access: ClusterAccess, name: WorkloadName) -> Workload:
        """Read a workload."""
        ...

    async def change(
        self, access: ClusterAccess, name: WorkloadName, change: WorkloadChange
    ) -> None:
        """Change it. Raises WorkloadMoved where somebody else was quicker."""
        ...


@dataclass(eq=False)
class ClusterUnreachable(Unavailable):
    """The cluster's API server does not answer."""

    reason: str


@dataclass(eq=False)
class ClusterRefused(Conflict):
    """The cluster's API server refused."""

    reason: str


@dataclass(eq=False)
class WorkloadMoved(Unavailable):
    """Somebody else changed the workload meanwhile."""

    name: str
