"""Certificates of a tenant: kept for the hosts of its instances, the key sealed and never shown."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from entrepot.capabilities.access.sealing import SealBroken, Sealer
from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.pairs import check_pair
from entrepot.capabilities.operations.trail import change, note
from entrepot.metadata import certificates
from entrepot.metadata.database import Connection
from entrepot.model.access import Caller, Permission, Resource
from entrepot.model.certificates import Certificate, CertificateUnknown, CertificateUsed, Pair
from entrepot.model.errors import ValueInvalid
from entrepot.model.ids import TenantId

MAX_NAME: Final = 128  # characters
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AddCertificate:
    """`chain`: PEM, the certificate first, each issued by the next; `key`: PEM without a passphrase."""

    tenant: TenantId
    name: str
    chain: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NamedCertificate:
    """A certificate of the tenant, by its public id."""

    tenant: TenantId
    certificate: str


async def add_certificate(ctx: Context, caller: Caller, command: AddCertificate) -> Certificate:
    """Keep a certificate that can be served. Raises Denied, ValueInvalid, CertificateInvalid."""
    if not 1 <= len(command.name) <= MAX_NAME or not command.name.isprintable():
        raise ValueInvalid("name", f"1 to {MAX_NAME} printable characters")
    await ctx.db.read(lambda conn: _require(ctx, conn, caller, tenant=command.tenant))
    checked = await asyncio.to_thread(check_pair, command.chain, command.key)

    def write(conn: Connection) -> Certificate:
        _require(ctx, conn, caller, tenant=command.tenant)
        public_id = certificates.new_public_id(conn)
        made = certificates.insert_certificate(
            conn,
            public_id,
            tenant=command.tenant,
            name=command.name,
            hosts=checked.hosts,
            chain=checked.pair.chain,
            key_sealed=ctx.access.sealer.seal(checked.pair.key.encode(), _context(public_id)),
            ends_at=checked.ends_at,
        )
        hosts = ", ".join(made.hosts)[:1000]
        note(conn, caller, "certificate.add", made.public_id, tenant=made.tenant, hosts=hosts)
        return made

    return await change(ctx, caller, "certificate.add", write)


async def list_certificates(ctx: Context, caller: Caller, tenant: TenantId) -> list[Certificate]:
    """The tenant's, oldest first. Raises Denied."""

    def read(conn: Connection) -> list[Certificate]:
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(tenant))
        return certificates.list_certificates(conn, tenant)

    return await ctx.db.read(read)


async def get_certificate(ctx: Context, caller: Caller, command: NamedCertificate) -> Certificate:
    """One of the tenant's. Raises Denied, CertificateUnknown."""

    def read(conn: Connection) -> Certificate:
        ctx.access.require(conn, caller, Permission.INSTANCE_READ, Resource(command.tenant))
        return certificate_for(conn, command.certificate, command.tenant)

    return await ctx.db.read(read)


async def delete_certificate(ctx: Context, caller: Caller, command: NamedCertificate) -> None:
    """Forget a certificate that no host is served with. Raises Denied, CertificateUnknown, CertificateUsed."""

    def write(conn: Connection) -> None:
        _require(ctx, conn, caller, tenant=command.tenant)
        found = certificate_for(conn, command.certificate, command.tenant)
        host = certificates.host_with(conn, found.id)
        if host is not None:
            raise CertificateUsed(found.public_id, host)
        certificates.tombstone_certificate(conn, found.id)
        note(conn, caller, "certificate.delete", found.public_id, tenant=found.tenant)

    await change(ctx, caller, "certificate.delete", write)


def certificate_for(conn: Connection, public_id: str, tenant: TenantId) -> Certificate:
    """In a transaction: the tenant's certificate. Raises CertificateUnknown."""
    found = certificates.find_certificate(conn, tenant, public_id)
    if found is None:
        raise CertificateUnknown(public_id[:300])
    return found


def _require(ctx: Context, conn: Connection, caller: Caller, *, tenant: TenantId) -> None:
    ctx.access.require(conn, caller, Permission.INSTANCE_MANAGE, Resource(tenant))


# -- for those who end TLS --------------------------------------------------------------------------------------------


async def served_pair(ctx: Context, host: str) -> Pair | None:
    """What a ready domain is served with; None for any other host."""

    def read(conn: Connection) -> Pair | None:
        number = certificates.served_hosts(conn, host).get(host)
        return None if number is None else open_pair(conn, ctx.access.sealer, number)

    return await ctx.db.read(read)


def open_pair(conn: Connection, sealer: Sealer, number: int) -> Pair | None:
    """In a transaction: a certificate with its key; None where it is gone, or no master key here opens it."""
    found = certificates.get_certificate(conn, number)
    if found is None:
        return None
    certificate, sealed = found
    try:
        key = sealer.open(sealed, _context(certificate.public_id))
    except SealBroken:
        log.error("certificate_not_opened", certificate=certificate.public_id)  # noqa: TRY400  (its trace says no more)
        return None
    return Pair(certificate.chain, key.decode())


async def served_pairs(
    ctx: Context, known: Iterable[int]
) -> tuple[dict[str, int], dict[int, Pair]]:
    """Ready domains with the numbers of their certificates; and the pairs of those numbers that are not known yet."""
    here = frozenset(known)

    def read(conn: Connection) -> tuple[dict[str, int], dict[int, Pair]]:
        hosts = certificates.served_hosts(conn)
        new = {
            number: open_pair(conn, ctx.access.sealer, number)
            for number in set(hosts.values()) - here
        }
        return hosts, {number: pair for number, pair in new.items() if pair is not None}

    return await ctx.db.read(read)


def reseal_certificates(
    conn: Connection, *, sealer: Sealer, after: int, limit: int
) -> tuple[int | None, int]:
    """In a transaction: seal a batch of keys with the newest master key. The last id, None behind the end; and how many were resealed."""
    batch = certificates.sealed_keys(conn, after=after, limit=limit)
    done = 0
    for number, public_id, sealed in batch:
        if sealer.is_newest(sealed):
            continue
        try:
            certificates.set_sealed(conn, number, sealer.reseal(sealed, _context(public_id)))
        except SealBroken:
            log.warning("certificate_not_resealed", certificate=public_id)
            continue
        done += 1
    return (batch[-1][0] if batch else None), done


def _context(public_id: str) -> str:
    """The context under which the key of a certificate is sealed."""
    return f"certificate:{public_id}"
