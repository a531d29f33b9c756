"""Private links: an instance's entry from a network. Clients inside it are let in whatever the public entry says."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any, Final

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.managed import (
    OfInstance,
    managed_instance,
    read_instance,
)
from entrepot.capabilities.instances.networks import network_for
from entrepot.capabilities.instances.quotas import admit_in_instance
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.operations.work import Handler, JobContext, Summary
from entrepot.config import Settings, TcpAddress
from entrepot.metadata import epochs, links, work
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller
from entrepot.model.errors import ValueInvalid
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.network_access import (
    LinkNamed,
    LinkStatus,
    LinkTaken,
    LinkUnknown,
    LinkUnready,
    PrivateLink,
    PrivateNetwork,
)
from entrepot.model.tenancy import Instance
from entrepot.model.work import NewTask

MOVE: Final = "instances.move_link"
MAX_SUBNET: Final = 128  # characters
_DISCARD: Final = 9  # a port; nothing is sent there


@dataclass(frozen=True, slots=True)
class OneLink:
    """A link of an instance, to be created or deleted. `network`: its public id; `subnet` is kept as entered."""

    instance: InstanceId
    network: str
    subnet: str
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class SetLinkNames:
    """Whether the instance's host names are given out for use in the network; `subnet` None: for all links to it."""

    instance: InstanceId
    network: str
    has_names: bool
    subnet: str | None = None
    tenant: TenantId | None = None


async def create_link(ctx: Context, caller: Caller, command: OneLink) -> PrivateLink:
    """Begin a link; a job lets it run. Raises Denied, InstanceUnknown, Protected, NetworkUnknown, LinkTaken, QuotaExceeded, ValueInvalid."""
    if len(command.subnet) > MAX_SUBNET:
        raise ValueInvalid("subnet", f"at most {MAX_SUBNET} characters")

    def write(conn: Connection) -> PrivateLink:
        instance = managed_instance(ctx, conn, caller, command)
        network = network_for(conn, command.network, instance.tenant)
        present = links.list_links(conn, instance.id)
        if any(
            (link.network, link.subnet) == (network.public_id, command.subnet) for link in present
        ):
            raise LinkTaken(command.network)
        admit_in_instance(conn, instance.id, "links")
        address = private_address(ctx.settings, network)
        made = links.insert_link(conn, instance.id, network.id, subnet=command.subnet)
        _move_later(ctx, conn, made, address=address)
        _noted(conn, caller, "create", instance=instance, link=made)
        return made

    return await change(ctx, caller, "link.create", write)


async def delete_link(ctx: Context, caller: Caller, command: OneLink) -> PrivateLink:
    """End a link: it admits nobody from now on, and is gone after a job. Raises Denied, InstanceUnknown, Protected, LinkUnknown, LinkNamed."""

    def write(conn: Connection) -> PrivateLink:
        instance = managed_instance(ctx, conn, caller, command)
        link = links.find_link(conn, instance.id, command.network, subnet=command.subnet)
        if link is None:
            raise LinkUnknown(command.network[:300])
        if link.has_names:
            raise LinkNamed(link.network)
        if link.status is not LinkStatus.DELETING:
            links.set_link(conn, link.id, LinkStatus.DELETING, address=link.address)
            ctx.access.raise_epoch(conn, epochs.ROUTING)
            _move_later(ctx, conn, link, address=link.address)
            _noted(conn, caller, "delete", instance=instance, link=link)
        return links.get_link(conn, link.id) or link

    return await change(ctx, caller, "link.delete", write)


async def list_links(ctx: Context, caller: Caller, command: OfInstance) -> list[PrivateLink]:
    """All of an instance, oldest first. Raises Denied, InstanceUnknown."""

    def read(conn: Connection) -> list[PrivateLink]:
        return links.list_links(conn, read_instance(ctx, conn, caller, command).id)

    return await ctx.db.read(read)


async def set_link_names(ctx: Context, caller: Caller, command: SetLinkNames) -> list[PrivateLink]:
    """The links it is about. Raises Denied, InstanceUnknown, Protected, LinkUnknown, LinkUnready (names need a running link)."""

    def write(conn: Connection) -> list[PrivateLink]:
        instance = managed_instance(ctx, conn, caller, command)
        meant = [
            link
            for link in links.list_links(conn, instance.id)
            if link.network == command.network and command.subnet in (None, link.subnet)
        ]
        if not meant:
            raise LinkUnknown(command.network[:300])
        for link in meant:
            if command.has_names and link.status is not LinkStatus.RUNNING:
                raise LinkUnready(link.network)
            if link.has_names != command.has_names:
                links.set_names(conn, link.id, has_names=command.has_names)
                verb = "name" if command.has_names else "unname"
                _noted(conn, caller, verb, instance=instance, link=link)
        found = (links.get_link(conn, link.id) for link in meant)
        return [link for link in found if link is not None]

    return await change(ctx, caller, "link.names", write)


def private_address(settings: Settings, network: PrivateNetwork) -> str:
    """Where clients in the network find this server: as set, else its listener's address, else (it listens everywhere) the one from
    which it would answer them. Raises ValueInvalid where nothing tells."""
    if settings.instances.private_address:
        return settings.instances.private_address
    listen = settings.http.listen
    if isinstance(listen, TcpAddress):
        host = "127.0.0.1" if listen.host == "localhost" else listen.host
        if not _is_wildcard(host):
            return host
        for cidr in network.cidrs:
            address = _source_towards(cidr)
            if address is not None:
                return address
    raise ValueInvalid("instances.private_address", "it must be set: the listener does not tell")


def _is_wildcard(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _source_towards(cidr: str) -> str | None:
    """This machine's address on the way to a network, by its routes; nothing is sent."""
    network = ip_network(cidr)
    inside = network.network_address + (1 if network.num_addresses > 2 else 0)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(inside), _DISCARD))
            return str(probe.getsockname()[0])
    except OSError:
        return None


# -- the job ----------------------------------------------------------------------------------------------------------


def _move_later(ctx: Context, conn: Connection, link: PrivateLink, *, address: str) -> None:
    work.defer(
        conn,
        NewTask(
            MOVE,
            target=str(link.instance),
            arguments={"link": link.id, "created_at": link.created_at, "address": address},
            delay_seconds=ctx.settings.instances.step_time.seconds,
        ),
    )


def move_link_handler(ctx: Context) -> Handler:
    """The job that takes links on: creating -> running, deleting -> gone."""

    def move(conn: Connection, *, arguments: Mapping[str, Any]) -> Summary:
        link = links.get_link(conn, int(arguments["link"]))
        # A later link may have the number of one that is gone.
        if link is None or link.created_at != arguments["created_at"]:
            return {}
        if link.status is LinkStatus.RUNNING:
            return {}
        if link.status is LinkStatus.DELETING:
            links.delete_link(conn, link.id)
            return {"deleted": 1}
        links.set_link(conn, link.id, LinkStatus.RUNNING, address=str(arguments["address"]))
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        return {"running": 1}

    async def run(job: JobContext) -> Summary:
        await job.finish(partial(move, arguments=job.task.arguments))
        return {}

    return Handler(kind=MOVE, run=run, per_target=1)


def _noted(
    conn: Connection, caller: Caller, verb: str, *, instance: Instance, link: PrivateLink
) -> None:
    note(
        conn,
        caller,
        f"link.{verb}",
        instance.name,
        tenant=instance.tenant,
        network=link.network,
        subnet=link.subnet,
    )
