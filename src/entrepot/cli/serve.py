"""`entrepot serve` and `entrepot worker`."""

import dataclasses
import socket
import sys
import time
from collections.abc import Callable, Sequence

import click

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
    sys.exit(_supervise(settings))


@click.command()
@click.pass_obj
def worker(source: Source) -> None:
    """Run background work only, beside servers elsewhere (jobs.embedded = false there)."""
    settings = settings_of(source)
    settings.data.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    supervisor = Supervisor(grace_seconds=settings.http.grace.seconds)
    supervisor.handle_signals()
    prepare_run_folder(settings, ["worker"])
    admin = _bind_admin_if_free(settings)
    child = _child(settings, "worker", [], admin)
    supervisor.add([child])
    started = supervisor.start(child)
    code = supervisor.run() if started else supervisor.stop() or int(not supervisor.is_stopping)
    remove_admin(admin)
    sys.exit(code)


def _child(
    settings: Settings, name: str, main: Sequence[socket.socket], admin: Sequence[socket.socket]
) -> Child:
    # Heavy, and wanted before the first fork.
    from entrepot.bootstrap.processes import run_process  # noqa: PLC0415
    from entrepot.bootstrap.server import Sockets  # noqa: PLC0415

    sockets = Sockets(main, admin)
    return Child(name, lambda link: run_process(settings, name, link, sockets), [*main, *admin])


def _supervise(settings: Settings) -> int:
    supervisor = Supervisor(grace_seconds=settings.http.grace.seconds)
    supervisor.handle_signals()
    main = [_bound(str(settings.http.listen), lambda at: bind(at, reuse_port=False))]
    servers = [f"server-{number}" for number in range(settings.http.workers)]
    workers = ["worker"] if settings.jobs.embedded else []
    prepare_run_folder(settings, [*servers, *workers])
    admin = [_bound(str(settings.admin_listen), bind_admin)]
    try:
        first, *others = (_child(settings, name, main, admin) for name in servers)
        others += [_child(settings, name, [], []) for name in workers]
        supervisor.add([first, *others])
        # The first brings the database up to date and makes the first start; the others come beside each other.
        if not supervisor.start(first):
            if not supervisor.is_stopping:
                click.echo("the registry could not be started", err=True)
            return supervisor.stop() or int(not supervisor.is_stopping)
        click.echo(f"entrepot is listening on {_url(settings)}")
        for child in others:
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
