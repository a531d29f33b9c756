"""Other deployments that a tenant copies images to; what logs in there is sealed and never shown."""

from typing import Final

from entrepot.capabilities.policies import peers
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
from entrepot.model.ids import TenantId
from entrepot.model.syncing import Peer


class OfPeer(OfTenant, frozen=True, kw_only=True):
    """A request about a peer of the tenant."""

    peer: str

    def named(self, asked: Asked) -> peers.NamedPeer:
        """Of the tenant."""
        return peers.NamedPeer(asked.tenant, self.peer)


class ListPeers(OfTenant, frozen=True, kw_only=True):
    """List the tenant's peers, by name."""

    after: str = ""
    limit: Limit = 100

    def to_command(self, asked: Asked) -> Windowed[TenantId]:
        """All of them."""
        return on(self, asked.tenant)


class CreatePeer(OfTenant, frozen=True, kw_only=True):
    """Set down a peer. `name` stands where sync rules name a region. `url`: `https://host[:port]` of its registry. `user` and `secret`: who
    logs in there, none: nobody. `authorities`: PEM of who vouches for its certificate, none: those this machine trusts."""

    name: str
    url: str
    user: str = ""
    secret: str = ""
    authorities: str = ""

    def to_command(self, asked: Asked) -> peers.CreatePeer:
        """Of the tenant."""
        return peers.CreatePeer(
            asked.tenant, self.name, self.url, self.user, self.secret, self.authorities
        )


class GetPeer(OfPeer, frozen=True, kw_only=True):
    """Show a peer."""

    def to_command(self, asked: Asked) -> peers.NamedPeer:
        """By name."""
        return self.named(asked)


class ModifyPeer(OfPeer, frozen=True, kw_only=True):
    """Log in there with another secret."""

    secret: str

    def to_command(self, asked: Asked) -> peers.NewSecret:
        """By name."""
        return peers.NewSecret(asked.tenant, self.peer, self.secret)


class DeletePeer(OfPeer, frozen=True, kw_only=True):
    """Forget a peer, which no sync rule may name."""

    def to_command(self, asked: Asked) -> peers.NamedPeer:
        """By name."""
        return self.named(asked)


class PeerShown(Answers, frozen=True, kw_only=True):
    """A peer. `own_authorities`: whether it was said who vouches for its certificate."""

    id: str
    name: str
    url: str
    user: str
    own_authorities: bool
    created: Moment

    @classmethod
    def of(cls, result: Peer, _asked: Asked) -> "PeerShown":
        """As it is."""
        return cls(
            id=result.public_id,
            name=result.name,
            url=result.url,
            user=result.username,
            own_authorities=bool(result.authorities),
            created=shown(result.created_at),
        )


class PeerList(Answers, frozen=True, kw_only=True):
    """A page of peers."""

    items: list[PeerShown]
    next: str | None = None

    @classmethod
    def of(cls, result: Paged[Peer], asked: Asked) -> "PeerList":
        """By name."""
        return cls(items=[PeerShown.of(row, asked) for row in result.rows], next=result.next)


_ALL: Final = "/tenants/{tenant}/peers"
_ONE: Final = f"{_ALL}/{{peer}}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _ALL,
        Operation(
            "ListPeers",
            ListPeers,
            windowed(peers.list_peers, lambda found: found.name),
            PeerList,
        ),
    ),
    Endpoint(
        "POST",
        _ALL,
        Operation("CreatePeer", CreatePeer, peers.create_peer, PeerShown, changes=True),
        201,
    ),
    Endpoint("GET", _ONE, Operation("GetPeer", GetPeer, peers.get_peer, PeerShown)),
    Endpoint(
        "PATCH",
        _ONE,
        Operation("ModifyPeer", ModifyPeer, peers.change_secret, PeerShown, changes=True),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        Operation("DeletePeer", DeletePeer, peers.delete_peer, Nothing, changes=True),
        204,
    ),
)
