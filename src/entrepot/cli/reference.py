"""`python -m entrepot.cli.reference [--check] FOLDER`: the reference pages, generated from the code.

A page is a row of PAGES: a file name and a function that gives its text, or None while what it
describes does not exist.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from entrepot.bootstrap.reference import WIRE_PAGES
from entrepot.cli.metrics_reference import metrics_page
from entrepot.config.keys import CONFIG_VARIABLE, SHORT_NAMES, Key, keys, sections

RENEW: Final = "make docs"
_ROOT_MODULE: Final = "entrepot.cli.main"
_NOTICE: Final = f"<!-- Generated from the code by `{RENEW}`; edits here are lost. -->"


@dataclass(frozen=True, slots=True)
class Page:
    """A generated file."""

    name: str
    render: Callable[[], str | None]


def configuration_page() -> str:
    """Every setting: key, type, default, environment name, meaning."""
    return "\n".join(
        [*_configuration_preface(), *(line for name in sections() for line in _section(name))]
    )


def _configuration_preface() -> Iterator[str]:
    yield from ("# Configuration", "", _NOTICE, "")
    yield (
        "A setting comes from its default, from a TOML file, from the environment or from a flag"
        " (`--set section.key=value`); the later outranks the earlier. The file is the one named by `--config`, else by"
        f" `{CONFIG_VARIABLE}`, else `entrepot.toml` in the data folder where there is one."
    )
    yield ""
    yield (
        "Every setting has the environment name `ENTREPOT_<SECTION>_<KEY>`; two have a short one besides. An unknown section, key or `ENTREPOT_…` name is an error."
        " `entrepot config check` lists everything that is wrong, `entrepot config show --origin` says who set what."
    )
    yield ""
    yield from (
        "- size: `512KiB`, `4MiB`, `10GB` or a number of bytes; KiB, MiB, GiB, TiB count in 1024s, kB, MB, GB, TB in 1000s",
        "- duration: `500ms`, `90s`, `5m`, `24h`, `7d`, `1h30m`; the unit is needed",
        "- address: `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000` or `unix:/path`",
        "- list: a TOML array; in the environment and in flags separated by commas",
        "- path: a relative one starts at the file's folder when a file says it, else at the working directory; `~` is the home",
        "- secret: printed as `***`; refused in flags, where every user of the machine could read it",
        "",
    )


def _section(name: str) -> Iterator[str]:
    yield from (f"## {name}", "", sections()[name].__doc__ or "", "")
    yield from _table("key", "type", "default", "environment", "meaning")
    for key in keys().values():
        if key.section == name:
            yield _row(f"`{key.name}`", _type(key), _default(key), _variables(key), _meaning(key))
    yield ""


def _table(*headings: str) -> Iterator[str]:
    yield from (_row(*headings), "|" + "---|" * len(headings))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _variables(key: Key) -> str:
    short = [name for name, path in SHORT_NAMES.items() if path == key.path]
    return ", ".join(f"`{name}`" for name in (*short, key.variable))


def _type(key: Key) -> str:
    name = f"list of {key.kind.name}s" if key.kind.many else key.kind.name
    return f"{name} or `{key.kind.none_word}`" if key.kind.none_word else name


def _default(key: Key) -> str:
    value = key.kind.show(key.default)
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return f"`{text}`" if text else "empty"


def _meaning(key: Key) -> str:
    least, most = key.least, key.most
    if least and most:
        return f"{key.description} From {least} to {most}."
    if key.pattern:
        return f"{key.description} Form: `{key.pattern}`."
    if least and key.kind.name != "secret":
        return f"{key.description} At least {least}."
    return f"{key.description} At most {most}." if most else key.description


def cli_page() -> str | None:
    """Every command with its help text and options; None while there is no root command."""
    if importlib.util.find_spec(_ROOT_MODULE) is None:
        return None
    root: click.Command = importlib.import_module(_ROOT_MODULE).cli
    return command_tree(root)


def command_tree(root: click.Command) -> str:
    """The page of a root command and all below it that is not hidden."""
    lines = ["# Command line", "", _NOTICE, ""]
    for path, command in _walk(("entrepot",), command=root):
        lines += _command(path, command)
    return "\n".join(lines)


def _walk(
    path: tuple[str, ...], *, command: click.Command
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if command.hidden:
        return
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(
            context
        ):  # asked, since commands may be imported when named
            if (child := command.get_command(context, name)) is not None:
                yield from _walk((*path, name), command=child)


def _command(path: tuple[str, ...], command: click.Command) -> Iterator[str]:
    name = " ".join(path)
    context = click.Context(command, info_name=name)
    yield from (
        f"## {name}",
        "",
        f"`{' '.join([name, *command.collect_usage_pieces(context)])}`",
        "",
    )
    if command.help:
        # What follows a form feed is for readers of the source; \b is click's mark for a block not to be wrapped.
        yield from (command.help.partition("\f")[0].replace("\b\n", "").strip(), "")
    records = [record for p in command.params if (record := p.get_help_record(context))]
    if records:
        yield from _table("option", "meaning")
        yield from (_row(f"`{option}`", meaning) for option, meaning in records)
        yield ""


PAGES: Final = (
    Page("configuration.md", configuration_page),
    Page("cli.md", cli_page),
    Page("metrics.md", metrics_page),
    *(Page(name, render) for name, render in WIRE_PAGES.items()),
)


def drifted(folder: Path) -> list[Path]:
    """The pages in `folder` that are missing or no longer what the code says."""
    texts = {folder / page.name: page.render() for page in PAGES}
    return [path for path, text in texts.items() if text is not None and not _holds(path, text)]


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == _with_end(text)


def _with_end(text: str) -> str:
    return text.rstrip("\n") + "\n"


def write(folder: Path) -> list[Path]:
    """Write every page; gives those that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = drifted(folder)
    for page in PAGES:
        text = page.render()
        if text is not None and folder / page.name in changed:
            (folder / page.name).write_text(_with_end(text), encoding="utf-8")
    return changed


@click.command()
@click.option(
    "--check", is_flag=True, help="Write nothing; exit code 1 if a page is not up to date."
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path, *, check: bool) -> None:
    """Write the generated reference pages into FOLDER."""
    if not check:
        for path in write(folder):
            click.echo(f"wrote {path}")
        return
    stale = drifted(folder)
    for path in stale:
        click.echo(f"{path} is not what the code says; renew it with: {RENEW}", err=True)
    if stale:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
