"""Certificates of a tenant, for hosts of its instances; their keys are sealed and never shown."""

from typing import Final

from entrepot.capabilities.instances import certificates
from entrepot.dialects.native.endpoints import Endpoint
from entrepot.dialects.native.shapes import (
    Answers,
    Limit,
    Moment,
    Nothing,
    OfTenant,
    Paged,
    Windowed,
    on,
    shown,
    windowed,
)
from entrepot.dialects.operation import Asked, Operation
from entrepot.model.certificates import Certificate
from entrepot.model.ids import TenantId


class OfCertificate(OfTenant, frozen=True, kw_only=True):
    """A request about a certificate of the tenant, by id."""

    certificate: str

    def to_command(self, asked: Asked) -> certificates.NamedCertificate:
        """By id."""
        return certificates.NamedCertificate(asked.tenant, self.certificate)


class ListCertificates(OfTenant, frozen=True, kw_only=True):
    """List the tenant's certificates, by id."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[TenantId]:
        """All of them."""
        return on(self, asked.tenant)


class AddCertificate(OfTenant, frozen=True, kw_only=True):
    """Keep a certificate. `chain`: PEM, the certificate first, then its issuers; `key`: PEM without a passphrase."""

    name: str
    chain: str
    key: str

    def to_command(self, asked: Asked) -> certificates.AddCertificate:
        """Of the tenant."""
        return certificates.AddCertificate(asked.tenant, self.name, self.chain, self.key)


class GetCertificate(OfCertificate, frozen=True, kw_only=True):
    """Show a certificate with its chain."""


class DeleteCertificate(OfCertificate, frozen=True, kw_only=True):
    """Forget a certificate that no host is served with."""


class CertificateSummary(Answers, frozen=True, kw_only=True):
    """A certificate. `hosts`: the names it is for."""

    id: str
    name: str
    hosts: list[str]
    ends: Moment
    created: Moment

    @classmethod
    def of(cls, result: Certificate, _asked: Asked) -> "CertificateSummary":
        """As it is."""
        return cls(
            id=result.public_id,
            name=result.name,
            hosts=list(result.hosts),
            ends=shown(result.ends_at),
            created=shown(result.created_at),
        )


class CertificateInFull(Answers, frozen=True, kw_only=True):
    """A certificate with its chain, PEM."""

    certificate: CertificateSummary
    chain: str

    @classmethod
    def of(cls, result: Certificate, asked: Asked) -> "CertificateInFull":
        """As it is."""
        return cls(certificate=CertificateSummary.of(result, asked), chain=result.chain)


class CertificateList(Answers, frozen=True, kw_only=True):
    """A page of certificates."""

    items: list[CertificateSummary]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Certificate], asked: Asked) -> "CertificateList":
        """By id."""
        rows = [CertificateSummary.of(row, asked) for row in result.rows]
        return cls(items=rows, next=result.next)


_ALL: Final = "/tenants/{tenant}/certificates"
_ONE: Final = f"{_ALL}/{{certificate}}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListCertificates",
            ListCertificates,
            windowed(certificates.list_certificates, lambda c: c.public_id),
            CertificateList,
        ),
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation(
            "AddCertificate",
            AddCertificate,
            certificates.add_certificate,
            CertificateSummary,
            changes=True,
        ),
        201,
    ),
    Endpoint(
        "GET",
        _ONE,
        Operation(
            "GetCertificate", GetCertificate, certificates.get_certificate, CertificateInFull
        ),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation(
            "DeleteCertificate",
            DeleteCertificate,
            certificates.delete_certificate,
            Nothing,
            changes=True,
        ),
        204,
    ),
)
