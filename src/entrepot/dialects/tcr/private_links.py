"""Private links: an instance's entries from private networks, and the names that are given out there."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances import link_names, links
from entrepot.capabilities.instances.link_names import AskNames, LinkEnds
from entrepot.capabilities.instances.links import OneLink, SetLinkNames
from entrepot.capabilities.instances.managed import OfInstance
from entrepot.dialects.operation import Asked, Operation
from entrepot.dialects.tcr.shapes import Answers, Asks, Echo, Nothing, OfRegistry, Text
from entrepot.model.access import Caller
from entrepot.model.network_access import PrivateLink


class ManageInternalEndpoint(OfRegistry, frozen=True, kw_only=True):
    """Link the instance to a private network, or end that. A region is taken and says nothing: there are no replicas."""

    operation: Literal["Create", "Delete"]
    vpc_id: Text
    subnet_id: Text
    region_id: int | None = None
    region_name: Text | None = None

    def to_command(self, asked: Asked) -> "ManageLink":
        """One link."""
        link = OneLink(asked.instance.id, self.vpc_id, self.subnet_id, asked.tenant)
        return ManageLink(link, is_new=self.operation == "Create")


class ManageLink(Struct, frozen=True):
    """A link to be made or ended."""

    link: OneLink
    is_new: bool


async def manage_link(ctx: Context, caller: Caller, command: ManageLink) -> PrivateLink:
    """Make it or end it."""
    if command.is_new:
        return await links.create_link(ctx, caller, command.link)
    return await links.delete_link(ctx, caller, command.link)


class DescribeInternalEndpoints(OfRegistry, frozen=True, kw_only=True):
    """All links."""

    def to_command(self, asked: Asked) -> OfInstance:
        """Of one instance."""
        return OfInstance(asked.instance.id, asked.tenant)


class AccessVpc(Answers, frozen=True, kw_only=True):
    """A link."""

    vpc_id: str
    subnet_id: str
    status: str
    access_ip: str

    @classmethod
    def of(cls, link: PrivateLink) -> "AccessVpc":
        """As the vendor tells it."""
        return cls(
            vpc_id=link.network,
            subnet_id=link.subnet,
            status=link.status.value.capitalize(),
            access_ip=link.address,
        )


class LinksDescribed(Answers, frozen=True, kw_only=True):
    """Oldest first."""

    access_vpc_set: list[AccessVpc]
    total_count: int

    @classmethod
    def of(cls, result: list[PrivateLink], _asked: Asked) -> "LinksDescribed":
        """All of them."""
        return cls(access_vpc_set=[AccessVpc.of(row) for row in result], total_count=len(result))


# -- names of private links, which only newer clients know ------------------------------------------------------------


class EndpointDns(Asks, frozen=True, kw_only=True):
    """An instance's names in a private network."""

    registry_id: Text = field(name="InstanceId")
    vpc_id: Text
    eni_lb_ip: Text = field(name="EniLBIp")
    use_public_domain: bool | None = None
    region_name: Text | None = None


class CreateInternalEndpointDns(EndpointDns, frozen=True, kw_only=True):
    """Give them out."""

    region_id: int | None = None

    def to_command(self, asked: Asked) -> SetLinkNames:
        """For all links to that network."""
        return SetLinkNames(asked.instance.id, self.vpc_id, has_names=True, tenant=asked.tenant)


class DeleteInternalEndpointDns(EndpointDns, frozen=True, kw_only=True):
    """Take them back."""

    def to_command(self, asked: Asked) -> SetLinkNames:
        """For all links to that network."""
        return SetLinkNames(asked.instance.id, self.vpc_id, has_names=False, tenant=asked.tenant)


class VpcAndDomainInfo(Struct, frozen=True, rename="pascal"):
    """An instance and a network."""

    instance_id: Text
    vpc_id: Text
    eni_lb_ip: Text | None = field(default=None, name="EniLBIp")
    use_public_domain: bool | None = None
    region_name: Text | None = None


class DescribeInternalEndpointDnsStatus(Asks, frozen=True, kw_only=True):
    """Whether names are given out."""

    vpc_set: Annotated[list[VpcAndDomainInfo], Meta(max_length=100)]

    def to_command(self, asked: Asked) -> AskNames:
        """Pairs of instance and network."""
        pairs = tuple((one.instance_id, one.vpc_id) for one in self.vpc_set)
        return AskNames(pairs, asked.tenant)


class VpcPrivateDomainStatus(Answers, frozen=True, kw_only=True):
    """ENABLED or DISABLED."""

    region: str
    vpc_id: str
    status: str


class NamesDescribed(Answers, frozen=True, kw_only=True):
    """In the order they were asked for."""

    vpc_set: list[VpcPrivateDomainStatus]

    @classmethod
    def of(cls, result: list[LinkEnds], asked: Asked) -> "NamesDescribed":
        """One row a pair."""
        return cls(
            vpc_set=[
                VpcPrivateDomainStatus(
                    region=asked.region.name,
                    vpc_id=one.network,
                    status="ENABLED" if one.has_names else "DISABLED",
                )
                for one in result
            ]
        )


OPERATIONS: Final = (
    Operation("ManageInternalEndpoint", ManageInternalEndpoint, manage_link, Echo, changes=True),
    Operation(
        "DescribeInternalEndpoints",
        DescribeInternalEndpoints,
        links.list_links,
        LinksDescribed,
        needs_running=False,
    ),
    Operation(
        "CreateInternalEndpointDns",
        CreateInternalEndpointDns,
        links.set_link_names,
        Nothing,
        changes=True,
        is_documented=False,
    ),
    Operation(
        "DeleteInternalEndpointDns",
        DeleteInternalEndpointDns,
        links.set_link_names,
        Nothing,
        changes=True,
        is_documented=False,
    ),
    Operation(
        "DescribeInternalEndpointDnsStatus",
        DescribeInternalEndpointDnsStatus,
        link_names.ask_names,
        NamesDescribed,
        is_documented=False,
    ),
)
