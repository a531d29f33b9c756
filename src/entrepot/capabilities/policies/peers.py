"""Peers: other deployments that a tenant copies images to. Their secrets are sealed and never shown."""

import re
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import structlog
from cryptography import x509

from entrepot.capabilities.access.sealing import SealBroken, Sealer
from entrepot.capabilities.context import Context
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import peers, tenants
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.errors import NameTaken, QuotaExceeded, ValueInvalid
from entrepot.model.ids import TenantId
from entrepot.model.outbound import is_forbidden
from entrepot.model.syncing import PEER_NAME, Peer, PeerUnknown, PeerUsed
from entrepot.ports.registry import RegistryAddress

MOST_PEERS: Final = 100  # of a tenant
_LONGEST_URL: Final = 300
_LONGEST_NAME: Final = 256
_LONGEST_SECRET: Final = 4096
_LONGEST_PEM: Final = 256 * 1024
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:.]+")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CreatePeer:
    """`name` stands where a region does; `url`: `https://host[:port]`; `authorities`: PEM of who vouches for its certificate, empty:
    those this machine trusts. `username` empty: nobody logs in."""

    tenant: TenantId
    name: str
    url: str
    username: str = ""
    secret: str = field(default="", repr=False)
    authorities: str = ""


@dataclass(frozen=True, slots=True)
class NamedPeer:
    """A peer of the tenant."""

    tenant: TenantId
    name: str


@dataclass(frozen=True, slots=True)
class NewSecret:
    """Another secret for the same user of the peer."""

    tenant: TenantId
    name: str
    secret: str = field(repr=False)


async def create_peer(ctx: Context, caller: Caller, command: CreatePeer) -> Peer:
    """Keep one. Nothing is asked of it yet. Raises Denied, NameInvalid, ValueInvalid, NameTaken (also by a region served here),
    QuotaExceeded."""
    name = PEER_NAME.check(command.name)
    url = _checked_url(ctx, command.url)
    _check_login(command.username, command.secret)
    _check_authorities(command.authorities)

    def write(conn: Connection) -> Peer:
        _require(ctx, conn, caller, tenant=command.tenant)
        if peers.find_peer(conn, command.tenant, name) is not None or is_local(conn, name):
            raise NameTaken(name)
        if peers.count_peers(conn, command.tenant) >= MOST_PEERS:
            raise QuotaExceeded("peers", MOST_PEERS)
        public_id = peers.new_public_id(conn)
        made = peers.insert_peer(
            conn,
            public_id,
            tenant=command.tenant,
            name=name,
            url=url,
            username=command.username,
            secret_sealed=_sealed(ctx, public_id, command.secret),
            authorities=command.authorities,
        )
        note(conn, caller, "peer.create", name, tenant=command.tenant, url=url)
        return made

    return await change(ctx, caller, "peer.create", write)


async def list_peers(ctx: Context, caller: Caller, tenant: TenantId) -> list[Peer]:
    """The tenant's, by name. Raises Denied."""

    def read(conn: Connection) -> list[Peer]:
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(tenant))
        return peers.list_peers(conn, tenant)

    return await ctx.db.read(read)


async def get_peer(ctx: Context, caller: Caller, command: NamedPeer) -> Peer:
    """One of the tenant's. Raises Denied, PeerUnknown."""

    def read(conn: Connection) -> Peer:
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(command.tenant))
        return _peer(conn, command.tenant, command.name)

    return await ctx.db.read(read)


async def change_secret(ctx: Context, caller: Caller, command: NewSecret) -> Peer:
    """Log in there with another secret from now on. Raises Denied, PeerUnknown, ValueInvalid."""

    def write(conn: Connection) -> Peer:
        _require(ctx, conn, caller, tenant=command.tenant)
        found = _peer(conn, command.tenant, command.name)
        _check_login(found.username, command.secret)
        peers.set_sealed(conn, found.id, _sealed(ctx, found.public_id, command.secret))
        note(conn, caller, "peer.secret", found.name, tenant=found.tenant)
        return found

    return await change(ctx, caller, "peer.secret", write)


