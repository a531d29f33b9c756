"""The root command. A command's module is imported only when it runs: one that lists users loads no server."""

import importlib

import click

from entrepot import __version__
from entrepot.cli.config import config as config_group
from entrepot.cli.config import source_options
from entrepot.config import Source

# Commands are modules of their own name here; those that share one stand with it. Imported when they are named.
ADMINISTRATION = (
    *("tenant", "user", "group", "key", "policy", "grant", "token"),
    *(
        "namespace",
        "quota",
        "instance",
        "network",
        "certificate",
        "entry",
        "link",
        "domain",
        "bucket",
        "peer",
        "cluster",
    ),
)
OPERATION = ("gc", "scrub", "undelete", "doctor")
LAZY = {
    **{name: f"entrepot.cli.{name}" for name in (*ADMINISTRATION, *OPERATION)},
    "audit": "entrepot.cli.audit",
    "migrate": "entrepot.cli.migrate",
    "serve": "entrepot.cli.serve",
    "worker": "entrepot.cli.serve",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted({*super().list_commands(ctx), *LAZY})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now if need be."""
        found = super().get_command(ctx, cmd_name)
        if found is not None or cmd_name not in LAZY:
            return found
        module = importlib.import_module(LAZY[cmd_name])
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)  # noqa: S101  (the table above names commands)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="entrepot")
@source_options
@click.pass_context
def cli(ctx: click.Context, source: Source) -> None:
    """Entrepot: a self-hosted container registry."""
    ctx.obj = source


cli.add_command(config_group)
