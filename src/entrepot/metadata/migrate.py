"""Bringing the tables to what this program needs, and refusing databases that it must not touch (ADR 3).

Revisions form two lines. `expand` adds what the new program needs and leaves what the old one uses; every start applies it.
`contract` takes away what no supported program uses any more; only `entrepot migrate --contract` applies it, after all replicas
are new, and its revisions name the oldest program they serve. Alembic is imported only where tables have to be changed: an empty
database gets them whole (`first_tables`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from entrepot import __version__
from entrepot.metadata.database import Connection, Database
from entrepot.model.errors import SchemaTooNew

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script

MIGRATIONS = Path(__file__).parent / "migrations"
EXPAND, CONTRACT = "expand", "contract"  # Alembic's branch labels
_INFO = sa.table("schema_info", sa.column("key", sa.Text), sa.column("value", sa.Text))
_SEEN, _OLDEST = "revisions", "oldest_program"


def known_revisions(folder: Path = MIGRATIONS) -> frozenset[str]:
    """Ids of the revisions this program brings, from the names of their files (`<id>_<words>.py`)."""
    files = (folder / "versions").glob("*.py")
    return frozenset(file.stem.split("_", 1)[0] for file in files if file.stem != "__init__")


def check(database: Database, *, program: str = __version__, folder: Path = MIGRATIONS) -> bool:
    """Whether the tables are ready for this program: one read, without Alembic.

    SchemaTooNew when the schema no longer serves a program this old.
    """
    info = database.read_sync(_information)
    oldest = info.get(_OLDEST, "0")
    if _order(program) < _order(oldest):
        raise SchemaTooNew(required=oldest, running=program)
    return known_revisions(folder) <= frozenset(info.get(_SEEN, "").split())


def upgrade(
    database: Database,
    *,
    contract: bool = False,
    program: str = __version__,
    folder: Path = MIGRATIONS,
) -> list[str]:
    """Apply what is missing, each revision in a transaction of its own; the ids applied here. Blocks.

    Processes that start at once apply each revision once: each step takes the lock and looks again at what is left. An
    interrupted upgrade goes on where it stopped.
    """
    if check(database, program=program, folder=folder) and not contract:
        return []
    if folder == MIGRATIONS and database.change_schema(_make_all):
        return sorted(known_revisions(folder))
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (start-up time)

    config = configuration(folder)
    scripts = ScriptDirectory.from_config(config)
    target = "heads" if contract else f"{EXPAND}@head"
    applied: list[str] = []
    while True:
        step = database.change_schema(
            lambda conn: _apply_next(conn, config, scripts, target=target)
        )
        if step is None:
            return applied
        applied.append(step)


def configuration(folder: Path = MIGRATIONS) -> "Config":
    """Alembic's configuration, without a file."""
    from alembic.config import Config  # noqa: PLC0415 (start-up time)

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _make_all(conn: Connection) -> bool:
    """Everything at once and its notes, where the database is empty and no other process was quicker."""
    from entrepot.metadata import first_tables  # noqa: PLC0415 (start-up time)

    revision = first_tables.head(MIGRATIONS)
    if revision is None or not first_tables.make(conn, revision):
        return False
    _note(conn, None, folder=MIGRATIONS, is_last=True)
    return True


def _apply_next(conn: Connection, config: "Config", scripts: object, *, target: str) -> str | None:
    """One revision and its notes in `schema_info`; None when nothing is left."""
    from alembic import command  # noqa: PLC0415 (start-up time)
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 (start-up time)
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (start-up time)

    if not isinstance(scripts, ScriptDirectory) or not scripts.get_heads():
        return None
    heads = MigrationContext.configure(conn).get_current_heads()
    pending = list(scripts.iterate_revisions(target, heads, implicit_base=True))
    following = pending[-1] if pending else None
    if following is not None:
        config.attributes["connection"] = conn
        command.upgrade(config, following.revision)
    _note(conn, following, folder=Path(scripts.dir), is_last=len(pending) <= 1)
    return following.revision if following is not None else None


def _note(conn: Connection, script: "Script | None", *, folder: Path, is_last: bool) -> None:
    info = _information(conn)
    oldest = getattr(script.module, "oldest_program", "0") if script is not None else "0"
    if _order(oldest) > _order(info.get(_OLDEST, "0")):
        _set(conn, _OLDEST, oldest)
    if (
        is_last
    ):  # an older program that starts later brings fewer; what newer ones brought stays noted
        seen = known_revisions(folder) | frozenset(info.get(_SEEN, "").split())
        _set(conn, _SEEN, " ".join(sorted(seen)))


def _set(conn: Connection, key: str, value: str) -> None:
    conn.execute(sa.delete(_INFO).where(_INFO.c.key == key))
    conn.execute(sa.insert(_INFO).values(key=key, value=value))


def _information(conn: Connection) -> Mapping[str, str]:
    """What the schema says of itself; empty for an empty database."""
    if not sa.inspect(conn).has_table("schema_info"):
        return {}
    rows = conn.execute(sa.select(_INFO.c.key, _INFO.c.value))
    return {str(key): str(value) for key, value in rows}


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
