"""How commands show what they found: a table for people, `--json` for programs. Secrets once, with a warning."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import click

from entrepot.model.ids import Micros

Value: TypeAlias = "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"
Row: TypeAlias = Mapping[str, Value]

json_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON."
)


def show_rows(columns: Sequence[str], rows: Sequence[Row], *, as_json: bool) -> None:
    """A list of things with the same fields."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2, ensure_ascii=False))
        return
    if not rows:
        click.echo("none")
        return
    from rich import box  # noqa: PLC0415  (slow to import, and not for --json)
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(words(row.get(column)), overflow="fold") for column in columns))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)  # lines stay whole in files and pipes
    console.print(table)


def show_one(row: Row, *, as_json: bool) -> None:
    """One thing, a line a field."""
    if as_json:
        click.echo(json.dumps(dict(row), indent=2, ensure_ascii=False))
        return
    width = max(map(len, row), default=0) + 2
    for name, value in row.items():
        click.echo(f"{name + ':':<{width}}{words(value)}")


def warn_of_secret() -> None:
    """The line that goes with a secret, on standard error."""
    click.echo("The secret is shown this once: keep it now.", err=True)


def words(value: Value) -> str:
    """A value for people."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case str() | int() | float():
            return str(value)
        case Mapping():
            return "; ".join(f"{key}: {words(item)}" for key, item in value.items()) or "-"
        case _:
            return ", ".join(map(words, value)) or "-"


def moment(at: Micros | None) -> str | None:
    """A moment in UTC, to the second."""
    if at is None:
        return None
    return datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
