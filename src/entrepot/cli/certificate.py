"""`entrepot certificate`: certificates of tenants, for hosts of their instances."""

from datetime import UTC, datetime
from pathlib import Path

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.instances.certificates import (
    AddCertificate,
    NamedCertificate,
    add_certificate,
    delete_certificate,
    get_certificate,
    list_certificates,
)
from entrepot.cli.local import run
from entrepot.cli.naming import tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.certificates import Certificate

_COLUMNS = ("id", "name", "hosts", "ends")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def certificate() -> None:
    """Add, list, show and delete certificates; their keys are sealed and never shown."""


@certificate.command()
@click.argument("name")
@click.option(
    "--chain", required=True, type=_FILE, help="PEM file: the certificate, then its issuers."
)
@click.option("--key", required=True, type=_FILE, help="PEM file of its private key.")
@tenant_option
@json_option
@click.pass_obj
def add(
    source: Source, name: str, chain: Path, key: Path, *, tenant_name: str, as_json: bool
) -> None:
    """Keep a certificate under NAME. Its hosts are those it says it is for."""
    texts = chain.read_text("ascii", "replace"), key.read_text("ascii", "replace")

    async def work(ctx: Context, caller: Caller) -> Certificate:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await add_certificate(ctx, caller, AddCertificate(tenant.id, name, *texts))

    show_one(_row(run(source, work)), as_json=as_json)


@certificate.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str, *, as_json: bool) -> None:
    """List the tenant's certificates."""

    async def work(ctx: Context, caller: Caller) -> list[Certificate]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await list_certificates(ctx, caller, tenant.id)

    show_rows(_COLUMNS, [_row(found) for found in run(source, work)], as_json=as_json)


@certificate.command()
@click.argument("certificate_id", metavar="ID")
@tenant_option
@json_option
@click.pass_obj
def show(source: Source, certificate_id: str, tenant_name: str, *, as_json: bool) -> None:
    """Show a certificate with its chain."""

    async def work(ctx: Context, caller: Caller) -> Certificate:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await get_certificate(ctx, caller, NamedCertificate(tenant.id, certificate_id))

    found = run(source, work)
    show_one({**_row(found), "chain": found.chain}, as_json=as_json)


@certificate.command()
@click.argument("certificate_id", metavar="ID")
@tenant_option
@click.pass_obj
def delete(source: Source, certificate_id: str, tenant_name: str) -> None:
    """Forget a certificate that no host is served with."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await delete_certificate(ctx, caller, NamedCertificate(tenant.id, certificate_id))

    run(source, work)
    click.echo(f"certificate {certificate_id} is deleted")


def _row(found: Certificate) -> Row:
    has_ended = datetime.now(UTC).timestamp() * 1_000_000 >= found.ends_at
    return {
        "id": found.public_id,
        "name": found.name,
        "hosts": list(found.hosts),
        "ends": moment(found.ends_at),
        "ended": has_ended,
    }
