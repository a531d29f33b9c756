"""Certificates of tenants, and the domains of instances that are served with them."""

import secrets
import string
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from entrepot.metadata.database import now
from entrepot.metadata.schema import certificates, instance_hosts, instances
from entrepot.model.certificates import Certificate, Domain, DomainStatus
from entrepot.model.ids import InstanceId, Micros, TenantId

_ALPHABET: Final = string.ascii_lowercase + string.digits


def new_public_id(conn: Connection) -> str:
    """`cert-` and eight letters or digits that no certificate ever had."""
    while True:
        public_id = "cert-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
        query = sa.select(certificates.c.id).where(certificates.c.public_id == public_id)
        if conn.execute(query).first() is None:
            return public_id


def insert_certificate(
    conn: Connection,
    public_id: str,
    *,
    tenant: TenantId,
    name: str,
    hosts: Sequence[str],
    chain: str,
    key_sealed: bytes,
    ends_at: Micros,
) -> Certificate:
    """A new certificate."""
    values = {
        "public_id": public_id,
        "tenant_id": tenant,
        "name": name,
        "hosts": list(hosts),
        "chain": chain,
        "key_sealed": key_sealed,
        "ends_at": ends_at,
        "created_at": now(conn),
    }
    made = sa.insert(certificates).values(**values).returning(certificates)
    return _certificate_of(conn.execute(made).one())


def find_certificate(conn: Connection, tenant: TenantId, public_id: str) -> Certificate | None:
    """The tenant's living certificate of that id."""
    query = sa.select(certificates).where(
        certificates.c.public_id == public_id,
        certificates.c.tenant_id == tenant,
        certificates.c.deleted_at.is_(None),
    )
    row = conn.execute(query).first()
    return None if row is None else _certificate_of(row)


def get_certificate(conn: Connection, number: int) -> tuple[Certificate, bytes] | None:
    """The living certificate with its sealed key."""
    query = sa.select(certificates).where(
        certificates.c.id == number, certificates.c.deleted_at.is_(None)
    )
    row = conn.execute(query).first()
    return None if row is None else (_certificate_of(row), bytes(row.key_sealed))


def list_certificates(conn: Connection, tenant: TenantId) -> list[Certificate]:
    """The tenant's living certificates, oldest first."""
    query = (
        sa.select(certificates)
        .where(certificates.c.tenant_id == tenant, certificates.c.deleted_at.is_(None))
        .order_by(certificates.c.id)
    )
    return [_certificate_of(row) for row in conn.execute(query)]


def tombstone_certificate(conn: Connection, number: int) -> None:
    """Delete it with its key."""
    conn.execute(
        sa.update(certificates)
        .where(certificates.c.id == number)
        .values(deleted_at=now(conn), key_sealed=b"")
    )


def host_with(conn: Connection, number: int) -> str | None:
    """Some host that the certificate is for."""
    query = (
        sa.select(instance_hosts.c.host)
        .where(instance_hosts.c.certificate_id == number)
        .order_by(instance_hosts.c.host)
        .limit(1)
    )
    return conn.execute(query).scalar()


def sealed_keys(conn: Connection, *, after: int, limit: int) -> list[tuple[int, str, bytes]]:
    """(id, public id, sealed key) of living certificates behind an id."""
    query = (
        sa.select(certificates.c.id, certificates.c.public_id, certificates.c.key_sealed)
        .where(certificates.c.id > after, certificates.c.deleted_at.is_(None))
        .order_by(certificates.c.id)
        .limit(limit)
    )
    return [(row.id, row.public_id, bytes(row.key_sealed)) for row in conn.execute(query)]


def set_sealed(conn: Connection, number: int, sealed: bytes) -> None:
    """The same key, sealed anew."""
    conn.execute(
        sa.update(certificates).where(certificates.c.id == number).values(key_sealed=sealed)
    )


# -- domains ----------------------------------------------------------------------------------------------------------


def insert_domain(conn: Connection, instance: InstanceId, host: str, *, certificate: int) -> bool:
    """A domain that is being created; False where some instance has the host."""
    if find_domain(conn, host) is not None:
        return False
    conn.execute(
        sa.insert(instance_hosts).values(
            host=host,
            instance_id=instance,
            certificate_id=certificate,
            status=DomainStatus.CREATING.value,
            created_at=now(conn),
        )
    )
    return True


def find_domain(conn: Connection, host: str) -> Domain | None:
    """The domain, of whatever instance."""
    row = conn.execute(_DOMAINS.where(instance_hosts.c.host == host)).first()
    return None if row is None else _domain_of(row)


def list_domains(conn: Connection, instance: InstanceId) -> list[Domain]:
    """All of an instance, oldest first."""
    query = _DOMAINS.where(instance_hosts.c.instance_id == instance)
    query = query.order_by(instance_hosts.c.created_at, instance_hosts.c.host)
    return [_domain_of(row) for row in conn.execute(query)]


def certificate_of(conn: Connection, host: str) -> int | None:
    """The number of the certificate that a host is served with."""
    query = sa.select(instance_hosts.c.certificate_id).where(instance_hosts.c.host == host)
    found: int | None = conn.execute(query).scalar()
    return found


def set_domain_status(conn: Connection, host: str, status: DomainStatus) -> None:
    """Move it on."""
    conn.execute(
        sa.update(instance_hosts).where(instance_hosts.c.host == host).values(status=status.value)
    )


def set_domain_certificate(conn: Connection, host: str, certificate: int) -> None:
    """Serve it with another one."""
    conn.execute(
        sa.update(instance_hosts)
        .where(instance_hosts.c.host == host)
        .values(certificate_id=certificate)
    )


def delete_domain(conn: Connection, host: str) -> None:
    """It is gone."""
    conn.execute(sa.delete(instance_hosts).where(instance_hosts.c.host == host))


def served_hosts(conn: Connection, only: str | None = None) -> dict[str, int]:
    """Ready domains of living instances (`only` one of them), with the numbers of their certificates."""
    query = (
        sa.select(instance_hosts.c.host, instance_hosts.c.certificate_id)
        .join(certificates, certificates.c.id == instance_hosts.c.certificate_id)
        .join(instances, instances.c.id == instance_hosts.c.instance_id)
        .where(instance_hosts.c.status == DomainStatus.READY.value)
        .where(certificates.c.deleted_at.is_(None), instances.c.deleted_at.is_(None))
    )
    if only is not None:
        query = query.where(instance_hosts.c.host == only)
    return {row.host: row.certificate_id for row in conn.execute(query)}


_DOMAINS = sa.select(instance_hosts, certificates.c.public_id.label("certificate")).outerjoin(
    certificates, certificates.c.id == instance_hosts.c.certificate_id
)


def _certificate_of(row: Any) -> Certificate:
    return Certificate(
        id=row.id,
        public_id=row.public_id,
        tenant=TenantId(row.tenant_id),
        name=row.name,
        hosts=tuple(row.hosts),
        chain=row.chain,
        ends_at=Micros(row.ends_at),
        created_at=Micros(row.created_at),
    )


def _domain_of(row: Any) -> Domain:
    return Domain(
        host=row.host,
        instance=InstanceId(row.instance_id),
        certificate=row.certificate or "",
        status=DomainStatus(row.status),
        created_at=Micros(row.created_at),
    )