async def delete_peer(ctx: Context, caller: Caller, command: NamedPeer) -> None:
    """Forget one that no sync rule names. Raises Denied, PeerUnknown, PeerUsed."""

    def write(conn: Connection) -> None:
        _require(ctx, conn, caller, tenant=command.tenant)
        found = _peer(conn, command.tenant, command.name)
        if peers.is_used(conn, found.tenant, found.name):
            raise PeerUsed(found.name)
        peers.tombstone_peer(conn, found.id)
        note(conn, caller, "peer.delete", found.name, tenant=found.tenant)

    await change(ctx, caller, "peer.delete", write)


def is_local(conn: Connection, name: str) -> bool:
    """In a transaction: whether a region of that name is served here."""
    return any(one.name == name and one.is_local for one in tenants.list_regions(conn))


def peer_address(
    conn: Connection, sealer: Sealer, tenant: TenantId, name: str
) -> RegistryAddress | None:
    """In a transaction: the peer with its secret; None where the tenant has none of that name. Raises SealBroken."""
    found = peers.find_sealed(conn, tenant, name)
    if found is None:
        return None
    peer, sealed = found
    secret = sealer.open(sealed, _context(peer.public_id)).decode()
    return RegistryAddress(peer.url, peer.username, secret, peer.authorities)


def reseal_peers(
    conn: Connection, *, sealer: Sealer, after: int, limit: int
) -> tuple[int | None, int]:
    """In a transaction: the last id of the batch, None behind the end; and how many were sealed anew."""
    batch = peers.sealed_secrets(conn, after=after, limit=limit)
    done = 0
    for number, public_id, sealed in batch:
        if sealer.is_newest(sealed):
            continue
        try:
            peers.set_sealed(conn, number, sealer.reseal(sealed, _context(public_id)))
        except SealBroken:
            log.warning("peer_not_resealed", peer=public_id)
            continue
        done += 1
    return (batch[-1][0] if batch else None), done


def _peer(conn: Connection, tenant: TenantId, name: str) -> Peer:
    found = peers.find_peer(conn, tenant, name)
    if found is None:
        raise PeerUnknown(name[:300])
    return found


def _require(ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId) -> None:
    ctx.access.require(conn, caller, Permission.INSTANCE_MANAGE, Resource(tenant))


def _sealed(ctx: Context, public_id: str, secret: str) -> bytes:
    return ctx.access.sealer.seal(secret.encode(), _context(public_id))


def _context(public_id: str) -> str:
    return f"peer:{public_id}"


# -- what may be said -------------------------------------------------------------------------------------------------


def _checked_url(ctx: Context, text: str) -> str:
    """Scheme, host and port, and nothing else. A name's addresses are looked at when it is connected to, a literal one at once."""
    wrong = ValueInvalid("url", "https://host[:port] or http://host[:port]")
    try:
        parts = urlsplit(text[: _LONGEST_URL + 1])
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if (
        len(text) > _LONGEST_URL
        or parts.scheme not in {"https", "http"}
        or not is_plain
        or not _HOST.fullmatch(host)
        or port == 0
    ):
        raise wrong
    is_literal = ":" in host or host.replace(".", "").isdigit()
    if is_literal and is_forbidden(host, ctx.settings.outbound.forbidden_networks):
        raise ValueInvalid("url", "the operator forbids connections to that address")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")


def _check_login(username: str, secret: str) -> None:
    if len(username) > _LONGEST_NAME or ":" in username or not username.isprintable():
        raise ValueInvalid("username", f"at most {_LONGEST_NAME} printable characters, no colon")
    if bool(username) != bool(secret):
        raise ValueInvalid("secret", "a user name has a secret, and a secret a user name")
    if len(secret) > _LONGEST_SECRET or not secret.isprintable():
        raise ValueInvalid("secret", f"at most {_LONGEST_SECRET} printable characters")


def _check_authorities(pem: str) -> None:
    if not pem:
        return
    try:
        if len(pem) > _LONGEST_PEM:
            raise ValueError(pem[:0])
        x509.load_pem_x509_certificates(pem.encode())
        # What connects is OpenSSL, which refuses some that can be parsed.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ValueError, ssl.SSLError):
        raise ValueInvalid("authorities", "PEM of one or more certificates") from None
