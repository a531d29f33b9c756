"""Custom domains of an instance."""

from typing import Final

from msgspec import Struct

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import domains
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr import paging
from entrepot.dialects.tcr.shapes import Answers, Limit, Nothing, Offset, OfRegistry, Text
from entrepot.model.access import Caller
from entrepot.model.certificates import Domain, DomainStatus
from entrepot.model.errors import QuotaExceeded

_STATUSES: Final = {
    DomainStatus.CREATING: "CREATING",
    DomainStatus.READY: "SUCCESS",
    DomainStatus.FAILED: "FAILURE",
    DomainStatus.DELETING: "DELETING",
}


class CreateInstanceCustomizedDomain(OfRegistry, frozen=True, kw_only=True):
    """Answer at a further host, with a certificate of the store."""

    domain_name: Text
    certificate_id: Text

    def to_command(self, asked: Asked) -> domains.CreateDomain:
        """By the certificate's id."""
        return domains.CreateDomain(
            asked.instance.id, self.domain_name, self.certificate_id, asked.tenant
        )


class DeleteInstanceCustomizedDomain(OfRegistry, frozen=True, kw_only=True):
    """Stop to. The certificate, where given, must be the host's."""

    domain_name: Text
    certificate_id: Text | None = None

    def to_command(self, asked: Asked) -> domains.DeleteDomain:
        """By host."""
        return domains.DeleteDomain(
            asked.instance.id, self.domain_name, self.certificate_id or None, asked.tenant
        )


class DescribeInstanceCustomizedDomain(OfRegistry, frozen=True, kw_only=True):
    """A page of them."""

    limit: Limit = None
    offset: Offset = None

    def to_command(self, asked: Asked) -> "Browse":
        """Offset counts rows."""
        window = paging.rows_from_zero(self.offset, self.limit)
        return Browse(OfInstance(asked.instance.id, asked.tenant), window)


class Browse(Struct, frozen=True):
    """A page of an instance's domains."""

    about: OfInstance
    window: paging.Window


class Browsed(Struct, frozen=True):
    """The page, and how many there are on all."""

    rows: list[Domain]
    total: int


async def browse(ctx: Context, caller: Caller, command: Browse) -> Browsed:
    """Those with a certificate here; hosts whose TLS ends elsewhere are the operator's."""
    found = [
        one for one in await domains.list_domains(ctx, caller, command.about) if one.certificate
    ]
    first = command.window.offset
    return Browsed(found[first : first + command.window.limit], len(found))


class CustomizedDomainInfo(Answers, frozen=True, kw_only=True):
    """A domain."""

    registry_id: str
    cert_id: str
    domain_name: str
    status: str

    @classmethod
    def of(cls, domain: Domain, asked: Asked) -> "CustomizedDomainInfo":
        """As the vendor tells it."""
        return cls(
            registry_id=asked.instance.public_id,
            cert_id=domain.certificate,
            domain_name=domain.host,
            status=_STATUSES[domain.status],
        )


class DomainsDescribed(Answers, frozen=True, kw_only=True):
    """A page."""

    domain_info_list: list[CustomizedDomainInfo]
    total_count: int

    @classmethod
    def of(cls, result: Browsed, asked: Asked) -> "DomainsDescribed":
        """Oldest first."""
        rows = [CustomizedDomainInfo.of(row, asked) for row in result.rows]
        return cls(domain_info_list=rows, total_count=result.total)


OPERATIONS: Final = (
    Operation(
        "CreateInstanceCustomizedDomain",
        CreateInstanceCustomizedDomain,
        domains.create_domain,
        Nothing,
        changes=True,
        codes={QuotaExceeded: "OperationDenied"},
    ),
    Operation(
        "DeleteInstanceCustomizedDomain",
        DeleteInstanceCustomizedDomain,
        domains.delete_domain,
        Nothing,
        changes=True,
    ),
    Operation(
        "DescribeInstanceCustomizedDomain",
        DescribeInstanceCustomizedDomain,
        browse,
        DomainsDescribed,
        needs_running=False,
    ),
)
