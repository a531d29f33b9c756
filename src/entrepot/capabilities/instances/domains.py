"""Custom domains: further hosts of a dedicated instance, each served with a certificate of its tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.certificates import certificate_for, open_pair
from entrepot.capabilities.instances.instances import further_host
from entrepot.capabilities.instances.managed import (
    OfInstance,
    managed_instance,
    read_instance,
)
from entrepot.capabilities.instances.quotas import admit_in_instance
from entrepot.capabilities.operations.trail import change, note
from entrepot.capabilities.operations.work import Handler, JobContext, Summary
from entrepot.metadata import certificates, epochs, work
from entrepot.metadata.database import Connection, now
from entrepot.model.access import Caller
from entrepot.model.certificates import (
    Certificate,
    CertificateInvalid,
    CertificateUnknown,
    Domain,
    DomainStatus,
    HostNotCovered,
)
from entrepot.model.errors import NameTaken
from entrepot.model.identities import HostUnknown
from entrepot.model.ids import InstanceId, TenantId
from entrepot.model.tenancy import Instance
from entrepot.model.work import NewTask

MOVE: Final = "instances.move_domain"


@dataclass(frozen=True, slots=True)
class CreateDomain:
    """A host outside the deployment's suffix, and the public id of a certificate of the instance's tenant."""

    instance: InstanceId
    host: str
    certificate: str
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class DeleteDomain:
    """`certificate`, where given, must be the host's."""

    instance: InstanceId
    host: str
    certificate: str | None = None
    tenant: TenantId | None = None


async def create_domain(ctx: Context, caller: Caller, command: CreateDomain) -> Domain:
    """Begin to serve a host; a job makes it ready or finds that it cannot.

    Raises Denied, InstanceUnknown, Protected, ValueInvalid, CertificateUnknown, CertificateInvalid (it has ended), HostNotCovered,
    NameTaken, QuotaExceeded.
    """
    host = further_host(ctx.settings, command.host)

    def write(conn: Connection) -> Domain:
        instance = managed_instance(ctx, conn, caller, command)
        certificate = _usable(conn, instance, host, public_id=command.certificate)
        admit_in_instance(conn, instance.id, "domains")
        if not certificates.insert_domain(conn, instance.id, host, certificate=certificate.id):
            raise NameTaken(host)
        made = _found(conn, instance, host)
        _move_later(ctx, conn, made)
        _noted(conn, caller, "create", instance=instance, domain=made)
        return made

    return await change(ctx, caller, "domain.create", write)


async def renew_domain(ctx: Context, caller: Caller, command: CreateDomain) -> Domain:
    """Serve a host of the instance with another certificate, from the next handshake on; one that failed is tried again by a job.

    Raises Denied, InstanceUnknown, Protected, InstanceNotRunning, HostUnknown, CertificateUnknown, CertificateInvalid, HostNotCovered.
    """
    host = further_host(ctx.settings, command.host)

    def write(conn: Connection) -> Domain:
        instance = managed_instance(ctx, conn, caller, command)
        present = _found(conn, instance, host)
        if present.status is DomainStatus.DELETING:
            raise HostUnknown(host)
        certificate = _usable(conn, instance, host, public_id=command.certificate)
        certificates.set_domain_certificate(conn, host, certificate.id)
        if present.status is DomainStatus.FAILED:
            certificates.set_domain_status(conn, host, DomainStatus.CREATING)
            _move_later(ctx, conn, present)
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        renewed = _found(conn, instance, host)
        _noted(conn, caller, "renew", instance=instance, domain=renewed)
        return renewed

    return await change(ctx, caller, "domain.renew", write)


def _usable(conn: Connection, instance: Instance, host: str, *, public_id: str) -> Certificate:
    """A certificate of the instance's tenant for the host. Raises CertificateUnknown, CertificateInvalid (it has ended), HostNotCovered."""
    if instance.tenant is None:
        raise CertificateUnknown(public_id[:300])
    found = certificate_for(conn, public_id, instance.tenant)
    if not found.covers(host):
        raise HostNotCovered(host, found.public_id)
    if found.ends_at <= now(conn):
        raise CertificateInvalid("it has ended")
    return found


