"""Where commands get passwords: typed twice, from a file, or made up. Never from arguments, which other users can read."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import click

_MAX_FILE = 64 * 1024


def password_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds `--password-file` and `--generate`; the command gets `password`, None where one is to be made up."""

    @click.option(
        "--password-file",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        help="Read the password from the first line of this file; `-` for standard input.",
    )
    @click.option("--generate", is_flag=True, help="Make a password up and show it once.")
    @functools.wraps(command)
    def wrapper(*args: object, password_file: Path | None, generate: bool, **rest: object) -> None:
        if generate and password_file is not None:
            raise click.UsageError("--generate and --password-file exclude each other")
        password = None if generate else read_password(password_file)
        command(*args, password=password, **rest)

    return wrapper


def read_password(file: Path | None) -> str:
    """From the file, or typed twice at the terminal."""
    if file is not None:
        try:
            with click.open_file(str(file), encoding="utf-8") as stream:
                text = str(stream.read(_MAX_FILE))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise click.ClickException(f"{file}: {reason}") from error
        first, _, rest = text.partition("\n")
        if rest.strip():
            raise click.ClickException(f"{file}: expected one line")
        return first.removesuffix("\r")
    if not sys.stdin.isatty():
        raise click.UsageError("no terminal to ask at: use --password-file or --generate")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password
