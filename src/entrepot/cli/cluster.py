"""`entrepot cluster`: Kubernetes clusters of tenants, whose workloads triggers change."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from entrepot.capabilities.context import Context
from entrepot.capabilities.policies.clusters import (
    CreateCluster,
    ModifyCluster,
    NamedCluster,
    create_cluster,
    delete_cluster,
    get_cluster,
    list_clusters,
    modify_cluster,
)
from entrepot.cli.local import run, stop
from entrepot.cli.naming import Option, tenant_of, tenant_option
from entrepot.cli.output import Row, json_option, moment, show_one, show_rows
from entrepot.config import Source
from entrepot.model.access import Caller
from entrepot.model.clusters import EVERY_NAMESPACE, Cluster

_COLUMNS = ("name", "id", "region", "default", "server", "registry", "namespaces")
_MOST = 1 << 20  # characters that are read of a kubeconfig
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_namespaces: Option = click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    metavar="NAME",
    help="Namespace of Kubernetes whose workloads may be changed. May be repeated.",
)
_all_namespaces: Option = click.option(
    "--all-namespaces", is_flag=True, help="Workloads of all of them may be changed."
)


@click.group()
def cluster() -> None:
    """Create, list, show, modify and delete Kubernetes clusters; their kubeconfigs are sealed and never shown."""


@cluster.command()
@click.argument("name")
@click.option(
    "--kubeconfig", required=True, type=_FILE, help="File with everything inside it. -: stdin."
)
@click.option(
    "--registry", required=True, metavar="HOST[:PORT]", help="How its nodes call this registry."
)
@_namespaces
@_all_namespaces
@click.option("--region", default="", help="Default: the default region.")
@click.option("--id", "public_id", default="", help="What triggers call it. Default: a new UUID.")
@click.option("--default", "is_default", is_flag=True, help="The tenant's default one there.")
@tenant_option
@json_option
@click.pass_obj
def create(
    source: Source,
    *,
    name: str,
    kubeconfig: Path,
    registry: str,
    namespaces: Sequence[str],
    all_namespaces: bool,
    region: str,
    public_id: str,
    is_default: bool,
    tenant_name: str,
    as_json: bool,
) -> None:
    """Set down a cluster under NAME, by a kubeconfig that names no file and no program."""
    chosen = _chosen(namespaces, all_namespaces=all_namespaces)
    if chosen is None:
        raise click.UsageError("name a --namespace, or give --all-namespaces")
    text = _text(kubeconfig)

    async def work(ctx: Context, caller: Caller) -> Cluster:
        tenant = await tenant_of(ctx, caller, tenant_name)
        command = CreateCluster(
            tenant.id,
            name,
            registry,
            text,
            chosen,
            region=region,
            is_default=is_default,
            public_id=public_id,
        )
        return await create_cluster(ctx, caller, command)

    show_one(_row(run(source, work)), as_json=as_json)


@cluster.command("list")
@tenant_option
@json_option
@click.pass_obj
def list_(source: Source, tenant_name: str, *, as_json: bool) -> None:
    """List the tenant's clusters."""

    async def work(ctx: Context, caller: Caller) -> list[Cluster]:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await list_clusters(ctx, caller, tenant.id)

    show_rows(_COLUMNS, [_row(found) for found in run(source, work)], as_json=as_json)


@cluster.command()
@click.argument("which", metavar="CLUSTER")
@tenant_option
@json_option
@click.pass_obj
def show(source: Source, which: str, tenant_name: str, *, as_json: bool) -> None:
    """Show a cluster, by id or name."""

    async def work(ctx: Context, caller: Caller) -> Cluster:
        tenant = await tenant_of(ctx, caller, tenant_name)
        return await get_cluster(ctx, caller, NamedCluster(tenant.id, which))

    show_one(_row(run(source, work)), as_json=as_json)


@cluster.command()
@click.argument("which", metavar="CLUSTER")
@click.option("--name", help="Another name.")
@click.option("--kubeconfig", type=_FILE, help="File with everything inside it. -: stdin.")
@click.option("--registry", metavar="HOST[:PORT]", help="How its nodes call this registry.")
@_namespaces
@_all_namespaces
@click.option("--default/--no-default", "is_default", default=None, help="The tenant's default.")
@tenant_option
@json_option
@click.pass_obj
def modify(
    source: Source,
    *,
    which: str,
    name: str | None,
    kubeconfig: Path | None,
    registry: str | None,
    namespaces: Sequence[str],
    all_namespaces: bool,
    is_default: bool | None,
    tenant_name: str,
    as_json: bool,
) -> None:
    """Change a cluster, by id or name. What is not given stays."""
    chosen = _chosen(namespaces, all_namespaces=all_namespaces)
    text = None if kubeconfig is None else _text(kubeconfig)

    async def work(ctx: Context, caller: Caller) -> Cluster:
        tenant = await tenant_of(ctx, caller, tenant_name)
        command = ModifyCluster(
            NamedCluster(tenant.id, which),
            name=name,
            registry=registry,
            kubeconfig=text,
            namespaces=chosen,
            is_default=is_default,
        )
        return await modify_cluster(ctx, caller, command)

    show_one(_row(run(source, work)), as_json=as_json)


@cluster.command()
@click.argument("which", metavar="CLUSTER")
@tenant_option
@click.pass_obj
def delete(source: Source, which: str, tenant_name: str) -> None:
    """Forget a cluster, by id or name. Triggers that name it fail from now on."""

    async def work(ctx: Context, caller: Caller) -> None:
        tenant = await tenant_of(ctx, caller, tenant_name)
        await delete_cluster(ctx, caller, NamedCluster(tenant.id, which))

    run(source, work)
    click.echo(f"cluster {which} is deleted")


def _chosen(namespaces: Sequence[str], *, all_namespaces: bool) -> Sequence[str] | None:
    """What the two options say; None: nothing."""
    if all_namespaces and namespaces:
        raise click.UsageError("--namespace and --all-namespaces exclude each other")
    return (EVERY_NAMESPACE,) if all_namespaces else namespaces or None


def _text(kubeconfig: Path) -> str:
    """Never from an argument: other users of the machine can read those."""
    if str(kubeconfig) == "-":
        return sys.stdin.read(_MOST)
    try:
        with kubeconfig.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST)
    except OSError as error:
        stop(f"{kubeconfig}: {error.strerror}")


def _row(found: Cluster) -> Row:
    return {
        "id": found.public_id,
        "name": found.name,
        "region": found.region,
        "server": found.server,
        "registry": found.registry,
        "namespaces": list(found.namespaces),
        "default": found.is_default,
        "created": moment(found.created_at),
        "updated": moment(found.updated_at),
    }
