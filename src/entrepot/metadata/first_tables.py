"""The tables of an empty database, without Alembic: from `schema.py`, stamped as if every revision had been applied.

The first start would otherwise load Alembic for this one use. What comes out is what the revisions make, column by column
(tests/contract/metadata/test_first_tables.py), so the next revision finds what it expects.
"""

import re
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from entrepot.metadata.database import Connection
from entrepot.metadata.schema import SCHEMA

_VERSIONS: Final = sa.Table(  # Alembic's own
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
# A revision of the second line (`migrate.CONTRACT`), or one that refuses older programs.
_MORE_THAN_TABLES: Final = re.compile(
    r"^(branch_labels\b.*contract|oldest_program\b)", re.MULTILINE
)


def head(folder: Path) -> str | None:
    """The revision that `schema.py` stands for: the highest number, as long as there is one line of them.

    None where the revisions say more than what the tables are: then they have to be applied one by one.
    """
    files = sorted(f for f in (folder / "versions").glob("*.py") if f.stem != "__init__")
    if any(_MORE_THAN_TABLES.search(file.read_text(encoding="utf-8")) for file in files):
        return None
    return files[-1].stem.split("_", 1)[0] if files else None


def make(conn: Connection, revision: str) -> bool:
    """Make all tables and note the revision as applied; False, and nothing done, if there is any table already."""
    if sa.inspect(conn).get_table_names():
        return False
    SCHEMA.create_all(conn, checkfirst=False)
    _VERSIONS.create(conn, checkfirst=False)
    conn.execute(sa.insert(_VERSIONS).values(version_num=revision))
    return True
