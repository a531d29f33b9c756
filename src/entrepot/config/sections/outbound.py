"""Other people's machines that this one talks to: peers, clusters, receivers of messages."""

from ipaddress import ip_network
from typing import Annotated, Final

from entrepot.config.sections.base import Section, setting
from entrepot.config.types import Duration, Network

# This machine itself, and what clouds tell their machines about themselves.
_NEVER: Final[tuple[Network, ...]] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::/128",
        "::1/128",
        "fe80::/10",
        "fd00:ec2::254/128",
    )
)


class Outbound(Section, frozen=True, kw_only=True):
    """Connections to machines that tenants name: peers, clusters, receivers of messages."""

    forbidden_networks: Annotated[
        tuple[Network, ...],
        setting(
            "Addresses never connected to on a tenant's behalf, looked at after a name is resolved. The default is this machine itself and link-local addresses, where clouds keep their machines' credentials."
        ),
    ] = _NEVER
    onward_networks: Annotated[
        tuple[Network, ...],
        setting(
            "Private addresses that another registry's answers may lead to: its token service, its storage. Without them they lead to public addresses and to that registry's own machine alone. A peer or cluster itself may be at any address that is not forbidden."
        ),
    ] = ()
    connect_timeout: Annotated[
        Duration,
        setting("How long a connection may take to come about.", least="1s", most="5m"),
    ] = Duration.parse("10s")
    silence_timeout: Annotated[
        Duration,
        setting(
            "How long the other side may neither take nor send anything.", least="1s", most="1h"
        ),
    ] = Duration.parse("1m")
    copy_timeout: Annotated[
        Duration,
        setting(
            "How long one attempt to copy an image to a peer may take; what was sent by then stays there, and the next goes on.",
            least="10s",
            most="7d",
        ),
    ] = Duration.parse("6h")