async def list_domains(ctx: Context, caller: Caller, command: OfInstance) -> list[Domain]:
    """All of an instance, oldest first. Raises Denied, InstanceUnknown."""

    def read(conn: Connection) -> list[Domain]:
        return certificates.list_domains(conn, read_instance(ctx, conn, caller, command).id)

    return await ctx.db.read(read)


async def delete_domain(ctx: Context, caller: Caller, command: DeleteDomain) -> Domain:
    """Stop to serve a host at once; it is gone after a job. Raises Denied, InstanceUnknown, Protected, HostUnknown, CertificateUnknown."""
    host = command.host.strip().lower().removesuffix(".")

    def write(conn: Connection) -> Domain:
        instance = managed_instance(ctx, conn, caller, command)
        present = _found(conn, instance, host)
        if command.certificate not in (None, present.certificate):
            raise CertificateUnknown(str(command.certificate)[:300])
        if present.status is DomainStatus.DELETING:
            return present
        certificates.set_domain_status(conn, host, DomainStatus.DELETING)
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        _move_later(ctx, conn, present)
        _noted(conn, caller, "delete", instance=instance, domain=present)
        return _found(conn, instance, host)

    return await change(ctx, caller, "domain.delete", write)


def _found(conn: Connection, instance: Instance, host: str) -> Domain:
    """The instance's domain. Raises HostUnknown."""
    found = certificates.find_domain(conn, host)
    if found is None or found.instance != instance.id:
        raise HostUnknown(host[:300])
    return found


def _noted(
    conn: Connection, caller: Caller, verb: str, *, instance: Instance, domain: Domain
) -> None:
    note(
        conn,
        caller,
        f"domain.{verb}",
        instance.name,
        tenant=instance.tenant,
        host=domain.host,
        certificate=domain.certificate,
    )


# -- the job ----------------------------------------------------------------------------------------------------------


def _move_later(ctx: Context, conn: Connection, domain: Domain) -> None:
    work.defer(
        conn,
        NewTask(
            MOVE,
            target=domain.host,
            arguments={"host": domain.host, "created_at": domain.created_at},
            delay_seconds=ctx.settings.instances.step_time.seconds,
        ),
    )


def move_domain_handler(ctx: Context) -> Handler:
    """The job that takes domains on: creating -> ready or failed, deleting -> gone."""

    def move(conn: Connection, *, arguments: Mapping[str, Any]) -> Summary:
        domain = certificates.find_domain(conn, str(arguments["host"]))
        # Another one may have the host by now.
        if domain is None or domain.created_at != arguments["created_at"]:
            return {}
        if domain.status is DomainStatus.DELETING:
            certificates.delete_domain(conn, domain.host)
            return {"deleted": 1}
        if domain.status is not DomainStatus.CREATING:
            return {}
        is_served = _can_serve(ctx, conn, domain.host)
        status = DomainStatus.READY if is_served else DomainStatus.FAILED
        certificates.set_domain_status(conn, domain.host, status)
        ctx.access.raise_epoch(conn, epochs.ROUTING)
        return {status.value: 1}

    async def run(job: JobContext) -> Summary:
        await job.finish(partial(move, arguments=job.task.arguments))
        return {}

    return Handler(kind=MOVE, run=run, per_target=1)


def _can_serve(ctx: Context, conn: Connection, host: str) -> bool:
    """Whether the host's certificate is still there, its key can be opened, and it has not ended. It was checked when it came; nothing
    that computes for long belongs into a transaction."""
    number = certificates.certificate_of(conn, host)
    found = None if number is None else certificates.get_certificate(conn, number)
    if number is None or found is None or found[0].ends_at <= now(conn):
        return False
    return open_pair(conn, ctx.access.sealer, number) is not None
