"""`entrepot serve` and `entrepot worker`, and the hidden commands their processes run."""

import dataclasses
import socket
import sys
import time
from collections.abc import Sequence

import click

from entrepot.bootstrap.child import Link
from entrepot.bootstrap.supervisor import Child, Supervisor
from entrepot.cli.config import settings_of
from entrepot.config import Settings, Source

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
    supervisor = _supervisor(settings, source)
    supervisor.handle_signals()
    started = supervisor.start(Child("worker", ["_child", "worker"], ()))
    sys.exit(supervisor.run() if started else supervisor.stop() or 1)


@click.command("_child", hidden=True)
@click.argument("kind", type=click.Choice(["server", "worker"]))
@click.option("--status", type=int, required=True)
@click.option("--life", type=int, required=True)
@click.option("--socket", "sockets", type=int, multiple=True)
@click.pass_obj
def _child(source: Source, kind: str, status: int, life: int, sockets: tuple[int, ...]) -> None:
    """One process under the supervisor."""
    from entrepot.bootstrap.processes import run_process  # noqa: PLC0415  (heavy; not for the supervisor)

    settings = settings_of(source)
    run_process(settings, kind, Link(status, life), [socket.socket(fileno=n) for n in sockets])


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
    sock = _bind(str(settings.http.listen))
    for number in range(settings.http.workers):
        if not supervisor.start(Child(f"server {number}", ["_child", "server"], [sock])):
            click.echo("the registry could not be started", err=True)
            return supervisor.stop() or 1
        if number == 0:
            click.echo(f"entrepot is listening on {_url(settings)}")
    if settings.jobs.embedded:
        supervisor.start(Child("worker", ["_child", "worker"], ()))
    return supervisor.run()


def _bind(listen: str) -> socket.socket:
    from entrepot.http.server.listener import bind  # noqa: PLC0415  (only where something listens)

    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            return bind(listen, reuse_port=False)
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
