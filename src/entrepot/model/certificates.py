"""Certificates of tenants, and the further hosts of instances that are served with them."""

from dataclasses import dataclass
from enum import StrEnum

from entrepot.model.errors import Conflict, InvalidInput, Unknown
from entrepot.model.ids import InstanceId, Micros, TenantId


class DomainStatus(StrEnum):
    """Of a custom domain. creating -> ready or failed, -> deleting -> gone, by jobs; it answers while it is ready."""

    CREATING = "creating"
    READY = "ready"
    FAILED = "failed"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A tenant's certificate; its key is never shown. `hosts`: the names it covers, some with `*.` before them."""

    id: int
    public_id: str
    tenant: TenantId
    name: str
    hosts: tuple[str, ...]
    chain: str  # PEM, leaf first
    ends_at: Micros
    created_at: Micros

    def covers(self, host: str) -> bool:
        """Whether the certificate is for that host: by name, or by `*` in the place of its first label (RFC 6125)."""
        _, dot, rest = host.partition(".")
        return host in self.hosts or (bool(dot) and f"*.{rest}" in self.hosts)


@dataclass(frozen=True, slots=True)
class Domain:
    """A further host of an instance. `certificate`: its public id; "" where TLS ends elsewhere, as the operator set up."""

    host: str
    instance: InstanceId
    certificate: str
    status: DomainStatus
    created_at: Micros


@dataclass(frozen=True, slots=True, repr=False)
class Pair:
    """A chain with its key: what TLS is served with."""

    chain: str
    key: str

    @property
    def pem(self) -> str:
        """Both in one text, the chain first."""
        return f"{self.chain}{self.key}"


# -- errors -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class CertificateInvalid(InvalidInput):
    """The certificate cannot be used."""

    reason: str


@dataclass(eq=False)
class CertificateUnknown(Unknown):
    """No such certificate."""

    name: str


@dataclass(eq=False)
class CertificateUsed(Conflict):
    """A host of an instance is served with the certificate."""

    name: str
    host: str


@dataclass(eq=False)
class HostNotCovered(InvalidInput):
    """The certificate is not for this host."""

    host: str
    certificate: str
