"""`entrepot migrate`: bring the tables up to date ahead of a start, or take away what no program uses any more."""

import click

from entrepot.cli.config import settings_of
from entrepot.cli.local import stop
from entrepot.config import Source
from entrepot.metadata import migrate as revisions
from entrepot.metadata.database import Database
from entrepot.model.errors import RegistryError


@click.command()
@click.option(
    "--contract",
    is_flag=True,
    help="Also take away what only older programs use. Do it when every replica runs this version.",
)
@click.pass_obj
def migrate(source: Source, *, contract: bool) -> None:
    """Apply the schema revisions that are missing (every start does, but for --contract)."""
    settings = settings_of(source)
    settings.data.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        db = Database.open(settings.metadata_url.reveal())
        try:
            applied = revisions.upgrade(db, contract=contract)
        finally:
            db.close_sync()
    except RegistryError as error:
        stop(str(error))
    for revision in applied:
        click.echo(f"applied {revision}")
    if not applied:
        click.echo("the schema is up to date")
