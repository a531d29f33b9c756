"""Write the next revision from the difference between `schema.py` and the revisions so far. For developers.

    python -m entrepot.metadata.migrations "add webhooks"              to the line every start applies
    python -m entrepot.metadata.migrations --contract "drop old tag"   to the line `entrepot migrate --contract` applies

Read what it wrote: it cannot tell a renamed column from a dropped and an added one.
"""

import argparse
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from entrepot.metadata.database import Connection, Database
from entrepot.metadata.migrate import (
    CONTRACT,
    EXPAND,
    MIGRATIONS,
    configuration,
    known_revisions,
    upgrade,
)


def write_revision(message: str, *, contract: bool = False, folder: Path = MIGRATIONS) -> None:
    """Add a file to `versions`, numbered after the highest."""
    config = configuration(folder)
    known = known_revisions(folder)
    line = CONTRACT if contract else EXPAND
    scripts = ScriptDirectory.from_config(config)
    is_first = not any(line in script.branch_labels for script in scripts.walk_revisions())
    with tempfile.TemporaryDirectory() as temporary:
        database = Database.open(f"sqlite:///{temporary}/metadata.db")
        try:
            if known:
                upgrade(database, contract=True, folder=folder)

            def generate(conn: Connection) -> None:
                config.attributes["connection"] = conn
                command.revision(
                    config,
                    message,
                    autogenerate=True,
                    head="base" if is_first else f"{line}@head",
                    branch_label=line if is_first else None,
                    depends_on=str(scripts.get_revision(f"{EXPAND}@head").revision)
                    if contract
                    else None,
                    rev_id=f"{max((int(r) for r in known), default=0) + 1:04}",
                )

            database.change_schema(generate)
        finally:
            database.close_sync()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("message")
    parser.add_argument("--contract", action="store_true")
    arguments = parser.parse_args()
    write_revision(arguments.message, contract=arguments.contract)
