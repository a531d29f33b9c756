"""Kubernetes clusters of a tenant: where workloads run that a push may change."""

import re
from dataclasses import dataclass
from typing import Final

from entrepot.model.errors import InvalidInput, Unknown, ValueInvalid
from entrepot.model.ids import Micros, TenantId

EVERY_NAMESPACE: Final = "*"
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as its tenant knows it; its credentials are never shown.

    `namespaces`: those of Kubernetes whose workloads may be changed, `*` alone: all. `registry`: host, perhaps with a port, by which the
    cluster's nodes pull from this registry. `is_default`: of the tenant in the region.
    """

    id: int
    public_id: str
    tenant: TenantId
    region: str
    name: str
    is_default: bool
    server: str
    namespaces: tuple[str, ...]
    registry: str
    created_at: Micros
    updated_at: Micros

    def admits(self, namespace: str) -> bool:
        """Whether workloads of that namespace of Kubernetes may be changed."""
        return namespace in self.namespaces or EVERY_NAMESPACE in self.namespaces


def check_label(field: str, text: str) -> str:
    """`text` if Kubernetes may call a namespace or a container so (RFC 1123 label). Raises ValueInvalid."""
    if not _LABEL.fullmatch(text):
        raise ValueInvalid(field, "1 to 63 lower-case letters and digits, - inside")
    return text


def check_subdomain(field: str, text: str) -> str:
    """`text` if Kubernetes may call a workload so (RFC 1123 subdomain). Raises ValueInvalid."""
    if not _SUBDOMAIN.fullmatch(text):
        raise ValueInvalid(field, "1 to 253 lower-case letters and digits, - and . inside")
    return text


# -- errors -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class KubeconfigInvalid(InvalidInput):
    """The kubeconfig cannot be used."""

    reason: str


@dataclass(eq=False)
class ClusterUnknown(Unknown):
    """No such cluster."""

    name: str
