"""`entrepot serve` and `entrepot worker`, and the hidden commands their processes run."""

import dataclasses
import socket
import sys
import time
from collections.abc import Callable, Sequence

import click

from entrepot.bootstrap.child import Link
from entrepot.bootstrap.run_folder import bind_admin, prepare_run_folder, remove_admin
from entrepot.bootstrap.supervisor import Child, Supervisor
from entrepot.cli.config import settings_of
from entrepot.config import Settings, Source
from entrepot.http.server.listener import bind

BIND_SECONDS = 6.0  # a predecessor's children may need a moment to let go of the address


@click.command()
@click.option("--listen", metavar="ADDRESS", help="Address and port, or unix:/path.")
@click.pass_obj
def serve(source: Source, listen: str | None) -> None:
    """Start the registry: server processes and a worker."""
    if listen is not None:
        source = dataclasses.replace(source, flags={**source.flags, "http.listen": listen})
    settings = settings_of(source)
    settings.data.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sys.exit(_supervise(settings, source))


@click.command()
@click.pass_obj
def worker(source: Source) -> None:
    """Run background work only, beside servers elsewhere (jobs.embedded = false there)."""
    settings = settings_of(source)
    settings.data.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    supervisor = _supervisor(settings, source)
    supervisor.handle_signals()
    prepare_run_folder(settings, ["worker"])
    admin = _bind_admin_if_free(settings)
    child = Child("worker", ["_child", "worker"], admin=admin)
    started = supervisor.start(child)
    code = supervisor.run() if started else supervisor.stop() or int(not supervisor.is_stopping)
    remove_admin(admin)
    sys.exit(code)


@click.command("_child", hidden=True)
@click.argument("kind", type=click.Choice(["server", "worker"]))
@click.option("--status", type=int, required=True)
@click.option("--life", type=int, required=True)
@click.option("--number", type=int)
@click.option("--socket", "main", type=int, multiple=True)
@click.option("--admin", type=int, multiple=True)
@click.pass_obj
def _child(  # noqa: PLR0917  (click's order)
    source: Source,
    kind: str,
    number: int | None,
    status: int,
    life: int,
    main: tuple[int, ...],
    admin: tuple[int, ...],
) -> None:
    """One process under the supervisor."""
    from entrepot.bootstrap.processes import run_process  # noqa: PLC0415  (heavy; not for the supervisor)
    from entrepot.bootstrap.server import Sockets  # noqa: PLC0415

    sockets = Sockets(_opened(main), _opened(admin))
    name = kind if number is None else f"{kind}-{number}"
    run_process(settings_of(source), name, Link(status, life), sockets)


def _opened(descriptors: Sequence[int]) -> list[socket.socket]:
    return [socket.socket(fileno=number) for number in descriptors]


def _supervisor(settings: Settings, source: Source) -> Supervisor:
    command = [sys.executable, "-m", "entrepot"]
    if source.config_file is not None:
        command += ["--config", str(source.config_file)]
    for name, value in source.flags.items():
        command += ["--set", f"{name}={value}"]
    return Supervisor(command, announce=_announce, grace_seconds=settings.http.grace.seconds)


def _supervise(settings: Settings, source: Source) -> int:
    supervisor = _supervisor(settings, source)
    supervisor.handle_signals()
    sock = _bound(str(settings.http.listen), lambda at: bind(at, reuse_port=False))
    servers = range(settings.http.workers)
    workers = ["worker"] if settings.jobs.embedded else []
    prepare_run_folder(settings, [*(f"server-{number}" for number in servers), *workers])
    admin = [_bound(str(settings.admin_listen), bind_admin)]
    try:
        # The first brings the database up to date and makes the first start; the others come beside each other.
        first, *others = (
            Child(f"server {n}", ["_child", "server", f"--number={n}"], [sock], admin)
            for n in servers
        )
        if not supervisor.start(first):
            if not supervisor.is_stopping:
                click.echo("the registry could not be started", err=True)
            return supervisor.stop() or int(not supervisor.is_stopping)
        click.echo(f"entrepot is listening on {_url(settings)}")
        for child in (*others, *(Child(name, ["_child", "worker"]) for name in workers)):
            supervisor.begin(child)
        return supervisor.run()
    finally:
        remove_admin(admin)


def _bind_admin_if_free(settings: Settings) -> Sequence[socket.socket]:
    """For a worker: where a server beside it has the operator's address, that one shows the worker's numbers too."""
    try:
        return [bind_admin(str(settings.admin_listen))]
    except OSError:
        return []


def _bound(listen: str, bind_to: Callable[[str], socket.socket]) -> socket.socket:
    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            return bind_to(listen)
        except OSError as error:
            if time.monotonic() > deadline:
                raise click.ClickException(f"cannot listen on {listen}: {error}") from error
            time.sleep(0.1)


def _url(settings: Settings) -> str:
    if settings.http.external_url is not None:
        return str(settings.http.external_url)
    scheme = "http" if settings.http.tls_certificate is None else "https"
    return f"{scheme}://{settings.http.listen}"


def _announce(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(line)
