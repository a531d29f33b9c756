"""`entrepot config`: are the settings right, what are they, and who set them.

Also what every command needs to get its settings: the `--config` and `--set` options, and `settings_of`.
"""

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Never

import click

from entrepot.config import ConfigError, Layer, Settings, Source, load, parse_assignments
from entrepot.config.kinds import Shown
from entrepot.config.problems import DEFAULT
from entrepot.config.show import shown, to_toml


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds `--config` and `--set` to the root group, which gets a `source: Source` and stores it as `ctx.obj`."""

    @click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="TOML file of settings. Default: ENTREPOT_CONFIG, else entrepot.toml in the data folder.",
    )
    @click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="A setting, stronger than file and environment; may be repeated.",
    )
    @functools.wraps(command)
    def wrapper(
        *args: object, config_file: Path | None, assignments: tuple[str, ...], **rest: object
    ) -> None:
        try:
            flags = parse_assignments(assignments)
        except ConfigError as error:
            fail(error)
        command(*args, source=Source(config_file, flags, os.environ), **rest)

    return wrapper


def settings_of(source: Source) -> Settings:
    """The settings, or the end of the command: every problem on standard error, exit code 1."""
    try:
        return load(source)
    except ConfigError as error:
        fail(error)


def fail(error: ConfigError) -> Never:
    """Print every problem, a line each, and leave with exit code 1."""
    for problem in error.problems:
        click.echo(problem, err=True)
    count = len(error.problems)
    noun = "problem" if count == 1 else "problems"
    click.echo(f"{count} {noun} in the configuration", err=True)
    raise click.exceptions.Exit(1)


@click.group()
def config() -> None:
    """Check and show the settings."""


@config.command()
@click.pass_obj
def check(source: Source) -> None:
    """Read every source of settings and report all that is wrong; exit code 1 if anything is."""
    settings = settings_of(source)
    click.echo("ok")
    for layer, summary in _summary(settings).items():
        click.echo(f"{layer + ':':<13}{summary}")


def _summary(settings: Settings) -> dict[str, str]:
    """What each layer set, by name; never a value."""
    layers: dict[Layer, list[str]] = {layer: [] for layer in Layer}
    for path, origin in settings.origins.items():
        layers[origin.layer].append(path)
    file = f"{settings.file} ({_list(layers[Layer.FILE])})" if settings.file else "none"
    return {
        "file": file,
        "environment": _list(layers[Layer.ENVIRONMENT]),
        "flags": _list(layers[Layer.FLAG]),
    }


def _list(paths: list[str]) -> str:
    return ", ".join(paths) or "nothing"


@config.command()
@click.option("--origin", is_flag=True, help="Say beside each value where it comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of TOML.")
@click.pass_obj
def show(source: Source, *, origin: bool, as_json: bool) -> None:
    """Print the settings in force as a TOML file, secrets as ***."""
    settings = settings_of(source)
    if as_json:
        click.echo(json.dumps(_as_json(settings, with_origin=origin), indent=2, ensure_ascii=False))
        return
    blocks = []
    for section, values in shown(settings).items():
        lines = [
            _line(settings, f"{section}.{name}", value=value, with_origin=origin)
            for name, value in values.items()
        ]
        blocks.append("\n".join([f"[{section}]", *lines]))
    click.echo("\n\n".join(blocks))


def _line(settings: Settings, path: str, *, value: Shown, with_origin: bool) -> str:
    comment = f"  # {settings.origins.get(path, DEFAULT)}" if with_origin else ""
    return f"{path.partition('.')[2]} = {to_toml(value)}{comment}"


def _as_json(settings: Settings, *, with_origin: bool) -> Mapping[str, Mapping[str, object]]:
    if not with_origin:
        return shown(settings)
    return {
        section: {
            name: {
                "value": value,
                "origin": str(settings.origins.get(f"{section}.{name}", DEFAULT)),
            }
            for name, value in values.items()
        }
        for section, values in shown(settings).items()
    }
